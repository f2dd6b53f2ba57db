/**
 * The sizes that benchmark cases derive from: the same cases are timed on CPUs in float32 and on GPUs in
 * bfloat16.
 *
 * @module
 */
import { dtypeBytes, type Precision } from "../ffi/mod.ts";
import type { ModelConfig } from "../src/model/mod.ts";
import { qwen05b } from "./models.ts";

/** What the cases of a device are made from. */
export interface Sizes {
  readonly model: ModelConfig;
  /** Type of activations, their gradients and the KV cache. */
  readonly dtype: Precision;
  /** Types of the packed weights that forward products are timed with. */
  readonly weights: readonly Precision[];
  /** Sequences of decode steps, and tokens in the cache of each. */
  readonly batches: readonly number[];
  readonly context: number;
  /** Packed tokens of a training step, and the lengths of sequences that they are cut into. */
  readonly tokens: number;
  readonly lengths: readonly number[];
  /** Rows of the losses of the LM head. */
  readonly lossRows: number;
  /** Action tokens of a rollout. */
  readonly actions: number;
  /** Parameters that the optimizer updates. */
  readonly parameters: number;
}

/** Qwen2.5-0.5B in float32, its weights also in bfloat16. */
export const cpuSizes: Sizes = {
  model: qwen05b,
  dtype: "f32",
  weights: ["f32", "bf16"],
  batches: [1, 8, 32],
  context: 1024,
  tokens: 2048,
  lengths: [1024, 256],
  lossRows: 128,
  actions: 1 << 20,
  parameters: 64e6, // four arrays of 256 MB pass through every cache
};

/** Bytes of one number, of the activations' type. */
export function bytesOf({ dtype }: Pick<Sizes, "dtype">): number {
  return dtypeBytes[dtype];
}
