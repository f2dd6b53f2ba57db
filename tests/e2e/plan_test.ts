import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { Device } from "../../ffi/mod.ts";
import { Engine, probeFloats } from "../../src/engine/mod.ts";
import { UserError } from "../../src/base/errors.ts";
import { Decoder } from "../../src/model/mod.ts";
import { AdamW, Passes } from "../../src/ppo/mod.ts";
import type { TrainConfig } from "../../src/setup/config.ts";
import { fitConfig, openModelConfig, openTasks, openTokenizer } from "../../src/setup/mod.ts";
import { readMetrics } from "../../src/base/metrics.ts";
import { type MemoryPlan, planMemory } from "../../src/setup/plan.ts";
import { train } from "../../src/train/train.ts";
import { families, tinyConfig } from "../model/models.ts";
import { testBackends } from "../native.ts";
import { smallConfig, TempDir, timeless } from "./small.ts";

function planOf(asked: TrainConfig): MemoryPlan {
  const config = fitConfig(asked);
  const { tokenizer } = openTokenizer(config);
  const model = openModelConfig(config, tokenizer);
  return planMemory(config, model, openTasks(config, tokenizer, model.eos));
}

/**
 * The most bytes that any device had allocated at once while the body ran, but for the measurement of
 * bandwidth, which must be alone.
 */
async function peakBytes(body: () => Promise<unknown>): Promise<number> {
  const { alloc } = Device.prototype;
  let peak = 0;
  Device.prototype.alloc = function (...args) {
    const before = this.allocatedBytes, allocation = alloc.apply(this, args);
    if (allocation.tensor.size === probeFloats + 1) assertEquals(before, 0);
    else peak = Math.max(peak, this.allocatedBytes);
    return allocation;
  };
  try {
    await body();
  } finally {
    Device.prototype.alloc = alloc;
  }
  return peak;
}

Deno.test("plan: what a run really allocates is at most the plan, and hardly less", async (t) => {
  await using dir = await TempDir.make();
  const once = { steps: 1, evalProblems: 5 };
  const runs: Record<string, TrainConfig> = {
    gae: smallConfig(once),
    recompute: smallConfig({ ...once, recompute: true }),
    bf16: smallConfig({ ...once, weightDtype: "bf16" }),
    baseline: smallConfig({ ...once, task: "baseline", ppo: { packTokens: 512 } }),
    "grpo with a reference and importance weights": smallConfig({
      ...once,
      engine: { maxSequences: 11, cacheTokens: 777, prefillChunk: 33, stepsPerSync: 3 },
      ppo: { estimator: "grpo", klCoefficient: 0.1, importanceCap: 2 },
    }),
  };
  for (const [name, config] of Object.entries(runs)) {
    await t.step(name, async () => {
      const { total } = planOf(config);
      const peak = await peakBytes(() => train(config, { out: `${dir.path}/${name}` }));
      assert(peak > 0 && peak <= total, `${peak} bytes allocated, ${total} planned`);
      assert(total <= 1.05 * peak, `${total} bytes planned, only ${peak} allocated`);
    });
  }

  await t.step("bf16 weights save memory, learn, and keep the log-prob gap at zero", async () => {
    const plans = [runs.bf16, runs.gae].map((config) => planOf(config).rows);
    const packed = (name: string) =>
      plans.map((rows) => rows.find((row) => row.name === `${name}: packed weights`)!.bytes);
    const [halved, whole] = packed("actor"), [critic, wholeCritic] = packed("critic");
    assertEquals(2 * halved, whole);
    assert(2 * critic > wholeCritic && critic < wholeCritic, "a value head stays in float32");
    const [, last] = await readMetrics(`${dir.path}/bf16/metrics.jsonl`);
    assertEquals(last["rollout/logprob_gap_max"], 0);
    assertNotEquals(await timeless(`${dir.path}/bf16`), await timeless(`${dir.path}/gae`));
  });

  await t.step("recomputing activations saves memory and changes no bit", async () => {
    const rows = (name: string) => planOf(runs[name]).total;
    assert(rows("recompute") < 0.9 * rows("gae"));
    assertEquals(await timeless(`${dir.path}/recompute`), await timeless(`${dir.path}/gae`));
  });
});

