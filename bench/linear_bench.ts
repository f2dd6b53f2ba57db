/**
 * Linear layers of Qwen2.5-0.5B, at decode and at training sizes.
 *
 * @module
 */
import {
  linearBackwardInput,
  linearBackwardWeight,
  linearForward,
  linearPack,
  packedBytes,
  type PackedWeight,
} from "../ffi/mod.ts";
import { type Case, defineBenches } from "./harness.ts";
import type { Workbench } from "./workbench.ts";

/** Output and input features of a layer. */
export interface LinearShape {
  readonly layer: string;
  readonly N: number;
  readonly K: number;
}

/** The fused q, k, v projection, the fused gate and up projection, and the down projection. */
export const shapes: readonly LinearShape[] = [
  { layer: "qkv", N: 1152, K: 896 },
  { layer: "gate_up", N: 9728, K: 896 },
  { layer: "down", N: 896, K: 4864 },
];

/** Rows of a decode step. */
export const decodeRows: readonly number[] = [1, 8, 32];
/** Rows of a training step. */
export const trainingRows = 2048;

/** Packed weights of random numbers, a cold copy at each call. */
export function coldWeight(
  bench: Workbench,
  { N, K }: Omit<LinearShape, "layer">,
  dtype: PackedWeight["dtype"] = "f32",
): PackedWeight {
  const bytes = packedBytes(bench.device, N, K, dtype);
  return { data: bench.cold(bytes / 4), N, K, dtype };
}

/** Forward: in decode every layer's weights come from memory, so each call uses other weights. */
export function forward(
  M: number,
  shape: LinearShape,
  dtype: PackedWeight["dtype"] = "f32",
): Case {
  const { layer, N, K } = shape;
  return {
    op: dtype === "f32" ? "linear forward" : `linear forward ${dtype}`,
    shape: `${layer} ${M} x ${K} -> ${N}`,
    flops: 2 * M * N * K,
    bytes: (dtype === "f32" ? 4 : 2) * N * K + 4 * M * (N + K),
    setup(bench) {
      const x = bench.random(M, K), y = bench.alloc("f32", M, N);
      return () => linearForward(bench.stream, { y, x, w: coldWeight(bench, shape, dtype) });
    },
  };
}

/** Gradient by the input. */
export function backwardInput(M: number, { layer, N, K }: LinearShape): Case {
  return {
    op: "linear backward input",
    shape: `${layer} ${M} x ${N} -> ${K}`,
    flops: 2 * M * N * K,
    bytes: 4 * (N * K + M * (N + K)),
    setup(bench) {
      const dy = bench.random(M, N), dx = bench.alloc("f32", M, K), master = bench.random(N, K);
      const data = bench.alloc("u8", packedBytes(bench.device, N, K, "f32"));
      const w: PackedWeight = { data, N, K, dtype: "f32" };
      linearPack(bench.stream, w, master);
      return () => linearBackwardInput(bench.stream, { dx, dy, w });
    },
  };
}

/** Gradient by the weight, accumulated. */
export function backwardWeight(M: number, { layer, N, K }: LinearShape): Case {
  return {
    op: "linear backward weight",
    shape: `${layer} ${N} x ${M} x ${K}`,
    flops: 2 * M * N * K,
    bytes: 4 * (2 * N * K + M * (N + K)),
    setup(bench) {
      const dy = bench.random(M, N), x = bench.random(M, K), dw = bench.full(0, N, K);
      return () => linearBackwardWeight(bench.stream, { dw, dy, x });
    },
  };
}

/** All cases. */
export const cases: readonly Case[] = [
  ...[...decodeRows, trainingRows].flatMap((M) => shapes.map((shape) => forward(M, shape))),
  ...[...decodeRows, trainingRows].flatMap((M) => shapes.map((shape) => forward(M, shape, "bf16"))),
  ...shapes.map((shape) => backwardInput(trainingRows, shape)),
  ...shapes.map((shape) => backwardWeight(trainingRows, shape)),
];

defineBenches(cases);
