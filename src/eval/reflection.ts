/**
 * How often a response stops to reconsider.
 *
 * @module
 */

/**
 * The phrases that count as reflection, as the reports on Open-Reasoner-Zero count them: in small
 * letters, so a sentence that begins with one does not count.
 */
export const reflectionWords: readonly string[] = [
  "wait,",
  "recheck",
  "retry",
  "alternatively,",
  "however,",
];

/** `recheck` counts only before a comma or white space. */
const patterns = [/wait,/g, /recheck[,\s]/g, /retry/g, /alternatively,/g, /however,/g];

/** Occurrences of each of {@linkcode reflectionWords} in a text, in their order. */
export function countReflections(text: string): number[] {
  return patterns.map((pattern) => text.match(pattern)?.length ?? 0);
}
