/** The whole trainer on the CUDA kernels, run by the emulator: bfloat16, a model as small as they allow. */
import { assert, assertEquals } from "@std/assert";
import { Device } from "../../ffi/mod.ts";
import { loadDecoder, packBatch } from "../../src/model/mod.ts";
import { train } from "../../src/train/train.ts";
import { backends, Rand } from "../native.ts";
import { smallConfig, TempDir, timeless } from "./small.ts";

const config = smallConfig({
  device: "emu",
  shape: {
    hidden: 64,
    ffn: 128,
    layers: 2,
    heads: 2,
    kvHeads: 1,
    headDim: 64,
    maxPositions: 256,
  },
  budgets: { fast: 3, verify: 6, slow: 6, summary: 3, answer: 6 },
  steps: 2,
  evalEvery: 10,
  evalProblems: 2,
  engine: { maxSequences: 16, cacheTokens: 16 * 256, prefillChunk: 512, stepsPerSync: 4 },
  warmstart: { steps: 2, batch: 2 },
  ppo: { questions: 4, samples: 4 },
});

/** Logits `(T, V)` of packed sequences, the head's product in float64. */
async function logits(backend: "cpu" | "emu", dir: string, sequences: number[][]) {
  using device = await Device.open(backend);
  using stream = device.stream();
  using decoder = loadDecoder(stream, dir, { head: "lm", train: false });
  const T = sequences.reduce((total, { length }) => total + length, 0);
  using arena = device.arena(decoder.activationBytes(T, { train: false }));
  const batch = packBatch(stream, arena, sequences);
  const { hidden } = decoder.forward(stream, arena, batch, { keep: false });
  const { head } = decoder.params.master;
  const weights = await stream.download(head, new Float32Array(head.size));
  const states = new Float32Array(hidden.size);
  if (hidden.dtype === "f32") await stream.download(hidden, states);
  else {
    const halves = await stream.download(hidden, new Uint16Array(hidden.size));
    new Uint32Array(states.buffer).set(Uint32Array.from(halves, (bits) => bits << 16));
  }
  const [V, C] = head.shape;
  return Float64Array.from({ length: T * V }, (_, i) => {
    let sum = 0;
    const t = Math.floor(i / V), v = i % V;
    for (let c = 0; c < C; c++) sum += states[t * C + c] * weights[v * C + c];
    return sum;
  });
}

async function trainOnEmulator(): Promise<void> {
  await using dir = await TempDir.make();
  const out = `${dir.path}/run`;
  await train(config, { out });
  const metrics = await timeless(out);
  assertEquals(metrics.map(({ step }) => step), [0, 1, 2]);
  for (const line of metrics.slice(1)) {
    assertEquals(line["rollout/logprob_gap_max"], 0);
    assert(Number.isFinite(line["ppo/value_loss"]) && line["ppo/grad_norm"] > 0);
  }
  const rand = new Rand();
  const sequences = [70, 1, 33].map((length) => [...rand.ints(length, 0, 256)]);
  const model = `${out}/checkpoints/step-2`;
  const [exact, actual] = [
    await logits("cpu", model, sequences),
    await logits("emu", model, sequences),
  ];
  const spread = exact.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  assert(spread > 0.1, `logits up to ${spread}`);
  exact.forEach((x, i) => {
    const message = `logit ${i}: ${actual[i]} instead of ${x}, seed ${rand.seed}`;
    assert(Math.abs(actual[i] - x) <= 2e-2, message);
  });
}

if (backends.includes("emu")) {
  Deno.test(
    "emu: two PPO steps are exactly on-policy, and the model agrees with the CPU backend",
    trainOnEmulator,
  );
}
