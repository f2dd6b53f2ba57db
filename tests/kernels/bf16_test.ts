/**
 * Weights packed as bfloat16 are rounded once and widened exactly, so every op must give the very bits
 * that it gives with float32 tokenWeights that hold the rounded numbers.
 */
import { assertEquals, assertThrows } from "@std/assert";
import {
  crossEntropyLoss,
  linearBackwardInput,
  linearForward,
  lmHeadLogprobs,
  lmHeadSample,
  packedBytes,
  type PackedWeight,
  stat,
  type Tensor,
} from "../../ffi/mod.ts";
import { fromF32, toF32 } from "../../src/model/dtype.ts";
import { assertSameBits, Lab, seeded } from "../native.ts";
import { packWeight, putHead, randomHead } from "./head_reference.ts";

/** The nearest bfloat16 numbers. */
function rounded(x: Float32Array): Float32Array<ArrayBuffer> {
  const out = new Float32Array(x.length);
  toF32(fromF32(x, "BF16"), "BF16", out);
  return out;
}

/** Downloads the results of `run` with bfloat16 tokenWeights, and with float32 tokenWeights rounded beforehand. */
async function both(
  lab: Lab,
  run: (dtype: PackedWeight["dtype"]) => Record<string, Tensor>,
): Promise<void> {
  const narrow = run("bf16"), wide = run("f32");
  for (const [name, tensor] of Object.entries(narrow)) {
    assertSameBits(await lab.f32(tensor), await lab.f32(wide[name]), name);
  }
}

for (const [M, N, K] of [[1, 1, 1], [1, 33, 70], [9, 31, 65], [29, 130, 40], [40, 70, 2100]]) {
  Deno.test(`bf16 linear (${M}, ${N}, ${K}): the bits of float32 with rounded tokenWeights`, async () => {
    using lab = await Lab.open();
    await seeded(async (rand) => {
      const [w, x, dy] = [rand.normal(N * K), rand.normal(M * K), rand.normal(M * N)];
      const [bias, dx0] = [lab.put(rand.normal(N)), rand.normal(M * K)];
      await both(lab, (dtype) => {
        const packed = packWeight(lab, dtype === "bf16" ? w : rounded(w), N, K, dtype);
        const y = lab.out([M, N]), dx = lab.put(dx0, [M, K]);
        linearForward(lab.stream, { y, x: lab.put(x, [M, K]), w: packed, bias });
        linearBackwardInput(lab.stream, {
          dx,
          dy: lab.put(dy, [M, N]),
          w: packed,
          accumulate: true,
        });
        return { y, dx };
      });
    });
  });
}

Deno.test("bf16 linear: ties go to even, large numbers to infinity, small ones keep their bits", async () => {
  using lab = await Lab.open();
  const bits = [0x3f808000, 0x3f818000, 0x3f807fff, 0x3f808001, 0x7f7fffff, 0x00018000, 0xc0490fdb];
  const w = new Float32Array(Uint32Array.from(bits).buffer), N = w.length;
  const y = lab.out([1, N]);
  linearForward(lab.stream, {
    y,
    x: lab.put(Float32Array.of(1), [1, 1]),
    w: packWeight(lab, w, N, 1, "bf16"),
  });
  const out = new Uint32Array((await lab.f32(y)).buffer);
  const expected = [0x3f80, 0x3f82, 0x3f80, 0x3f81, 0x7f80, 0x0002, 0xc049].map((b) => b * 2 ** 16);
  assertEquals([...out], expected);
});

Deno.test("bf16 head: log-probs, samples, losses and gradients of float32 with rounded tokenWeights", async () => {
  using lab = await Lab.open();
  await seeded(async (rand) => {
    for (const [T, C, V] of [[1, 5, 3], [19, 20, 1100], [6, 33, 4200]]) {
      const head = randomHead(rand, [T, C, V]), tokenWeights = lab.put(rand.normal(T));
      const targets = lab.put(rand.ints(T, 0, V)), keys = lab.put(rand.ints(4 * T, 0, 99), [T, 4]);
      await both(lab, (dtype) => {
        const w = dtype === "bf16" ? head.w : rounded(head.w);
        const on = putHead(lab, { ...head, w }, 8, dtype);
        const [logprobs, scored] = [lab.out([T]), lab.out([T])];
        lmHeadLogprobs(lab.stream, { ...on, logprobs, targets, temperature: 0.7 });
        const [tokens, sampled] = [lab.out([T], "i32"), lab.out([T])];
        lmHeadSample(lab.stream, {
          ...on,
          tokens,
          logprobs: sampled,
          sampling: lab.put(Float32Array.from({ length: 3 * T }, (_, i) => [1, 1, 0][i % 3]), [
            T,
            3,
          ]),
          keys,
          positions: lab.put(Int32Array.from({ length: T }, (_, i) => i)),
        });
        const [stats, dh, dw] = [lab.zeros([stat.count]), lab.out([T, C]), lab.zeros([V, C])];
        crossEntropyLoss(lab.stream, {
          ...on,
          stats,
          logprobs: scored,
          dh,
          dw,
          targets,
          tokenWeights,
        });
        return { logprobs, sampled, scored, stats, dh, dw };
      });
    }
  });
});

Deno.test("bf16 tokenWeights take half the bytes; a type that is none is refused", async () => {
  using lab = await Lab.open();
  assertEquals(2 * packedBytes(lab.device, 33, 7, "bf16"), packedBytes(lab.device, 33, 7, "f32"));
  const dtype = "i32" as PackedWeight["dtype"];
  assertThrows(() => packedBytes(lab.device, 33, 7, dtype), Error, "float32 or bfloat16");
});
