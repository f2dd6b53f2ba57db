/**
 * Brings an answer into one spelling, without deciding anything about its value.
 *
 * Beside the value a reader accepts two optional parts, a name (`x = 5`) and a unit (`5\text{ cm}`).
 * They are split off and kept: they may be missing on one side but must not contradict each other.
 *
 * @module
 */

import { parseExact, type Rational } from "./exact.ts";

/** An answer in normal form. */
export interface NormalForm {
  /** What stands left of the only `=`, when that is a short name such as `x`, `a_1` or `f(x)`; or "". */
  readonly name: string;
  /** The value, one spelling, no spaces that carry no meaning. Empty for an empty answer. */
  readonly value: string;
  /** The unit right of the value, `percent`, `degree` and `dollar` included; or "". */
  readonly unit: string;
  /** The value as an exact number without its unit, when it is one. */
  readonly number: Rational | undefined;
  /** Name and value, respelled only, for the parser of expressions. */
  readonly source: string;
}

/** Commands and characters with one meaning and several spellings. */
const SPELLING = new Map<string, string>([
  ...["\\dfrac", "\\tfrac", "\\cfrac"].map((c) => [c, "\\frac"] as const),
  ...["\\left", "\\right", "\\big", "\\Big", "\\bigg", "\\Bigg", "\\bigl", "\\bigr", "\\Bigl"]
    .map((c) => [c, ""] as const),
  ...["\\Bigr", "\\!", "\\displaystyle", "\\textstyle", "\\limits"].map((c) => [c, ""] as const),
  ...["\\,", "\\;", "\\:", "\\>", "\\ ", "\\\n", "\\quad", "\\qquad", "\\thinspace", "~", "$"]
    .map((c) => [c, " "] as const),
  ["\\le", "\\leq "],
  ["\\leqslant", "\\leq "],
  ["≤", "\\leq "],
  ["\\ge", "\\geq "],
  ["\\geqslant", "\\geq "],
  ["≥", "\\geq "],
  ["\\ne", "\\neq "],
  ["≠", "\\neq "],
  ["\\lbrace", "\\{"],
  ["\\rbrace", "\\}"],
  ["\\varnothing", "\\emptyset "],
  ["\\infin", "\\infty "],
  ["∞", "\\infty "],
  ["π", "\\pi "],
  ["×", "\\times "],
  ["·", "\\cdot "],
  ["−", "-"],
  ["–", "-"],
  ["\\degree", "^\\circ "],
  ["°", "^\\circ "],
]);

const TEXT_COMMAND = /\\(?:text|textbf|textit|textrm|textnormal|mbox|hbox|mathrm|mathbf|mathit)/
  .source;
const TEXT_GROUP = new RegExp(`${TEXT_COMMAND} ?\\{`, "y");
const TEXT_UNIT = new RegExp(`( ?)${TEXT_COMMAND} ?\\{([^{}]*)\\}( ?\\^ ?\\{? ?\\d ?\\}?)?$`);
/** Words behind a bare number: a long lower-case word is always a unit, a short one only if known. */
const WORD_UNIT =
  /^(.*?[\d})%])(?: ?((?:cm|mm|km|kg|mg|ml|ft|in|mi|hr|min|sec|mph)\b)| ([a-z]{4,}(?: [a-z]+){0,3}))( ?\^ ?\{? ?\d ?\}?)?$/;
const UNIT_LETTERS = "mgshAVWNJKCFLlT";
/** Words that change the value or limit it, so that dropping them would make unequal things equal. */
const NOT_A_UNIT = new Set((
  "and or if for when where with to at from am pm a.m. p.m. hundred thousand million billion " +
  "trillion dozen half halves third thirds fourth fourths quarter quarters fifth fifths sixth " +
  "sixths seventh sevenths eighth eighths ninth ninths tenth tenths hundredths thousandths squared " +
  "cubed factorial times plus minus over choose mod modulo base sqrt infinity alpha beta gamma " +
  "delta epsilon theta lambda sigma omega"
).split(" "));

/** Whether words behind a value can be left out, as a unit can. */
export function isUnit(words: string): boolean {
  return /^[A-Za-z][A-Za-z .\-\/]*$/.test(words) &&
    !words.toLowerCase().split(" ").some((word) => NOT_A_UNIT.has(word));
}

