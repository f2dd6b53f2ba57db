/**
 * What the cases are made from on a GPU: everything in bfloat16, at the shapes of one model.
 *
 * @module
 */
import type { ModelConfig } from "../../src/model/mod.ts";
import { qwen05b, qwen15b } from "../models.ts";
import type { Sizes } from "../sizes.ts";

/** Sizes that all cases derive from. */
export interface GpuShapes {
  readonly model: ModelConfig;
  /** Packed tokens of a training step. */
  readonly tokens: number;
  /** Length of the sequences that attention trains on. */
  readonly length: number;
  /** Rows of the LM-head losses. */
  readonly lossRows: number;
  /** Sequences of a decode step, and tokens in the cache of each. */
  readonly batch: number;
  readonly context: number;
  /** More than the last cache holds: cold memory comes from as many bytes, taken in turn. */
  readonly coldBytes: number;
}

/** Qwen2.5-1.5B, as one GPU trains it. */
export const fullShapes: GpuShapes = {
  model: qwen15b,
  tokens: 8192,
  length: 8192,
  lossRows: 4096,
  batch: 64,
  context: 4096,
  coldBytes: 256e6,
};

/** As small as the bfloat16 kernels allow. */
const microModel: ModelConfig = {
  ...qwen05b,
  hidden: 64,
  ffn: 128,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  vocab: 300,
  maxPositions: 256,
};

/** Sizes of no interest, in seconds even on the emulator. */
export const microShapes: GpuShapes = {
  model: microModel,
  tokens: 64,
  length: 32,
  lossRows: 16,
  batch: 2,
  context: 70,
  coldBytes: 0,
};

/** The sizes of the shapes. */
export function gpuSizes({ batch, length, ...shapes }: GpuShapes): Sizes {
  return {
    ...shapes,
    dtype: "bf16",
    weights: ["bf16"],
    batches: [batch],
    lengths: [length],
    actions: 128 * shapes.tokens,
    parameters: shapes.model.vocab * shapes.model.hidden,
  };
}

/** Bytes of a pool of cold memory: its largest part is the embedding's table in float32. */
export function gpuPoolBytes({ model, coldBytes }: GpuShapes): number {
  return Math.max(coldBytes, 4 * model.vocab * model.hidden, 1 << 20);
}
