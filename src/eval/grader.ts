/**
 * How answers of an evaluation are judged. Everything that evaluates asks here, so another checker (an
 * asynchronous, symbolic one) is put in at one place.
 *
 * @module
 */
import type { Choices } from "../data/mod.ts";
import { grade } from "../grade/mod.ts";

/** Whether two answers are equal; may be asynchronous. */
export type SameAnswer = (answer: string, gold: string) => boolean | Promise<boolean>;

/** What a judge needs to know of a problem. */
export interface Judged {
  /** The options of a multiple-choice question. */
  readonly choices?: Choices;
}

/** Whether two answers to a problem are the same one. */
export type Judge = (a: string, b: string, problem: Judged) => boolean | Promise<boolean>;

/** The checker that training uses. */
export const sameAnswer: SameAnswer = (answer, gold): boolean => grade(answer, gold).equal;

/**
 * Compares answers to any problem, multiple choice included: there an answer may be the letter of an
 * option (`C`, `(C)`, `\text{c}`, `C. …`) or the option's own text.
 *
 * @param same Compares two answers where there are no options.
 */
export function judgeWith(same: SameAnswer): Judge {
  return (a, b, { choices }) => {
    if (!choices) return same(a, b);
    return Promise.all([optionOf(a, choices, same), optionOf(b, choices, same)])
      .then(([x, y]) => x === undefined && y === undefined ? same(a, b) : x === y);
  };
}

/** The letter of the option that an answer means; undefined for none, or for several. */
async function optionOf(
  answer: string,
  choices: Choices,
  same: SameAnswer,
): Promise<string | undefined> {
  const text = bare(answer), letters = Object.keys(choices);
  if (letters.includes(text)) return text;
  // Options may themselves be single letters in lower case: their text goes first.
  const exact = letters.filter((letter) => bare(choices[letter]) === text);
  if (exact.length > 0) return exact.length === 1 ? exact[0] : undefined;
  const labelled = /^\(?([A-Za-z])\)?(?:[.:)]\s*(.*))?$/s.exec(text);
  if (labelled) {
    const [, letter, rest = ""] = labelled, option = letter.toUpperCase();
    if (letters.includes(option) && (rest === "" || bare(choices[option]) === bare(rest))) {
      return option;
    }
  }
  const equal = [];
  for (const letter of letters) if (await same(text, choices[letter])) equal.push(letter);
  return equal.length === 1 ? equal[0] : undefined;
}

/** An answer without the wrapping that says how it is set: `\text{(C)}`, `$C$`, `**C**`. */
function bare(text: string): string {
  let inner = text.trim();
  for (;;) {
    const match =
      /^\\(?:text|textbf|textit|mathrm|mathbf|mathit|rm|bf)\s*\{([^{}]*)\}$/.exec(inner) ??
        /^\$([^$]+)\$$/.exec(inner) ?? /^\*\*([^*]+)\*\*$/.exec(inner) ??
        /^\(([A-Za-z])\)$/.exec(inner);
    if (!match) return inner.replace(/\.$/, "");
    inner = match[1].trim();
  }
}
