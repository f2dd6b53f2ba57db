import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import * as attention from "../../bench/attention_bench.ts";
import { type Case, interleave, measure, median, Runner } from "../../bench/harness.ts";
import { cases as head } from "../../bench/head_bench.ts";
import { cases as layers } from "../../bench/layers_bench.ts";
import * as linear from "../../bench/linear_bench.ts";
import { cases as losses } from "../../bench/losses_bench.ts";
import { parseCacheSize } from "../../bench/machine.ts";
import { adamwStep, cases as optimizer } from "../../bench/optimizer_bench.ts";
import { type Peak, PeakProcess } from "../../bench/peak.ts";
import { formatRate, formatShare, formatTable, resultPath } from "../../bench/report.ts";
import { Workbench } from "../../bench/workbench.ts";

/** A machine of known speed, which counts how often it was asked. */
class FakePeak implements Peak {
  asked = { fma: 0, read: 0 };
  constructor(readonly speed: { fma: number; read: number }) {}
  fma(): Promise<number> {
    this.asked.fma++;
    return Promise.resolve(this.speed.fma);
  }
  read(): Promise<number> {
    this.asked.read++;
    return Promise.resolve(this.speed.read);
  }
}

const small: Case[] = [
  linear.forward(3, { layer: "small", N: 40, K: 24 }),
  linear.backwardInput(5, { layer: "small", N: 40, K: 24 }),
  linear.backwardWeight(5, { layer: "small", N: 40, K: 24 }),
  attention.forward(2, 20),
  attention.backward(2, 20),
  attention.decode(3, 32),
];

Deno.test("measure: rate, share and bound of a case fit together", async () => {
  using bench = await Workbench.open({ poolBytes: 1 << 20 });
  for (const each of small) {
    for (const bound of ["fma", "read"] as const) {
      const peak = new FakePeak(bound === "fma" ? { fma: 1, read: 1e12 } : { fma: 1e15, read: 1 });
      const got = await measure(bench, peak, each, { rounds: 6, seconds: 1e-4, limit: 60 });
      assertEquals([got.op, got.shape, got.bound, got.peak], [each.op, each.shape, bound, 1]);
      const work = bound === "fma" ? each.flops : each.bytes;
      assert(Math.abs(got.rate * got.microseconds / 1e6 / work - 1) < 1e-6, `rate ${got.rate}`);
      assert(got.share > 0 && got.calls >= 1 && got.slices === 6);
      assertEquals(peak.asked[bound], 9 + 7); // nine times for the balance, then around each slice
    }
  }
});

Deno.test("interleave: a machine that slows down for a while changes no share", async () => {
  let speed = 4, asked = 0;
  const peak: Peak = {
    fma: () => Promise.resolve(speed = asked++ % 8 < 3 ? 1 : 4),
    read: () => Promise.resolve(1e9),
  };
  const options = { rounds: 15, limit: 60 };
  const got = await interleave(peak, { flops: 10, bytes: 0 }, options, () => {
    return Promise.resolve(10 / (0.5 * speed));
  });
  assertEquals([got.bound, got.share, got.slices], ["fma", 0.5, 15]);
  const brief = { rounds: 15, limit: 0 };
  const some = await interleave(peak, { flops: 0, bytes: 8 }, brief, () => Promise.resolve(1));
  assertEquals([some.bound, some.slices], ["read", 5]);
});

Deno.test("measure: a case's tensors and graph are gone afterwards", async () => {
  using bench = await Workbench.open({ poolBytes: 1 << 20 });
  const peak = new FakePeak({ fma: 1, read: 1 });
  const [, backward] = small;
  const before = bench.device.allocatedBytes;
  await measure(bench, peak, backward, { rounds: 1, seconds: 0, limit: 60 });
  assertEquals(bench.device.allocatedBytes, before);
  const runner = await Runner.prepare(bench, backward, 0);
  bench.reset();
  await assertRejects(() => runner.round(), Error, "the graph is closed");
});

