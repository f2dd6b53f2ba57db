/**
 * Splits an answer in LaTeX, already respelled, into tokens.
 *
 * @module
 */

/** What a token is: a number, a command, a letter, words of a text command, any other sign, the end. */
export type TokenKind = "number" | "command" | "letter" | "text" | "sign" | "end";

/** One token. */
export interface Token {
  readonly kind: TokenKind;
  /** Its text; for words the content of `\text{...}`, for the end the empty string. */
  readonly text: string;
  /** Whether white space stands before it. */
  readonly spaced: boolean;
}

const TEXT =
  /\\(?:text|textbf|textit|textrm|textnormal|mbox|hbox|mathrm|mathbf|mathit|rm) ?\{([^{}]*)\}/y;
const NUMBER = /(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y;
/** A number with thousands separators; read as one where other commas separate otherwise. */
const GROUPED = /[1-9]\d{0,2}(?:,\d{3})+(?!,?\d)(?:\.\d+)?/y;
/** The beginning or end of a matrix; the token's text is `\begin` or `\end` with the name behind. */
const ENVIRONMENT = /\\(begin|end) ?\{([a-zA-Z]+)\}/y;
const COMMAND = /\\(?:[a-zA-Z]+|[^a-zA-Z])/y;
const LETTERS = /[a-zA-Z]+/y;
/** Functions and constants that people write without a backslash; `and`, `or` separate answers. */
const WORD = new RegExp(
  "(?:arcsin|arccos|arctan|arccot|arcsec|arccsc|arsinh|arcosh|artanh|sinh|cosh|tanh|coth|sech|csch|" +
    "sqrt|sin|cos|tan|cot|sec|csc|log|ln|exp|cis|gcd|lcm|pi|infty|infinity|inf|oo|and|or)(?![a-zA-Z])",
  "y",
);
const PLAIN = new Map([["infinity", "\\infty"], ["inf", "\\infty"], ["oo", "\\infty"]]);
/** Short words that no one means as a product of variables. */
const NO_PRODUCT = new Set(
  ("no is if of we he she the its but was for not all any are has one two six ten odd max min yes " +
    "per via sum set").split(" "),
);
/** A longer run of letters is a word, no product of variables: "east" must not equal "seat". */
const MAX_LETTERS = 3;

/**
 * The tokens of an answer, an end token last. `undefined` when it holds what is no mathematics: a
 * long word outside a text command, or a character beyond ASCII.
 *
 * @param source A respelled answer; time is linear in its length.
 */
export function tokenize(source: string): Token[] | undefined {
  // "AB" is a line or a word, not the product BA; "eat" is not "tea".
  if (/^[A-Za-z]*[A-Z][A-Za-z]+$|^[A-Za-z]+[A-Z]$|^[a-z]{3}$/.test(source)) return undefined;
  const tokens: Token[] = [];
  const grouped = /, |;|and|or/.test(source) && !/[([{]/.test(source);
  let spaced = false;
  let at = 0;
  const read = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(source);
  };
  const push = (kind: TokenKind, text: string, length: number, wide = false) => {
    tokens.push({ kind, text, spaced: spaced || wide });
    spaced = false;
    at += length;
  };
  while (at < source.length) {
    const c = source[at];
    let match: RegExpExecArray | null;
    if (c === " ") {
      spaced = true;
      at++;
    } else if (c === "\\") {
      if ((match = read(TEXT))) {
        // Upright letters inside of a formula are variables: "\frac{\mathrm{cb}}{2}".
        const product = /^\\math/.test(match[0]) && /^[a-z]{2,3}$/.test(match[1]) &&
          !endsValue(tokens);
        if (product) {
          for (const letter of match[1]) push("letter", letter, 0);
          at += match[0].length;
        } else push("text", match[1].trim(), match[0].length, match[1].startsWith(" "));
      } else if ((match = read(ENVIRONMENT))) {
        push("command", `\\${match[1]}{${match[2]}}`, match[0].length);
      } else if ((match = read(COMMAND))) push("command", match[0], match[0].length);
      else return undefined;
    } else if (source.startsWith("...", at)) push("command", "\\ldots", 3);
    else if (/[\d.]/.test(c)) {
      const groups = read(GROUPED);
      // No list has an element "000".
      const isNumber = groups && (grouped || /,0\d\d/.test(groups[0]));
      match = isNumber ? groups : read(NUMBER);
      if (!match) return undefined;
      push("number", match[0].replaceAll(",", ""), match[0].length);
    } else if (/[a-zA-Z]/.test(c)) {
      if ((match = read(WORD))) {
        const [word] = match;
        if (word === "and" || word === "or") push("text", word, word.length);
        else push("command", PLAIN.get(word) ?? `\\${word}`, word.length);
      } else {
        const [letters] = read(LETTERS)!;
        if (letters.length > MAX_LETTERS || NO_PRODUCT.has(letters)) return undefined;
        for (const letter of letters) push("letter", letter, 1);
      }
    } else {
      if (c < "!" || c > "~") return undefined;
      push("sign", c, 1);
    }
  }
  tokens.push({ kind: "end", text: "", spaced });
  return tokens;
}

/** Whether the tokens end with a value that a unit could follow. */
function endsValue(tokens: readonly Token[]): boolean {
  const last = tokens.at(-1);
  return last !== undefined && (last.kind !== "sign" || /^[)}\]]$/.test(last.text)) &&
    (last.kind !== "command" || last.text === "\\pi");
}
