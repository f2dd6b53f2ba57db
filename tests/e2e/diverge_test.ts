/** Training that diverges is skipped over, counted, and ended. */
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import type { Decoder } from "../../src/model/mod.ts";
import { AdamW } from "../../src/ppo/mod.ts";
import { readMetrics } from "../../src/base/mod.ts";
import { RunFolder } from "../../src/train/mod.ts";
import { train } from "../../src/train/train.ts";
import { Lab } from "../native.ts";
import { toyDecoder } from "../ppo/toy.ts";
import { type Changes, smallConfig, TempDir, timeless } from "./small.ts";

const adam = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1, maxNorm: 1 } as const;

/** One update from gradients that are 1 everywhere but for `bad` in one place. */
async function update(lab: Lab, model: Decoder, optimizer: AdamW, bad: number): Promise<number> {
  const grads = model.params.grads!.flat;
  lab.stream.fill(grads, 1);
  lab.stream.fill(grads.view(grads.size - 5, [1]), bad);
  return await optimizer.step(lab.stream, 0.01);
}

Deno.test("diverge: an update without finite gradients changes nothing, the third in a row throws", async () => {
  using lab = await Lab.open();
  using model = toyDecoder(lab, "lm"), twin = toyDecoder(lab, "lm");
  using optimizer = new AdamW(lab.stream, model, adam);
  using undisturbed = new AdamW(lab.stream, twin, adam);
  const weights = (decoder: Decoder) => lab.f32(decoder.params.master.flat);

  for (const bad of [1, NaN, Infinity, 1, -Infinity, NaN, 1]) {
    const before = await weights(model);
    const norm = await update(lab, model, optimizer, bad);
    assertEquals(Number.isFinite(norm), bad === 1);
    if (bad !== 1) assertEquals(await weights(model), before);
  }
  for (let i = 0; i < 3; i++) await update(lab, twin, undisturbed, 1);
  assertEquals([optimizer.t, undisturbed.t], [3, 3]);
  assertEquals(await weights(model), await weights(twin));
  assertEquals(await lab.f32(optimizer.v), await lab.f32(undisturbed.v));

  await update(lab, model, optimizer, NaN);
  await update(lab, model, optimizer, NaN);
  await assertRejects(() => update(lab, model, optimizer, NaN), UserError, "policy");
});

/** Trains in vain; resolves to the error's message and what stands in the run's metrics. */
async function fails(changes: Changes) {
  await using dir = await TempDir.make();
  const out = `${dir.path}/run`;
  const config = smallConfig({ steps: 9, evalEvery: 9, saveEvery: 1, ...changes });
  const error = await assertRejects(() => train(config, { out }), UserError);
  assert(error.hint);
  const folder = RunFolder.at(out);
  const lines = await readMetrics(folder.metrics).catch(() => []);
  const last = await folder.latestCheckpoint();
  if (last) {
    // A resumed run goes on counting: it ends at the same step with the same words.
    await assertRejects(() => train(config, { out, resume: true }), UserError, error.message);
    assertEquals((await readMetrics(folder.metrics)).length, lines.length);
  }
  return { message: error.message, lines, last: last?.step };
}

/** An entropy bonus beyond what gradients can hold. */
const overflow = { ppo: { entropyCoefficient: 1e38 } };

Deno.test("diverge: gradients that stay infinite end the run; skipped updates are counted", async () => {
  const { message, lines, last } = await fails(overflow);
  const diverged = "gradients of the policy were not finite 3 times in a row";
  assertEquals(message, `step 3: training diverged: ${diverged}`);
  assertEquals(lines.slice(1).map((line) => line["ppo/skipped_updates"]), [1, 1]);
  assert(lines.slice(1).every((line) => line["ppo/critic_skipped_updates"] === 0));
  assertEquals(last, 2);
});

Deno.test("diverge: what was skipped is no trained token, and is said, in the report too", async () => {
  await using dir = await TempDir.make();
  const out = `${dir.path}/run`, notes: string[] = [];
  const config = smallConfig({ steps: 2, evalEvery: 9, evalProblems: 4, ...overflow });
  const { summary } = await train(config, { out, onNote: (text) => notes.push(text) });
  const lines = await readMetrics(RunFolder.at(out).metrics);
  assertEquals(lines.map((line) => line["tokens/trained"]), [0, 0, 0]);
  assert(lines.slice(1).every((line) => line["rollout/sampled_tokens"] > 0));
  const said = "the gradient of the policy was not finite: 1 update skipped, its tokens are not " +
    "counted as trained";
  assertEquals(notes, [`step 1: ${said}`, `step 2: ${said}`]);
  assertStringIncludes(summary, `step 1: ${said} (and 1 more in the log).`);
});

Deno.test("diverge: weights that an update left infinite end the run, and are in no checkpoint", async () => {
  const update = (model: string) => `training diverged: after update 1 of the ${model} its`;
  const policy = await fails({ ppo: { actorLr: 1e30, warmupUpdates: 0 } });
  assertMatch(
    policy.message,
    new RegExp(`^step 1: ${update("policy")} .*\\.weight\\[\\d+, \\d+\\] is `),
  );
  const critic = await fails({ ppo: { criticLr: 1e30, warmupUpdates: 0 } });
  assertStringIncludes(critic.message, `step 1: ${update("critic")} `);
  for (const { lines, last } of [policy, critic]) assertEquals([lines.length, last], [1, 0]);
  const warm = await fails({ warmstart: { lr: 1e30 } });
  assertStringIncludes(warm.message, update("policy"));
  assertEquals([warm.lines, warm.last], [[], undefined]);
});

Deno.test("diverge: what is usual outlives a run's end: a resumed one scales the same gradients down", async () => {
  await using dir = await TempDir.make();
  // Every second norm is above the median.
  const config = (steps: number) =>
    smallConfig({
      steps,
      evalEvery: 99,
      saveEvery: 99,
      evalProblems: 4,
      ppo: { questions: 4, spikeFactor: 1 },
    });
  const [straight, resumed] = [`${dir.path}/straight`, `${dir.path}/resumed`];
  await train(config(14), { out: straight });
  await train(config(10), { out: resumed });
  await train(config(14), { out: resumed, resume: true });
  const weights = (run: string) => Deno.readFile(`${run}/checkpoints/step-14/model.safetensors`);
  assertEquals(await weights(resumed), await weights(straight));
  const spikes = async (run: string) =>
    (await timeless(run)).slice(1).map((line) => line["ppo/spikes"]);
  assertEquals(await spikes(resumed), await spikes(straight));
  const counts = await spikes(straight);
  assertEquals(counts.slice(0, 8), Array(8).fill(0));
  assert(counts.slice(10).some((count) => count > 0), `${counts}`);
});
