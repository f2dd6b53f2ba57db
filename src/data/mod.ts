/**
 * Problems from files: JSONL, JSON, CSV, parquet and Arrow, in our own layout and in published ones
 * ({@linkcode loadProblems}). Sums that are made on the spot are the toy's.
 *
 * @module
 */

export { type Choices, withChoices } from "./choices.ts";
export type { Columns } from "./layouts.ts";
export {
  checkUsable,
  dataName,
  dataNotes,
  type Kind,
  type Loaded,
  loadProblems,
  type ReadOptions,
  readProblems,
  type Skipped,
  skippedKinds,
} from "./load.ts";
export { type Problem, problemSchema } from "./problem.ts";
export type { Schema, SchemaError, SchemaIssue, SchemaResult } from "../base/mod.ts";
