/**
 * Attention of one layer of Qwen2.5-0.5B: packed sequences (training, prefill) and paged decode.
 *
 * @module
 */
import {
  attentionBackward,
  attentionForward,
  attentionPaged,
  type Heads,
  type PagedCache,
} from "../ffi/mod.ts";
import { type Case, defineBenches } from "./harness.ts";

/** 14 query heads share 2 key/value heads. */
export const heads: Heads = { H: 14, Hk: 2, D: 64 };
const wide = (heads.H + 2 * heads.Hk) * heads.D;
const scale = 1 / Math.sqrt(heads.D);

/** Pairs of a query and a key that it sees, in `sequences` causal sequences of `length`. */
function pairs(sequences: number, length: number): number {
  return sequences * length * (length + 1) / 2;
}

/** Forward over `sequences` packed sequences of `length` tokens. */
export function forward(sequences: number, length: number): Case {
  const T = sequences * length;
  return {
    op: "attention forward",
    shape: `${sequences} x ${length}`,
    flops: 4 * heads.D * heads.H * pairs(sequences, length),
    bytes: 4 * T * (wide + heads.H * heads.D),
    setup(bench) {
      const qkv = bench.random(T, wide), out = bench.alloc("f32", T, heads.H * heads.D);
      const lse = bench.alloc("f32", T, heads.H);
      const cuSeqlens = bench.ints(
        Int32Array.from({ length: sequences + 1 }, (_, b) => b * length),
      );
      return () => attentionForward(bench.stream, { out, lse, qkv, cuSeqlens, heads, scale });
    },
  };
}

/** Backward: five products for the two of the forward pass. */
export function backward(sequences: number, length: number): Case {
  const T = sequences * length;
  const { flops } = forward(sequences, length);
  return {
    op: "attention backward",
    shape: `${sequences} x ${length}`,
    flops: 2.5 * flops,
    bytes: 4 * T * (2 * wide + 2 * heads.H * heads.D),
    setup(bench) {
      const qkv = bench.random(T, wide), dqkv = bench.alloc("f32", T, wide);
      const out = bench.alloc("f32", T, heads.H * heads.D), lse = bench.alloc("f32", T, heads.H);
      const dout = bench.random(T, heads.H * heads.D);
      const cuSeqlens = bench.ints(
        Int32Array.from({ length: sequences + 1 }, (_, b) => b * length),
      );
      const shared = { out, lse, qkv, cuSeqlens, heads, scale };
      attentionForward(bench.stream, shared);
      return () => attentionBackward(bench.stream, { ...shared, dqkv, dout });
    },
  };
}

/** One decode step of `batch` sequences with `context` cached tokens each, from a cold cache. */
export function decode(batch: number, context: number): Case {
  const block = 16, blocks = Math.ceil(context / block);
  return {
    op: "attention paged decode",
    shape: `batch ${batch}, context ${context}`,
    flops: 4 * heads.D * heads.H * batch * context,
    bytes: 4 * batch * (context * 2 * heads.Hk * heads.D + 2 * heads.H * heads.D),
    setup(bench) {
      const qkv = bench.random(batch, wide), out = bench.alloc("f32", batch, heads.H * heads.D);
      const positions = bench.ints(new Int32Array(batch).fill(context - 1));
      const rowSeq = bench.ints(Int32Array.from({ length: batch }, (_, row) => row));
      // Blocks of a sequence lie apart, as they do after a while of serving.
      const tables = Int32Array.from(
        { length: batch * blocks },
        (_, i) => i % blocks * batch + Math.floor(i / blocks),
      );
      const blockTables = bench.ints(tables, [batch, blocks]);
      const keysOrValues = () => bench.cold(batch * blocks, heads.Hk * block * heads.D);
      return () => {
        const cache: PagedCache = { k: keysOrValues(), v: keysOrValues(), blockTables, block };
        attentionPaged(bench.stream, { out, qkv, positions, rowSeq, cache, heads, scale });
      };
    },
  };
}

/** All cases. */
export const cases: readonly Case[] = [
  forward(2, 1024),
  forward(8, 256),
  backward(2, 1024),
  backward(8, 256),
  ...[1, 8, 32].map((batch) => decode(batch, 1024)),
];

defineBenches(cases);
