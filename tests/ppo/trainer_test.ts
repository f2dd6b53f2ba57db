import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { Random } from "../../src/base/mod.ts";
import { type Decoder, packBatch } from "../../src/model/mod.ts";
import { actionsOf, type PpoConfig, PpoTrainer, type StepResult } from "../../src/ppo/mod.ts";
import type { Grader } from "../../src/grade/mod.ts";
import { Task, thinker as thinkerSpec, TrailingAccuracy } from "../../src/task/mod.ts";
import { lmHeadLogprobs } from "../../ffi/mod.ts";
import { Lab } from "../native.ts";
import {
  baseline,
  problems,
  seven,
  taskOptions,
  thinker,
  toyConfig,
  toyDecoder,
  toyEngine,
} from "./toy.ts";

/** A policy, a critic and their trainer on the toy task. */
class Bench implements Disposable {
  readonly lab: Lab;
  readonly trainer: PpoTrainer;
  readonly config: PpoConfig;
  readonly #stack = new DisposableStack();
  readonly actor: Decoder;
  readonly #task: Task;
  readonly trailing: TrailingAccuracy = new TrailingAccuracy();
  #step = 0;

  constructor(
    lab: Lab,
    config: PpoConfig,
    options: { task?: Task; grade?: Grader } = {},
  ) {
    const { task = thinker, grade = (answer, gold) => answer === gold } = options;
    this.lab = lab;
    this.config = config;
    this.#task = task;
    const { stream } = lab;
    const actor = this.actor = this.#stack.use(toyDecoder(lab, "lm"));
    const critic = config.estimator === "gae"
      ? this.#stack.use(toyDecoder(lab, "value"))
      : undefined;
    const reference = config.klCoefficient > 0 ? this.#stack.use(toyDecoder(lab, "lm")) : undefined;
    const engine = this.#stack.use(toyEngine(lab, actor));
    const { trailing } = this;
    const parts = { stream, actor, critic, reference, engine, task, grade, trailing };
    this.trainer = this.#stack.use(new PpoTrainer(parts, config));
  }

  async steps(count: number, signal?: AbortSignal): Promise<StepResult[]> {
    const results: StepResult[] = [];
    for (let i = 0; i < count; i++) {
      results.push(
        await this.trainer.step({
          step: ++this.#step,
          problems: problems(this.config.questions),
          seed: 11n,
          random: new Random(1),
          signal,
        }),
      );
    }
    return results;
  }

  /** Probability that the first answer to question 0 begins with `token`. */
  async probability(token: number): Promise<number> {
    const { lab: { device, stream } } = this;
    const [problem] = problems(1);
    const opening = this.#task.episode({ id: 0n, problem, mode: "train" }).start();
    const ids = opening.flatMap((command) => command.kind === "generate" ? command.append : []);
    using arena = device.arena(2 ** 20);
    const batch = packBatch(stream, arena, [ids]);
    const { hidden } = this.actor.forward(stream, arena, batch, { keep: false });
    const logprobs = arena.alloc("f32", [1]), targets = arena.alloc("i32", [1]);
    stream.upload(targets, Int32Array.of(token));
    const C = this.actor.config.hidden;
    lmHeadLogprobs(stream, {
      h: hidden.view((ids.length - 1) * C, [1, C]),
      w: this.actor.params.head,
      workspace: arena.alloc("u8", [4096]),
      logprobs,
      targets,
      temperature: 1,
    });
    return Math.exp((await stream.download(logprobs, new Float32Array(1)))[0]);
  }

