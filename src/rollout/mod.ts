/**
 * Rollouts: plays a task's episodes on the engine and has their answers graded on the way. The engine
 * knows nothing of tasks, the task nothing of the engine; this room translates.
 *
 * @module
 */
export * from "./abort.ts";
export * from "./ask.ts";
export * from "./evaluate.ts";
export * from "./finite.ts";
export * from "./play.ts";
export * from "./solve.ts";
export * from "./statistics.ts";
