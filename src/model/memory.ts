/**
 * How many bytes a model takes: formulas that allocate and that plan, so that the two agree.
 *
 * @module
 */
import { specBytes, type TensorSpecs } from "../../ffi/mod.ts";
import type { ModelConfig } from "./config.ts";
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
 * @param packedBytes Bytes of a packed matrix `(N, K)`, as the backend lays it out.
 */
export function parameterBytes(
  config: ModelConfig,
  head: HeadKind,
  packedBytes: (N: number, K: number) => number,
): ParameterBytes {
  const { head: top, layer } = packedShapes(config, head);
  const sum = (shapes: readonly (readonly [number, number])[]) =>
    shapes.reduce((total, [N, K]) => total + packedBytes(N, K), 0);
  return {
    flat: 4 * parameterLayout(config, head).size,
    packed: sum([top]) + config.layers * sum(Object.values(layer)),
  };
}

/** How a packed batch is passed through a decoder. */
export interface PassOptions {
  /** With a backward pass. */
  readonly train: boolean;
  /** Only each layer's input is kept between the two. */
  readonly recompute: boolean;
}

/**
 * Bytes of arena that a packed batch of `tokens` tokens, its forward and, with `train`, its backward
 * pass (the gradient of the hidden states included) take at most.
 */
export function activationBytes(config: ModelConfig, tokens: number, options: PassOptions): number {
  const { hidden: C, ffn: F, layers, heads, kvHeads, headDim: D } = config;
  const { train, recompute } = options;
  const wide = (heads + 2 * kvHeads) * D;
  const normed = config.qkNorm ? wide + heads + kvHeads : 0;
  const inner = 4 * C + wide + normed + heads * D + heads + 3 * F + 2;
  const kept = train && !recompute ? layers * (C + inner) : (train ? layers * C : C) + inner;
  const backward = train ? 2 * C + wide + heads * D + 3 * F : 0;
  const batch = 3, fixed = 4 * C + 1;
  const alignment = 64 * 20 * (layers + 2); // every tensor starts at a multiple of 64 bytes
  return 4 * (kept + backward + batch + fixed) * tokens + alignment;
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
export function kvCacheSpecs(config: ModelConfig, options: CacheOptions): TensorSpecs<"k" | "v"> {
  const { kvHeads, headDim } = config;
  const blocks = ["f32", options.blocks, kvHeads * options.block * headDim] as const;
  return { k: blocks, v: blocks };
}

/** What a paged pass over up to `rows` rows writes into: `(R, columns)` float32 each. */
export function pagedSpecs(
  config: ModelConfig,
  rows: number,
): TensorSpecs<"x" | "delta" | "norm" | "qkv" | "attention" | "gateUp" | "act"> {
  const { hidden: C, ffn: F, heads: H, kvHeads: Hk, headDim: D } = config;
  return {
    x: ["f32", rows, C],
    delta: ["f32", rows, C],
    norm: ["f32", rows, C],
    qkv: ["f32", rows, (H + 2 * Hk) * D],
    attention: ["f32", rows, H * D],
    gateUp: ["f32", rows, 2 * F],
    act: ["f32", rows, F],
  };
}

/** Where a paged pass keeps q, k and v before the norm of q and k, if the architecture has one. */
export function projectedSpecs(
  config: ModelConfig,
  rows: number,
): TensorSpecs<"projected"> | undefined {
  const { heads: H, kvHeads: Hk, headDim: D } = config;
  return config.qkNorm ? { projected: ["f32", rows, (H + 2 * Hk) * D] } : undefined;
}

/** Bytes of everything that a paged pass over up to `rows` rows writes into. */
export function pagedBytes(config: ModelConfig, rows: number): number {
  return specBytes(pagedSpecs(config, rows)) + specBytes(projectedSpecs(config, rows) ?? {});
}
