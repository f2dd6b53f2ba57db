/**
 * The device side of the engine: state tensors, recorded decode graphs, prefill.
 *
 * Between two looks of the host the device runs on its own: it feeds each sampled token back, advances
 * positions, and idles rows that stop. The host uploads the state of a round and downloads its tokens.
 *
 * @module
 */
import {
  decodeAdvance,
  type Graph,
  lmHeadSample,
  type Precision,
  rowsOf,
  type Stream,
  type Tensor,
  type Tensors,
  TensorSet,
  type TensorSpecs,
} from "../../ffi/mod.ts";
import {
  type Decoder,
  forwardPaged,
  KvCache,
  kvCacheSpecs,
  type ModelConfig,
  type PagedRows,
  pagedSpecs,
  type PagedTensor,
} from "../model/mod.ts";
import type { SamplingOptions } from "./types.ts";

/** One row of a decode round. */
export interface DecodeRow {
  readonly id: bigint;
  readonly token: number;
  readonly position: number;
  readonly remaining: number;
  readonly blocks: readonly number[];
}

/** One token to be read into the cache: which row of the block tables, where, and what. */
export interface PrefillToken {
  readonly slot: number;
  readonly position: number;
  readonly token: number;
}

/** What a decode round sampled, row by row. */
export interface RoundResult {
  readonly tokens: Int32Array[];
  readonly logprobs: Float32Array[];
}

/** Sizes that the batch is built for. */
export interface BatchOptions {
  readonly maxSequences: number;
  readonly blocks: number;
  readonly blockSize: number;
  readonly maxBlocks: number;
  readonly prefillChunk: number;
  readonly steps: number;
  readonly stop: readonly number[];
}

/** Logits of this many rows fit the sampling workspace. */
const workspaceRows = 256;
/** Most bytes of sampling workspace. */
const workspaceBytes = 256 * 2 ** 20;

/** Rows are padded to 1, 2, 4, 8, then multiples of 8: one recorded graph for each. */
function bucketOf(rows: number): number {
  return rows <= 8 ? 2 ** Math.ceil(Math.log2(rows)) : Math.ceil(rows / 8) * 8;
}

/** Rows of the widest step: of a decode round or of a prefill. */
function widestStep(options: BatchOptions): number {
  return Math.max(bucketOf(options.maxSequences), options.prefillChunk);
}

/** State and scratch tensors of an engine, beside cache and layer buffers. */
function stateSpecs(config: ModelConfig, options: BatchOptions) {
  const B = bucketOf(options.maxSequences);
  const { prefillChunk: R, maxBlocks, steps, stop } = options;
  const row = 4 * config.vocab;
  const rows = Math.max(1, Math.min(B, workspaceRows, Math.floor(workspaceBytes / row)));
  return {
    tokens: ["i32", B],
    positions: ["i32", B],
    remaining: ["i32", B],
    outTokens: ["i32", B, steps],
    outLogprobs: ["f32", B, steps],
    outCount: ["i32", B],
    rowSeq: ["i32", B],
    blockTables: ["i32", B, maxBlocks],
    sequenceIds: ["i32", B, 2],
    sampling: ["f32", B, 3],
    sampled: ["i32", B],
    sampledLogprobs: ["f32", B],
    stopIds: ["i32", stop.length],
    workspace: ["u8", rows * row],
    prefillIds: ["i32", R],
    prefillPositions: ["i32", R],
    prefillRowSeq: ["i32", R],
    copies: ["i32", B, 2],
  } satisfies TensorSpecs;
}

type StateTensor = keyof ReturnType<typeof stateSpecs>;

/** What an engine of this size takes: its cache, what the layers write, and everything else. */
export function batchSpecs(config: ModelConfig, options: BatchOptions, dtype: Precision) {
  return {
    cache: kvCacheSpecs(config, options, dtype),
    layers: pagedSpecs(config, widestStep(options), dtype),
    state: stateSpecs(config, options),
  };
}

/** Device memory and graphs of one engine. */
export class DeviceBatch implements Disposable {
  readonly #stream: Stream;
  readonly #decoder: Decoder;
  readonly #options: BatchOptions;
  readonly #cache: KvCache;
  readonly #layers: Tensors<PagedTensor>;
  readonly #state: Tensors<StateTensor>;
  readonly #memory: Disposable;
  /** By number of rows; all recorded with the same seed. */
  readonly #graphs = new Map<number, Graph>();
  #seed: bigint | undefined;

  /** Allocates the cache and every buffer. */
  constructor(stream: Stream, decoder: Decoder, options: BatchOptions) {
    this.#stream = stream;
    this.#decoder = decoder;
    this.#options = options;
    const { cache, layers, state } = batchSpecs(decoder.config, options, decoder.dtype);
    using stack = new DisposableStack();
    this.#cache = stack.use(new KvCache(stream.device, cache, options.blockSize));
    this.#layers = stack.use(new TensorSet(stream.device, layers)).t;
    this.#state = stack.use(new TensorSet(stream.device, state)).t;
    this.#memory = stack.move();
    const { rowSeq, stopIds } = this.#state;
    stream.upload(rowSeq, Int32Array.from({ length: rowSeq.size }, (_, i) => i));
    stream.upload(stopIds, Int32Array.from(options.stop));
  }

