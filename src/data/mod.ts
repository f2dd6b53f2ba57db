/**
 * Problems from files: JSONL, the JSON layouts of Open-Reasoner-Zero and other published ones, parquet
 * ({@linkcode loadProblems}). Sums that are made on the spot are the toy's.
 *
 * @module
 */

export { type Choices, withChoices } from "./choices.ts";
export { type Loaded, type LoadOptions, loadProblems, type Skipped } from "./load.ts";
export { type Problem, problemSchema } from "./problem.ts";
export type { Schema, SchemaError, SchemaIssue, SchemaResult } from "../base/mod.ts";
