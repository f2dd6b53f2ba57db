/**
 * Setting up: the configuration of a run, the presets, the models that it starts from, and the memory that
 * it will take.
 *
 * @module
 */
export * from "./config.ts";
export * from "./known_models.ts";
export * from "./disk.ts";
export * from "./models.ts";
export * from "./plan.ts";
export * from "./presets.ts";
export * from "./tasks.ts";
