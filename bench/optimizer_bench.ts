/**
 * The optimizer: one pass over parameters, gradients and moments.
 *
 * @module
 */
import { adamw, gradNorm } from "../ffi/mod.ts";
import { defineBenches } from "./define.ts";
import type { Case } from "./harness.ts";
import type { Sizes } from "./sizes.ts";

/** Settings of a step. */
const step = {
  lr: 1e-6,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  weightDecay: 0,
  maxNorm: 1,
  t: 10,
} as const;

/** One AdamW step of `n` parameters: four arrays read, three written. */
export function adamwStep(n: number): Case {
  return {
    op: "AdamW",
    shape: `${n} parameters`,
    flops: 0,
    bytes: 4 * 7 * n,
    peer: { case: "adamw", n },
    setup(bench) {
      const [params, grads, m] = [1, 2, 3].map(() => bench.random("f32", n));
      const v = bench.full(1e-4, n), norm = bench.full(1, 1);
      return () => adamw(bench.stream, { params, grads, m, v, norm, ...step });
    },
  };
}

function norm(n: number): Case {
  return {
    op: "gradient norm",
    shape: `${n} parameters`,
    flops: 0,
    bytes: 4 * n,
    setup(bench) {
      const norm = bench.alloc("f32", 1);
      return () => gradNorm(bench.stream, { norm, grads: bench.cold("f32", n) });
    },
  };
}

/** All cases. */
export function cases({ parameters }: Sizes): Case[] {
  return [adamwStep(parameters), norm(parameters)];
}

await defineBenches(import.meta.url, cases);
