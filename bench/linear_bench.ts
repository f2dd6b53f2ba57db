/**
 * Linear layers, at decode and at training sizes.
 *
 * @module
 */
import {
  dtypeBytes,
  linearBackwardInput,
  linearBackwardWeight,
  linearForward,
  packedBytes,
  type PackedWeight,
  type Precision,
} from "../ffi/mod.ts";
import { defineBenches } from "./define.ts";
import type { Case } from "./harness.ts";
import { bytesOf, type Sizes } from "./sizes.ts";
import type { Workbench } from "./workbench.ts";

/** Output and input features of a layer. */
export interface LinearShape {
  readonly layer: string;
  readonly N: number;
  readonly K: number;
}

/** The fused q, k, v projection, the fused gate and up projection, and the down projection. */
function layers({ model }: Sizes): LinearShape[] {
  const { hidden: C, ffn: F, heads, kvHeads, headDim: D } = model;
  return [
    { layer: "qkv", N: (heads + 2 * kvHeads) * D, K: C },
    { layer: "gate_up", N: 2 * F, K: C },
    { layer: "down", N: C, K: F },
  ];
}

/** Packed weights of random numbers, a cold copy at each call. */
export function coldWeight(
  bench: Workbench,
  { N, K }: Omit<LinearShape, "layer">,
  dtype: Precision,
): PackedWeight {
  return { data: bench.cold("u8", packedBytes(bench.device, N, K, dtype)), N, K, dtype };
}

/** Forward: in decode every layer's weights come from memory, so each call uses other weights. */
export function forward(
  M: number,
  shape: LinearShape,
  { dtype, weights }: { dtype: Precision; weights: Precision },
): Case {
  const { layer, N, K } = shape, same = weights === dtype;
  return {
    op: same ? "linear forward" : `linear forward ${weights}`,
    shape: `${layer} ${M} x ${K} -> ${N}`,
    flops: 2 * M * N * K,
    bytes: dtypeBytes[weights] * N * K + dtypeBytes[dtype] * M * (N + K),
    ...(same ? { peer: { case: "linear_forward", M, N, K } } : {}),
    setup(bench) {
      const x = bench.random(dtype, M, K), y = bench.alloc(dtype, M, N);
      return () => linearForward(bench.stream, { y, x, w: coldWeight(bench, shape, weights) });
    },
  };
}

/** Gradient by the input. */
export function backwardInput(
  M: number,
  shape: LinearShape,
  sizes: Pick<Sizes, "dtype">,
): Case {
  const { layer, N, K } = shape, { dtype } = sizes;
  return {
    op: "linear backward input",
    shape: `${layer} ${M} x ${N} -> ${K}`,
    flops: 2 * M * N * K,
    bytes: bytesOf(sizes) * (N * K + M * (N + K)),
    peer: { case: "linear_backward_input", M, N, K },
    setup(bench) {
      const dy = bench.random(dtype, M, N), dx = bench.alloc(dtype, M, K);
      return () =>
        linearBackwardInput(bench.stream, { dx, dy, w: coldWeight(bench, shape, dtype) });
    },
  };
}

/** Gradient by the weight, accumulated in float32. */
export function backwardWeight(
  M: number,
  { layer, N, K }: LinearShape,
  sizes: Pick<Sizes, "dtype">,
): Case {
  const { dtype } = sizes;
  return {
    op: "linear backward weight",
    shape: `${layer} ${N} x ${M} x ${K}`,
    flops: 2 * M * N * K,
    bytes: 8 * N * K + bytesOf(sizes) * M * (N + K),
    peer: { case: "linear_backward_weight", M, N, K },
    setup(bench) {
      const dy = bench.random(dtype, M, N), x = bench.random(dtype, M, K);
      const dw = bench.full(0, N, K);
      return () => linearBackwardWeight(bench.stream, { dw, dy, x });
    },
  };
}

/** All cases. */
export function cases(sizes: Sizes): Case[] {
  const { dtype, batches, tokens } = sizes, shapes = layers(sizes);
  return [
    ...sizes.weights.flatMap((weights) =>
      [...batches, tokens].flatMap((M) =>
        shapes.map((shape) => forward(M, shape, { dtype, weights }))
      )
    ),
    ...shapes.map((shape) => backwardInput(tokens, shape, sizes)),
    ...shapes.map((shape) => backwardWeight(tokens, shape, sizes)),
  ];
}

await defineBenches(import.meta.url, cases);