Deno.test("workbench: cold tensors go round the pool, and nothing is read twice on the way", async () => {
  using bench = await Workbench.open({ poolBytes: 4096 });
  const addresses = Array.from({ length: 9 }, () => bench.cold(256).address);
  assertEquals(new Set(addresses.slice(0, 4)).size, 4);
  assertEquals(addresses.slice(4, 8), addresses.slice(0, 4));
  assert(!addresses.includes(bench.sink(256).address));
});

/** A call that writes the next part of the pool. */
function walk(size: number, seen: bigint[]): Case {
  const setup: Case["setup"] = (bench) => () => {
    const part = bench.cold(size);
    seen.push(part.address);
    bench.stream.fill(part, 1);
  };
  return { op: "walk", shape: `${size}`, flops: 0, bytes: 4 * size, setup };
}

Deno.test("runner: a round replays what was recorded once, and that walks through all cold memory", async () => {
  using bench = await Workbench.open({ poolBytes: 64 * 4096 });
  const seen: bigint[] = [];
  const runner = await Runner.prepare(bench, walk(1024, seen), 0.005);
  assert(runner.calls >= 64, `${runner.calls} calls`);
  assertEquals(new Set(seen.slice(-runner.calls)).size, 64);
  const recorded = seen.length;
  await runner.round();
  assertEquals(seen.length, recorded);
});

Deno.test("runner: as many calls as last the time asked for, once the launch no longer counts", async () => {
  using bench = await Workbench.open({ poolBytes: 1 << 20 });
  const [few, many] = [0, 0.005];
  assertEquals((await Runner.prepare(bench, walk(1 << 18, []), few)).calls, 1);
  const { calls } = await Runner.prepare(bench, walk(256, []), many);
  assert(calls > 1000, `${calls} calls of 256 stores last 5 ms?`);
});

Deno.test("cases: every case counts its work and has a name of its own", () => {
  const all = [
    ...linear.cases,
    ...attention.cases,
    ...head,
    ...layers,
    ...losses,
    ...optimizer,
  ];
  assertEquals(new Set(all.map(({ op, shape }) => `${op} ${shape}`)).size, all.length);
  for (const { op, flops, bytes } of all) assert(flops >= 0 && bytes > 0, op);
  assertEquals(linear.forward(2, { layer: "x", N: 3, K: 5 }).flops, 2 * 2 * 3 * 5);
  assertEquals(adamwStep(1).bytes, 28e6);
});

Deno.test("peak: the native program measures both peaks", async () => {
  await using peak = await PeakProcess.start(2, 16 << 20);
  const [fma, read, again] = [await peak.fma(), await peak.read(), await peak.fma()];
  assert(fma > 1e8 && again > 1e8, `${fma} and ${again} FLOP/s`);
  assert(read > 1e8 && read < 1e13, `${read} bytes/s`);
});

Deno.test("median: of odd and even numbers of values", () => {
  assertEquals(median([5]), 5);
  assertEquals(median([9, 1, 5]), 5);
  assertEquals(median([4, 1, 9, 2]), 3);
});

Deno.test("report: tables, rates, shares, paths", () => {
  assertEquals(
    formatTable(["op", "shape", "µs"], [["gae", "8", "1.5"], ["norm", "16", "22"]]),
    "op    shape   µs\n----  -----  ---\ngae   8      1.5\nnorm  16      22",
  );
  assertEquals(formatRate(1.234e11, "fma"), "123 GFLOP/s");
  assertEquals(formatRate(1.5e10, "read"), "15.0 GB/s");
  assertEquals(formatShare(0.826), "83 %");
  const path = resultPath("kernels", new Date("2026-03-04T05:06:07Z"));
  assertEquals(path, "bench/results/kernels-2026-03-04.json");
});

Deno.test("machine: cache sizes as Linux writes them", () => {
  assertEquals(["48K\n", "32M", "1G", "512"].map(parseCacheSize), [49152, 2 ** 25, 2 ** 30, 512]);
  assertThrows(() => parseCacheSize("many"), Error, "not a cache size: many");
});
