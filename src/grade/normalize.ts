/**
 * The normal form of an answer as text, without deciding anything about its value.
 *
 * Beside the value a reader accepts optional parts: a label (`\max at`), a name (`x = 5`), a unit
 * (`5\text{ cm}`), a modulus. They are split off and kept: they may be missing on one side but must
 * not contradict each other.
 *
 * @module
 */

import { parseExact, type Rational } from "./exact.ts";
import { dropPeriod, respell } from "./spelling.ts";
import {
  splitMagnitude,
  splitMixed,
  splitUnit,
  splitUnits,
  unitName,
  withoutDegrees,
} from "./units.ts";
import { choiceLetter, foldWords, phraseMeaning, splitLabel } from "./words.ts";

/** An answer in normal form. */
export interface NormalForm {
  /** `min` or `max` in front, also `local max`, or "". */
  readonly label: string;
  /** What stands left of the only `=`, when that is a short name such as `x`, `a_1` or `f(x)`; or "". */
  readonly name: string;
  /** The value, one spelling, no spaces that carry no meaning. Empty for an empty answer. */
  readonly value: string;
  /** The unit right of the value, `percent`, `degree` and `dollar` included; or "". */
  readonly unit: string;
  /** What the value is meant modulo (`7`), or "". */
  readonly modulus: string;
  /** The value as an exact number without its unit, when it is one. */
  readonly number: Rational | undefined;
  /** The letter of an answer that is one of several choices. */
  readonly letter: string | undefined;
  /** Name and value, respelled only, for the parser of expressions. */
  readonly source: string;
}

const TEXT_GROUP =
  /\\(?:text|textbf|textit|textrm|textnormal|mbox|hbox|mathrm|mathbf|mathit|boldsymbol|bm) ?\{/y;

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
  if (!text.includes("\\")) return text;
  return text
    .replace(/\\(frac|binom) ?([0-9a-zA-Z])/g, "\\$1{$2}")
    .replace(/(\\(?:frac|binom) ?\{[^{}]*\}) ?([0-9a-zA-Z])/g, "$1{$2}")
    .replace(/\\(sqrt|vec|hat|tilde|dot) ?([0-9a-zA-Z])/g, "\\$1{$2}");
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

/** Words side by side: "not able" is not "notable". */
const PHRASE = /^(?=.*[A-Za-z]{3})[A-Za-z'-]+(?: [A-Za-z'-]+)+$/;

/** Drops spaces except where they separate: words, a command from a letter, one number from the next. */
function squeeze(text: string): string {
  if (PHRASE.test(text)) return text;
  return text.replace(
    /(\\[a-zA-Z]+ (?=[a-zA-Z]))|(\d (?=\d))| /g,
    (_, command?: string, digit?: string) => command ?? digit ?? "",
  );
}

const NAME = String
  .raw`(?:[a-zA-Z](?:_[0-9a-zA-Z]|_\{\w{1,5}\})?(?: ?\([a-zA-Z]\))?|\\[a-z]{2,8})`;
/** Numbers are no names: `\pi \approx 3` gives no value. */
const NO_NAME = String.raw`(?!(?:[ei]|\\pi|\\infty) ?(?:=|\\approx))`;
const NAMED = new RegExp(`^${NO_NAME}(${NAME}) ?(?:=|\\\\approx) ?((?:(?!\\\\approx)[^=])+)$`);
const MODULUS =
  /^(.*?) ?(?:\\pmod ?\{ ?(\w+) ?\}|\\pmod ?(\d)|\(?\\(?:mod|bmod) ?(\w+)\)?|(?:\\text ?\{ ?)?\((?:\\text ?\{)?mod(?: ?\})? (\w+)\)(?: ?\})?)$/;

/** Splits `x = value` and `value \pmod{7}` at the outermost level. */
function splitName(text: string): { name: string; rest: string; modulus: string } {
  const modular = text.includes("mod") && text.length < 500 ? MODULUS.exec(text) : null;
  const modulus = modular ? modular.slice(2).find((each) => each) ?? "" : "";
  const body = modular ? modular[1].replace("\\equiv", "=") : text;
  const parts = body.length < 500 ? NAMED.exec(body) : null;
  // "x = 1, y = 2" and "x = 1, 2" name no single value; "n = 1,234" does.
  return parts && (!parts[2].includes(",") || parseExact(splitUnit(parts[2]).rest))
    ? { name: parts[1], rest: parts[2].trim(), modulus }
    : { name: "", rest: body, modulus };
}

/** Entries that all are percentages have them as their unit; any other sign makes a hundredth. */
const PERCENTAGES = /^[([]?(?: ?[-+]?[\d.]+ ?\\?% ?(?:[,;]|(?=[)\]]?$)))+[)\]]?$/;

/** The text without the signs of units that stand in it. */
function withoutSigns(text: string): string {
  const plain = withoutDegrees(text).replace(/\\\$|\\text\{ degree\}/g, " ");
  if (!plain.includes("%")) return plain;
  if (/^ ?\\?% ?$/.test(plain)) return "";
  return PERCENTAGES.test(plain) ? plain.replace(/\\?%/g, " ") : plain;
}

/**
 * The normal form of an answer. Never evaluates anything and never throws; linear in the length.
 *
 * @param latex An answer as it stands in a box or in a data set.
 */
export function normalForm(latex: string): NormalForm {
  const { label, text } = splitLabel(respell(latex));
  const { name, rest: named, modulus } = splitName(text);
  const front = name === "" ? "" : `${name} = `;
  const { rest, unit } = splitUnits(named);
  const magnitude = splitMagnitude(rest);
  const mixed = magnitude ? undefined : splitMixed(named);
  const spaced = fixBraces(dropPeriod(unwrapText(withoutSigns(rest)))).trim();
  const meaning = /[a-z]{2}/.test(spaced) && /^[\\{}\sA-Za-z.]*$/.test(spaced)
    ? phraseMeaning(spaced)
    : undefined;
  // "(C)" is a choice: its brackets carry no meaning.
  const value = meaning ?? squeeze(foldWords(spaced)).replace(/^\(([A-Za-z])\)$/, "$1");
  return {
    label,
    name: squeeze(name),
    value,
    unit: mixed?.unit ?? (magnitude && magnitude.rest !== "" ? unitName(magnitude.rest) : unit),
    modulus,
    number: (magnitude ?? mixed)?.number ?? parseExact(spaced),
    letter: name === "" ? choiceLetter(value, spaced) : undefined,
    source: front + (meaning ?? braceArguments(dropPeriod(rest))),
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
