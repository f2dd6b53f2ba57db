/**
 * Evaluation: accuracy of every stage on held-out problems.
 *
 * @module
 */
export * from "./evaluate.ts";
export * from "./solve.ts";
