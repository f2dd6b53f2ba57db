/**
 * Multiple-choice questions: how their options stand in the question.
 *
 * @module
 */

/** The options of a question under their letters, in the order in which they are shown. */
export type Choices = Readonly<Record<string, string>>;

/**
 * The question as a model is asked it: the options follow as lines `A. …`, in the order of their
 * letters, after an empty line. This is how the data of Open-Reasoner-Zero writes them; a question
 * that already ends with its options stays as it is.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const asked = withChoices("Which is even?", { B: "4", A: "3" });
 * assertEquals(asked, "Which is even?\n\nA. 3\nB. 4");
 * assertEquals(withChoices(asked, { A: "3", B: "4" }), asked);
 * ```
 */
export function withChoices(question: string, choices: Choices): string {
  const lines = Object.keys(choices).sort().map((letter) => `${letter}. ${choices[letter].trim()}`);
  const options = lines.join("\n");
  return question.trimEnd().endsWith(options) ? question : `${question.trimEnd()}\n\n${options}`;
}
