import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { UserError } from "../../src/errors.ts";
import type { ModelConfig } from "../../src/model/mod.ts";
import type { TrainConfig } from "../../src/run/config.ts";
import {
  adviseChange,
  checkMemory,
  formatPlan,
  generationCache,
  type MemoryChange,
  type MemoryPlan,
  planMemory,
  smallestChange,
  usableBytes,
} from "../../src/run/plan.ts";
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
const limits = { maxTokens: 16_100, stop: [151643, 151645] };

function largeConfig({ ppo, ...changes }: Changes = {}): TrainConfig {
  return smallConfig({
    budgets: { fast: 1000, verify: 6000, slow: 6000, summary: 1000, answer: 8000 },
    engine: { maxSequences: 256, cacheTokens: 1e6, prefillChunk: 1024, stepsPerSync: 4 },
    ...changes,
    ppo: { prompts: 128, samples: 64, packTokens: 32768, ...ppo },
  });
}

const bytes = ({ rows }: MemoryPlan, name: string) => rows.find((row) => row.name === name)?.bytes;
const plan = (config: TrainConfig) => planMemory(config, model, limits);

/** A device of which exactly so many bytes can be used. */
function deviceFor(usable: number): number {
  let device = Math.floor(usable / 0.9);
  while (usableBytes(device) < usable) device++;
  return device;
}

function apply(config: TrainConfig, { setting, to }: Pick<MemoryChange, "setting" | "to">) {
  const [part, key] = setting.split(".");
  if (!key) return { ...config, [part]: to };
  const inner = config[part as "engine" | "ppo"];
  return { ...config, [part]: { ...inner, [key]: to } } as TrainConfig;
}

Deno.test("plan: parts that can be counted by hand", () => {
  const counted = plan(largeConfig());
  const parameters = 1_543_714_304; // of Qwen2.5-1.5B
  assertEquals(bytes(counted, "actor: weights"), 4 * parameters);
  assertEquals(bytes(counted, "actor: gradients"), 4 * parameters);
  assertEquals(bytes(counted, "actor: Adam moments"), 8 * parameters + 4);
  assertEquals(bytes(counted, "critic: weights"), 4 * (parameters + 1536));
  assertEquals(bytes(counted, "KV cache"), 1e6 * 28 * 2 * 2 * 128 * 4);
  assertEquals(bytes(counted, "RoPE tables"), 2 * 131072 * 128 * 4);
  // Five arrays over the actions, two over the stages.
  assertEquals(bytes(counted, "rollout, at most"), 4 * (8192 * (14000 * 5 + 4 * 2) + 1));
  const baseline = plan(largeConfig({ task: "baseline" }));
  assertEquals(bytes(baseline, "rollout, at most"), 4 * (8192 * (8000 * 5 + 2) + 1));
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
    const change = smallestChange(config, model, { ...limits, deviceBytes });
    assertEquals(change?.setting, setting, `${usable}`);
    assertEquals(plan(apply(config, change!)), change!.plan);
    assert(change!.plan.total <= usableBytes(deviceBytes));
    if (typeof change!.to === "number") {
      const larger = plan(apply(config, { setting: change!.setting, to: change!.to + 64 }));
      assert(larger.total > usableBytes(deviceBytes));
      assert(change!.to >= limits.maxTokens && change!.to < (change!.from as number));
    }
  }
});

Deno.test("plan: where no change is enough, it says so", () => {
  const config = largeConfig();
  const deviceBytes = 16e9;
  assertEquals(smallestChange(config, model, { ...limits, deviceBytes }), undefined);
  const recomputing = largeConfig({ recompute: true });
  const tight = deviceFor(plan(recomputing).total);
  assertEquals(smallestChange(config, model, { ...limits, deviceBytes: tight })?.to, true);
  assertMatch(adviseChange(undefined), /no single change of .* is enough/);
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
    formatPlan({ rows, total: 2_345_080 }),
    [
      "  KV cache          2.35 MB",
      "  rollout, at most     80 B",
      "  total             2.35 MB",
    ].join("\n"),
  );
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
