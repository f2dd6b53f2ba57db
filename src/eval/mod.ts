/**
 * Evaluation of a model on benchmarks: what is asked and how, the folder of answers, their statistics, and
 * the report beside the paper's table.
 *
 * @module
 */
export * from "./answers.ts";
export * from "./benchmarks.ts";
export * from "./config.ts";
export * from "./fingerprint.ts";
export * from "./paper.ts";
export * from "./reflection.ts";
export * from "./run.ts";
export * from "./scores.ts";
export * from "./statistics.ts";
export { modelName } from "./tables.ts";
export * from "./types.ts";