  weights(): Promise<Float32Array> {
    return this.lab.f32(this.actor.params.master.flat);
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

function assertFinite(results: readonly StepResult[]): void {
  for (const { metrics } of results) {
    for (const [key, value] of Object.entries(metrics)) {
      assert(Number.isFinite(value), `${key} is ${value} in step ${metrics.step}`);
    }
  }
}

Deno.test("trainer: every model warms up by its own updates", async () => {
  using lab = await Lab.open();
  const rates = { actorLr: 1e-3, criticLr: 2e-3, warmupUpdates: 10 };
  using bench = new Bench(lab, toyConfig({ ...rates, criticMiniBatches: 4 }));
  const results = await bench.steps(4);
  const of = (key: string) => results.map(({ metrics }) => metrics[key]);
  // Four updates of the critic in a step: its tenth is in the third.
  assertEquals(of("ppo/critic_lr").map((lr) => lr / 2e-3), [0.4, 0.8, 1, 1]);
  assertEquals(of("ppo/actor_lr").map((lr) => lr / 1e-3), [0.1, 0.2, 0.3, 0.4]);
  for (const explained of of("ppo/explained_variance")) assert(explained <= 1, `${explained}`);
  assert(of("ppo/zero_advantages").every((share) => share < 0.1), "advantages of gae are whitened");
});

Deno.test("trainer: a step whose samples are all paid the same says that there is nothing to learn", async () => {
  using lab = await Lab.open();
  for (const estimator of ["grpo", "reinforce++"] as const) {
    using bench = new Bench(lab, toyConfig({ estimator }), { task: baseline, grade: () => false });
    const [{ metrics }] = await bench.steps(1);
    assertEquals(metrics["ppo/zero_advantages"], 1, estimator);
    assertEquals("ppo/explained_variance" in metrics, false, "no critic");
  }
});

const gaps = (results: readonly StepResult[]) =>
  results.map(({ metrics }) => metrics["rollout/logprob_gap_max"]);

Deno.test("trainer: the rewarded answer becomes much likelier, and every step is exactly on-policy", async () => {
  using lab = await Lab.open();
  for (const task of [baseline, thinker]) {
    using bench = new Bench(lab, toyConfig({ samples: 16 }), { task });
    const before = await bench.probability(seven);
    const results = await bench.steps(10);
    const after = await bench.probability(seven);
    assert(before < 0.2 && after > 3 * before, `${task.name}: ${before} became ${after}`);
    const reward = (i: number) => results[i].metrics[`reward/${task.stages[0].name}`];
    assert(reward(9) > 2 * reward(0), `${task.name}: ${reward(0)} became ${reward(9)}`);
    assertEquals(gaps(results), Array(10).fill(0));
    assertFinite(results);
    // With one update the policy is the one that sampled: nothing is clipped, nothing has moved.
    for (const { metrics } of results) {
      assertEquals([metrics["ppo/clip_fraction"], metrics["ppo/kl"]], [0, 0]);
    }
  }
});

Deno.test("trainer: the estimators without a critic learn it too", async () => {
  using lab = await Lab.open();
  for (const estimator of ["grpo", "reinforce++"] as const) {
    using bench = new Bench(lab, toyConfig({ estimator, samples: 16 }), { task: baseline });
    const before = await bench.probability(seven);
    const results = await bench.steps(8);
    const after = await bench.probability(seven);
    assert(after > 2 * before, `${estimator}: ${before} became ${after}`);
    assertEquals(gaps(results), Array(8).fill(0));
    assertFinite(results);
    assertEquals(Object.keys(results[0].metrics).filter((key) => /value|critic_/.test(key)), []);
  }
});

Deno.test("trainer: a KL term holds the policy near the one before PPO", async () => {
  using lab = await Lab.open();
  const moved = async (klCoefficient: number) => {
    const config = toyConfig({ samples: 16, klCoefficient });
    using bench = new Bench(lab, config, { task: baseline });
    const results = await bench.steps(6);
    const kl = results.map(({ metrics }) => metrics["ppo/kl_ref"]);
    assertEquals(kl[0], 0, "the reference is the policy before PPO");
    assert(kl.slice(1).every((each) => each > 0));
    return kl[5];
  };
  const [loose, tight] = [await moved(1e-6), await moved(3)];
  assert(tight < 0.5 * loose, `${tight} with a strong term, ${loose} with a weak one`);
});

Deno.test("trainer: truncated importance weights are exactly 1 without a gap, and change nothing", async () => {
  using lab = await Lab.open();
  const weightsAfter = async (importanceCap: number | null) => {
    using bench = new Bench(lab, toyConfig({ importanceCap, actorMiniBatches: 2 }));
    const results = await bench.steps(2);
    assertEquals(gaps(results), [0, 0]);
    const means = results.map(({ metrics }) => metrics["rollout/importance_weight_mean"]);
    assertEquals(means, importanceCap === null ? [undefined, undefined] : [1, 1]);
    return await bench.weights();
  };
  assertEquals(await weightsAfter(2), await weightsAfter(null));
});

Deno.test("trainer: models that the config needs must be there", async () => {
  using lab = await Lab.open({ threads: 1 });
  using actor = toyDecoder(lab, "lm");
  using engine = toyEngine(lab, actor);
  const { stream } = lab;
  const grade = () => true, trailing = new TrailingAccuracy();
  const parts = { stream, actor, engine, task: thinker, grade, trailing };
  assertThrows(() => new PpoTrainer(parts, toyConfig()), Error, "needs a critic");
  const config = toyConfig({ estimator: "grpo", klCoefficient: 0.1 });
  assertThrows(() => new PpoTrainer(parts, config), Error, "needs a reference");
});

Deno.test("trainer: several updates a rollout measure the gap before the first of them", async () => {
  using lab = await Lab.open();
  using bench = new Bench(lab, toyConfig({ actorMiniBatches: 2, actorLr: 1e-2 }));
  const results = await bench.steps(3);
  assertEquals(gaps(results), [0, 0, 0]);
  assertEquals(bench.trainer.actorOptimizer.t, 6);
  assert(results.some(({ metrics }) => metrics["ppo/kl"] > 0), "the second update is off-policy");
  assertFinite(results);
});

Deno.test("trainer: another temperature is on-policy too", async () => {
  using lab = await Lab.open();
  for (const actorMiniBatches of [1, 2]) {
    using bench = new Bench(lab, toyConfig({ temperature: 0.8, actorMiniBatches }));
    assertEquals(gaps(await bench.steps(2)), [0, 0]);
  }
});

Deno.test("trainer: weights that change in the middle of a rollout show in the gap", async () => {
  using lab = await Lab.open();
  for (const actorMiniBatches of [1, 2]) {
    const late: { change?: () => void } = {};
    const grade: Grader = () => {
      late.change?.();
      return false;
    };
    using bench = new Bench(lab, toyConfig({ actorMiniBatches }), { grade });
    const { finalNorm } = bench.actor.params.master;
    late.change = () => lab.stream.fill(finalNorm, 1.5);
    const [gap] = gaps(await bench.steps(1));
    assert(gap > 0.01, `the gap is ${gap}`);
  }
});

Deno.test("trainer: the critic takes every mini-batch and learns what the rewards are", async () => {
  using lab = await Lab.open();
  // The actor stands still, so that there is something to learn.
  const config = toyConfig({ actorLr: 1e-12, criticMiniBatches: 5, valueClip: 10 });
  using bench = new Bench(lab, config, { task: baseline });
  const before = await bench.weights();
  const results = await bench.steps(8);
  assertEquals(bench.trainer.criticOptimizer?.t, 40);
  assertEquals(bench.trainer.actorOptimizer.t, 8);
  const loss = results.map(({ metrics }) => metrics["ppo/value_loss"]);
  assert(loss[7] < 0.5 * loss[0], `the value loss went from ${loss[0]} to ${loss[7]}`);
  const after = await bench.weights();
  before.forEach((weight, i) => assert(Math.abs(weight - after[i]) < 1e-6));
});

Deno.test("trainer: every mini-batch meets the targets of its own actions", async () => {
  using lab = await Lab.open();
  // Models that stand still differ from the rollout's log-probs and values only if those are misplaced.
  const still = { actorLr: 1e-12, criticLr: 1e-12, valueClip: 1e-4 };
  const config = toyConfig({ ...still, actorMiniBatches: 5, criticMiniBatches: 5 });
  using bench = new Bench(lab, config);
  const [{ metrics }] = await bench.steps(1);
  assert(Math.abs(metrics["ppo/kl"]) < 1e-9, `kl ${metrics["ppo/kl"]}`);
  assertEquals([metrics["ppo/clip_fraction"], metrics["ppo/value_clip_fraction"]], [0, 0]);
});

Deno.test("trainer: more mini-batches than episodes train on each episode once", async () => {
  using lab = await Lab.open();
  const config = toyConfig({
    questions: 2,
    samples: 2,
    criticMiniBatches: 12,
    actorMiniBatches: 9,
  });
  using bench = new Bench(lab, config);
  const [{ episodes, metrics }] = await bench.steps(1);
  assertEquals(episodes.length, 4);
  assertEquals([bench.trainer.criticOptimizer?.t, bench.trainer.actorOptimizer.t], [4, 4]);
  assertEquals(metrics["rollout/logprob_gap_max"], 0);
});

Deno.test("trainer: a run in which nothing is ever rewarded stays finite", async () => {
  using lab = await Lab.open();
  using bench = new Bench(lab, toyConfig(), { task: baseline, grade: () => false });
  const results = await bench.steps(5);
  assertFinite(results);
  for (const { metrics } of results) assertEquals(metrics["reward/episode"], 0);
  assert((await bench.weights()).every(Number.isFinite));
});

Deno.test("trainer: the verification reward follows the fast accuracy of the step before", async () => {
  using lab = await Lab.open();
  using bench = new Bench(lab, toyConfig());
  const results = await bench.steps(3);
  const p = results.map(({ metrics }) => metrics["rollout/trailing_accuracy"]);
  const fast = results.map(({ metrics }) => metrics["accuracy/fast"]);
  const clamp = (x: number) => Math.min(0.95, Math.max(0.05, x));
  assertEquals(p, [0.5, clamp(fast[0]), clamp(fast[1])]);
  for (const { episodes, metrics } of results) {
    const p = metrics["rollout/trailing_accuracy"];
    for (const { episode: { segments: [fast, verify] }, rewards } of episodes) {
      const earned = fast.correct
        ? (verify.verdict === "yes" ? 1 - p : 0)
        : (verify.verdict === "no" ? p : 0);
      assertEquals(rewards[1], earned);
    }
  }
});

Deno.test("trainer: a right summary is paid by its likelihood after the fast prompt", async () => {
  using lab = await Lab.open();
  const reach = toyConfig({ questions: 16, samples: 16 });
  const task = new Task(thinkerSpec, { ...taskOptions, settings: { summaryCoefficient: 0.01 } });
  using bench = new Bench(lab, reach, { task });
  const results = await bench.steps(4);
  const paid = results.flatMap(({ episodes }) =>
    episodes.flatMap(({ episode, rewards }) =>
      episode.segments.flatMap(({ stage, correct }, i) =>
        stage === "summary" ? [{ correct, reward: rewards[i] }] : []
      )
    )
  );
  const right = paid.filter(({ correct }) => correct).map(({ reward }) => reward);
  assert(right.length > 3, `${right.length} right summaries`);
  assert(right.every((reward) => reward > 0.8 && reward < 1));
  assert(new Set(right).size > 1);
  for (const { correct, reward } of paid) if (!correct) assertEquals(reward, 0);
});

Deno.test("trainer: the same seed gives the same step, another order of samples each step", async () => {
  using lab = await Lab.open();
  const run = async () => {
    using bench = new Bench(lab, toyConfig());
    const results = await bench.steps(2);
    const order = results.map(({ episodes }) =>
      episodes.map(({ episode }) => episode.id & 0xffffffn)
    );
    return { order, weights: await bench.weights(), results };
  };
  const first = await run(), second = await run();
  assertEquals(second.order, first.order);
  assertEquals(second.weights, first.weights);
  assertNotEquals(first.order[0], first.order[1]);
  const sorted = first.order.map((ids) => [...ids].sort((a, b) => Number(a - b)));
  assertEquals(sorted[0], Array.from({ length: 64 }, (_, i) => BigInt(i)));
  const ids = first.results.flatMap(({ episodes }) => episodes.map(({ episode }) => episode.id));
  assertEquals(new Set(ids).size, 128, "no id, and so no random number, comes twice in a run");
  const tokens = ({ episodes }: StepResult) => episodes.reduce((n, each) => n + actionsOf(each), 0);
  for (const result of first.results) {
    assertEquals(result.metrics["rollout/sampled_tokens"], tokens(result));
  }
});

Deno.test("trainer: an aborted signal ends a step up to its first update, and nothing has changed", async () => {
  using lab = await Lab.open({ threads: 1 });
  const [stage] = baseline.spec.stages, { stream } = lab;
  const stepping = async (controller: AbortController, reward: () => number | Promise<number>) => {
    const spec = { ...baseline.spec, stages: [{ ...stage, reward }] as const };
    using bench = new Bench(lab, toyConfig(), { task: new Task(spec, taskOptions) });
    const before = await bench.weights();
    await assertRejects(() => bench.steps(1, controller.signal), Error, "enough");
    assertEquals(await bench.weights(), before);
    assertEquals(bench.trailing.p, 0.5);
  };
  // While a reward is pending that would never come.
  const first = new AbortController();
  await stepping(first, () => {
    setTimeout(() => first.abort(new Error("enough")), 5);
    return new Promise<number>(() => {});
  });
  // When everything is paid, and the device computes what to learn.
  const second = new AbortController(), sync = stream.sync.bind(stream);
  let paid = false;
  stream.sync = () => {
    if (paid) second.abort(new Error("enough"));
    return sync();
  };
  await stepping(second, () => Number(paid = true));
});

Deno.test("trainer: a signal that aborts once the updates have begun lets the step end", async () => {
  using lab = await Lab.open({ threads: 1 });
  const controller = new AbortController();
  using bench = new Bench(lab, toyConfig());
  const update = bench.trainer.criticOptimizer!.step.bind(bench.trainer.criticOptimizer);
  bench.trainer.criticOptimizer!.step = (...args) => {
    controller.abort(new Error("enough"));
    return update(...args);
  };
  assertEquals((await bench.steps(1, controller.signal)).length, 1);
});
