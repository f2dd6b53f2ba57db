/**
 * Means.
 *
 * @module
 */

/** The mean of a list; of an empty one NaN. */
export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}

/** The mean of a list; undefined for an empty one, so that a metric without data is left out. */
export function meanOf(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : mean(values);
}
