/**
 * The decoder with a paged KV cache: rows of tokens that belong to different sequences, one op list
 * for prefill and decode. The layers are those of training (layer.ts).
 *
 * @module
 */
import {
  attentionPaged,
  type Device,
  embeddingForward,
  kvCopyBlocks,
  type PagedCache,
  rmsnormForward,
  ropeKvWrite,
  rowsOf,
  type Stream,
  type Tensor,
  type Tensors,
  TensorSet,
} from "../../ffi/mod.ts";
import type { Decoder } from "./decoder.ts";
import { type Carry, layerForward } from "./layer.ts";
import { type CacheOptions, kvCacheSpecs, type PagedTensor } from "./memory.ts";

/** Rows of one step, on the device: `(T)` int32 each. Rows with a negative position are inert. */
export interface PagedRows {
  /** The token that each row feeds. */
  readonly ids: Tensor;
  /** Its position in the sequence. */
  readonly positions: Tensor;
  /** Which block table each row uses. */
  readonly rowSeq: Tensor;
}

/** Keys and values of every layer. */
export class KvCache implements Disposable {
  /** Positions per block. */
  readonly block: number;
  /** Blocks in all. */
  readonly blocks: number;
  readonly #layers: TensorSet<"k" | "v">[];

  /** Allocates the cache for a decoder's shape. */
  constructor(device: Device, decoder: Decoder, options: CacheOptions) {
    this.block = options.block;
    this.blocks = options.blocks;
    const specs = kvCacheSpecs(decoder.config, options, decoder.dtype);
    const { layers } = decoder.config;
    this.#layers = Array.from({ length: layers }, () => new TensorSet(device, specs));
  }

  /** The cache of layer l as attention ops take it. */
  layer(l: number, blockTables: Tensor): PagedCache {
    return { ...this.#layers[l].t, blockTables, block: this.block };
  }

  /** Copies blocks in every layer; `pairs (n, 2)` int32 = (source, destination). */
  copyBlocks(stream: Stream, decoder: Decoder, pairs: Tensor): void {
    for (const { t } of this.#layers) {
      const cache = { ...t, block: this.block };
      kvCopyBlocks(stream, { cache, pairs, heads: decoder.heads });
    }
  }

  /** Frees the cache. */
  [Symbol.dispose](): void {
    for (const layer of this.#layers) layer[Symbol.dispose]();
  }
}

/**
 * Writes the rows' keys and values into the cache and returns their hidden states `(T, C)` after the
 * final norm (a view of `buffers`).
 *
 * @param buffers As `pagedSpecs` has them, for T or more rows; views of them are recorded into graphs.
 */
export function forwardPaged(
  stream: Stream,
  decoder: Decoder,
  buffers: Tensors<PagedTensor>,
  cache: KvCache,
  blockTables: Tensor,
  rows: PagedRows,
): Tensor {
  const T = rows.ids.size;
  const { heads, scale, cosSin, params: { master } } = decoder;
  const { layers, normEps: eps } = decoder.config;
  const views = rowsOf(buffers, T), { x, norm, qkv, attention } = views;
  // Nothing is kept for a backward pass: a layer's last output takes the place of its input.
  const t = { ...views, midNorm: norm, delta: x };
  embeddingForward(stream, { out: x, ids: rows.ids, table: master.embedding });
  const { positions, rowSeq } = rows;
  let carry: Carry | undefined;
  for (let l = 0; l < layers; l++) {
    const paged = { positions, rowSeq, cache: cache.layer(l, blockTables), heads };
    carry = layerForward(stream, decoder.layer(l), t, carry, () => {
      ropeKvWrite(stream, { qkv, cosSin, ...paged });
      attentionPaged(stream, { out: attention, qkv, scale, ...paged });
    });
  }
  const { delta, residual } = carry!;
  rmsnormForward(stream, { y: norm, x: delta, residual, sum: x, w: master.finalNorm, eps });
  return norm;
}
