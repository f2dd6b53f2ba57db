/**
 * The ground floor: what every other room stands on and what knows nothing of models, tasks or devices.
 * Errors for people, files that appear whole, digests that tell whether they still are, JSON and JSON Lines,
 * checks against schemas, amounts of memory, the seeded generator, and the names and order of metrics.
 *
 * @module
 */
export * from "./bytes.ts";
export * from "./check.ts";
export * from "./digest.ts";
export * from "./disk.ts";
export * from "./errors.ts";
export * from "./files.ts";
export * from "./hooks.ts";
export * from "./json.ts";
export * from "./jsonl.ts";
export * from "./lfs.ts";
export * from "./lock.ts";
export * from "./mean.ts";
export * from "./metric_table.ts";
export * from "./metrics.ts";
export * from "./out_of_memory.ts";
export * from "./random.ts";
export * from "./schema.ts";
export * from "./special.ts";
export * from "./version.ts";
