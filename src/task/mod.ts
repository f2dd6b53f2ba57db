/**
 * Tasks: what a model is asked, in which order, and what it is paid for. A task is a pure state
 * machine over token ids: the driver reports sampled turns and, whenever they are ready, the
 * grader's verdicts; the episode answers with commands. No engine, no clock, no I/O.
 *
 * {@linkcode ThinkerTask} is the four-stage dialogue, {@linkcode BaselineTask} the plain question.
 *
 * @module
 */

export * from "./accuracy.ts";
export * from "./types.ts";
export * from "./prompts.ts";
export * from "./dialogue.ts";
export * from "./thinker.ts";
export * from "./baseline.ts";
export * from "./rewards.ts";
