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
  type Precision,
  rmsnormForward,
  ropeKvWrite,
  rowsOf,
  type Stream,
  type Tensor,
  type Tensors,
  TensorSet,
  type TensorSpecs,
} from "../../ffi/mod.ts";
import type { ModelConfig } from "./config.ts";
import type { Decoder } from "./decoder.ts";
import { type Carry, layerForward, type LayerOutput, layerSpecs } from "./layer.ts";

/** Rows of one step, on the device: `(T)` int32 each. Rows with a negative position are inert. */
export interface PagedRows {
  /** The token that each row feeds. */
  readonly ids: Tensor;
  /** Its position in the sequence. */
  readonly positions: Tensor;
  /** Which block table each row uses. */
  readonly rowSeq: Tensor;
  /** Whether no two rows use the same one: a step of decoding. */
  readonly decode: boolean;
}

/** The size of a KV cache. */
export interface CacheOptions {
  /** Blocks per layer. */
  readonly blocks: number;
  /** Positions per block. */
  readonly blockSize: number;
}

/** Keys and values of every layer: `(L, blocks, …)`. */
export function kvCacheSpecs(
  config: ModelConfig,
  options: CacheOptions,
  dtype: Precision,
): TensorSpecs<"k" | "v"> {
  const { layers, kvHeads, headDim } = config;
  const all = [dtype, layers, options.blocks, kvHeads * options.blockSize * headDim] as const;
  return { k: all, v: all };
}

/** Keys and values of every layer. */
export class KvCache implements Disposable {
  readonly #memory: Disposable;
  readonly #layers: readonly Omit<PagedCache, "blockTables">[];

  /**
   * Allocates the cache.
   *
   * @param specs Of `kvCacheSpecs`.
   * @param blockSize Positions per block.
   */
  constructor(device: Device, specs: TensorSpecs<"k" | "v">, blockSize: number) {
    const memory = new TensorSet(device, specs);
    this.#memory = memory;
    const { k, v } = memory.t;
    const [layers, ...shape] = k.shape, size = k.size / layers;
    this.#layers = Array.from({ length: layers }, (_, l) => ({
      k: k.view(l * size, shape),
      v: v.view(l * size, shape),
      blockSize,
    }));
  }

  /** The cache of layer l as attention ops take it. */
  layer(l: number, blockTables: Tensor): PagedCache {
    return { ...this.#layers[l], blockTables };
  }

  /** Copies blocks in every layer; `pairs (n, 2)` int32 = (source, destination). */
  copyBlocks(stream: Stream, { heads }: Decoder, pairs: Tensor): void {
    for (const cache of this.#layers) kvCopyBlocks(stream, { cache, pairs, heads });
  }

  /** Frees the cache. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}

/** What a paged pass writes into: what a layer does, but for what shares memory with the rest. */
export type PagedTensor = Exclude<LayerOutput, "delta" | "midNorm">;

/** The tensors of a paged pass over up to `rows` rows. */
export function pagedSpecs(
  config: ModelConfig,
  rows: number,
  dtype: Precision,
): TensorSpecs<PagedTensor> {
  const specs = layerSpecs(config, rows, dtype);
  const { x, norm, projected, qkv, attention, mid, gateUp, act } = specs;
  return { x, norm, projected, qkv, attention, mid, gateUp, act };
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
  const { positions, rowSeq, decode } = rows;
  let carry: Carry | undefined;
  for (let l = 0; l < layers; l++) {
    const paged = { positions, rowSeq, cache: cache.layer(l, blockTables), heads };
    carry = layerForward(stream, decoder.layer(l), t, carry, () => {
      ropeKvWrite(stream, { qkv, cosSin, ...paged });
      attentionPaged(stream, { out: attention, qkv, scale, decode, ...paged });
    });
  }
  const { delta, residual } = carry!;
  rmsnormForward(stream, { y: norm, x: delta, residual, sum: x, w: master.finalNorm, eps });
  return norm;
}
