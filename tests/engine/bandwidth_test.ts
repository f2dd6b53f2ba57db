import { assert, assertEquals } from "@std/assert";
import { Bandwidth, measureBandwidth, probeFloats } from "../../src/engine/mod.ts";
import { Lab } from "../native.ts";

Deno.test("bandwidth: a plausible number, and nothing stays allocated", async () => {
  using lab = await Lab.open();
  const rate = await measureBandwidth(lab.stream);
  assert(rate > 1e8 && rate < 1e14, `${rate} bytes a second`);
  assert(lab.device.allocatedBytes === 0);
});

Deno.test("bandwidth: the best of a run's measurements, so that load at one of them does not count", async () => {
  using lab = await Lab.open();
  const { stream } = lab, sync = stream.sync.bind(stream);
  let now = 0;
  const bandwidth = new Bandwidth(stream, () => now);
  // A busy machine: every look at the result comes late.
  stream.sync = async () => {
    await new Promise((wake) => setTimeout(wake, 60));
    await sync();
  };
  await bandwidth.measure();
  const busy = bandwidth.best;
  assert(busy > 0 && busy < 4 * probeFloats / 0.06);
  stream.sync = sync;
  await bandwidth.measure();
  assertEquals(bandwidth.best, busy, "not again so soon");
  now += 60_000;
  await bandwidth.measure();
  const idle = bandwidth.best;
  assert(idle > busy, `${idle} after ${busy}`);
  stream.sync = () => new Promise((wake) => setTimeout(wake, 60));
  now += 60_000;
  await bandwidth.measure();
  assertEquals(bandwidth.best, idle, "a later one that is worse changes nothing");
});

Deno.test("bandwidth: memory that is there is read, and no other allocated", async () => {
  using lab = await Lab.open();
  using there = lab.device.alloc("f32", [probeFloats]);
  const alloc = lab.device.alloc.bind(lab.device), sizes: number[] = [];
  lab.device.alloc = (dtype, shape) => {
    sizes.push(shape[0]);
    return alloc(dtype, shape);
  };
  await measureBandwidth(lab.stream, there.tensor);
  assertEquals(sizes, [1]);
  await measureBandwidth(lab.stream, there.tensor.view(0, [8]));
  assertEquals(sizes, [1, probeFloats + 1], "so few would fit a cache");
});
