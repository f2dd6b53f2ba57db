/**
 * Cutting text into words before BPE: the steps of a tokenizer.json's pre-tokenizer, in order.
 *
 * @module
 */
import { reason, UserError } from "../base/mod.ts";

/** Qwen2's split: contractions, words with one leading mark, single digits, punctuation, spaces. */
export const qwen2Pattern: string = [
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)",
  "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+",
  "\\p{N}",
  " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*",
  "\\s*[\\r\\n]+",
  "\\s+(?!\\S)",
  "\\s+",
].join("|");

/** One cut of every piece into smaller ones. */
export interface Split {
  /** What is searched for: global, so that all matches count. */
  readonly pattern: RegExp;
  /** Which parts go on: matches and what lies between them (`all`), or only one of the two. */
  readonly keep: "all" | "matches" | "gaps";
}

/** Spaces written as a mark, as SentencePiece has them (`▁`). */
export interface Metaspace {
  /** The mark: one character. */
  readonly mark: string;
  /** Which pieces without a mark at their front get one: all, only the text's first one, or none. */
  readonly prepend: "always" | "first" | "never";
  /** Finds the words when each mark begins one; null: the piece stays whole. */
  readonly words: RegExp | null;
}

/** A step of a pre-tokenizer. */
export type WordStep = Split | Metaspace;

/**
 * The words of a text: every step is applied to each piece that the one before it left.
 *
 * @param atStart Whether the text is the beginning of what was asked for, not what follows a token in it.
 */
export function splitWords(text: string, steps: readonly WordStep[], atStart: boolean): string[] {
  let pieces = [text];
  for (const step of steps) {
    const apply = (piece: string) =>
      "mark" in step ? markSpaces(piece, step, atStart) : cut(piece, step);
    pieces = pieces.length === 1 ? apply(pieces[0]) : pieces.flatMap(apply);
  }
  return pieces;
}

function markSpaces(piece: string, { mark, prepend, words }: Metaspace, atStart: boolean) {
  const marked = piece.replaceAll(" ", mark);
  const needed = prepend === "always" || (prepend === "first" && atStart);
  const whole = needed && !marked.startsWith(mark) ? mark + marked : marked;
  return words === null ? [whole] : whole.match(words) ?? [];
}

function cut(piece: string, { pattern, keep }: Split): string[] {
  if (keep !== "gaps") {
    const matches = piece.match(pattern) ?? [];
    if (keep === "matches") return matches;
    let covered = 0;
    for (const match of matches) covered += match.length;
    if (covered === piece.length) return matches;
  }
  const parts: string[] = [];
  let from = 0;
  for (const { index, 0: match } of piece.matchAll(pattern)) {
    if (index > from) parts.push(piece.slice(from, index));
    if (keep === "all" && match !== "") parts.push(match);
    from = index + match.length;
  }
  if (from < piece.length) parts.push(piece.slice(from));
  return parts;
}

/** The split that a `ByteLevel` pre-tokenizer with `use_regex` stands for (GPT-2's). */
export const gpt2Split: Split = {
  pattern:
    /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu,
  keep: "all",
};

/** The `Digits` pre-tokenizer: digits (of any script, ² and Ⅷ too) one by one or run by run. */
export function digitsSplit(individual: boolean): Split {
  return { pattern: individual ? /\p{N}/gu : /\p{N}+/gu, keep: "all" };
}

/** The `Metaspace` pre-tokenizer. */
export function metaspace(mark: string, prepend: Metaspace["prepend"], split: boolean): Metaspace {
  const escaped = RegExp.escape(mark);
  const words = split ? new RegExp(`${escaped}[^${escaped}]*|[^${escaped}]+`, "gu") : null;
  return { mark, prepend, words };
}

/** Escapes whose meaning differs: [outside, inside a character class]. */
const escapes: ReadonlyMap<string, readonly [string, string]> = new Map([
  ["\\s", ["\\p{White_Space}", "\\p{White_Space}"]],
  ["\\S", ["\\P{White_Space}", "\\P{White_Space}"]],
  ["\\d", ["\\p{Nd}", "\\p{Nd}"]],
  ["\\D", ["\\P{Nd}", "\\P{Nd}"]],
  ["\\w", ["[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]", "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"]],
]);

/** The pieces of a pattern that need a look: escapes, intersections, single characters. */
const patternPiece = /\\.|&&|./gsu;

/**
 * A tokenizer.json's regular expression (Oniguruma's dialect) as JavaScript's. There `\s`, `\d` and
 * `\w` go by Unicode (JavaScript's `\s` adds U+FEFF and lacks U+0085), a dot stops at `\n` alone, and
 * any mark may be escaped; `(?i:…)` and `\p{…}` mean the same in both.
 *
 * @param where The file's name, for messages.
 * @throws {UserError} When the pattern uses what JavaScript lacks or reads in another way.
 */
export function compilePattern(source: string, where: string): RegExp {
  const refuse = (what: string, cause?: unknown): never => {
    throw new UserError(`${where}: cannot use its split pattern: ${what}`, {
      hint: "only patterns that JavaScript understands in the same way are supported",
      cause,
    });
  };
  let translated = "", inClass = false;
  for (const [piece] of source.matchAll(patternPiece)) {
    if (/^\\[WbBhHRXAzZGK]$/.test(piece)) refuse(`${piece} means something else in JavaScript`);
    if (inClass && piece === "&&") refuse("it intersects character classes");
    if (inClass && piece === "[") refuse("it nests character classes");
    if (!inClass && (piece === "^" || piece === "$")) refuse("it has an anchor");
    if (escapes.has(piece)) translated += escapes.get(piece)![Number(inClass)];
    else if (piece === "\\-") translated += inClass ? piece : "-";
    else if (/^\\[^\w\s^$\\.*+?()[\]{}|/]$/u.test(piece)) translated += piece.slice(1);
    else if (piece === "." && !inClass) translated += "[^\\n]";
    else translated += piece;
    if (piece === "[" && !inClass) inClass = true;
    else if (piece === "]") inClass = false;
  }
  try {
    return new RegExp(translated, "gu");
  } catch (cause) {
    return refuse(reason(cause), cause);
  }
}