/** Full, singular names of the units that are often abbreviated or have an irregular plural. */
const UNIT_SPELLING = new Map<string, string>([
  ["inches", "inch"],
  ["in", "inch"],
  ["feet", "foot"],
  ["ft", "foot"],
  ["yd", "yard"],
  ["mi", "mile"],
  ["mm", "millimeter"],
  ["cm", "centimeter"],
  ["m", "meter"],
  ["km", "kilometer"],
  ["g", "gram"],
  ["kg", "kilogram"],
  ["lb", "pound"],
  ["s", "second"],
  ["sec", "second"],
  ["min", "minute"],
  ["h", "hour"],
  ["hr", "hour"],
  ["mph", "mileperhour"],
  ["milesperhour", "mileperhour"],
]);

/** Drops the full stop of a sentence, but not the dots of an unfinished decimal. */
function dropPeriod(text: string): string {
  return text.endsWith(".") && !text.endsWith("..") ? text.slice(0, -1).trimEnd() : text;
}

/** One spelling of every command, single spaces, no final period. */
function respell(latex: string): string {
  const text = latex
    .replace(/\{,\}|,\\!/g, ",")
    .replace(/(\d)\\,(?=\d{3}(?!\d))/g, "$1")
    .replace(
      /\\(?:left|right) ?\.|\\[a-zA-Z]+|\\[^a-zA-Z]|[$~≤≥≠∞π×·−–°]/g,
      (token) => /^\\(?:left|right) ?\.$/.test(token) ? "" : SPELLING.get(token) ?? token,
    )
    .replace(/\s+/g, " ")
    .trim();
  return dropPeriod(text);
}

/** One name for the spellings of a unit: `square feet`, `ft` with the power `^2`. */
export function unitName(words: string, power = ""): string {
  const [, shape, rest] = /^(square |cubic )?(.*)$/.exec(words.trim()) ?? [];
  const name = rest.replace(/[ .]/g, "");
  const singular = name.length > 2 && name.endsWith("s") ? name.slice(0, -1) : name;
  const written = power.replace(/[ {}]/g, "");
  const exponent = shape === undefined ? written : shape === "square " ? "^2" : "^3";
  return (UNIT_SPELLING.get(name) ?? UNIT_SPELLING.get(singular) ?? singular) + exponent;
}

const DEGREES = / ?\^ ?(?:\{ ?\\circ ?\}|\\circ)/g;
const TRIGONOMETRIC = /\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])/;

/** Splits a unit from the right (or a currency sign from the left) of a respelled answer. */
function splitUnit(text: string): { rest: string; unit: string } {
  const circle = /^(.*\S) ?\^ ?(?:\{ ?\\circ ?\}|\\circ)$/.exec(text);
  // The degrees of "\sin 30^\circ" are no unit of the whole.
  if (circle && !TRIGONOMETRIC.test(circle[1])) {
    return { rest: circle[1], unit: "degree" };
  }
  const percent = /^(.*[^ \\]) ?\\?%$/.exec(text);
  if (percent) return { rest: percent[1], unit: "percent" };
  const currency = /^([+-]? ?)\\\$ ?(.+)$/.exec(text);
  if (currency) return { rest: currency[1] + currency[2], unit: "dollar" };
  const group = TEXT_UNIT.exec(text);
  if (group) {
    const [, space, content, power] = group;
    const rest = text.slice(0, group.index).trimEnd();
    const words = content.trim();
    const spaced = space !== "" || content.startsWith(" ");
    const plausible = isUnit(words) &&
      (words.length > 1 || (spaced && UNIT_LETTERS.includes(words)));
    if (plausible && /\d/.test(rest) && /(?:[\d})]|\\pi)$/.test(rest)) {
      return { rest, unit: unitName(words, power) };
    }
  }
  const word = WORD_UNIT.exec(text.length < 200 ? text : "");
  if (word) {
    const [, rest, short, long, power] = word;
    const words = short ?? long;
    if (isUnit(words) && parseExact(rest)) return { rest, unit: unitName(words, power) };
  }
  return { rest: text, unit: "" };
}

