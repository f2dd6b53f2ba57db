/**
 * What finished episodes say about the model.
 *
 * @module
 */
import type { Episode } from "./types.ts";

/** Mean of a list; undefined for an empty one, so that a metric without data is left out. */
export function meanOf(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((a, b) => a + b, 0) / values.length;
}

/**
 * Balanced accuracy of verification: the mean of the recall on right and on wrong fast answers.
 * Undefined unless both kinds occurred.
 */
export function balancedVerification(episodes: readonly Episode[]): number | undefined {
  const recall = (right: boolean, wanted: "yes" | "no") => {
    const hits = episodes.flatMap(({ segments: [fast, verify] }) => {
      if (!verify || (fast.correct === true) !== right) return [];
      return [Number(verify.verdict === wanted)];
    });
    return meanOf(hits);
  };
  const yes = recall(true, "yes"), no = recall(false, "no");
  return yes === undefined || no === undefined ? undefined : (yes + no) / 2;
}
