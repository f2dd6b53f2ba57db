import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import * as attention from "../../bench/attention_bench.ts";
import { allCases } from "../../bench/cases.ts";
import { fullShapes, gpuPoolBytes, gpuSizes, microShapes } from "../../bench/gpu/sizes.ts";
import { type Case, interleave, measure, median, Runner } from "../../bench/harness.ts";
import * as linear from "../../bench/linear_bench.ts";
import { parseCacheSize } from "../../bench/machine.ts";
import { adamwStep } from "../../bench/optimizer_bench.ts";
import { type Peak, PeakProcess } from "../../bench/peak.ts";
import {
  formatMeasurements,
  formatRate,
  formatShare,
  formatTable,
  resultPath,
} from "../../bench/report.ts";
import { cpuSizes } from "../../bench/sizes.ts";
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

const layer = {
  model: { ...cpuSizes.model, heads: 4, kvHeads: 2, headDim: 16 },
  dtype: "f32",
} as const;
const shape = { layer: "small", N: 40, K: 24 };
const small: Case[] = [
  linear.forward(3, shape, { dtype: "f32", weights: "f32" }),
  linear.forward(3, shape, { dtype: "f32", weights: "bf16" }),
  linear.backwardInput(5, shape, layer),
  linear.backwardWeight(5, shape, layer),
  attention.forward(2, 20, layer),
  attention.backward(2, 20, layer),
  attention.decode(3, 32, layer),
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
  const [backward] = small.slice(-2);
  const before = bench.device.allocatedBytes;
  await measure(bench, peak, backward, { rounds: 1, seconds: 0, limit: 60 });
  assertEquals(bench.device.allocatedBytes, before);
  const runner = await Runner.prepare(bench, backward, 0);
  bench.reset();
  await assertRejects(() => runner.round(), Error, "the graph is closed");
});

Deno.test("workbench: cold tensors go round the pool, and nothing is read twice on the way", async () => {
  using bench = await Workbench.open({ poolBytes: 4096 });
  const addresses = Array.from({ length: 9 }, () => bench.cold("bf16", 512).address);
  assertEquals(new Set(addresses.slice(0, 4)).size, 4);
  assertEquals(addresses.slice(4, 8), addresses.slice(0, 4));
  assert(!addresses.includes(bench.sink("f32", 256).address));
  assertThrows(
    () => bench.cold("u8", 4097),
    RangeError,
    "4097 bytes do not fit into a pool of 4096",
  );
  assertThrows(() => bench.reserve(8192), Error, "the pools are in use already");
});

/** A call that writes the next part of the pool. */
function walk(size: number, seen: bigint[]): Case {
  const setup: Case["setup"] = (bench) => () => {
    const part = bench.cold("f32", size);
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

Deno.test("workbench: random memory holds small numbers in either type", async () => {
  using bench = await Workbench.open({ poolBytes: 4096 });
  const f32 = await bench.stream.download(bench.random("f32", 5, 7), new Float32Array(35));
  const bf16 = await bench.stream.download(bench.random("bf16", 5, 7), new Uint16Array(35));
  const widened = new Float32Array(Uint32Array.from(bf16, (b) => b << 16).buffer);
  for (const values of [f32, widened]) {
    assert(values.every((v) => v !== 0 && Math.abs(v) <= 0.05) && new Set(values).size > 15);
  }
});

Deno.test("cases: on every device each counts its work and has a name of its own", () => {
  for (const sizes of [cpuSizes, gpuSizes(fullShapes), gpuSizes(microShapes)]) {
    const all = allCases(sizes);
    assertEquals(new Set(all.map(({ op, shape }) => `${op} ${shape}`)).size, all.length);
    for (const { op, flops, bytes } of all) assert(flops >= 0 && bytes > 0, op);
  }
  const types = { dtype: "f32", weights: "bf16" } as const;
  const mixed = linear.forward(2, { layer: "x", N: 3, K: 5 }, types);
  assertEquals([mixed.flops, mixed.bytes, mixed.peer], [60, 2 * 15 + 4 * 16, undefined]);
  assertEquals(adamwStep(1e6).bytes, 28e6);
  assert(gpuPoolBytes(fullShapes) >= 4 * gpuSizes(fullShapes).parameters);
});

Deno.test("peak: the native program measures both peaks", async () => {
  await using peak = await PeakProcess.start(2, 16 << 20);
  let fma = 0, read = 0; // the best of some: other work only lowers them
  for (let i = 0; i < 5; i++) {
    fma = Math.max(fma, await peak.fma());
    read = Math.max(read, await peak.read());
  }
  assert(fma > 1e8 && fma < 1e15, `${fma} FLOP/s`);
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
  assertEquals(formatRate(9.999e11, "read"), "1.00 TB/s");
  assertEquals(formatRate(4.125e14, "fma"), "413 TFLOP/s");
  const row = {
    op: "gae",
    shape: "8",
    microseconds: 4.1,
    bound: "read",
    slices: 5,
    calls: 9,
  } as const;
  assertEquals(
    formatMeasurements([{ ...row, rate: 8e9, peak: 1e10, share: 0.8, tokensPerSecond: 1234.5 }]),
    "op   shape     µs       rate       peak  share  tokens/s\n" +
      "---  -----  -----  ---------  ---------  -----  --------\n" +
      "gae  8      4.100  8.00 GB/s  10.0 GB/s   80 %     1,235",
  );
  assertEquals(formatShare(0.826), "83 %");
  const path = resultPath("kernels", new Date("2026-03-04T05:06:07Z"));
  assertEquals(path, "bench/results/kernels-2026-03-04.json");
});

Deno.test("machine: cache sizes as Linux writes them", () => {
  assertEquals(["48K\n", "32M", "1G", "512"].map(parseCacheSize), [49152, 2 ** 25, 2 ** 30, 512]);
  assertThrows(() => parseCacheSize("many"), Error, "not a cache size: many");
});
