/**
 * How many bytes a model takes: specs that allocate and that plan, so that the two agree.
 *
 * @module
 */
import { dtypeBytes, type Precision } from "../../ffi/mod.ts";
import type { ModelConfig } from "./config.ts";

/** How a packed batch is passed through a decoder. */
export interface PassOptions {
  /** With a backward pass. */
  readonly train: boolean;
  /** Only each layer's input is kept between the two. */
  readonly recompute: boolean;
  /** Element type of the activations. */
  readonly dtype: Precision;
}

/**
 * Bytes of arena that a packed batch of `tokens` tokens, its forward and, with `train`, its backward
 * pass (the gradient of the hidden states included) take at most.
 */
export function activationBytes(config: ModelConfig, tokens: number, options: PassOptions): number {
  const { hidden: C, ffn: F, layers, heads, kvHeads, headDim: D } = config;
  const { train, recompute, dtype } = options;
  const wide = (heads + 2 * kvHeads) * D;
  const normed = config.qkNorm ? wide : 0;
  const inner = 4 * C + wide + normed + heads * D + 3 * F;
  const kept = train && !recompute ? layers * (C + inner) : (train ? layers * C : C) + inner;
  const backward = train ? 2 * C + wide + heads * D + 3 * F : 0;
  const fixed = 4 * C;
  // Log-sum-exp and reciprocal deviations of each layer, of the final norm, and the batch.
  const perLayer = heads + 2 + (config.qkNorm ? heads + kvHeads : 0);
  const scalars = (train && !recompute ? layers : 1) * perLayer + 1 + 3;
  const alignment = 64 * 20 * (layers + 2); // every tensor starts at a multiple of 64 bytes
  return (dtypeBytes[dtype] * (kept + backward + fixed) + 4 * scalars) * tokens + alignment;
}
