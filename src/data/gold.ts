/**
 * Gold answers out of what data sets call an answer. As little as possible is done to them here: how an
 * answer may be spelt is the grader's business.
 *
 * @module
 */
import { lastBoxed } from "../grade/mod.ts";
import { isRow } from "./dialogue.ts";
import { listInText, looksPython } from "./lists.ts";

/** A gold answer. */
export interface Gold {
  readonly answer: string | number;
  /** How many other answers are right as well: lists of them cannot be graded yet. */
  readonly alternatives?: number;
}

/** Why there is none. */
export interface Fault {
  readonly fault: string;
}

/** What a value under an answer's key is. */
export type GoldKind =
  /** The answer alone; of a list, every item is part of it. */
  | "answer"
  /** The answer alone; of a list, any item is right. */
  | "truth"
  /** A solution that ends with the answer. */
  | "solution";

/**
 * Answers that say that there is none: a proof, a failed extraction, a missing value of pandas, Excel or
 * Python, whose None has a capital letter: "none" may be what somebody answers.
 */
const noAnswer = [/^(?:proof|not ?found|#?n\/a|<na>|nan|nat|null)$/i, /^None$/];

/**
 * The gold answer in a value: what follows the `####` of GSM8K, what the last box holds, what stands
 * between `<answer>` tags, the item of a list (also of one that became text), else the text as it is.
 */
export function goldOf(value: unknown, kind: GoldKind): Gold | Fault {
  if (typeof value === "number") return { answer: value };
  if (Array.isArray(value)) return goldOfList(value, kind);
  if (isRow(value)) {
    if ("value" in value) return goldOf(value.value, kind);
    return { fault: "the answer is an object, not a text or a number" };
  }
  if (typeof value !== "string") return { fault: "the answer must be a text or a number" };
  const text = value.trim();
  const list = itemsIn(text);
  if (list) return goldOfList(list, kind);
  if (kind !== "solution" && looksPython(text)) {
    return { fault: "the answer is a Python value as text that cannot be read" };
  }
  if (isRow(parsed(text))) return { fault: "the answer is a JSON object, not an answer" };
  const found = markedAnswer(text) ?? (kind === "solution" ? saidAnswer(text) : text);
  if (found === undefined) {
    return { fault: "the solution has no final answer: no \\boxed, no ####" };
  }
  if (found === "") return { fault: "the answer is blank" };
  if (noAnswer.some((each) => each.test(found))) return { fault: `the answer is "${found}"` };
  return { answer: found === text ? value : found };
}

function goldOfList(items: readonly unknown[], kind: GoldKind): Gold | Fault {
  const golds = items.map((item) => goldOf(item, kind));
  const bad = golds.find((gold) => "fault" in gold);
  if (bad) return bad;
  if (golds.length === 0) return { fault: "the answer is blank" };
  const answers = golds.map((gold) => "answer" in gold ? gold.answer : "");
  if (answers.length === 1) return { answer: answers[0] };
  if (kind === "answer") return { answer: answers.join(", ") };
  return { answer: answers[0], alternatives: new Set(answers.map(String)).size - 1 };
}

/**
 * The items of a list that became text. Numbers alone are one only where they are a single one, or Python's
 * comma says so: `[1, 2]` may be an interval, `(1, 2)` a point.
 */
function itemsIn(text: string): readonly unknown[] | undefined {
  const items = listInText(text), numbers = /^[-+\d.,eE\s[\]()]+$/.test(text) && /\d/.test(text);
  return numbers && (items?.length !== 1 || Array.isArray(items[0])) ? undefined : items;
}

function parsed(text: string): unknown {
  if (!/^[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The answer that is marked as such in a text; undefined where nothing is. */
function markedAnswer(text: string): string | undefined {
  // No pattern for it: thousands of # in a row would take one minutes.
  const lastLine = text.trimEnd().split("\n").at(-1)!, at = lastLine.lastIndexOf("####");
  const hashed = at < 0 ? undefined : lastLine.slice(at + 4).trim();
  if (hashed !== undefined) return markedAnswer(hashed) ?? withoutSeparators(hashed);
  const tagged = text.match(/<answer>((?:(?!<answer>).)*)<\/answer>\s*$/s);
  if (tagged) return markedAnswer(tagged[1]) ?? tagged[1].trim();
  // `\boxed 3` is right TeX: without braces, the next token is the argument.
  const braced = text.replace(
    /\\(boxed|fbox)\s*(-?\d+(?:[./]\d+)?|[A-Za-z](?![A-Za-z]))/g,
    (all, command, argument) =>
      /^\\(?:boxed|fbox)[A-Za-z]/.test(all) ? all : `\\${command}{${argument}}`,
  );
  return lastBoxed(braced)?.trim();
}

/** GSM8K writes 1,200 for 1200; in (1,2) and 2, 3 commas are part of the answer. */
function withoutSeparators(text: string): string {
  return /^\D{0,2}\d{1,3}(?:,\d{3})+(?:\.\d+)?$/.test(text) ? text.replaceAll(",", "") : text;
}

/** The answer of a solution without a mark: where it says so in its last line, or is nothing else. */
function saidAnswer(text: string): string | undefined {
  const last = text.slice(text.lastIndexOf("\n") + 1);
  const [, said] = last.match(/(?:^|[.!?:*]\s+|\*)(?:the )?(?:final )?answer is:?\s*(.+?)\.?$/i) ??
    [];
  if (said !== undefined) return said.trim();
  if (/^(?:yes|no|true|false)$/i.test(text)) return text;
  if (/^(?:\$[^$]+\$|\\\(.+\\\)|\\\[.+\\\])$/.test(text)) return text;
  // A formula: no words in it, and more than words have.
  const bare = text.replaceAll(/\\[A-Za-z]+/g, "0");
  const formula = /\d/.test(bare) && !/[A-Za-z]{3}|\n/.test(bare) && text.length <= 120;
  return formula || /^[A-Z]$/.test(text) ? text : undefined;
}
