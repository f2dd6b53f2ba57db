/**
 * Multiple choice: which of the options an answer means, by letter or by value.
 *
 * @module
 */
import { normalizeAnswer } from "./normalize.ts";
import { respell } from "./spelling.ts";
import { isOption } from "./words.ts";

/** Words that people put before a letter. */
const LEAD = /^(?:(?:the )?(?:correct )?(?:option|choice|answer)(?: is)?:? ?)/i;
const LETTER = /^[([]?([A-Za-z])[)\]]?[.:]?$/;
const LETTER_WITH_VALUE = /^(?:[([]([A-Z])[)\]][.:]?|([A-Z])[.:)])(.*)$/;
/** Longer answers name no option. */
const MAX_CHARS = 2000;

/** The content of a text command around everything, formulas with their braces included. */
function unwrapped(text: string): string {
  const [opening] = /^\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox) ?\{/.exec(text) ?? [];
  if (opening === undefined || !text.endsWith("}")) return text;
  let depth = 1;
  for (let i = opening.length; i < text.length - 1; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "{") depth++;
    else if (text[i] === "}" && --depth === 0) return text;
  }
  return text.slice(opening.length, -1);
}

/** Plain words of an answer: markup, case and punctuation at the end do not matter. */
function plain(text: string): string {
  return unwrapped(respell(text))
    .replace(/\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox) ?\{([^{}]*)\}/g, "$1")
    .replace(/[$~]|\\[,;! ]/g, " ")
    .replace(/\s+/g, " ")
    .trim()
    .replace(/\.$/, "");
}

/**
 * The letters of the options that an answer means; empty when it names none.
 *
 * A letter means its option (`C`, `(C)`, `Option C`) and those of the same text. A value means every
 * option that it equals, so that of `5 cm` and `5 m` a bare `5` means both. "C) value" means C, unless the value is that
 * of other options only or no value at all (`(C) or (D)`); then it means none.
 *
 * @param answer A letter, a value, or both.
 * @param choices Options by letter.
 * @param same Compares two values.
 */
export function pickedChoices(
  answer: string,
  choices: Readonly<Record<string, string>>,
  same: (a: string, b: string) => { readonly equal: boolean },
): string[] {
  if (answer.length > MAX_CHARS) return [];
  const letters = Object.keys(choices);
  // Word for word the same option is right under either letter; some data sets have such rows.
  const twins = (letter: string) =>
    letters.filter((other) => plain(choices[other]) === plain(choices[letter]));
  const byValue = (value: string): string[] => {
    const words = plain(value);
    const exact = letters.filter((letter) => plain(choices[letter]) === words);
    if (exact.length > 0) return exact;
    // "warm gas" is "Warm gas"; but where it matters, L is not l.
    const small = words.toLowerCase();
    const literal = letters.filter((letter) => plain(choices[letter]).toLowerCase() === small);
    return literal.length > 0
      ? literal
      : letters.filter((each) => same(value, choices[each]).equal);
  };
  const text = plain(answer);
  const bare = text.replace(LEAD, "");
  const [, letter] = LETTER.exec(bare) ?? [];
  if (letter !== undefined) {
    // A small letter may be the value of an option: "A. d".
    const isValue = letter !== letter.toUpperCase() &&
      letters.some((l) => plain(choices[l]) === letter);
    if (!isValue && letters.includes(letter.toUpperCase())) return twins(letter.toUpperCase());
  }
  const values = normalizeAnswer(answer) === "" ? [] : byValue(answer);
  if (values.length > 0) return values;
  const [, inBrackets, withPoint, rest] = LETTER_WITH_VALUE.exec(bare) ?? [];
  const named = inBrackets ?? withPoint;
  if (named === undefined || !letters.includes(named)) return [];
  const meant = byValue(rest.trim());
  if (meant.length === 0) return isOption(rest) ? twins(named) : [];
  return meant.includes(named) ? twins(named) : [];
}
