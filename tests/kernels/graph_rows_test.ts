import {
  embeddingForward,
  linearForward,
  linearPack,
  packedBytes,
  rmsnormForward,
  swigluForward,
} from "../../ffi/mod.ts";
import { assertEquals, assertRejects } from "@std/assert";
import { assertSameBits, Lab, Rand, testBackends } from "../native.ts";
import { assertSameForAnyThreads } from "./threads.ts";

/** A block of a decoder without its attention: every row is independent of the others. */
function block(lab: Lab, rand: Rand, T: number) {
  const { device, stream } = lab, C = 24, F = 40, V = 50;
  const weight = (N: number, K: number) => {
    const packed = { data: lab.alloc("u8", [packedBytes(device, N, K, "f32")]), N, K };
    const w = { ...packed, dtype: "f32" } as const;
    linearPack(stream, w, lab.put(rand.normal(N * K, 0.3), [N, K]));
    return w;
  };
  const table = lab.put(rand.normal(V * C), [V, C]), norm = lab.put(rand.normal(C));
  const up = weight(2 * F, C), down = weight(C, F);
  const ids = lab.put(rand.ints(T, -1, V));
  const x = lab.out([T, C]), y = lab.out([T, C]), gateUp = lab.out([T, 2 * F]);
  const act = lab.out([T, F]);
  const run = () => {
    embeddingForward(stream, { out: x, ids, table });
    for (let layer = 0; layer < 3; layer++) {
      rmsnormForward(stream, { y, x, w: norm, eps: 1e-6 });
      linearForward(stream, { y: gateUp, x: y, w: up });
      swigluForward(stream, { y: act, gateUp });
      linearForward(stream, { y: x, x: act, w: down, accumulate: true });
    }
  };
  return { ids, x, run };
}

for (const T of [1, 63, 64, 97, 131, 200]) {
  testBackends(`graph: ${T} rows have the bits that they have without one`, async (backend) => {
    const seed = new Rand().seed;
    await assertSameForAnyThreads(backend, async (lab) => {
      const { x, run } = block(lab, new Rand(seed), T);
      run();
      const alone = await lab.f32(x);
      using graph = lab.stream.record(run);
      lab.stream.fill(x, NaN);
      lab.stream.launch(graph);
      assertSameBits(await lab.f32(x), alone, `seed ${seed}`);
      return [alone];
    });
  });
}

for (const bad of [3, 190]) {
  Deno.test(`graph: a bad id in row ${bad} of 200 is named, whoever reads it`, async () => {
    using lab = await Lab.open({ threads: 3 });
    const { ids, x, run } = block(lab, new Rand(1), 200);
    using graph = lab.stream.record(run);
    const host = await lab.i32(ids);
    lab.stream.upload(ids, host.with(bad, 50));
    lab.stream.launch(graph);
    const message = `token ${bad} has id 50, but the table has 50 rows`;
    await assertRejects(() => lab.f32(x), Error, message);
    lab.stream.upload(ids, host);
    lab.stream.launch(graph);
    assertEquals((await lab.f32(x)).some(Number.isNaN), false);
  });
}
