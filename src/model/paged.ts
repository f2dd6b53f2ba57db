/**
 * The decoder with a paged KV cache: rows of tokens that belong to different sequences, one op list
 * for prefill and decode. Same ops, same order as the training pass (decoder.ts).
 *
 * @module
 */
import {
  attentionPaged,
  type Device,
  embeddingForward,
  kvCopyBlocks,
  linearForward,
  type PagedCache,
  qkNormForward,
  rmsnormForward,
  ropeKvWrite,
  type Stream,
  swigluForward,
  type Tensor,
  TensorSet,
} from "../../ffi/mod.ts";
import type { Decoder } from "./decoder.ts";
import { type CacheOptions, kvCacheSpecs, pagedSpecs, projectedSpecs } from "./memory.ts";

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

/** Buffers for `forwardPaged`, sized for the widest step; views of them are recorded into graphs. */
export class PagedBuffers implements Disposable {
  /** `(R, C)`: the residual stream. */
  readonly x: Tensor;
  /** `(R, C)`: a layer's output before it is added. */
  readonly delta: Tensor;
  /** `(R, C)`: normalised states. */
  readonly norm: Tensor;
  /** `(R, (H + 2 Hk) D)`. */
  readonly qkv: Tensor;
  /** `(R, (H + 2 Hk) D)`: before the norm of q and k, where the architecture has one. */
  readonly projected?: Tensor;
  /** `(R, H D)`. */
  readonly attention: Tensor;
  /** `(R, 2 F)`. */
  readonly gateUp: Tensor;
  /** `(R, F)`. */
  readonly act: Tensor;
  readonly #memory: Disposable;

  /**
   * Allocates them.
   *
   * @param rows R, the most rows of one step.
   */
  constructor(device: Device, decoder: Decoder, rows: number) {
    const { config, dtype } = decoder;
    using stack = new DisposableStack();
    const { t } = stack.use(new TensorSet(device, pagedSpecs(config, rows, dtype)));
    const projected = projectedSpecs(config, rows, dtype);
    if (projected) this.projected = stack.use(new TensorSet(device, projected)).t.projected;
    this.#memory = stack.move();
    this.x = t.x;
    this.delta = t.delta;
    this.norm = t.norm;
    this.qkv = t.qkv;
    this.attention = t.attention;
    this.gateUp = t.gateUp;
    this.act = t.act;
  }

  /** Frees the buffers. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
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
  const projected = buffers.projected?.rows(T);
  const gateUp = buffers.gateUp.rows(T), act = buffers.act.rows(T);
  embeddingForward(stream, { out: x, ids: rows.ids, table: params.master.embedding });
  for (let l = 0; l < layers; l++) {
    const w = params.master.layers[l], packed = params.layers[l];
    const sum = l > 0 ? { x: delta, residual: x, sum: x } : { x };
    rmsnormForward(stream, { y: norm, ...sum, w: w.inputNorm, eps });
    linearForward(stream, { y: projected ?? qkv, x: norm, w: packed.qkv, bias: w.qkvBias });
    if (projected) qkNormForward(stream, { out: qkv, qkv: projected, ...w.qkNorm!, heads, eps });
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
