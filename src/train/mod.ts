/**
 * One training run on disk: the loop, its folder (`runs/<name>/`) with configuration, logs and checkpoints,
 * and the report written at the end. Everything here survives a kill at any moment: files appear whole by
 * rename, and logs are cut back to the last complete checkpoint on resume.
 *
 * @module
 */
export * from "./curves.ts";
export * from "./episodes.ts";
export * from "./folder.ts";
export * from "./report.ts";
export * from "./runs.ts";
export { type TrainOptions } from "./open.ts";
export * from "./train.ts";
