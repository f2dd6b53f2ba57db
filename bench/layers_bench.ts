/**
 * What lies between the matrix products: RMSNorm, SwiGLU and embedding of Qwen2.5-0.5B, bound by memory; and the
 * per-head norm of Qwen3-0.6B. Their rows come from memory and go there, as in a training step.
 *
 * @module
 */
import {
  embeddingBackward,
  embeddingForward,
  qkNormBackward,
  qkNormForward,
  rmsnormBackward,
  rmsnormForward,
  swigluBackward,
  swigluForward,
} from "../ffi/mod.ts";
import { type Case, defineBenches } from "./harness.ts";

const T = 2048, C = 896, F = 4864, V = 151_936;
const heads = { H: 16, Hk: 8, D: 128 };
const { H, Hk, D } = heads, W = (H + 2 * Hk) * D;

const layer = (op: string, arrays: number, width: number, setup: Case["setup"]): Case => ({
  op,
  shape: `${T} x ${width}`,
  flops: 0,
  bytes: 4 * arrays * T * width,
  setup,
});

/** All cases; `arrays` counts the rows' arrays that are read or written. */
export const cases: readonly Case[] = [
  layer("rmsnorm forward", 4, C, (bench) => {
    const w = bench.full(1, C), rstd = bench.alloc("f32", T);
    return () => {
      const [x, residual] = [bench.cold(T, C), bench.cold(T, C)];
      const [y, sum] = [bench.sink(T, C), bench.sink(T, C)];
      rmsnormForward(bench.stream, { y, sum, x, residual, rstd, w, eps: 1e-6 });
    };
  }),
  layer("rmsnorm backward", 4, C, (bench) => {
    const w = bench.full(1, C), dw = bench.full(0, C), rstd = bench.full(1, T);
    return () => {
      const dx = bench.sink(T, C), dy = bench.cold(T, C), x = bench.cold(T, C);
      rmsnormBackward(bench.stream, { dx, dw, dy, x, rstd, w, accumulate: true });
    };
  }),
  layer("qk norm forward", 2, W, (bench) => {
    const [wq, wk] = [bench.full(1, D), bench.full(1, D)], rstd = bench.alloc("f32", T, H + Hk);
    return () => {
      const out = bench.sink(T, W), qkv = bench.cold(T, W);
      qkNormForward(bench.stream, { out, rstd, qkv, wq, wk, heads, eps: 1e-6 });
    };
  }),
  layer("qk norm backward", 3, (H + Hk) * D, (bench) => {
    const [wq, wk, dwq, dwk] = [1, 1, 0, 0].map((value) => bench.full(value, D));
    const rstd = bench.full(1, T, H + Hk);
    return () => {
      const dqkv = bench.sink(T, W), qkv = bench.cold(T, W);
      qkNormBackward(bench.stream, { dqkv, dwq, dwk, qkv, rstd, wq, wk, heads });
    };
  }),
  layer("swiglu forward", 3, F, (bench) => () => {
    swigluForward(bench.stream, { y: bench.sink(T, F), gateUp: bench.cold(T, 2 * F) });
  }),
  layer("swiglu backward", 5, F, (bench) => () => {
    const dgateUp = bench.sink(T, 2 * F), dy = bench.cold(T, F), gateUp = bench.cold(T, 2 * F);
    swigluBackward(bench.stream, { dgateUp, dy, gateUp });
  }),
  layer("embedding forward", 2, C, (bench) => {
    const ids = bench.randomInts(T, V);
    return () =>
      embeddingForward(bench.stream, { out: bench.sink(T, C), ids, table: bench.cold(V, C) });
  }),
  layer("embedding backward", 3, C, (bench) => {
    const ids = bench.randomInts(T, V);
    return () =>
      embeddingBackward(bench.stream, { dtable: bench.sink(V, C), ids, dout: bench.cold(T, C) });
  }),
];

defineBenches(cases);
