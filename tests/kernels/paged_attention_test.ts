import {
  attentionForward,
  attentionPaged,
  type Heads,
  kvCopyBlocks,
  type PagedCache,
  rope,
  ropeKvWrite,
} from "../../ffi/mod.ts";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { assertSameBits, Lab, type Rand, seeded, testBackends } from "../native.ts";
import { cosSinTable, layout } from "./attention_reference.ts";

const P = 256; // positions of the rotary table

/** A row to run: position `at` of `sequence`; an inert row has no sequence. */
type Row = { sequence: number; at: number } | undefined;

/** Queries, keys and values of each sequence before rotation. */
type Sequences = Float32Array<ArrayBuffer>[];

const inert = -1;
const scale = 0.25;

/** Sequences with a paged cache, run in any order, and held to the packed training pass. */
class PagedRun {
  readonly cache: PagedCache;
  readonly #lab: Lab;
  readonly #heads: Heads;
  readonly #tables: number[][];
  #nextBlock: number;
  readonly #order: number[];

  /** Every sequence gets `maxBlocks` blocks, spread over the cache; block 0 is nobody's. */
  constructor(
    lab: Lab,
    rand: Rand,
    heads: Heads,
    block: number,
    sequences: number,
    maxBlocks: number,
  ) {
    this.#lab = lab;
    this.#heads = heads;
    const blocks = 1 + sequences * maxBlocks;
    const shape = [blocks, heads.Hk * block * heads.D];
    this.#order = shuffled(rand, Array.from({ length: blocks - 1 }, (_, i) => i + 1));
    this.#nextBlock = 0;
    this.#tables = Array.from({ length: sequences }, () => []);
    const blockTables = lab.alloc("i32", [sequences, maxBlocks]);
    this.cache = { k: lab.out(shape), v: lab.out(shape), blockTables, block };
  }

  /** Gives the sequence a new block and returns it. */
  grow(sequence: number): number {
    const block = this.#order[this.#nextBlock++];
    this.#tables[sequence].push(block);
    return block;
  }

  /** Lets `sequence` begin with the same blocks as `other`, as many as hold whole blocks of `positions`. */
  share(sequence: number, other: number, positions: number): void {
    this.#tables[sequence] = this.#tables[other].slice(0, Math.floor(positions / this.cache.block));
  }

