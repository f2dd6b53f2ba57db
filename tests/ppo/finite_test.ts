/** Numbers of a step that are none, or far from the usual. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Random, UserError } from "../../src/base/mod.ts";
import type { Decoder } from "../../src/model/mod.ts";
import { actionsOf, type PpoConfig, PpoTrainer, type StepInput } from "../../src/ppo/mod.ts";
import { Task, TrailingAccuracy } from "../../src/task/mod.ts";
import { Lab } from "../native.ts";
import { baseline, problems, taskOptions, toyConfig, toyDecoder, toyEngine } from "./toy.ts";

/** What a step is taken with, before it is. */
interface Parts {
  readonly lab: Lab;
  readonly actor: Decoder;
  readonly critic: Decoder;
  readonly reference: Decoder;
}

/** One step of a fresh toy, with the weights after it. */
async function step(
  lab: Lab,
  { changes = {}, prepare = () => {}, task = baseline, ...input }: {
    changes?: Partial<PpoConfig>;
    prepare?: (parts: Parts) => void;
    task?: Task;
  } & Partial<StepInput> = {},
) {
  const config = toyConfig({ questions: 4, samples: 4, ...changes }), { stream } = lab;
  using actor = toyDecoder(lab, "lm"), critic = toyDecoder(lab, "value");
  using reference = toyDecoder(lab, "lm");
  using engine = toyEngine(lab, actor);
  const rules = { task, grade: (a: string, b: string) => a === b };
  const parts = { stream, actor, critic, reference, engine, ...rules };
  using trainer = new PpoTrainer({ ...parts, trailing: new TrailingAccuracy() }, config);
  prepare({ lab, actor, critic, reference });
  const asked = { step: 3, problems: problems(4), seed: 11n, random: new Random(1) };
  const result = await trainer.step({ ...asked, ...input });
  return { ...result, weights: await lab.f32(actor.params.master.flat) };
}

/** Makes the last matrix element of a model NaN. */
function spoil({ lab }: Parts, { params }: Decoder): void {
  lab.stream.fill(params.master.flat.view(params.layout.matrices - 1, [1]), NaN);
  params.refresh(lab.stream);
}

Deno.test("finite: what is no number names step, what it is, token, turn, question and episode", async () => {
  using lab = await Lab.open({ threads: 1 });
  const place = /token \d+ of turn 1 \(answer\) of question "p\d", episode \d+, is NaN$/;
  const klCoefficient = 0.1;
  const spoilt: [string, (parts: Parts) => Decoder][] = [
    ["the sampled log-prob", ({ actor }) => actor],
    ["the critic's value", ({ critic }) => critic],
    ["the reference's log-prob", ({ reference }) => reference],
  ];
  for (const [what, model] of spoilt) {
    const prepare = (parts: Parts) => spoil(parts, model(parts));
    const run = () => step(lab, { changes: { klCoefficient }, prepare });
    const { message } = await assertRejects(run, UserError);
    assertMatch(message, place);
    assert(message.startsWith(`step 3: ${what} of `), message);
  }
  const [stage] = baseline.spec.stages, reward = () => NaN;
  const task = new Task({ ...baseline.spec, stages: [{ ...stage, reward }] }, taskOptions);
  const unpaid = await assertRejects(() => step(lab, { task }), UserError);
  assertMatch(unpaid.message, /^step 3: task .*: the reward of turn 1 \(answer\) of .*, is NaN$/);
});

Deno.test("finite: tokens of an update that was skipped are not trained", async () => {
  using lab = await Lab.open({ threads: 1 });
  const prepare = ({ actor }: Parts) =>
    lab.stream.fill(actor.params.grads!.flat.view(0, [1]), Infinity);
  const { metrics, episodes, trained } = await step(lab, {
    changes: { actorMiniBatches: 2 },
    prepare,
  });
  const all = episodes.reduce((sum, each) => sum + actionsOf(each), 0);
  assertEquals(metrics["ppo/skipped_updates"], 1);
  assert(trained > 0 && trained < all, `${trained} of ${all}`);
  assert(metrics["ppo/grad_norm"] > 0, "the mean is that of the update which was taken");
  assertEquals((await step(lab, { changes: { actorMiniBatches: 2 } })).trained, all);
});

Deno.test("finite: a gradient far above the usual norm is scaled down, any other to the bit as it was", async () => {
  using lab = await Lab.open({ threads: 1 });
  const plain = await step(lab), norm = plain.metrics["ppo/grad_norm"];
  const criticNorm = plain.metrics["ppo/critic_grad_norm"];
  assertEquals([plain.metrics["ppo/spikes"], plain.metrics["ppo/critic_spikes"]], [0, 0]);

  const usual = { actor: norm / 9, critic: criticNorm };
  assertEquals((await step(lab, { usual })).weights, plain.weights);
  const never = { usual: { actor: 1e-6, critic: 1e-6 }, changes: { spikeFactor: null } };
  assertEquals((await step(lab, never)).weights, plain.weights);

  const spiked = await step(lab, { usual: { actor: norm / 1000, critic: criticNorm / 1000 } });
  assertEquals(spiked.metrics["ppo/spikes"], 1);
  assertEquals(spiked.metrics["ppo/critic_spikes"], 3);
  assertEquals(spiked.metrics["ppo/grad_norm"], norm, "it is the norm before scaling");
  const same = await step(lab, { changes: { gradNorm: norm / 100 } });
  assertEquals(spiked.weights, same.weights, "as if ppo.gradNorm had been the bound");
});