  /** Copies cache blocks: (source, destination) pairs. */
  copyBlocks(pairs: readonly (readonly [number, number])[]): void {
    const { copies } = this.#state, [most] = copies.shape;
    for (let i = 0; i < pairs.length; i += most) {
      const part = pairs.slice(i, i + most);
      const target = copies.rows(part.length);
      this.#stream.upload(target, Int32Array.from(part.flat()));
      this.#cache.copyBlocks(this.#stream, this.#decoder, target);
    }
  }

  /** Makes the block tables of all slots known to the device. */
  uploadTables(tables: readonly (readonly number[])[]): void {
    const { maxBlocks } = this.#options;
    const host = new Int32Array(tables.length * maxBlocks);
    tables.forEach((blocks, slot) => host.set(blocks, slot * maxBlocks));
    this.#stream.upload(this.#state.blockTables.rows(tables.length), host);
  }

  /** Reads tokens into the cache; at most `prefillChunk` of them. */
  prefill(tokens: readonly PrefillToken[]): void {
    const { prefillIds, prefillPositions, prefillRowSeq } = this.#state;
    const put = (tensor: Tensor, value: (token: PrefillToken) => number) => {
      const view = tensor.rows(tokens.length);
      this.#stream.upload(view, Int32Array.from(tokens, value));
      return view;
    };
    this.#forward({
      ids: put(prefillIds, (t) => t.token),
      positions: put(prefillPositions, (t) => t.position),
      rowSeq: put(prefillRowSeq, (t) => t.slot),
    });
  }

  /** Hidden states of rows. */
  #forward(rows: PagedRows): Tensor {
    const { blockTables } = this.#state;
    return forwardPaged(this.#stream, this.#decoder, this.#layers, this.#cache, blockTables, rows);
  }

  /** Runs one round of decode steps for the rows; row i uses block table i. */
  async decode(
    rows: readonly DecodeRow[],
    options: { seed: bigint; sampling: SamplingOptions },
  ): Promise<RoundResult> {
    const stream = this.#stream, t = this.#state, { steps } = this.#options;
    const B = bucketOf(rows.length);
    const fill = (tensor: Tensor, idle: number, value: (row: DecodeRow) => number) => {
      const host = new Int32Array(B).fill(idle);
      rows.forEach((row, i) => host[i] = value(row));
      stream.upload(tensor.rows(B), host);
    };
    fill(t.tokens, 0, (row) => row.token);
    fill(t.positions, -1, (row) => row.position);
    fill(t.remaining, 0, (row) => row.remaining);
    stream.fill(t.outCount.rows(B), 0);
    const ids = new BigUint64Array(B);
    rows.forEach((row, i) => ids[i] = row.id);
    stream.upload(t.sequenceIds.rows(B), new Int32Array(ids.buffer));
    const { temperature, topP, topK } = options.sampling;
    const sampling = new Float32Array(3 * B);
    for (let i = 0; i < B; i++) sampling.set([temperature, topP, topK], 3 * i);
    stream.upload(t.sampling.rows(B), sampling);
    this.uploadTables(rows.map((row) => row.blocks));

    const graph = this.#graph(B, options.seed);
    const most = rows.reduce((max, row) => Math.max(max, row.remaining), 0);
    for (let step = 0; step < Math.min(steps, most); step++) stream.launch(graph);

    const counts = await stream.download(t.outCount.rows(B), new Int32Array(B));
    const tokens = await stream.download(t.outTokens.rows(B), new Int32Array(B * steps));
    const logprobs = await stream.download(t.outLogprobs.rows(B), new Float32Array(B * steps));
    const cut = <T extends Int32Array | Float32Array>(all: T) =>
      rows.map((_, i) => all.subarray(i * steps, i * steps + counts[i]) as T);
    return { tokens: cut(tokens), logprobs: cut(logprobs) };
  }

  /** One decode step of B rows, recorded on first use. */
  #graph(B: number, seed: bigint): Graph {
    if (seed !== this.#seed) this.#dropGraphs();
    this.#seed = seed;
    const known = this.#graphs.get(B);
    if (known) return known;
    const stream = this.#stream, { params: { head: w } } = this.#decoder;
    const { workspace, stopIds } = this.#state;
    const { tokens, positions, remaining, outTokens, outLogprobs, outCount } = this.#state;
    const state = rowsOf({ tokens, positions, remaining, outTokens, outLogprobs, outCount }, B);
    const { rowSeq, sampling, sequenceIds, sampled, sampledLogprobs } = this.#state;
    const rows = rowsOf({ rowSeq, sampling, sequenceIds, sampled, sampledLogprobs }, B);
    const graph = stream.record(() => {
      const h = this.#forward({
        ids: state.tokens,
        positions: state.positions,
        rowSeq: rows.rowSeq,
      });
      lmHeadSample(stream, {
        h,
        w,
        workspace,
        tokens: rows.sampled,
        logprobs: rows.sampledLogprobs,
        sampling: rows.sampling,
        sequenceIds: rows.sequenceIds,
        positions: state.positions,
        seed,
      });
      const { sampled, sampledLogprobs } = rows;
      decodeAdvance(stream, { state, sampled, sampledLogprobs, stopIds });
    });
    this.#graphs.set(B, graph);
    return graph;
  }

  #dropGraphs(): void {
    for (const graph of this.#graphs.values()) graph[Symbol.dispose]();
    this.#graphs.clear();
  }

  [Symbol.dispose](): void {
    this.#dropGraphs();
    this.#memory[Symbol.dispose]();
  }
}
