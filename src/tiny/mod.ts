/**
 * The toy: sums with worked solutions, scripted dialogues about them, and a tokenizer small enough for a
 * model that a laptop's CPU trains in minutes. Real models need nothing of it.
 *
 * @module
 */
export * from "./arithmetic.ts";
export * from "./arithmetic_work.ts";
export * from "./dialogues.ts";
export * from "./model.ts";
export * from "./tokenizer.ts";
