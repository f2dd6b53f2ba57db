/**
 * The rollout engine: paged KV cache, continuous batching, device-resident decode loop, sampling.
 *
 * @module
 */
export * from "./bandwidth.ts";
export * from "./blocks.ts";
export * from "./engine.ts";
export * from "./types.ts";