  /** The block of a sequence that holds the position. */
  blockOf(sequence: number, position: number): number {
    return this.#tables[sequence][Math.floor(position / this.cache.block)];
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
      qkv: lab.put(host, [T, row]),
      positions: lab.put(Int32Array.from(rows, (r) => r?.at ?? inert)),
      rowSeq: lab.put(Int32Array.from(rows, (r) => r?.sequence ?? 0)),
      cache: this.cache,
      heads,
    };
    const out = lab.out([T, heads.H * heads.D]);
    ropeKvWrite(lab.stream, { ...args, cosSin: lab.put(cosSinTable(P, heads.D), [P, heads.D]) });
    attentionPaged(lab.stream, { ...args, out, scale });
    return { out: await lab.f32(out), qkv: await lab.f32(args.qkv) };
  }

  /** How many cache elements have been written. */
  async written(): Promise<{ k: number; v: number }> {
    const count = (x: Float32Array) => x.reduce((n, value) => n + Number(!Number.isNaN(value)), 0);
    return {
      k: count(await this.#lab.f32(this.cache.k)),
      v: count(await this.#lab.f32(this.cache.v)),
    };
  }
}

function inertRow(n: number): Float32Array {
  return Float32Array.from({ length: n }, (_, i) => i);
}

function shuffled<T>(rand: Rand, items: T[]): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = rand.int(0, i + 1);
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

/** What training computes for each sequence: rope, then attention over the packed batch. */
async function packedPass(lab: Lab, data: Sequences, heads: Heads): Promise<Float32Array[]> {
  const { row } = layout(heads), lengths = data.map((x) => x.length / row);
  const T = lengths.reduce((a, b) => a + b, 0), cu = Int32Array.of(0, ...lengths);
  lengths.forEach((_, i) => cu[i + 1] += cu[i]);
  const positions = Int32Array.from(lengths.flatMap((n) => Array.from({ length: n }, (_, t) => t)));
  const host = new Float32Array(T * row);
  data.forEach((x, b) => host.set(x, cu[b] * row));
  const qkv = lab.put(host, [T, row]), out = lab.out([T, heads.H * heads.D]);
  const cosSin = lab.put(cosSinTable(P, heads.D), [P, heads.D]);
  rope(lab.stream, { qkv, positions: lab.put(positions), cosSin, heads });
  attentionForward(lab.stream, { out, qkv, cuSeqlens: lab.put(cu), heads, scale });
  const all = await lab.f32(out), width = heads.H * heads.D;
  return lengths.map((n, b) => all.slice(cu[b] * width, (cu[b] + n) * width));
}

function sequencesOf(rand: Rand, lengths: number[], heads: Heads): Sequences {
  return lengths.map((n) => rand.normal(n * layout(heads).row));
}

for (
  const [heads, block, threads] of [
    [{ H: 1, Hk: 1, D: 16 }, 16, 1],
    [{ H: 4, Hk: 2, D: 32 }, 48, 2],
    [{ H: 12, Hk: 1, D: 16 }, 16, 3],
    [{ H: 6, Hk: 2, D: 48 }, 48, 3],
    [{ H: 7, Hk: 1, D: 64 }, 16, 2],
  ] as [Heads, number, number][]
) {
  const name = `(${heads.H}, ${heads.Hk}, ${heads.D}), blocks of ${block}, ${threads} threads`;
  testBackends(
    `paged attention ${name}: prefill and decode have the bits of training`,
    async (backend) => {
      using lab = await Lab.open({ backend, threads });
      await seeded(async (rand) => {
        const lengths = [1, 16, 17, 50, 90, 33], width = heads.H * heads.D, { row } = layout(heads);
        const data = sequencesOf(rand, lengths, heads);
        const expected = await packedPass(lab, data, heads);
        const run = new PagedRun(
          lab,
          rand,
          heads,
          block,
          lengths.length,
          Math.ceil(90 / block) + 1,
        );
        const done = lengths.map(() => 0);
        const prompts = lengths.map((n) => rand.int(0, n));
        while (done.some((n, i) => n < lengths[i])) {
          const rows: Row[] = Array(rand.int(0, 3)).fill(undefined);
          for (let sequence = 0; sequence < lengths.length; sequence++) {
            if (rand.uniform() < 0.3) continue;
            const left = prompts[sequence] - done[sequence];
            const wanted = left > 0 ? Math.min(left, rand.int(1, 40)) : 1;
            const n = Math.min(wanted, lengths[sequence] - done[sequence]);
            for (let i = 0; i < n; i++) rows.push({ sequence, at: done[sequence]++ });
          }
          if (rows.length === 0) continue;
          const batch = shuffled(rand, rows);
          const { out, qkv } = await run.step(batch, data);
          batch.forEach((r, t) => {
            const actual = out.subarray(t * width, (t + 1) * width);
            if (!r) {
              assertSameBits(actual, new Float32Array(width), "an inert row's output");
              assertSameBits(
                qkv.subarray(t * row, (t + 1) * row),
                inertRow(row),
                "an inert row's qkv",
              );
              return;
            }
            const at = r.at * width, wanted = expected[r.sequence].subarray(at, at + width);
            assertSameBits(actual, wanted, `sequence ${r.sequence}, position ${r.at}`);
          });
        }
        const elements = lengths.reduce((a, b) => a + b, 0) * heads.Hk * heads.D;
        assertEquals(await run.written(), { k: elements, v: elements });
      });
    },
  );
}

for (const block of [16, 48]) {
  testBackends(
    `paged attention: a prefix in blocks of ${block} is shared, copied on write`,
    async (backend) => {
      using lab = await Lab.open({ backend });
      await seeded(async (rand) => {
        const heads = { H: 4, Hk: 2, D: 32 }, { row } = layout(heads), width = heads.H * heads.D;
        const prefix = 2 * block + 5, length = prefix + 20;
        const [one, tail] = sequencesOf(rand, [length, length - prefix], heads);
        const two = new Float32Array(length * row);
        two.set(one.subarray(0, prefix * row));
        two.set(tail, prefix * row);
        const expected = await packedPass(lab, [one, two], heads);
        const run = new PagedRun(lab, rand, heads, block, 2, 4);
        await run.step(Array.from({ length: prefix }, (_, at) => ({ sequence: 0, at })), [
          one,
          two,
        ]);
        run.share(1, 0, prefix);
        const pairs = lab.put(Int32Array.of(run.blockOf(0, prefix), run.grow(1)), [1, 2]);
        kvCopyBlocks(lab.stream, { cache: run.cache, pairs, heads });
        for (let at = prefix; at < length; at++) {
          const { out } = await run.step([0, 1].map((sequence) => ({ sequence, at })), [one, two]);
          for (const s of [0, 1]) {
            const wanted = expected[s].subarray(at * width, (at + 1) * width);
            assertSameBits(out.subarray(s * width, (s + 1) * width), wanted, `${s} at ${at}`);
          }
        }
        const elements = (length + length - 2 * block) * heads.Hk * heads.D;
        assertEquals(await run.written(), { k: elements, v: elements });
      });
    },
  );
}

testBackends("kv_copy_blocks: copies the named blocks whole and nothing else", async (backend) => {
  using lab = await Lab.open({ backend });
  await seeded(async (rand) => {
    const heads = { H: 2, Hk: 2, D: 48 }, block = 32, size = heads.Hk * block * heads.D, blocks = 9;
    const pairs = shuffled(rand, Array.from({ length: blocks }, (_, i) => i)).slice(0, 6);
    const host = [rand.normal(blocks * size), rand.normal(blocks * size)];
    const [k, v] = host.map((x) => lab.put(x, [blocks, size]));
    kvCopyBlocks(lab.stream, {
      cache: { k, v, block },
      pairs: lab.put(Int32Array.from(pairs), [3, 2]),
      heads,
    });
    for (const x of host) {
      for (const i of [0, 2, 4]) {
        x.copyWithin(pairs[i + 1] * size, pairs[i] * size, (pairs[i] + 1) * size);
      }
    }
    assertSameBits(await lab.f32(k), host[0], "k_cache");
    assertSameBits(await lab.f32(v), host[1], "v_cache");
  });
});

testBackends("paged attention: wrong shapes, blocks and positions are named", async (backend) => {
  using lab = await Lab.open({ backend });
  const heads = { H: 2, Hk: 1, D: 16 };
  const cache = (block: number): PagedCache => {
    const [k, v] = [lab.zeros([3, block * 16]), lab.zeros([3, block * 16])];
    return { k, v, blockTables: lab.put(Int32Array.of(1, 2), [1, 2]), block };
  };
  const cosSin = lab.put(cosSinTable(P, 16), [P, 16]);
  const write = (block: number, position: number) => ({
    qkv: lab.zeros([1, 64]),
    positions: lab.put(Int32Array.of(position)),
    rowSeq: lab.put(Int32Array.of(0)),
    cosSin,
    cache: cache(block),
    heads,
  });
  const paged = { ...write(16, 32), out: lab.out([1, 32]), scale };
  assertThrows(
    () => ropeKvWrite(lab.stream, write(24, 0)),
    Error,
    "the KV block size must be a multiple of 16",
  );
  assertThrows(
    () => attentionPaged(lab.stream, { ...paged, rowSeq: lab.put(Int32Array.of(0, 0)) }),
    TypeError,
    "attention_paged: row_seq is i32[2], expected i32[1]",
  );
  const narrow = lab.zeros([3, 8]);
  assertThrows(
    () => attentionPaged(lab.stream, { ...paged, cache: { ...paged.cache, k: narrow, v: narrow } }),
    TypeError,
    "attention_paged: k_cache is f32[3, 8], expected f32[-1, 256]",
  );
  const pairs = lab.put(Int32Array.of(0, 1, 2));
  assertThrows(
    () => kvCopyBlocks(lab.stream, { cache: paged.cache, pairs, heads }),
    TypeError,
    "kv_copy_blocks: pairs is i32[3], expected i32[-1, 2]",
  );
  const beyond = "token 0 has position 32, but the block table ends at 32";
  attentionPaged(lab.stream, paged);
  await assertRejects(() => lab.stream.sync(), Error, beyond);
  ropeKvWrite(lab.stream, write(16, 32));
  await assertRejects(() => lab.stream.sync(), Error, beyond);
  ropeKvWrite(lab.stream, { ...write(16, 3), cosSin: cosSin.rows(3) });
  await assertRejects(
    () => lab.stream.sync(),
    Error,
    "token 0 has position 3, but cos_sin ends at 3",
  );
});
