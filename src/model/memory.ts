/**
 * How many bytes a model takes: formulas that allocate and that plan, so that the two agree.
 *
 * @module
 */
import { dtypeBytes, type Precision, type TensorSpecs } from "../../ffi/mod.ts";
import type { ModelConfig } from "./config.ts";
import { type LayerOutput, layerSpecs } from "./layer.ts";
import { type HeadKind, packedShapes, parameterLayout } from "./parameters.ts";

/** Bytes of one model's float32 parameters, of one buffer like them, and of its packed matrices. */
export interface ParameterBytes {
  /** The master weights; gradients and each Adam moment take the same. */
  readonly flat: number;
  /** The copies that the kernels compute with. */
  readonly packed: number;
}

/**
 * Bytes of a decoder's parameters.
 *
 * @param weightDtype Type of the packed matrices; a value head is float32.
 * @param packedBytes Bytes of a packed matrix `(N, K)`, as the backend lays it out.
 */
export function parameterBytes(
  config: ModelConfig,
  head: HeadKind,
  weightDtype: Precision,
  packedBytes: (N: number, K: number, dtype: Precision) => number,
): ParameterBytes {
  const { head: [V, C], layer } = packedShapes(config, head);
  const perLayer = Object.values(layer).reduce(
    (total, [N, K]) => total + packedBytes(N, K, weightDtype),
    0,
  );
  return {
    flat: 4 * parameterLayout(config, head).size,
    packed: packedBytes(V, C, head === "value" ? "f32" : weightDtype) + config.layers * perLayer,
  };
}

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

/** The table of cosines and sines: `(P, D)`. */
export function ropeTableSpecs(config: ModelConfig, positions: number): TensorSpecs<"cosSin"> {
  return { cosSin: ["f32", positions, config.headDim] };
}

/** The size of a KV cache. */
export interface CacheOptions {
  /** Blocks per layer. */
  readonly blocks: number;
  /** Positions per block. */
  readonly block: number;
}

/** Keys and values of one layer. */
export function kvCacheSpecs(
  config: ModelConfig,
  options: CacheOptions,
  dtype: Precision,
): TensorSpecs<"k" | "v"> {
  const { kvHeads, headDim } = config;
  const blocks = [dtype, options.blocks, kvHeads * options.block * headDim] as const;
  return { k: blocks, v: blocks };
}

/** What a paged pass writes into: what a layer does, but for what shares memory with the rest. */
export type PagedTensor = Exclude<LayerOutput, "delta" | "midNorm">;

/** The tensors of a paged pass over up to `rows` rows. */
export function pagedSpecs(
  config: ModelConfig,
  rows: number,
  dtype: Precision,
): TensorSpecs<PagedTensor> {
  const specs = layerSpecs(config, rows, dtype);
  const { x, norm, projected, qkv, attention, mid, gateUp, act } = specs;
  return { x, norm, projected, qkv, attention, mid, gateUp, act };
}
