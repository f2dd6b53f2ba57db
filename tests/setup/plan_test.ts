import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import { type ModelConfig, paramCount } from "../../src/model/mod.ts";
import { findTask, type TrainConfig } from "../../src/setup/config.ts";
import {
  adviseChange,
  checkMemory,
  fittingChanges,
  formatPlan,
  generationCache,
  type MemoryPlan,
  planMemory,
  type SettingChange,
  usableBytes,
} from "../../src/setup/plan.ts";
import { knownModels } from "../../src/setup/known_models.ts";
import { presets } from "../../src/setup/presets.ts";
import { builtinTasks } from "../../src/task/mod.ts";
import { type Changes, smallConfig } from "../e2e/small.ts";

/** The shape of Qwen2.5-1.5B. */
const model: ModelConfig = {
  architecture: "Qwen2ForCausalLM",
  hidden: 1536,
  ffn: 8960,
  layers: 28,
  heads: 12,
  kvHeads: 2,
  headDim: 128,
  vocab: 151936,
  maxPositions: 131072,
  ropeTheta: 1e6,
  normEps: 1e-6,
  tiedHead: true,
  qkvBias: true,
  qkNorm: false,
  eos: [151643],
  bos: null,
  dtype: "bfloat16",
};
/** What episodes of a config's task consist of. */
const taskOf = ({ task, budgets }: TrainConfig) => ({
  turns: () =>
    findTask(task, builtinTasks).stages.map((stage) => ({
      stage: { ...stage, budget: budgets[stage.name] ?? stage.budget },
      most: 1,
    })),
});
const limits = {
  maxTokens: 16_100,
  stop: [151643, 151645],
  task: taskOf(presets["q1.5b"]),
};

function largeConfig({ ppo, ...changes }: Changes = {}): TrainConfig {
  return smallConfig({
    budgets: { fast: 1000, verify: 6000, slow: 6000, summary: 1000, answer: 8000 },
    engine: { maxSequences: 256, cacheTokens: 1e6, prefillChunk: 1024, stepsPerSync: 4 },
    ...changes,
    ppo: { questions: 128, samples: 64, packTokens: 32768, ...ppo },
  });
}

const bytes = ({ rows }: MemoryPlan, name: string) => rows.find((row) => row.name === name)?.bytes;
const plan = (config: TrainConfig) =>
  planMemory(config, model, { ...limits, task: taskOf(config) });

/** A device of which exactly so many bytes can be used. */
function deviceFor(usable: number): number {
  let device = Math.floor(usable / 0.9);
  while (usableBytes(device) < usable) device++;
  return device;
}

function apply(config: TrainConfig, settings: readonly Omit<SettingChange, "from">[]): TrainConfig {
  return settings.reduce((changed, { setting, to }) => {
    const [part, key] = setting.split(".");
    if (!key) return { ...changed, [part]: to };
    const inner = changed[part as "engine" | "ppo" | "parallel"];
    return { ...changed, [part]: { ...inner, [key]: to } } as TrainConfig;
  }, config);
}

Deno.test("plan: parts that can be counted by hand", () => {
  const counted = plan(largeConfig());
  const parameters = 1_543_714_304; // of Qwen2.5-1.5B
  assertEquals(bytes(counted, "actor: weights"), 4 * parameters);
  assertEquals(bytes(counted, "actor: gradients"), 4 * parameters);
  assertEquals(bytes(counted, "actor: Adam moments"), 8 * parameters + 8);
  assertEquals(bytes(counted, "critic: weights"), 4 * (parameters + 1536));
  assertEquals(bytes(counted, "KV cache"), 1e6 * 28 * 2 * 2 * 128 * 4);
  assertEquals(bytes(counted, "RoPE tables"), 2 * 131072 * 128 * 4);
  // Five arrays over the actions, two over the stages, a border more, two norms.
  assertEquals(bytes(counted, "rollout, at most"), 4 * (8192 * (14000 * 5 + 4 * 2) + 3));
  const baseline = plan(largeConfig({ task: "baseline" }));
  assertEquals(bytes(baseline, "rollout, at most"), 4 * (8192 * (8000 * 5 + 2) + 3));
  for (const { rows, total } of [counted, baseline]) {
    assertEquals(rows.reduce((sum, row) => sum + row.bytes, 0), total);
  }
});

