/**
 * The decoder with a paged KV cache: rows of tokens that belong to different sequences, one op list
 * for prefill and decode. Same ops, same order as the training pass (decoder.ts).
 *
 * @module
 */
import {
  type Allocation,
  attentionPaged,
  type Device,
  embeddingForward,
  kvCopyBlocks,
  linearForward,
  type PagedCache,
  rmsnormForward,
  ropeKvWrite,
  type Stream,
  swigluForward,
  type Tensor,
} from "../../ffi/mod.ts";
import type { Decoder } from "./decoder.ts";

/** Rows of one step, on the device: `(T)` int32 each. Rows with a negative position are inert. */
export interface PagedRows {
  readonly ids: Tensor;
  readonly positions: Tensor;
  /** Which block table each row uses. */
  readonly rowSeq: Tensor;
}

/** The size of a KV cache. */
export interface CacheOptions {
  /** Blocks per layer. */
  readonly blocks: number;
  /** Positions per block. */
  readonly block: number;
}

/** Keys and values of every layer. */
export class KvCache implements Disposable {
  readonly block: number;
  readonly blocks: number;
  readonly #layers: { readonly k: Allocation; readonly v: Allocation }[];

  /** Allocates the cache for a decoder's shape. */
  constructor(device: Device, decoder: Decoder, options: CacheOptions) {
    this.block = options.block;
    this.blocks = options.blocks;
    const { Hk, D } = decoder.heads;
    const alloc = () => device.alloc("f32", [options.blocks, Hk * options.block * D]);
    this.#layers = Array.from(
      { length: decoder.config.layers },
      () => ({ k: alloc(), v: alloc() }),
    );
  }

  /** The cache of layer l as attention ops take it. */
  layer(l: number, blockTables: Tensor): PagedCache {
    const { k, v } = this.#layers[l];
    return { k: k.tensor, v: v.tensor, blockTables, block: this.block };
  }

  /** Copies blocks in every layer; `pairs (n, 2)` int32 = (source, destination). */
  copyBlocks(stream: Stream, decoder: Decoder, pairs: Tensor): void {
    for (const { k, v } of this.#layers) {
      const cache = { k: k.tensor, v: v.tensor, block: this.block };
      kvCopyBlocks(stream, { cache, pairs, heads: decoder.heads });
    }
  }

  [Symbol.dispose](): void {
    for (const { k, v } of this.#layers) {
      k[Symbol.dispose]();
      v[Symbol.dispose]();
    }
  }
}

/** Buffers for `forwardPaged`, sized for the widest step; views of them are recorded into graphs. */
export class PagedBuffers implements Disposable {
  /** `(R, C)`: the residual stream, a layer's output, and normalised states. */
  readonly x: Tensor;
  readonly delta: Tensor;
  readonly norm: Tensor;
  readonly qkv: Tensor;
  readonly attention: Tensor;
  readonly gateUp: Tensor;
  readonly act: Tensor;
  readonly #memory: Allocation[] = [];

  /** @param rows The most rows of one step. */
  constructor(device: Device, decoder: Decoder, rows: number) {
    const { hidden: C, ffn: F } = decoder.config;
    const { H, Hk, D } = decoder.heads;
    const alloc = (columns: number) => {
      const memory = device.alloc("f32", [rows, columns]);
      this.#memory.push(memory);
      return memory.tensor;
    };
    this.x = alloc(C);
    this.delta = alloc(C);
    this.norm = alloc(C);
    this.qkv = alloc((H + 2 * Hk) * D);
    this.attention = alloc(H * D);
    this.gateUp = alloc(2 * F);
    this.act = alloc(F);
  }

  [Symbol.dispose](): void {
    for (const memory of this.#memory) memory[Symbol.dispose]();
  }
}

/**
 * Writes the rows' keys and values into the cache and returns their hidden states `(T, C)` after the
 * final norm (a view of `buffers`).
 */
export function forwardPaged(
  stream: Stream,
  decoder: Decoder,
  buffers: PagedBuffers,
  cache: KvCache,
  blockTables: Tensor,
  rows: PagedRows,
): Tensor {
  const T = rows.ids.size;
  const { heads, scale, cosSin, params } = decoder;
  const { normEps: eps, layers } = decoder.config;
  const x = buffers.x.rows(T), delta = buffers.delta.rows(T), norm = buffers.norm.rows(T);
  const qkv = buffers.qkv.rows(T), attention = buffers.attention.rows(T);
  const gateUp = buffers.gateUp.rows(T), act = buffers.act.rows(T);
  embeddingForward(stream, { out: x, ids: rows.ids, table: params.master.embedding });
  for (let l = 0; l < layers; l++) {
    const w = params.master.layers[l], packed = params.layers[l];
    const sum = l > 0 ? { x: delta, residual: x, sum: x } : { x };
    rmsnormForward(stream, { y: norm, ...sum, w: w.inputNorm, eps });
    linearForward(stream, { y: qkv, x: norm, w: packed.qkv, bias: w.qkvBias });
    const layerCache = cache.layer(l, blockTables);
    const { positions, rowSeq } = rows;
    ropeKvWrite(stream, { qkv, positions, cosSin, rowSeq, cache: layerCache, heads });
    const paged = { positions, rowSeq, cache: layerCache, heads, scale };
    attentionPaged(stream, { out: attention, qkv, ...paged });
    linearForward(stream, { y: delta, x: attention, w: packed.out });
    const residual = { x: delta, residual: x, sum: x };
    rmsnormForward(stream, { y: norm, ...residual, w: w.postNorm, eps });
    linearForward(stream, { y: gateUp, x: norm, w: packed.gateUp });
    swigluForward(stream, { y: act, gateUp });
    linearForward(stream, { y: delta, x: act, w: packed.down });
  }
  const sum = { x: delta, residual: x, sum: x };
  rmsnormForward(stream, { y: norm, ...sum, w: params.master.finalNorm, eps });
  return norm;
}
