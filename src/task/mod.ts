/**
 * Tasks: what a model is asked, in which order, and what it is paid for. A task is a value
 * ({@linkcode TaskSpec}) that owns its stages, transitions, final answer and words; {@linkcode Task} makes it
 * ready for a tokenizer. Its episodes are pure state machines over token ids: the driver reports sampled
 * turns and, whenever they are ready, grades and what tools found out; the episode answers with commands.
 * No engine, no clock, no I/O.
 *
 * {@linkcode thinker} is the four-stage dialogue, {@linkcode baseline} the plain question.
 *
 * @module
 */
export * from "./accuracy.ts";
export * from "./chatml.ts";
export { parsePrompts, type Prompts, turnEnds } from "./prompts.ts";
export * from "./rewards.ts";
export * from "./task.ts";
export * from "./thinker.ts";
export * from "./tool.ts";
export * from "./types.ts";
