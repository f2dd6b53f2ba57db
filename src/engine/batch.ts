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
  type DecodeState,
  type Graph,
  lmHeadSample,
  type Precision,
  specBytes,
  type Stream,
  type Tensor,
  TensorSet,
  type TensorSpecs,
} from "../../ffi/mod.ts";
import {
  type Decoder,
  forwardPaged,
  KvCache,
  kvCacheSpecs,
  type ModelConfig,
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
  readonly block: number;
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
export function bucketOf(rows: number): number {
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

/** Bytes that an engine of this size takes: its KV cache, and everything else. */
export function batchBytes(
  config: ModelConfig,
  options: BatchOptions,
  dtype: Precision,
): { cache: number; buffers: number } {
  return {
    cache: config.layers * specBytes(kvCacheSpecs(config, options, dtype)),
    buffers: specBytes(pagedSpecs(config, widestStep(options), dtype)) +
      specBytes(stateSpecs(config, options)),
  };
}

/** Device memory and graphs of one engine. */
export class DeviceBatch implements Disposable {
  readonly cache: KvCache;
  readonly #stream: Stream;
  readonly #decoder: Decoder;
  readonly #options: BatchOptions;
  readonly #buffers: TensorSet<PagedTensor>;
  readonly #memory: Disposable;
  /** By number of rows; all recorded with the same seed. */
  readonly #graphs = new Map<number, Graph>();
  #seed: bigint | undefined;
  readonly #state: DecodeState;
  readonly #rowSeq: Tensor;
  readonly #blockTables: Tensor;
  readonly #sequenceIds: Tensor;
  readonly #sampling: Tensor;
  readonly #sampled: Tensor;
  readonly #sampledLogprobs: Tensor;
  readonly #stopIds: Tensor;
  readonly #workspace: Tensor;
  readonly #prefill: { ids: Tensor; positions: Tensor; rowSeq: Tensor };
  readonly #copies: Tensor;

  /** Allocates the cache and every buffer. */
  constructor(stream: Stream, decoder: Decoder, options: BatchOptions) {
    this.#stream = stream;
    this.#decoder = decoder;
    this.#options = options;
    this.cache = new KvCache(stream.device, decoder, options);
    this.#buffers = new TensorSet(
      stream.device,
      pagedSpecs(decoder.config, widestStep(options), decoder.dtype),
    );
    const memory = new TensorSet(stream.device, stateSpecs(decoder.config, options));
    this.#memory = memory;
    const { t } = memory;
    const { tokens, positions, remaining, outTokens, outLogprobs, outCount } = t;
    this.#state = { tokens, positions, remaining, outTokens, outLogprobs, outCount };
    this.#rowSeq = t.rowSeq;
    this.#blockTables = t.blockTables;
    this.#sequenceIds = t.sequenceIds;
    this.#sampling = t.sampling;
    this.#sampled = t.sampled;
    this.#sampledLogprobs = t.sampledLogprobs;
    this.#stopIds = t.stopIds;
    this.#workspace = t.workspace;
    this.#prefill = {
      ids: t.prefillIds,
      positions: t.prefillPositions,
      rowSeq: t.prefillRowSeq,
    };
    this.#copies = t.copies;
    stream.upload(this.#rowSeq, Int32Array.from({ length: this.#rowSeq.size }, (_, i) => i));
    stream.upload(this.#stopIds, Int32Array.from(options.stop));
  }

  /** Copies cache blocks: (source, destination) pairs. */
  copyBlocks(pairs: readonly (readonly [number, number])[]): void {
    const most = this.#copies.shape[0];
    for (let i = 0; i < pairs.length; i += most) {
      const part = pairs.slice(i, i + most);
      const target = this.#copies.rows(part.length);
      this.#stream.upload(target, Int32Array.from(part.flat()));
      this.cache.copyBlocks(this.#stream, this.#decoder, target);
    }
  }

  /** Makes the block tables of all slots known to the device. */
  uploadTables(tables: readonly (readonly number[])[]): void {
    const { maxBlocks } = this.#options;
    const host = new Int32Array(tables.length * maxBlocks);
    tables.forEach((blocks, slot) => host.set(blocks, slot * maxBlocks));
    this.#stream.upload(this.#blockTables.rows(tables.length), host);
  }

  /** Reads tokens into the cache; at most `prefillChunk` of them. */
  prefill(tokens: readonly PrefillToken[]): void {
    const T = tokens.length;
    const put = (tensor: Tensor, value: (token: PrefillToken) => number) => {
      const view = tensor.rows(T);
      this.#stream.upload(view, Int32Array.from(tokens, value));
      return view;
    };
    const rows = {
      ids: put(this.#prefill.ids, (t) => t.token),
      positions: put(this.#prefill.positions, (t) => t.position),
      rowSeq: put(this.#prefill.rowSeq, (t) => t.slot),
    };
    forwardPaged(this.#stream, this.#decoder, this.#buffers.t, this.cache, this.#blockTables, rows);
  }

  /** Runs one round of decode steps for the rows; row i uses block table i. */
  async decode(
    rows: readonly DecodeRow[],
    options: { seed: bigint; sampling: SamplingOptions },
  ): Promise<RoundResult> {
    const stream = this.#stream, state = this.#state, { steps } = this.#options;
    const B = bucketOf(rows.length);
    const fill = (tensor: Tensor, idle: number, value: (row: DecodeRow) => number) => {
      const host = new Int32Array(B).fill(idle);
      rows.forEach((row, i) => host[i] = value(row));
      stream.upload(tensor.rows(B), host);
    };
    fill(state.tokens, 0, (row) => row.token);
    fill(state.positions, -1, (row) => row.position);
    fill(state.remaining, 0, (row) => row.remaining);
    stream.fill(state.outCount.rows(B), 0);
    const ids = new BigUint64Array(B);
    rows.forEach((row, i) => ids[i] = row.id);
    stream.upload(this.#sequenceIds.rows(B), new Int32Array(ids.buffer));
    const { temperature, topP, topK } = options.sampling;
    const sampling = new Float32Array(3 * B);
    for (let i = 0; i < B; i++) sampling.set([temperature, topP, topK], 3 * i);
    stream.upload(this.#sampling.rows(B), sampling);
    this.uploadTables(rows.map((row) => row.blocks));

    const graph = this.#graph(B, options.seed);
    const most = rows.reduce((max, row) => Math.max(max, row.remaining), 0);
    for (let step = 0; step < Math.min(steps, most); step++) stream.launch(graph);

    const counts = await stream.download(state.outCount.rows(B), new Int32Array(B));
    const tokens = await stream.download(state.outTokens.rows(B), new Int32Array(B * steps));
    const logprobs = await stream.download(state.outLogprobs.rows(B), new Float32Array(B * steps));
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
    const stream = this.#stream;
    const state: DecodeState = {
      tokens: this.#state.tokens.rows(B),
      positions: this.#state.positions.rows(B),
      remaining: this.#state.remaining.rows(B),
      outTokens: this.#state.outTokens.rows(B),
      outLogprobs: this.#state.outLogprobs.rows(B),
      outCount: this.#state.outCount.rows(B),
    };
    const { positions } = state;
    const sampled = this.#sampled.rows(B), sampledLogprobs = this.#sampledLogprobs.rows(B);
    const graph = stream.record(() => {
      const rows = { ids: state.tokens, positions, rowSeq: this.#rowSeq.rows(B) };
      const { cache } = this;
      const h = forwardPaged(
        stream,
        this.#decoder,
        this.#buffers.t,
        cache,
        this.#blockTables,
        rows,
      );
      lmHeadSample(stream, {
        h,
        w: this.#decoder.params.head,
        workspace: this.#workspace,
        tokens: sampled,
        logprobs: sampledLogprobs,
        sampling: this.#sampling.rows(B),
        sequenceIds: this.#sequenceIds.rows(B),
        positions,
        seed,
      });
      decodeAdvance(stream, { state, sampled, sampledLogprobs, stopIds: this.#stopIds });
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
    this.#buffers[Symbol.dispose]();
    this.cache[Symbol.dispose]();
  }
}
