import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Arena, Device } from "../../ffi/mod.ts";
import { UserError } from "../../src/base/errors.ts";
import type { Decoder } from "../../src/model/mod.ts";
import { actionsOf, type Pack, pack, Passes, type Sample } from "../../src/ppo/mod.ts";
import { assertClose, assertSameBits, Lab, Rand, seeded, testBackends } from "../native.ts";
import { rollOut, toyDecoder } from "./toy.ts";

const lossOptions = {
  temperature: 0.9,
  clipLow: 0.2,
  clipHigh: 0.2,
  entropyCoefficient: 0.01,
  klCoefficient: 0.1,
  klEstimator: 3,
} as const;

/** Random samples; every token but the first is an action. */
function randomSamples(rand: Rand, lengths: readonly number[], vocab: number): Sample[] {
  return lengths.map((length) => ({
    ids: rand.ints(length, 0, vocab),
    spans: [{ start: 1, length: length - 1 }],
  }));
}

/** What the losses compare with, for n actions: near what a random model says. */
function targets(lab: Lab, rand: Rand, n: number) {
  const around = (mean: number) => lab.put(rand.normal(n, 0.3).map((x) => x + mean));
  return {
    advantages: lab.put(rand.normal(n)),
    oldLogprobs: around(-2.5),
    oldValues: around(0),
    returns: around(0.5),
  };
}

Deno.test("passes: log-probs of a training pass equal the sampler's bit by bit, however packed", async () => {
  using lab = await Lab.open();
  using actor = toyDecoder(lab, "lm");
  for (const temperature of [1, 0.8]) {
    const samples = await rollOut(lab, actor, { sampling: { temperature, topP: 1, topK: 0 } });
    const sampled = samples.flatMap(({ episode }) => episode.segments.flatMap((s) => s.logprobs));
    const longest = Math.max(...samples.map(({ ids }) => ids.length));
    for (const packTokens of [longest, 2 * longest, 4096]) {
      using passes = new Passes(lab.stream, [actor], packTokens);
      const parts: number[] = [];
      for (const each of pack(samples, packTokens)) {
        parts.push(...await passes.logprobs(actor, each, temperature));
      }
      assert(sampled.length > 50);
      assertSameBits(
        Float32Array.from(parts),
        Float32Array.from(sampled),
        `packs of ${packTokens}`,
      );
    }
  }
});

/** Gradients of all parameters, which are cleared. */
async function takeGradients(lab: Lab, decoder: Decoder): Promise<Float32Array> {
  const { flat } = decoder.params.grads!;
  const gradients = await lab.f32(flat);
  lab.stream.fill(flat, 0);
  return gradients;
}

Deno.test("passes: losses and gradients of a batch do not depend on how it is packed", () =>
  seeded(async (rand) => {
    using lab = await Lab.open();
    using actor = toyDecoder(lab, "lm", rand.seed), critic = toyDecoder(lab, "value", rand.seed);
    for (const model of [actor, critic]) lab.stream.fill(model.params.grads!.flat, 0);
    const lengths = Array.from({ length: 14 }, () => rand.int(2, 40));
    const samples = randomSamples(rand, lengths, actor.config.vocab);
    const n = samples.reduce((sum, sample) => sum + actionsOf(sample), 0);
    const all = targets(lab, rand, n);
    const run = async (limit: number, decoder: Decoder, pass: (l: Passes, p: Pack) => void) => {
      using passes = new Passes(lab.stream, [actor, critic], limit);
      for (const each of pack(samples, limit)) pass(passes, each);
      const { loss, policy, value, kl } = await passes.takeStats();
      return { sums: [loss, policy, value, kl], gradients: await takeGradients(lab, decoder) };
    };
    const losses: Record<string, [Decoder, (passes: Passes, each: Pack) => void]> = {
      crossEntropy: [actor, (l, each) => l.crossEntropy(actor, each, 1 / n)],
      policyLoss: [actor, (l, each) => l.policyLoss(actor, each, 1 / n, all, lossOptions)],
      valueLoss: [critic, (l, each) => l.valueLoss(critic, each, 1 / n, all, 0.2)],
    };
    for (const [name, [decoder, pass]] of Object.entries(losses)) {
      const expected = await run(4096, decoder, pass);
      assert(expected.gradients.some((g) => Math.abs(g) > 1e-3), `${name} has gradients`);
      for (const limit of [Math.max(...lengths), 75, 200]) {
        const { sums, gradients } = await run(limit, decoder, pass);
        assertClose(gradients, expected.gradients, 1e-5, `${name}, packs of ${limit}`);
        assertClose(sums, expected.sums, 1e-5, `${name}, sums`);
      }
    }
  }));

