/**
 * PPO with a critic: experience, advantages, updates, and the supervised warm start.
 *
 * @module
 */
export * from "./advantages.ts";
export * from "./config.ts";
export * from "./experience.ts";
export * from "./passes.ts";
export * from "./metrics.ts";
export * from "./optimizer.ts";
export * from "./packing.ts";
export * from "./trainer.ts";
export * from "./warmstart.ts";
