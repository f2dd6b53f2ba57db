/**
 * What lies between the matrix products: RMSNorm, SwiGLU and embedding, bound by memory; and the per-head
 * norm of Qwen3-0.6B. Their rows come from memory and go there, as in a training step.
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
import { defineBenches } from "./define.ts";
import type { Case } from "./harness.ts";
import { bytesOf, type Sizes } from "./sizes.ts";

const heads = { H: 16, Hk: 8, D: 128 };

/** A case on rows of `width` numbers; `bytes` are those read and written for each of them. */
function layer(
  op: string,
  { tokens: T }: Sizes,
  width: number,
  bytes: number,
  setup: Case["setup"],
): Case {
  return { op, shape: `${T} x ${width}`, flops: 0, bytes: bytes * T * width, setup };
}

function norms(sizes: Sizes): Case[] {
  const { dtype, tokens: T, model: { hidden: C } } = sizes, size = bytesOf(sizes);
  const { H, Hk, D } = heads, W = (H + 2 * Hk) * D;
  return [
    layer("rmsnorm forward", sizes, C, 4 * size, (bench) => {
      const w = bench.full(1, C), rstd = bench.alloc("f32", T);
      return () => {
        const [x, residual] = [bench.cold(dtype, T, C), bench.cold(dtype, T, C)];
        const [y, sum] = [bench.sink(dtype, T, C), bench.sink(dtype, T, C)];
        rmsnormForward(bench.stream, { y, sum, x, residual, rstd, w, eps: 1e-6 });
      };
    }),
    layer("rmsnorm backward", sizes, C, 4 * size, (bench) => {
      const w = bench.full(1, C), dw = bench.full(0, C), rstd = bench.full(1, T);
      return () => {
        const dx = bench.sink(dtype, T, C);
        const [dy, x] = [bench.cold(dtype, T, C), bench.cold(dtype, T, C)];
        rmsnormBackward(bench.stream, { dx, dw, dy, x, rstd, w, accumulate: true });
      };
    }),
    layer("qk norm forward", sizes, W, 2 * size, (bench) => {
      const [wq, wk] = [bench.full(1, D), bench.full(1, D)], rstd = bench.alloc("f32", T, H + Hk);
      return () => {
        const out = bench.sink(dtype, T, W), qkv = bench.cold(dtype, T, W);
        qkNormForward(bench.stream, { out, rstd, qkv, wq, wk, heads, eps: 1e-6 });
      };
    }),
    layer("qk norm backward", sizes, (H + Hk) * D, 3 * size, (bench) => {
      const [wq, wk, dwq, dwk] = [1, 1, 0, 0].map((value) => bench.full(value, D));
      const rstd = bench.full(1, T, H + Hk);
      return () => {
        const dqkv = bench.sink(dtype, T, W), qkv = bench.cold(dtype, T, W);
        qkNormBackward(bench.stream, { dqkv, dwq, dwk, qkv, rstd, wq, wk, heads });
      };
    }),
  ];
}

function swiglu(sizes: Sizes): Case[] {
  const { dtype, tokens: T, model: { ffn: F } } = sizes, size = bytesOf(sizes);
  return [
    layer("swiglu forward", sizes, F, 3 * size, (bench) => () => {
      const y = bench.sink(dtype, T, F), gateUp = bench.cold(dtype, T, 2 * F);
      swigluForward(bench.stream, { y, gateUp });
    }),
    layer("swiglu backward", sizes, F, 5 * size, (bench) => () => {
      const dgateUp = bench.sink(dtype, T, 2 * F), dy = bench.cold(dtype, T, F);
      swigluBackward(bench.stream, { dgateUp, dy, gateUp: bench.cold(dtype, T, 2 * F) });
    }),
  ];
}

/** The table and its gradient are float32. */
function embedding(sizes: Sizes): Case[] {
  const { dtype, tokens: T, model: { hidden: C, vocab: V } } = sizes, size = bytesOf(sizes);
  return [
    layer("embedding forward", sizes, C, size + 4, (bench) => {
      const ids = bench.randomInts(T, V);
      return () => {
        const out = bench.sink(dtype, T, C), table = bench.cold("f32", V, C);
        embeddingForward(bench.stream, { out, ids, table });
      };
    }),
    layer("embedding backward", sizes, C, size + 8, (bench) => {
      const ids = bench.randomInts(T, V);
      return () => {
        const dtable = bench.sink("f32", V, C), dout = bench.cold(dtype, T, C);
        embeddingBackward(bench.stream, { dtable, ids, dout });
      };
    }),
  ];
}

/** All cases. */
export function cases(sizes: Sizes): Case[] {
  return [...norms(sizes), ...swiglu(sizes), ...embedding(sizes)];
}

await defineBenches(import.meta.url, cases);
