/**
 * The optimizer: one pass over parameters, gradients and moments.
 *
 * @module
 */
import { adamw, gradNorm } from "../ffi/mod.ts";
import { type Case, defineBenches } from "./harness.ts";

/** Settings of a step. */
export const step = {
  lr: 1e-6,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  weightDecay: 0,
  maxNorm: 1,
  t: 10,
} as const;

/** One AdamW step of `millions` of parameters: four arrays read, three written. */
export function adamwStep(millions: number): Case {
  const n = millions * 1e6;
  return {
    op: "AdamW",
    shape: `${millions} M parameters`,
    flops: 0,
    bytes: 4 * 7 * n,
    setup(bench) {
      const params = bench.random(n), grads = bench.random(n), m = bench.random(n);
      const v = bench.full(1e-4, n), norm = bench.full(1, 1);
      return () => adamw(bench.stream, { params, grads, m, v, norm, ...step });
    },
  };
}

function norm(millions: number): Case {
  const n = millions * 1e6;
  return {
    op: "gradient norm",
    shape: `${millions} M parameters`,
    flops: 0,
    bytes: 4 * n,
    setup(bench) {
      const norm = bench.alloc("f32", 1);
      return () => gradNorm(bench.stream, { norm, grads: bench.cold(n) });
    },
  };
}

/** All cases. Four arrays of 256 MB pass through every cache. */
export const cases: readonly Case[] = [adamwStep(64), norm(64)];

defineBenches(cases);
