/**
 * Attention of one layer: packed sequences (training, prefill) and paged decode.
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
import { defineBenches } from "./define.ts";
import type { Case } from "./harness.ts";
import { bytesOf, type Sizes } from "./sizes.ts";
import type { Workbench } from "./workbench.ts";

/** What a layer's attention depends on. */
type Layer = Pick<Sizes, "model" | "dtype">;

function headsOf({ model }: Layer): { heads: Heads; wide: number; scale: number } {
  const { heads: H, kvHeads: Hk, headDim: D } = model;
  return { heads: { H, Hk, D }, wide: (H + 2 * Hk) * D, scale: 1 / Math.sqrt(D) };
}

/** Pairs of a query and a key that it sees, in `sequences` causal sequences of `length`. */
function pairs(sequences: number, length: number): number {
  return sequences * length * (length + 1) / 2;
}

/** Tensors of `sequences` packed sequences of `length` tokens. */
function packed(bench: Workbench, sequences: number, length: number, layer: Layer) {
  const T = sequences * length, { dtype } = layer, { heads, wide, scale } = headsOf(layer);
  return {
    qkv: bench.random(dtype, T, wide),
    out: bench.alloc(dtype, T, heads.H * heads.D),
    lse: bench.alloc("f32", T, heads.H),
    cuSeqlens: bench.ints(Int32Array.from({ length: sequences + 1 }, (_, b) => b * length)),
    heads,
    scale,
  };
}

/** Forward over `sequences` packed sequences of `length` tokens. */
export function forward(sequences: number, length: number, layer: Layer): Case {
  const T = sequences * length, { heads, wide } = headsOf(layer);
  return {
    op: "attention forward",
    shape: `${sequences} x ${length}`,
    flops: 4 * heads.D * heads.H * pairs(sequences, length),
    bytes: bytesOf(layer) * T * (wide + heads.H * heads.D),
    peer: { case: "attention_forward", sequences, length, ...heads },
    setup(bench) {
      const args = packed(bench, sequences, length, layer);
      return () => attentionForward(bench.stream, args);
    },
  };
}

/** Backward: five products for the two of the forward pass. */
export function backward(sequences: number, length: number, layer: Layer): Case {
  const T = sequences * length, { dtype } = layer, { heads, wide } = headsOf(layer);
  const { flops } = forward(sequences, length, layer);
  return {
    op: "attention backward",
    shape: `${sequences} x ${length}`,
    flops: 2.5 * flops,
    bytes: bytesOf(layer) * T * (2 * wide + 2 * heads.H * heads.D),
    peer: { case: "attention_backward", sequences, length, ...heads },
    setup(bench) {
      const args = packed(bench, sequences, length, layer);
      const dqkv = bench.alloc(dtype, T, wide), dout = bench.random(dtype, T, heads.H * heads.D);
      attentionForward(bench.stream, args);
      return () => attentionBackward(bench.stream, { ...args, dqkv, dout });
    },
  };
}

/** One decode step of `batch` sequences with `context` cached tokens each, from a cold cache. */
export function decode(batch: number, context: number, layer: Layer): Case {
  const { dtype } = layer, { heads, wide, scale } = headsOf(layer), { H, Hk, D } = heads;
  return {
    op: "attention paged decode",
    shape: `batch ${batch}, context ${context}`,
    flops: 4 * D * H * batch * context,
    bytes: bytesOf(layer) * batch * (context * 2 * Hk * D + 2 * H * D),
    peer: { case: "attention_decode", batch, context, ...heads },
    setup(bench) {
      const block = bench.device.info.kvTile, blocks = Math.ceil(context / block);
      const qkv = bench.random(dtype, batch, wide), out = bench.alloc(dtype, batch, H * D);
      const positions = bench.ints(new Int32Array(batch).fill(context - 1));
      const rowSeq = bench.ints(Int32Array.from({ length: batch }, (_, row) => row));
      // Blocks of a sequence lie apart, as they do after a while of serving.
      const tables = Int32Array.from(
        { length: batch * blocks },
        (_, i) => i % blocks * batch + Math.floor(i / blocks),
      );
      const blockTables = bench.ints(tables, [batch, blocks]);
      const keysOrValues = () => bench.cold(dtype, batch * blocks, Hk * block * D);
      return () => {
        const cache: PagedCache = {
          k: keysOrValues(),
          v: keysOrValues(),
          blockTables,
          blockSize: block,
        };
        attentionPaged(bench.stream, { out, qkv, positions, rowSeq, cache, heads, scale });
      };
    },
  };
}

/** All cases. */
export function cases(sizes: Sizes): Case[] {
  const { tokens, lengths, batches, context } = sizes;
  return [
    ...lengths.map((length) => forward(tokens / length, length, sizes)),
    ...lengths.map((length) => backward(tokens / length, length, sizes)),
    ...batches.map((batch) => decode(batch, context, sizes)),
  ];
}

await defineBenches(import.meta.url, cases);
