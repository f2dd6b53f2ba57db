/**
 * Estimators over repeated samples.
 *
 * @module
 */

import { mean } from "../base/mod.ts";

/** A mean with its standard error. */
export interface Estimate {
  /** The estimate itself. */
  readonly mean: number;
  /** Null where one value alone tells nothing about spread. */
  readonly standardError: number | null;
}

/**
 * Mean over problems of their means over samples. Samples of one problem are not independent, so the
 * error is that of the problems' means: it covers both the choice of problems and the sampling.
 *
 * @param values One value per problem, at least one.
 */
export function clusteredMean(values: readonly number[]): Estimate {
  const n = values.length, centre = mean(values);
  if (n < 2) return { mean: centre, standardError: null };
  const squares = values.reduce((sum, value) => sum + (value - centre) ** 2, 0);
  return { mean: centre, standardError: Math.sqrt(squares / (n - 1) / n) };
}

/** The plain mean of independent estimates. */
export function averageOf(estimates: readonly Estimate[]): Estimate {
  const errors = estimates.map((each) => each.standardError);
  const known = errors.every((error) => error !== null);
  const squares = errors.reduce<number>((sum, error) => sum + (error ?? 0) ** 2, 0);
  return {
    mean: mean(estimates.map((each) => each.mean)),
    standardError: known ? Math.sqrt(squares) / estimates.length : null,
  };
}
