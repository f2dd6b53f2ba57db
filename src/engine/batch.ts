/**
 * The device side of the engine: state tensors, recorded decode graphs, prefill.
 *
 * Between two looks of the host the device runs on its own: it feeds each sampled token back, advances
 * positions, and idles rows that stop. What a row continues with is on the device already; the host uploads
 * what has changed, as single words in one list, and reads a round's tokens back in one copy.
 *
 * @module
 */
import {
  decodeAdvance,
  type Graph,
  lmHeadSample,
  type Precision,
  rowsOf,
  samplingKey,
  specBytes,
  type Stream,
  type Tensor,
  type Tensors,
  TensorSet,
  type TensorSpecs,
  writeWords,
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
import type { Batch, DecodeRow, PrefillRun, RoundResult } from "./device_side.ts";
import { WordChanges } from "./words.ts";

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

/** The host's words to the device between two rounds, at most so many at once. */
const mostWords = 1 << 14;

/** State of the rows that the host may change, in 32-bit words; `keys` first, for their alignment. */
function stateSpecs(rows: number, maxBlocks: number) {
  return {
    keys: ["i32", rows, 4],
    tokens: ["i32", rows],
    positions: ["i32", rows],
    remaining: ["i32", rows],
    sampling: ["f32", rows, 3],
    blockTables: ["i32", rows, maxBlocks],
  } satisfies TensorSpecs;
}

/** What the rows have sampled in a round: the host reads it back whole. */
function resultSpecs(rows: number, steps: number) {
  return {
    outCount: ["i32", rows],
    outTokens: ["i32", rows, steps],
    outLogprobs: ["f32", rows, steps],
  } satisfies TensorSpecs;
}

/** Words of specs whose elements all have 4 bytes. */
function wordsOf(specs: TensorSpecs): number {
  return specBytes(specs) / 4;
}

/** Views of one tensor of words, one per spec, without gaps; and where each begins. */
function carve<K extends string>(memory: Tensor, specs: TensorSpecs<K>) {
  const tensors: Partial<Record<K, Tensor>> = {}, at: Partial<Record<K, number>> = {};
  let offset = 0;
  for (const name in specs) {
    const [dtype, ...shape] = specs[name], view = memory.view(offset, shape);
    at[name] = offset;
    tensors[name] = view.as(dtype);
    offset += view.size;
  }
  return { tensors: tensors as Record<K, Tensor>, at: at as Record<K, number> };
}

/** State and scratch tensors of an engine, beside cache and layer buffers. */
function memorySpecs(config: ModelConfig, options: BatchOptions) {
  const B = bucketOf(options.maxSequences);
  const { prefillChunk: R, maxBlocks, steps, stop } = options;
  const row = 4 * config.vocab;
  const rows = Math.max(1, Math.min(B, workspaceRows, Math.floor(workspaceBytes / row)));
  return {
    state: ["i32", wordsOf(stateSpecs(B, maxBlocks))],
    result: ["i32", wordsOf(resultSpecs(B, steps))],
    rowSeq: ["i32", B],
    sampled: ["i32", B],
    sampledLogprobs: ["f32", B],
    stopIds: ["i32", stop.length],
    workspace: ["u8", rows * row],
    prefill: ["i32", 3 * R],
    words: ["i32", mostWords, 2],
    copies: ["i32", B, 2],
  } satisfies TensorSpecs;
}

type MemoryTensor = keyof ReturnType<typeof memorySpecs>;

/** What an engine of this size takes: its cache, what the layers write, and everything else. */
export function batchSpecs(config: ModelConfig, options: BatchOptions, dtype: Precision) {
  return {
    cache: kvCacheSpecs(config, options, dtype),
    layers: pagedSpecs(config, widestStep(options), dtype),
    state: memorySpecs(config, options),
  };
}

/** Device memory and graphs of one engine. */
export class DeviceBatch implements Batch, Disposable {
  readonly #stream: Stream;
  readonly #decoder: Decoder;
  readonly #options: BatchOptions;
  readonly #cache: KvCache;
  readonly #layers: Tensors<PagedTensor>;
  readonly #t: Tensors<MemoryTensor>;
  readonly #state: Tensors<keyof ReturnType<typeof stateSpecs>>;
  readonly #result: Tensors<keyof ReturnType<typeof resultSpecs>>;
  readonly #words: WordChanges;
  readonly #memory: Disposable;
  /** Where the parts of the state begin, in words. */
  readonly #at: Readonly<Record<keyof ReturnType<typeof stateSpecs>, number>>;
  /** How a row samples, as floats and as words. */
  readonly #sampling = new Float32Array(3);
  readonly #samplingWords = new Int32Array(this.#sampling.buffer);
  /** By number of rows. */
  readonly #graphs = new Map<number, Graph>();

  /** Allocates the cache and every buffer. */
  constructor(stream: Stream, decoder: Decoder, options: BatchOptions) {
    this.#stream = stream;
    this.#decoder = decoder;
    this.#options = options;
    const { cache, layers, state } = batchSpecs(decoder.config, options, decoder.dtype);
    using stack = new DisposableStack();
    this.#cache = stack.use(new KvCache(stream.device, cache, options.blockSize));
    this.#layers = stack.use(new TensorSet(stream.device, layers)).t;
    const t = this.#t = stack.use(new TensorSet(stream.device, state)).t;
    this.#memory = stack.move();
    const B = bucketOf(options.maxSequences);
    const { tensors, at } = carve(t.state, stateSpecs(B, options.maxBlocks));
    this.#state = tensors;
    this.#at = at;
    this.#result = carve(t.result, resultSpecs(B, options.steps)).tensors;
    this.#words = new WordChanges(t.state.size);
    this.reset();
    stream.upload(t.rowSeq, Int32Array.from({ length: B }, (_, i) => i));
    stream.upload(t.stopIds, Int32Array.from(options.stop));
  }

  reset(): void {
    this.#words.clear();
    this.#stream.fill(this.#t.state, 0);
    this.#stream.fill(this.#state.positions, -1);
  }

  get version(): number {
    return this.#decoder.params.version;
  }

  copyBlocks(pairs: readonly (readonly [number, number])[]): void {
    const { copies } = this.#t, [most] = copies.shape;
    for (let i = 0; i < pairs.length; i += most) {
      const part = pairs.slice(i, i + most);
      const target = copies.rows(part.length);
      this.#stream.upload(target, Int32Array.from(part.flat()));
      this.#cache.copyBlocks(this.#stream, this.#decoder, target);
    }
  }

  setTable(slot: number, blocks: readonly number[]): void {
    const begin = this.#at.blockTables + slot * this.#options.maxBlocks;
    blocks.forEach((block, i) => this.#words.keep(begin + i, block));
  }

  setRow(slot: number, row: DecodeRow): void {
    const words = this.#words, at = this.#at;
    const { temperature, topP, topK } = row.sampling, key = samplingKey(row.seed, row.id);
    this.#sampling[0] = temperature;
    this.#sampling[1] = topP;
    this.#sampling[2] = topK;
    for (let i = 0; i < 3; i++) words.keep(at.sampling + 3 * slot + i, this.#samplingWords[i]);
    for (let i = 0; i < 4; i++) words.keep(at.keys + 4 * slot + i, key[i]);
    words.set(at.tokens + slot, row.token);
    words.set(at.positions + slot, row.position);
    words.set(at.remaining + slot, row.remaining);
  }

  idleRow(slot: number): void {
    this.#words.set(this.#at.positions + slot, -1);
  }

  /** Tells the device all that has changed since the last time, in one upload. */
  #flush(): void {
    const { state, words } = this.#t;
    for (const part of this.#words.take(mostWords)) {
      const pairs = words.rows(part.length / 2);
      this.#stream.upload(pairs, part);
      writeWords(this.#stream, { dst: state, pairs });
    }
  }

  prefill(runs: readonly PrefillRun[]): void {
    this.#flush();
    const n = runs.reduce((total, { tokens }) => total + tokens.length, 0);
    const host = new Int32Array(3 * n);
    let i = 0;
    for (const { slot, position, tokens } of runs) {
      for (let k = 0; k < tokens.length; k++, i++) {
        host[i] = tokens[k];
        host[n + i] = position + k;
        host[2 * n + i] = slot;
      }
    }
    this.#stream.upload(this.#t.prefill.view(0, [3 * n]), host);
    const [ids, positions, rowSeq] = [0, n, 2 * n].map((at) => this.#t.prefill.view(at, [n]));
    this.#forward({ ids, positions, rowSeq, decode: false });
  }

  /** Hidden states of rows. */
  #forward(rows: PagedRows): Tensor {
    const { blockTables } = this.#state;
    return forwardPaged(this.#stream, this.#decoder, this.#layers, this.#cache, blockTables, rows);
  }

  decode(rows: number, steps: number): Promise<RoundResult> {
    this.#flush();
    const stream = this.#stream, B = bucketOf(rows), graph = this.#graph(B);
    stream.fill(this.#result.outCount.rows(B), 0);
    for (let step = 0; step < steps; step++) stream.launch(graph);
    const { result } = this.#t, { steps: capacity } = this.#options;
    return stream.readBack(result, new Int32Array(result.size)).then((words) => {
      const all = this.#result.outCount.size, logprobs = new Float32Array(words.buffer);
      return {
        of: (slot) => {
          const begin = all + slot * capacity, end = begin + words[slot], later = all * capacity;
          return {
            ids: words.subarray(begin, end),
            logprobs: logprobs.subarray(later + begin, later + end),
          };
        },
      };
    });
  }

  /** One decode step of B rows, recorded on first use. */
  #graph(B: number): Graph {
    const known = this.#graphs.get(B);
    if (known) return known;
    const stream = this.#stream, { params: { head: w } } = this.#decoder;
    const { workspace, stopIds } = this.#t;
    const { keys, sampling, tokens, positions, remaining } = rowsOf(this.#state, B);
    const state = { tokens, positions, remaining, ...rowsOf(this.#result, B) };
    const { rowSeq, sampled, sampledLogprobs } = this.#t;
    const rows = rowsOf({ rowSeq, sampled, sampledLogprobs }, B);
    const graph = stream.record(() => {
      const h = this.#forward({ ids: tokens, positions, rowSeq: rows.rowSeq, decode: true });
      const drawn = { tokens: rows.sampled, logprobs: rows.sampledLogprobs };
      lmHeadSample(stream, { h, w, workspace, ...drawn, sampling, keys, positions });
      const { sampled, sampledLogprobs } = rows;
      decodeAdvance(stream, { state, sampled, sampledLogprobs, stopIds });
    });
    this.#graphs.set(B, graph);
    return graph;
  }

  [Symbol.dispose](): void {
    for (const graph of this.#graphs.values()) graph[Symbol.dispose]();
    this.#memory[Symbol.dispose]();
  }
}