for (const [name, changes] of [["Qwen2", {}], ["Qwen3", families.Qwen3]] as const) {
  testBackends(
    `plan: every row but the rollout is what is allocated, to the byte, ${name}`,
    async (backend) => {
      const config = smallConfig({
        engine: { maxSequences: 11, cacheTokens: 777, prefillChunk: 33, stepsPerSync: 3 },
      });
      const model = tinyConfig({ tiedHead: false, ...changes }); // sizes that need padding
      const layout = backend === "cpu" ? "cpu" : "cuda";
      const limits = { maxTokens: 50, stop: [1, 2], backend: layout } as const;
      using device = await Device.open(backend);
      using stream = device.stream();
      const adam = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0, maxNorm: 1 } as const;
      using actor = new Decoder(stream, model, { head: "lm", train: true });
      using critic = new Decoder(stream, model, { head: "value", train: true });
      using _actorOptimizer = new AdamW(stream, actor, adam);
      using _criticOptimizer = new AdamW(stream, critic, adam);
      using _passes = new Passes(stream, [actor, critic], config.ppo.packTokens);
      using _engine = new Engine(stream, actor, { ...config.engine, ...limits });
      const task = { turns: () => [] }; // its rollout is not looked at
      const { rows } = planMemory(config, model, { ...limits, task });
      const planned = rows.filter(({ name }) => !name.startsWith("rollout"))
        .reduce((sum, { bytes }) => sum + bytes, 0);
      // The plan assumes the widest panels; narrower instruction sets pad less.
      if (backend !== "cpu" || device.info.isa === "avx512") {
        assertEquals(device.allocatedBytes, planned);
      } else assert(device.allocatedBytes <= planned && planned <= 1.1 * device.allocatedBytes);
    },
  );
}

Deno.test("memory: whoever runs out of it halfway leaves nothing behind", async () => {
  using device = await Device.open();
  using stream = device.stream();
  const adam = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0, maxNorm: 1 } as const;
  using decoder = new Decoder(stream, tinyConfig(), { head: "lm", train: true });
  const sizes = { maxSequences: 2, cacheTokens: 64, maxTokens: 32, stop: [] };
  const makers: Record<string, () => Disposable> = {
    decoder: () => new Decoder(stream, tinyConfig(), { head: "value", train: true }),
    optimizer: () => new AdamW(stream, decoder, adam),
    passes: () => new Passes(stream, [decoder], 32),
    engine: () => new Engine(stream, decoder, sizes),
  };
  const { alloc } = Device.prototype, before = device.allocatedBytes;
  /** Whether `make` succeeds with so many allocations. */
  const suffices = (make: () => Disposable, allowed: number) => {
    Device.prototype.alloc = function (...args) {
      if (allowed-- === 0) throw new Error("no more memory");
      return alloc.apply(this, args);
    };
    try {
      make()[Symbol.dispose]();
      return true;
    } catch (error) {
      assertEquals((error as Error).message, "no more memory");
      return false;
    } finally {
      Device.prototype.alloc = alloc;
    }
  };
  for (const [name, make] of Object.entries(makers)) {
    let allowed = 0;
    for (; !suffices(make, allowed); allowed++) {
      assertEquals(device.allocatedBytes, before, `${name} with ${allowed} allocations`);
    }
    assert(allowed > 1, name);
    assertEquals(device.allocatedBytes, before, name);
  }
});

Deno.test("plan: train refuses what does not fit before it allocates or leaves a folder", async () => {
  await using dir = await TempDir.make();
  const out = `${dir.path}/run`;
  const config = smallConfig();
  const huge = smallConfig({ engine: { ...config.engine, cacheTokens: 1e12 } });
  let refusal: UserError | undefined;
  const peak = await peakBytes(async () => {
    refusal = await assertRejects(() => train(huge, { out }), UserError, "this run takes");
  });
  assertEquals(peak, 0);
  await assertRejects(() => Deno.stat(out), Deno.errors.NotFound);
  const { message, hint } = refusal!;
  assert(/\n {2}KV cache +256 TB\n/.test(message), message);
  const value = Number(
    hint?.match(/set engine\.cacheTokens to (\d+) instead of 1000000000000 /)?.[1],
  );
  const smaller = planOf(smallConfig({ engine: { ...config.engine, cacheTokens: value } }));
  using device = await Device.open();
  const usable = 0.9 * device.info.memoryBytes;
  assert(smaller.total <= usable && smaller.total > 0.99 * usable, `${smaller.total}, ${hint}`);
});
