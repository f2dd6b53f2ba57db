/**
 * Data: where problems come from. Files in JSONL or in the JSON layouts of Open-Reasoner-Zero
 * ({@linkcode loadProblems}), and arithmetic generated on the spot with worked solutions
 * ({@linkcode trainProblem}, {@linkcode heldOut}) for training a very small model without a download.
 *
 * Everything random comes from a seeded {@linkcode Random}, whose state fits in a checkpoint.
 *
 * @module
 */

export { type Choices, withChoices } from "./choices.ts";
export { type Loaded, type LoadOptions, loadProblems, type Skipped } from "./load.ts";
export { type Problem, problemSchema } from "./problem.ts";
export type { Schema, SchemaError, SchemaIssue, SchemaResult } from "../base/mod.ts";
