/**
 * Tokens outside the BPE vocabulary: found as a whole in the text, before it is cut into words.
 *
 * @module
 */

/** A token outside the BPE vocabulary that is matched as a whole in the text. */
export interface AddedToken {
  /** Token id. */
  readonly id: number;
  /** The text it matches. */
  readonly content: string;
  /** A control token: skipped by `decode(ids, { skipSpecial: true })`. */
  readonly special: boolean;
  /** Matched after normalisation of the text instead of before. */
  readonly normalized: boolean;
  /** Matched only where no letter, digit or underscore stands beside it. */
  readonly single_word: boolean;
  /** Takes the white space before it along. */
  readonly lstrip: boolean;
  /** Takes the white space behind it along. */
  readonly rstrip: boolean;
}

/** What words are made of. */
const wordChar = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const spaceAtStart = /^\p{White_Space}*/u;

/** Finds added tokens in text. */
export class AddedTokens {
  readonly #tokens = new Map<string, AddedToken>();
  /** Any of the tokens, the longest where several begin; null for none. */
  readonly #pattern: RegExp | null = null;
  /** The same without control tokens. */
  readonly #plainPattern: RegExp | null = null;

  /**
   * Prepares the search.
   *
   * @param spelling What a token's content looks like in the texts that are searched.
   */
  constructor(tokens: readonly AddedToken[], spelling: (content: string) => string) {
    for (const token of tokens) this.#tokens.set(spelling(token.content), token);
    const spellings = [...this.#tokens.keys()];
    this.#pattern = alternatives(spellings);
    this.#plainPattern = alternatives(spellings.filter((s) => !this.#tokens.get(s)!.special));
  }

  /**
   * Cuts added tokens out of a text, from left to right.
   *
   * @param special Whether control tokens are found too.
   * @param onToken Called with each token.
   * @param onRest Called with each piece of text between tokens, never an empty one, and its position.
   */
  split(
    text: string,
    special: boolean,
    onToken: (id: number) => void,
    onRest: (part: string, at: number) => void,
  ): void {
    // A control token that is not asked for still hides shorter tokens inside it, as in the
    // reference implementation: hence the search for all, unless none could be found anyway.
    const pattern = special ? this.#pattern : this.#plainPattern && this.#pattern;
    let from = 0;
    for (const match of pattern === null ? [] : text.matchAll(pattern)) {
      const token = this.#tokens.get(match[0])!;
      if (token.special && !special) continue;
      let begin = match.index, end = begin + match[0].length;
      if (token.single_word && (wordEndsAt(text, begin) || wordBeginsAt(text, end))) continue;
      // Spaces that the token before has taken are gone.
      if (token.lstrip) { while (begin > from && isSpace(text[begin - 1])) begin--; }
      if (token.rstrip) end += text.slice(end).match(spaceAtStart)![0].length;
      if (begin > from) onRest(text.slice(from, begin), from);
      onToken(token.id);
      from = end;
    }
    if (from < text.length) onRest(from === 0 ? text : text.slice(from), from);
  }
}

function wordEndsAt(text: string, at: number): boolean {
  const before = text.slice(Math.max(0, at - 2), at);
  return wordChar.test([...before].at(-1) ?? "");
}

function wordBeginsAt(text: string, at: number): boolean {
  const [after = ""] = text.slice(at, at + 2);
  return wordChar.test(after);
}

/** Unicode's white space is all in the basic plane: one code unit decides. */
function isSpace(unit: string): boolean {
  return /\p{White_Space}/u.test(unit);
}

function alternatives(spellings: readonly string[]): RegExp | null {
  if (spellings.length === 0) return null;
  const longestFirst = spellings.toSorted((a, b) => b.length - a.length);
  return new RegExp(longestFirst.map((text) => RegExp.escape(text)).join("|"), "gu");
}