Deno.test("passes: values land at the places of their actions", () =>
  seeded(async (rand) => {
    using lab = await Lab.open();
    using critic = toyDecoder(lab, "value", rand.seed);
    const samples = randomSamples(rand, [9, 30, 2, 17], critic.config.vocab);
    const n = samples.reduce((sum, sample) => sum + actionsOf(sample), 0);
    const valuesOf = async (limit: number) => {
      using passes = new Passes(lab.stream, [critic], limit);
      const values = lab.out([n]);
      for (const each of pack(samples, limit)) passes.values(critic, each, values);
      return await lab.f32(values);
    };
    const expected = await valuesOf(100);
    assert(new Set(expected).size > n / 2, "the values differ");
    for (const limit of [30, 39, 41]) assertSameBits(await valuesOf(limit), expected);
  }));

testBackends(
  "passes: full packs fit the memory set aside, and leave next to none",
  (backend) =>
    seeded(async (rand) => {
      using lab = await Lab.open({ backend });
      using actor = toyDecoder(lab, "lm", rand.seed), critic = toyDecoder(lab, "value", rand.seed);
      const arenas: { arena: Arena; bytes: number }[] = [];
      lab.device.arena = (bytes) => {
        const arena = Device.prototype.arena.call(lab.device, bytes);
        arenas.push({ arena, bytes });
        return arena;
      };
      for (const packTokens of [2, 7, 64, 250]) {
        using passes = new Passes(lab.stream, [actor, critic], packTokens);
        const pairs = Array<number>(Math.floor(packTokens / 2)).fill(2);
        for (const lengths of [[packTokens], pairs]) {
          const samples = randomSamples(rand, lengths, actor.config.vocab);
          const [each, ...more] = pack(samples, packTokens);
          assertEquals([more.length, each.tokens >= packTokens - 1], [0, true]);
          const n = each.rows.length;
          const all = targets(lab, rand, n);
          passes.policyLoss(actor, each, 1 / n, all, lossOptions);
          passes.crossEntropy(actor, each, 1 / n);
          passes.valueLoss(critic, each, 1 / n, all, 0.2);
          passes.values(critic, each, lab.out([n]));
          await passes.logprobs(actor, each, 1);
        }
      }
      // Set aside are as many sequences and actions as tokens.
      const { arena, bytes } = arenas[3];
      assert(arena.peak > 0.98 * bytes, `${arena.peak} of ${bytes} bytes`);
    }),
);

Deno.test("passes: a sample longer than a pack is refused with one line that says what to set", async () => {
  using lab = await Lab.open({ threads: 1 });
  using actor = toyDecoder(lab, "lm");
  using passes = new Passes(lab.stream, [actor], 20);
  const samples = randomSamples(new Rand(1), [10, 21, 10], actor.config.vocab);
  const packs = pack(samples, 20);
  assertEquals(packs.map(({ tokens }) => tokens), [10, 21, 10]);
  await passes.logprobs(actor, packs[0], 1);
  const error = await assertRejects(
    () => passes.logprobs(actor, packs[1], 1),
    UserError,
    "a sequence of 21 tokens does not fit into a pack of 20",
  );
  assertEquals(error.hint, "set ppo.packTokens to at least 21");
  await passes.logprobs(actor, packs[2], 1);
});