Deno.test("plan: a critic only for gae, a reference only with a KL term", () => {
  const names = (changes: Changes) =>
    new Set(plan(largeConfig(changes)).rows.map(({ name }) => name.split(":")[0]));
  const gae = names({}), grpo = names({ ppo: { estimator: "grpo", klCoefficient: 0.1 } });
  assert(gae.has("critic") && !gae.has("reference"));
  assert(!grpo.has("critic") && grpo.has("reference"));
});

Deno.test("plan: the smallest change fits, and nothing larger does", () => {
  const base = largeConfig();
  const shortPacks = largeConfig({ ppo: { packTokens: limits.maxTokens } });
  const light = largeConfig({ recompute: true }); // its cache takes more than its activations
  const { total } = plan(base);
  const cases: [TrainConfig, number, string][] = [
    [base, total - 1, "engine.cacheTokens"],
    [base, plan(shortPacks).total, "ppo.packTokens"],
    [base, plan(light).total, "recompute"],
    [light, plan(light).total - 1e9, "engine.cacheTokens"],
    [shortPacks, plan(shortPacks).total - 1, "engine.cacheTokens"],
  ];
  for (const [config, usable, setting] of cases) {
    const deviceBytes = deviceFor(usable);
    const [change, ...others] = fittingChanges(config, model, { ...limits, deviceBytes });
    assertEquals([change.settings.length, others], [1, []]);
    const [{ from, to, ...which }] = change.settings;
    assertEquals(which.setting, setting, `${usable}`);
    assertEquals(plan(apply(config, change.settings)), change.plan);
    assert(change.plan.total <= usableBytes(deviceBytes));
    if (typeof to === "number") {
      const larger = plan(apply(config, [{ ...which, to: to + 64 }]));
      assert(larger.total > usableBytes(deviceBytes));
      assert(to >= limits.maxTokens && to < (from as number));
    }
  }
});

Deno.test("plan: where no change is enough, it says so", () => {
  const config = largeConfig();
  const deviceBytes = 16e9;
  assertEquals(fittingChanges(config, model, { ...limits, deviceBytes }), []);
  const recomputing = largeConfig({ recompute: true });
  const tight = deviceFor(plan(recomputing).total);
  const [{ settings: [{ to }] }] = fittingChanges(config, model, { ...limits, deviceBytes: tight });
  assertEquals(to, true);
  assertMatch(adviseChange([])[0], /no single change of .* is enough/);
});

Deno.test("plan: a run that fits is let through, another is refused with table and advice", () => {
  const config = largeConfig();
  const { total } = plan(config);
  checkMemory(config, model, { ...limits, deviceBytes: deviceFor(total) });
  const deviceBytes = deviceFor(total - 1);
  const error = assertThrows(
    () => checkMemory(config, model, { ...limits, deviceBytes }),
    UserError,
  );
  const [first, ...table] = error.message.split("\n");
  assertMatch(first, /^this run takes \d+ GB, but of the device's \d+ GB only \d+ GB can be used$/);
  assertEquals(table.join("\n"), formatPlan(plan(config)));
  assertMatch(
    error.hint!,
    /^the smallest change that fits: set engine\.cacheTokens to \d+ instead/,
  );
});

Deno.test("plan: the table is aligned and ends with the total", () => {
  const rows = [{ name: "KV cache", bytes: 2_345_000 }, { name: "rollout, at most", bytes: 80 }];
  assertEquals(
    formatPlan({ rows, total: 2_345_080, host: 0 }),
    [
      "  KV cache          2.35 MB",
      "  rollout, at most     80 B",
      "  total             2.35 MB",
    ].join("\n"),
  );
});

const { "q1.5b": q15, "r1.5b": r15, r7b: r7 } = presets;
const gpu = { ...limits, backend: "cuda" as const, deviceBytes: 141e9 };
const known = (config: TrainConfig) => knownModels[config.repository!];

Deno.test("plan: the models of the presets have the sizes that they are published with", () => {
  assertEquals(
    [q15, r15, r7].map((preset) => paramCount(known(preset))),
    [1_543_714_304, 1_777_088_000, 7_615_616_512],
  );
  assertEquals(known(q15), { ...model, bos: 151643 });
});

Deno.test("plan: on a GPU a trained model takes 18 bytes a parameter, in four parts", () => {
  const { rows } = planMemory(r7, known(r7), gpu);
  const actor = rows.filter(({ name }) => name.startsWith("actor"));
  const parameters = paramCount(known(r7));
  // The embedding is not packed: its rows are looked up in the float32 weights.
  const embedding = 2 * known(r7).vocab * known(r7).hidden;
  const vectors = 28 * (2 * 3584 + 4608) + 3584;
  const sum = actor.reduce((total, { bytes }) => total + bytes, 0);
  assertEquals(sum, 18 * parameters + 8 - embedding - 2 * vectors);
});

Deno.test("plan: one GPU of 141 GB holds the 1.5B presets, and the 7B one in none of its parts' ways", () => {
  for (const preset of [q15, r15]) {
    const { total, host } = planMemory(preset, known(preset), gpu);
    assert(total <= usableBytes(gpu.deviceBytes));
    assertEquals(host, 0);
  }
  assert(planMemory(r7, known(r7), gpu).total > 2 * gpu.deviceBytes);
});

Deno.test("plan: what fits 7B is the optimizer in host memory, or four GPUs with sharded gradients", () => {
  const changes = fittingChanges(r7, known(r7), gpu);
  assertEquals(changes.map(({ settings }) => settings), [
    [{ setting: "parallel.offload", from: "none", to: "optimizer" }],
    [
      { setting: "parallel.ranks", from: 1, to: 4 },
      { setting: "parallel.shard", from: "none", to: "gradients" },
    ],
  ]);
  for (const { settings, plan } of changes) {
    assertEquals(planMemory(apply(r7, settings), known(r7), gpu), plan);
    assert(plan.total <= usableBytes(gpu.deviceBytes));
  }
  const smaller = [
    { ranks: 2, shard: "gradients" },
    { ranks: 4, shard: "optimizer" },
    { ranks: 4, shard: "none" },
  ] as const;
  for (const parallel of smaller) {
    const { total } = planMemory(
      { ...r7, parallel: { ...parallel, offload: "none" } },
      known(r7),
      gpu,
    );
    assert(total > usableBytes(gpu.deviceBytes), `${parallel.ranks} ${parallel.shard}`);
  }
  assertEquals(adviseChange(changes).length, 3);
  assertMatch(adviseChange(changes)[0], /^the smallest .* and \d+ GB of host memory\)$/);
  assertMatch(adviseChange(changes)[1], /^or: .* \(\d+ GB on each of 4 GPUs\)$/);
  assertMatch(adviseChange(changes)[2], /do not run yet$/);
});