/** Replaces `\text{...}` and its kin by their content, in one pass over the text. */
function unwrapText(text: string): string {
  if (!text.includes("\\")) return text;
  let out = "";
  const dropped: boolean[] = [];
  for (let i = 0; i < text.length;) {
    TEXT_GROUP.lastIndex = i;
    const group = text[i] === "\\" ? TEXT_GROUP.exec(text) : null;
    if (group) {
      dropped.push(true);
      i += group[0].length;
    } else if (text[i] === "\\") {
      out += text.slice(i, i + 2);
      i += 2;
    } else {
      if (text[i] === "{") dropped.push(false);
      if (text[i] !== "}" || !dropped.pop()) out += text[i];
      i++;
    }
  }
  return out.replace(/\s+/g, " ").trim();
}

/** Gives the one-character arguments of `\frac` and `\sqrt` their braces. */
function braceArguments(text: string): string {
  return text
    .replace(/\\frac ?([0-9a-zA-Z])/g, "\\frac{$1}")
    .replace(/(\\frac ?\{[^{}]*\}) ?([0-9a-zA-Z])/g, "$1{$2}")
    .replace(/\\sqrt ?([0-9a-zA-Z])/g, "\\sqrt{$1}");
}

/** Braces around the arguments of commands, none around one-character scripts, `a/b` as a fraction. */
function fixBraces(text: string): string {
  return braceArguments(text)
    .replace(/([_^]) ?\{ ?([0-9a-zA-Z]) ?\}/g, "$1$2")
    .replace(
      /^([+-]?)(\d+|[a-zA-Z]|\\[a-zA-Z]+) ?\/ ?(\d+|[a-zA-Z]|\\[a-zA-Z]+)$/,
      "$1\\frac{$2}{$3}",
    );
}

/** Drops spaces except where they separate: a command from a letter, one number from the next. */
function squeeze(text: string): string {
  return text.replace(
    /(\\[a-zA-Z]+ (?=[a-zA-Z]))|(\d (?=\d))| /g,
    (_, command?: string, digit?: string) => command ?? digit ?? "",
  );
}

const NAMED =
  /^([a-zA-Z](?:_[0-9a-zA-Z]|_\{\w{1,5}\})?(?: ?\([a-zA-Z]\))?|\\[a-z]{2,8}) ?=([^=]+)$/;

/**
 * The normal form of an answer. Never evaluates anything and never throws; linear in the length.
 *
 * @param latex An answer as it stands in a box or in a data set.
 */
export function normalForm(latex: string): NormalForm {
  const { rest, unit } = splitUnit(respell(latex));
  // Replaced by a space, lest the numbers on both sides become one.
  const bare = (TRIGONOMETRIC.test(rest) ? rest : rest.replace(DEGREES, " "))
    .replace(/\\[%$]|%/g, " ");
  const text = fixBraces(dropPeriod(unwrapText(bare)));
  const parts = text.length < 500 ? NAMED.exec(text) : null;
  // "x = 1, y = 2" and "x = 1, 2" name no single value; "n = 1,234" does.
  const named = parts && (!parts[2].includes(",") || parseExact(parts[2])) ? parts : null;
  const spaced = (named ? named[2] : text).trim();
  // "(C)" is a choice, "No" a word: neither brackets nor the capital carry meaning there.
  const value = squeeze(spaced)
    .replace(/^\(([A-Za-z])\)$/, "$1")
    .replace(/^(?:[A-Z][a-z]+|[A-Za-z]{4,})$/, (word) => word.toLowerCase());
  return {
    name: named ? squeeze(named[1]) : "",
    value,
    unit,
    number: parseExact(spaced),
    source: braceArguments(dropPeriod(rest.replace(/\\\$/g, " "))),
  };
}

/**
 * One spelling for answers that are the same text to a reader: `$\dfrac12$.` and `\frac{1}{2}`,
 * `x = 5` and `5`, `90^\circ` and `90`, `12\text{ cm}` and `12`. Commas stay where they are.
 *
 * @returns The value of {@linkcode normalForm}, without name and unit.
 */
export function normalizeAnswer(latex: string): string {
  return normalForm(latex).value;
}
