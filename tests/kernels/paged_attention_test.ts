import {
  attentionPaged,
  type Heads,
  kvCopyBlocks,
  type PagedCache,
  ropeKvWrite,
} from "../../ffi/mod.ts";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { assertSameBits, Lab, seeded, testBackends } from "../native.ts";
import { cosSinTable, layout } from "./attention_reference.ts";
import {
  inertRow,
  P,
  packedPass,
  PagedRun,
  type Row,
  scale,
  sequencesOf,
  shuffled,
} from "./paged_run.ts";
import { testBf16, testPrecisions } from "./precision.ts";

for (
  const [heads, tiles, threads] of [
    [{ H: 1, Hk: 1, D: 16 }, 1, 1],
    [{ H: 4, Hk: 2, D: 32 }, 3, 2],
    [{ H: 12, Hk: 1, D: 16 }, 1, 3],
    [{ H: 6, Hk: 2, D: 48 }, 3, 3],
    [{ H: 7, Hk: 1, D: 64 }, 1, 2],
    [{ H: 2, Hk: 1, D: 128 }, 1, 2],
  ] as [Heads, number, number][]
) {
  const name =
    `(${heads.H}, ${heads.Hk}, ${heads.D}), blocks of ${tiles} tiles, ${threads} threads`;
  testPrecisions(
    `paged attention ${name}: prefill and decode have the bits of training`,
    async (backend, dtype) => {
      using lab = await Lab.open({ backend, threads });
      const block = tiles * lab.device.info.kvTile;
      await seeded(async (rand) => {
        const lengths = [1, 16, 17, 50, 90, 33], width = heads.H * heads.D, { row } = layout(heads);
        const data = sequencesOf(rand, lengths, heads, dtype);
        const expected = await packedPass(lab, data, heads, dtype);
        const run = new PagedRun(
          lab,
          rand,
          heads,
          dtype,
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

for (const tiles of [1, 3]) {
  testPrecisions(
    `paged attention: a prefix in blocks of ${tiles} tiles is shared, copied on write`,
    async (backend, dtype) => {
      using lab = await Lab.open({ backend });
      const block = tiles * lab.device.info.kvTile;
      await seeded(async (rand) => {
        const heads = { H: 4, Hk: 2, D: 32 }, { row } = layout(heads), width = heads.H * heads.D;
        const prefix = 2 * block + 5, length = prefix + 20;
        const [one, tail] = sequencesOf(rand, [length, length - prefix], heads, dtype);
        const two = new Float32Array(length * row);
        two.set(one.subarray(0, prefix * row));
        two.set(tail, prefix * row);
        const expected = await packedPass(lab, [one, two], heads, dtype);
        const run = new PagedRun(lab, rand, heads, dtype, block, 2, 4);
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

/** Contexts of more than one chunk of keys, in runs of rows and alone, on every path of the kernels. */
for (const D of [32, 64, 128]) {
  testBf16(
    `paged attention, head_dim ${D}: long contexts have the bits of training`,
    async (backend) => {
      using lab = await Lab.open({ backend });
      await seeded(async (rand) => {
        const heads = { H: 3, Hk: 1, D }, width = heads.H * heads.D;
        const lengths = [1040, 513, 70], data = sequencesOf(rand, lengths, heads, "bf16");
        const expected = await packedPass(lab, data, heads, "bf16");
        const check = (rows: Row[], out: Float32Array) =>
          rows.forEach((r, t) => {
            const actual = out.subarray(t * width, (t + 1) * width), at = r!.at * width;
            const wanted = expected[r!.sequence].subarray(at, at + width);
            assertSameBits(actual, wanted, `sequence ${r!.sequence}, position ${r!.at}`);
          });
        const rowsOf = (sequence: number, begin: number, end: number): Row[] =>
          Array.from({ length: end - begin }, (_, i) => ({ sequence, at: begin + i }));
        const run = new PagedRun(lab, rand, heads, "bf16", 128, 3, 10);
        // One launch of long and short runs, many rows; then the same rows scattered; then few rows.
        const steps = [
          [...rowsOf(1, 0, 3), ...rowsOf(0, 0, 700), ...rowsOf(1, 3, 68)],
          shuffled(rand, [...rowsOf(0, 100, 650), ...rowsOf(1, 0, 68)]),
          [...rowsOf(0, 700, 730), ...rowsOf(2, 0, 70), ...rowsOf(1, 68, 500)],
          ...[730, 731].map((at) => [{ sequence: 0, at }, { sequence: 1, at: at - 230 }]),
          rowsOf(1, 502, 513),
          [...rowsOf(0, 732, 1020), ...rowsOf(1, 511, 513)],
          rowsOf(0, 1020, 1040),
        ];
        for (const rows of steps) check(rows, (await run.step(rows, data)).out);
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
      cache: { k, v, blockSize: block },
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
  const heads = { H: 2, Hk: 1, D: 16 }, tile = lab.device.info.kvTile;
  const cache = (block: number): PagedCache => {
    const [k, v] = [lab.zeros([3, block * 16]), lab.zeros([3, block * 16])];
    return { k, v, blockTables: lab.put(Int32Array.of(1, 2), [1, 2]), blockSize: block };
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
  const paged = { ...write(tile, 2 * tile), out: lab.out([1, 32]), scale };
  assertThrows(
    () => ropeKvWrite(lab.stream, write(tile + 8, 0)),
    Error,
    `the KV block size must be a multiple of ${tile}`,
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
    `attention_paged: k_cache is f32[3, 8], expected f32[-1, ${tile * 16}]`,
  );
  const pairs = lab.put(Int32Array.of(0, 1, 2));
  assertThrows(
    () => kvCopyBlocks(lab.stream, { cache: paged.cache, pairs, heads }),
    TypeError,
    "kv_copy_blocks: pairs is i32[3], expected i32[-1, 2]",
  );
  const beyond = `token 0 has position ${2 * tile}, but the block table ends at ${2 * tile}`;
  attentionPaged(lab.stream, paged);
  await assertRejects(() => lab.stream.sync(), Error, beyond);
  ropeKvWrite(lab.stream, write(tile, 2 * tile));
  await assertRejects(() => lab.stream.sync(), Error, beyond);
  ropeKvWrite(lab.stream, { ...write(tile, 3), cosSin: cosSin.rows(3) });
  await assertRejects(
    () => lab.stream.sync(),
    Error,
    "token 0 has position 3, but cos_sin ends at 3",
  );
});