Deno.test("plan: what leaves a device arrives in host memory or on the other ranks", () => {
  const on = (parallel: Partial<TrainConfig["parallel"]>) =>
    planMemory({ ...r7, parallel: { ...r7.parallel, ...parallel } }, known(r7), gpu);
  const sum = ({ rows }: MemoryPlan, what: string) =>
    rows.filter(({ name }) => name.endsWith(what)).reduce((total, { bytes }) => total + bytes, 0);
  const whole = on({}), away = on({ offload: "optimizer" });
  assertEquals(away.host, sum(whole, ": weights") + sum(whole, "moments"));
  assertEquals(sum(away, ": weights") + sum(away, "moments"), 0);
  assertEquals(sum(away, "gradients"), sum(whole, "gradients"));
  const four = on({ ranks: 4, shard: "gradients" });
  for (const what of [": weights", "gradients", "moments"]) {
    assert(Math.abs(4 * sum(four, what) - sum(whole, what)) < 64, what);
  }
  assertEquals(sum(four, "packed weights"), sum(whole, "packed weights"));
  assertEquals(sum(on({ ranks: 4 }), "gradients"), sum(whole, "gradients"));
});

Deno.test("plan: on a CPU no other devices are suggested", () => {
  assertEquals(fittingChanges(r7, known(r7), { ...gpu, backend: "cpu" }), []);
});

Deno.test("generationCache: room for all sequences, or what is left beside the weights", () => {
  const perToken = 28 * 2 * 2 * 128 * 4;
  const tokens = (parallel: number, usable: number) =>
    generationCache(model, { ...limits, parallel, deviceBytes: deviceFor(usable) });
  const longest = 16_112 + 16; // whole blocks, and one that is copied where prompts are shared
  const roomy = 200e9;
  assertEquals(tokens(8, roomy), 8 * longest);
  const weights = 2 * 4 * 1_543_714_304; // flat and packed
  for (const more of [2e9, 3e9, 5e9]) {
    const cache = tokens(64, weights + more);
    assert(cache >= longest && cache < 64 * longest && cache % 16 === 0, `${cache}`);
    assert(cache * perToken < more, "the cache alone is larger than what is left");
    assert(cache * perToken > more - 1.2e9, "buffers do not take that much");
  }
  assertThrows(() => tokens(64, weights + 1e8), UserError, "a sequence of 16100 tokens takes");
});
