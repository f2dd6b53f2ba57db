/**
 * Ways to write a gold answer that leave it the same answer.
 *
 * @module
 */
import type { Gold, Token } from "./gold.ts";

/** The answer written in another way; `undefined` where that makes no sense. */
export type Rewriting = (gold: Gold) => string | undefined;

const around = (before: string, after: string): Rewriting => ({ core, isMixed }) =>
  isMixed ? undefined : `${before}${core}${after}`;

/** Changes single tokens; `undefined` where none changes. */
const perToken =
  (change: (token: Token, at: number, all: readonly Token[]) => string): Rewriting =>
  ({ tokens, isProse }) => {
    if (isProse) return undefined;
    const changed = tokens.map(change);
    return changed.some((text, i) => text !== tokens[i].text) ? changed.join("") : undefined;
  };

const respelled = (pairs: Readonly<Record<string, string>>): Rewriting =>
  perToken(({ kind, text }) => kind !== "words" && Object.hasOwn(pairs, text) ? pairs[text] : text);

const OPERATOR = /^(?:[+\-=<>]|<=|>=|\\(?:times|cdot|div|leq?|geq?|neq?|in|cup|cap|pm))$/;
const isOperator = ({ text }: Token) => OPERATOR.test(text);

/** Whether an operator has something on its left, so that it is no sign. */
function isBinary(at: number, all: readonly Token[]): boolean {
  if (!isOperator(all[at])) return false;
  const before = all.slice(0, at).findLast(({ kind }) => kind !== "space");
  return before !== undefined && !isOperator(before) && !/[([{,^_&$]$/.test(before.text);
}

const aroundOperators = (space: string): Rewriting =>
  perToken((token, at, all) => {
    if (!isBinary(at, all)) return token.text;
    return `${space}${token.text}${space}${/[a-zA-Z]$/.test(space) ? " " : ""}`;
  });

/** Where a space in front of a token would be read as something else than nothing. */
function sticks(token: Token, before: Token | undefined): boolean {
  if (!before) return true;
  // "1,234" may be a number, "12:30" a time; a word's letters stay together.
  if (/[,:.]/.test(token.text[0]) || /[,:.]$/.test(before.text)) return true;
  return token.text === "'" || token.text === "$" || before.text === "$" ||
    (/^\\[^a-zA-Z]/.test(before.text) && !/^\\[{},;!]$/.test(before.text)) ||
    before.text === "\\left";
}

const BRACE = /^[{}]$/;

/** A space in front of every token that `where` picks. */
const spaced = (where: (token: Token, before: Token) => boolean): Rewriting =>
  perToken((token, at, all) => {
    const before = all[at - 1];
    return !sticks(token, before) && where(token, before) ? ` ${token.text}` : token.text;
  });

const isPlainText = (core: string) => !/[\\^_]/.test(core);

/** Whether all numbers with a comma in front of them could be the tail of another. */
const digitGroups = (separator: string): Rewriting => (gold) => {
  if (separator === "," && /[,;([{]|\\(?:text|\{)/.test(gold.core)) return undefined;
  return perToken(({ kind, text }, at, all) => {
    const scripted = all[at - 1]?.text === "_" || all[at + 1]?.text === "_" ||
      (all[at - 1]?.text === "{" && all[at - 2]?.text === "_");
    if (kind !== "number" || !/^[1-9]\d{4,}$/.test(text) || scripted) return text;
    return text.replace(/\B(?=(?:\d{3})+$)/g, separator);
  })(gold);
};

/** All rewritings by name; most frequent in responses first. */
export const REWRITINGS: Readonly<Record<string, Rewriting>> = {
  "as it is": ({ text }) => text,
  "$..$": around("$", "$"),
  "$$..$$": around("$$", "$$"),
  "\\(..\\)": around("\\(", "\\)"),
  "\\[..\\]": around("\\[", "\\]"),
  "\\displaystyle": around("\\displaystyle ", ""),
  "\\dfrac": respelled({ "\\frac": "\\dfrac" }),
  "\\tfrac": respelled({ "\\frac": "\\tfrac" }),
  "full stop": ({ text }) => /[.!?]\$*$/.test(text.trim()) ? undefined : `${text}.`,
  "full stop inside $": ({ core, isMixed }) =>
    isMixed || /[.!?]$/.test(core) ? undefined : `$${core}.$`,
  "spaces around it": ({ text }) => `  ${text}\n`,
  "spaces doubled": perToken(({ kind, text }) => kind === "space" ? `${text} ` : text),
  "spaces between tokens": spaced(() => true),
  "spaces at braces": spaced((token, before) => BRACE.test(token.text) || BRACE.test(before.text)),
  "\\, around operators": aroundOperators("\\,"),
  "\\! around operators": aroundOperators("\\!"),
  "\\; around operators": aroundOperators("\\;"),
  "\\mathbf": (gold) => gold.isProse ? undefined : around("\\mathbf{", "}")(gold),
  "\\boldsymbol": (gold) => gold.isProse ? undefined : around("\\boldsymbol{", "}")(gold),
  "\\textbf": (gold) =>
    isPlainText(gold.core) ? around("\\textbf{", "}")(gold) : around("\\textbf{$", "$}")(gold),
  "**..**": ({ text }) => `**${text}**`,
  "\\boxed": around("\\boxed{", "}"),
  "\\approx": ({ core, isConstant }) => isConstant ? `\\approx ${core}` : undefined,
  "x =": ({ core, isConstant }) => isConstant ? `x = ${core}` : undefined,
  "groups ,": digitGroups(","),
  "groups {,}": digitGroups("{,}"),
  "groups ,\\!": digitGroups(",\\!"),
  "groups \\,": digitGroups("\\,"),
  "unicode": respelled({
    "-": "−",
    "\\times": "×",
    "\\cdot": "·",
    "\\pi": "π",
    "\\infty": "∞",
    "\\cup": "∪",
    "\\le": "≤",
    "\\leq": "≤",
    "\\ge": "≥",
    "\\geq": "≥",
  }),
};
