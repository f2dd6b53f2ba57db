/** Runs sequences through the paged cache in any order, beside the packed pass of training. */
import {
  attentionForward,
  attentionPaged,
  type Heads,
  type PagedCache,
  rope,
  ropeKvWrite,
  type Tensor,
} from "../../ffi/mod.ts";
import type { Lab, Rand } from "../native.ts";
import { cosSinTable, layout } from "./attention_reference.ts";
import { floats, outAs, type Precision, putAs, roundTo } from "./precision.ts";

/** Positions of the rotary table. */
export const P = 1088;

/** A row to run: position `at` of `sequence`; an inert row has no sequence. */
export type Row = { sequence: number; at: number } | undefined;

/** Queries, keys and values of each sequence before rotation. */
export type Sequences = Float32Array<ArrayBuffer>[];

const inert = -1;

/** The scale of all scores. */
export const scale = 0.25;

/** Sequences with a paged cache, run in any order, and held to the packed training pass. */
export class PagedRun {
  readonly cache: PagedCache;
  readonly #lab: Lab;
  readonly #heads: Heads;
  readonly #dtype: Precision;
  readonly #tables: number[][];
  #nextBlock: number;
  readonly #cosSin: Tensor;
  readonly #order: number[];

  /** Every sequence gets `maxBlocks` blocks, spread over the cache; block 0 is nobody's. */
  constructor(
    lab: Lab,
    rand: Rand,
    heads: Heads,
    dtype: Precision,
    block: number,
    sequences: number,
    maxBlocks: number,
  ) {
    this.#lab = lab;
    this.#heads = heads;
    this.#dtype = dtype;
    const blocks = 1 + sequences * maxBlocks;
    const shape = [blocks, heads.Hk * block * heads.D];
    this.#order = shuffled(rand, Array.from({ length: blocks - 1 }, (_, i) => i + 1));
    this.#nextBlock = 0;
    this.#cosSin = lab.put(cosSinTable(P, heads.D), [P, heads.D]);
    this.#tables = Array.from({ length: sequences }, () => []);
    const blockTables = lab.alloc("i32", [sequences, maxBlocks]);
    const [k, v] = [shape, shape].map((s) => outAs(lab, dtype, s));
    this.cache = { k, v, blockTables, blockSize: block };
  }

  /** Gives the sequence a new block and returns it. */
  grow(sequence: number): number {
    const block = this.#order[this.#nextBlock++];
    this.#tables[sequence].push(block);
    return block;
  }

  /** Lets `sequence` begin with the same blocks as `other`, as many as hold whole blocks of `positions`. */
  share(sequence: number, other: number, positions: number): void {
    this.#tables[sequence] = this.#tables[other].slice(
      0,
      Math.floor(positions / this.cache.blockSize),
    );
  }

  /** The block of a sequence that holds the position. */
  blockOf(sequence: number, position: number): number {
    return this.#tables[sequence][Math.floor(position / this.cache.blockSize)];
  }

  /** Writes and attends one batch; returns the outputs `(T, H D)` and the qkv rows afterwards. */
  async step(rows: Row[], data: Sequences): Promise<{ out: Float32Array; qkv: Float32Array }> {
    const lab = this.#lab, heads = this.#heads, { row } = layout(heads), T = rows.length;
    const { blockTables } = this.cache, [, maxBlocks] = blockTables.shape;
    for (const r of rows) {
      while (r && this.blockOf(r.sequence, r.at) === undefined) this.grow(r.sequence);
    }
    // Entries that are not in use name block 0, which stays NaN: reading it shows.
    const table = this.#tables.flatMap((t) => [...t, ...Array(maxBlocks - t.length).fill(0)]);
    lab.stream.upload(blockTables, Int32Array.from(table));
    const host = new Float32Array(T * row);
    rows.forEach((r, t) =>
      host.set(r ? data[r.sequence].subarray(r.at * row, (r.at + 1) * row) : inertRow(row), t * row)
    );
    const args = {
      qkv: putAs(lab, this.#dtype, host, [T, row]),
      positions: lab.put(Int32Array.from(rows, (r) => r?.at ?? inert)),
      rowSeq: lab.put(Int32Array.from(rows, (r) => r?.sequence ?? 0)),
      cache: this.cache,
      heads,
    };
    const out = outAs(lab, this.#dtype, [T, heads.H * heads.D]);
    ropeKvWrite(lab.stream, { ...args, cosSin: this.#cosSin });
    // A hint that is true where every row has a sequence of its own.
    const own = rows.filter((r) => r !== null && r !== undefined).map((r) => r!.sequence);
    const decode = new Set(own).size === own.length;
    attentionPaged(lab.stream, { ...args, out, scale, decode });
    return { out: await floats(lab, out), qkv: await floats(lab, args.qkv) };
  }

  /** How many cache elements have been written. */
  async written(): Promise<{ k: number; v: number }> {
    const count = (x: Float32Array) => x.reduce((n, value) => n + Number(!Number.isNaN(value)), 0);
    return {
      k: count(await floats(this.#lab, this.cache.k)),
      v: count(await floats(this.#lab, this.cache.v)),
    };
  }
}

/** What an inert row holds before, and must hold after. */
export function inertRow(n: number): Float32Array {
  return Float32Array.from({ length: n }, (_, i) => i % 256);
}

/** The items in random order. */
export function shuffled<T>(rand: Rand, items: T[]): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = rand.int(0, i + 1);
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

/** What training computes for each sequence: rope, then attention over the packed batch. */
export async function packedPass(
  lab: Lab,
  data: Sequences,
  heads: Heads,
  dtype: Precision,
): Promise<Float32Array[]> {
  const { row } = layout(heads), lengths = data.map((x) => x.length / row);
  const T = lengths.reduce((a, b) => a + b, 0), cu = Int32Array.of(0, ...lengths);
  lengths.forEach((_, i) => cu[i + 1] += cu[i]);
  const positions = Int32Array.from(lengths.flatMap((n) => Array.from({ length: n }, (_, t) => t)));
  const host = new Float32Array(T * row);
  data.forEach((x, b) => host.set(x, cu[b] * row));
  const qkv = putAs(lab, dtype, host, [T, row]);
  const out = outAs(lab, dtype, [T, heads.H * heads.D]);
  const cosSin = lab.put(cosSinTable(P, heads.D), [P, heads.D]);
  rope(lab.stream, { qkv, positions: lab.put(positions), cosSin, heads });
  attentionForward(lab.stream, { out, qkv, cuSeqlens: lab.put(cu), heads, scale });
  const all = await floats(lab, out), width = heads.H * heads.D;
  return lengths.map((n, b) => all.slice(cu[b] * width, (cu[b] + n) * width));
}

/** Random sequences of these lengths. */
export function sequencesOf(
  rand: Rand,
  lengths: number[],
  heads: Heads,
  dtype: Precision,
): Sequences {
  return lengths.map((n) => roundTo(dtype, rand.normal(n * layout(heads).row)));
}
