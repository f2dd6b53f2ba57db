/**
 * Evaluation: accuracy of every stage on held-out problems, and the benchmarks with their statistics.
 *
 * @module
 */
export * from "./answers.ts";
export * from "./benchmarks.ts";
export * from "./evaluate.ts";
export * from "./grader.ts";
export * from "./paper.ts";
export * from "./reflection.ts";
export * from "./scores.ts";
export * from "./solve.ts";
export * from "./statistics.ts";
