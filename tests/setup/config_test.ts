import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import * as z from "npm:zod@4.6.7";
import { UserError } from "../../src/base/errors.ts";
import { ppoSchema } from "../../src/ppo/mod.ts";
import { presets } from "../../src/setup/presets.ts";
import { fitConfig } from "../../src/setup/tasks.ts";
import {
  checkResumed,
  checkRunnable,
  keepChoices,
  parseTrainConfig,
  presetNames,
  trainConfigSchema,
} from "../../src/setup/config.ts";
import type { Fields, Schema } from "../../src/base/schema.ts";
import { baseline, builtinTasks, type TaskSpec, thinker } from "../../src/task/mod.ts";

interface Two {
  readonly size: number;
  readonly kind: "a" | "b" | null;
}

// The compiler reads these lines: where one stopped being a mistake, an interface and its schema
// could drift apart.
const kind = z.enum(["a", "b"]).nullable().default(null);
const schemas: Schema<Two>[] = [
  z.strictObject<Fields<Two>>({ size: z.int().default(1), kind }),
  // @ts-expect-error a field of the interface is missing
  z.strictObject<Fields<Two>>({ kind }),
  // @ts-expect-error a field that the interface does not have
  z.strictObject<Fields<Two>>({ size: z.int(), kind, more: z.int() }),
  // @ts-expect-error a value that the interface does not allow
  z.strictObject<Fields<Two>>({ size: z.int(), kind: z.enum(["a", "b", "c"]) }),
  // @ts-expect-error may be undefined
  z.strictObject<Fields<Two>>({ size: z.int().optional(), kind }),
];

Deno.test("a schema fills in defaults and says where something does not fit", () => {
  assertEquals(schemas[0].parse({}), { size: 1, kind: null });
  const result = schemas[0].safeParse({ size: 0.5, many: 2 });
  assertEquals(
    result.success || result.error.issues.map(({ code, path, keys }) => ({ code, path, keys })),
    [
      { code: "invalid_type", path: ["size"], keys: undefined },
      { code: "unrecognized_keys", path: [], keys: ["many"] },
    ],
  );
});

Deno.test("config schemas refuse unknown keys at every depth and keep whole configs as they are", () => {
  for (const preset of Object.values(presets)) {
    assertEquals(trainConfigSchema.parse(preset), preset);
    for (const part of ["shape", "engine", "parallel", "warmstart", "ppo"] as const) {
      const result = trainConfigSchema.safeParse({ ...preset, [part]: { ...preset[part], x: 1 } });
      assertEquals(result.success || result.error.issues[0].path, [part]);
    }
  }
  assertEquals(ppoSchema.parse({}).betas, [0.9, 0.95]);
  assertThrows(() => ppoSchema.parse({ questions: 2 ** 12, samples: 2 ** 12 + 1 }), "16777216");
});

Deno.test("a config speaks of the stages that its run plays, and of no others", () => {
  const { tiny } = presets;
  const stages = { fast: 1, verify: 2, slow: 3, summary: 4, answer: 5 };
  const checked: TaskSpec = {
    name: "checked",
    title: "Checked",
    stages: [thinker.stages[0], { ...thinker.stages[1], name: "check" }],
    next: () => "end",
    final: ([first]) => first,
  };
  const tasks = [...builtinTasks, checked];
  const fit = (changes: Partial<typeof tiny>) => fitConfig({ ...tiny, ...changes }, tasks);
  assertEquals(fit({ budgets: stages }).budgets, stages);
  assertEquals(fit({ task: "baseline" }).budgets, tiny.budgets, "its warm start plays both");
  const own = fit({ task: "checked" });
  assertEquals(own.budgets, { fast: tiny.budgets.fast, check: 6000 });
  assertEquals(own.warmstart.skill, { fast: tiny.warmstart.skill.fast, check: 0.7 });
  const refuses = (changes: Partial<typeof tiny>, message: string, hint: string) => {
    const error = assertThrows(() => fit(changes), UserError, message);
    assertStringIncludes(error.hint!, hint);
  };
  refuses({ budgets: { fst: 3 } }, 'config: unknown key "budgets.fst"', '"budgets.fast"');
  const warmstart = { ...tiny.warmstart, skill: { verfy: 1 } };
  refuses({ warmstart }, 'unknown key "warmstart.skill.verfy"', 'skill.verify"');
  refuses({ task: "thinkr" }, 'there is no task "thinkr"', "thinker, thinker-fast, baseline");
});

Deno.test("in a run a name is one task's and one stage's", () => {
  const { tiny } = presets;
  const mine: TaskSpec = { ...baseline, name: "mine", title: "Mine" };
  const stage = (name: string) => ({ ...baseline.stages[0], name });
  const fit = (task: TaskSpec, tasks: readonly TaskSpec[]) =>
    fitConfig({ ...tiny, task: task.name, taskSettings: {} }, tasks);
  const refuses = (task: TaskSpec, tasks: readonly TaskSpec[], message: string, hint: string) => {
    const error = assertThrows(() => fit(task, tasks), UserError, message);
    assertStringIncludes(error.hint!, hint);
  };
  const other = { ...mine, name: "thinker" };
  refuses(other, [...builtinTasks, other], 'two tasks are named "thinker"', "another name");
  const own: TaskSpec = { ...thinker, title: "Mine" };
  refuses(
    { ...own, name: "baseline" },
    [{ ...own, name: "baseline" }],
    "two tasks",
    "another name",
  );
  const clash: TaskSpec = { ...mine, stages: [stage("answer")], reference: baseline };
  refuses(clash, [clash], 'both have a stage "answer"', 'the stage of "mine"');
  const long: TaskSpec = { ...mine, reference: thinker };
  refuses(long, [long], 'its reference "thinker" has 4 stages', "in one stage");
  // Alone it is no clash, and a task may play another's very stage.
  assertEquals(Object.keys(fit(own, [own]).budgets).sort(), Object.keys(tiny.budgets).sort());
  assertEquals(fit(mine, [mine]).budgets, { answer: tiny.budgets.answer });
  const ask: TaskSpec = { ...mine, stages: [stage("ask")], reference: baseline };
  assertEquals(fit(ask, [ask]).budgets, { ask: 8000, answer: tiny.budgets.answer });
});

Deno.test("a key with another name now is one line that names it", () => {
  const old = { ...presets.tiny, ppo: { ...presets.tiny.ppo, clip: 0.1 } };
  const error = assertThrows(() => parseTrainConfig(old, "my.json"), UserError);
  assertEquals(error.message, 'my.json: "ppo.clip" has another name now');
  assertEquals(error.hint, "write ppo.clipLow and ppo.clipHigh");
});

Deno.test("grpo with one sample of a question is refused, other estimators take it", () => {
  const lay = (estimator: string) =>
    parseTrainConfig({ ...presets.tiny, ppo: { estimator, samples: 1 } }, "my.json").ppo.samples;
  const { message } = assertThrows(() => lay("grpo"), UserError);
  assertEquals(
    message,
    "my.json: ppo.samples: grpo compares the samples of a question with each other, so it needs at " +
      "least 2",
  );
  assertEquals([lay("gae"), lay("reinforce++")], [1, 1]);
});

Deno.test("presets: real models have the paper's budgets and Open-Reasoner-Zero's hyper-parameters", () => {
  assertEquals(Object.keys(presets), [...presetNames]);
  for (const name of ["q1.5b", "r1.5b", "r7b"] as const) {
    const { preset, prompts, promptLimit, evalEvery, saveEvery, ppo } = presets[name];
    const { budgets } = fitConfig(presets[name]);
    assertEquals([preset, prompts, promptLimit, evalEvery, saveEvery], [
      name,
      "default",
      2048,
      10,
      50,
    ]);
    assertEquals(budgets, { fast: 1000, verify: 6000, slow: 6000, summary: 1000, answer: 8000 });
    const { packTokens, ...others } = ppoSchema.parse({});
    assertEquals(ppo, { ...others, packTokens: ppo.packTokens });
    assertEquals([ppo.questions, ppo.samples, ppo.actorLr, ppo.criticLr], [128, 64, 1e-6, 5e-6]);
    assertEquals([ppo.warmupUpdates, ppo.criticMiniBatches, ppo.actorMiniBatches], [50, 12, 1]);
    const longest = promptLimit + 14_000 + 1_000; // and the turns between
    assert(ppo.packTokens >= longest && packTokens > 0);
  }
});

Deno.test("presets: what is missing for a run, and what only can be planned, is one clear line", () => {
  const refuses = (config: typeof presets.tiny, message: string, hint: string) => {
    const error = assertThrows(() => checkRunnable(config), UserError, message);
    assertStringIncludes(error.hint!, hint);
  };
  const { tiny, "q1.5b": q15 } = presets;
  refuses(
    q15,
    "preset q1.5b starts from Qwen/Qwen2.5-1.5B, and no --model is given",
    "deno task model download Qwen/Qwen2.5-1.5B`, then add --model models/Qwen2.5-1.5B",
  );
  refuses({ ...q15, model: "models/x" }, "preset q1.5b needs problems", "--data");
  checkRunnable({ ...q15, model: "models/x", data: "x.jsonl" });
  checkRunnable(tiny);
  const spread = (parallel: Record<string, unknown>) =>
    parseTrainConfig({ ...tiny, parallel }, "options");
  refuses(spread({ ranks: 4 }), "parallel.ranks is 4: that can be planned", "one device");
  refuses(spread({ shard: "optimizer" }), 'parallel.shard is "optimizer"', "one device");
  refuses(spread({ offload: "optimizer" }), 'parallel.offload is "optimizer"', "one device");
  checkRunnable(spread({}));
  const { parallel: _, repository: __, ...older } = tiny;
  assertEquals(parseTrainConfig(older, "config.json"), tiny);
});

Deno.test("a run goes on with its own device, or on another GPU", () => {
  const before = parseTrainConfig({ ...presets.tiny, device: "cuda:1" }, "test");
  assertEquals(keepChoices(presets.tiny, before).device, "cuda:1");
  for (const device of ["cuda", "cuda:0", "cuda:1"] as const) {
    checkResumed(before, { ...before, device, steps: 9 });
  }
  const refused = () => checkResumed(before, { ...before, device: "cpu" });
  assertThrows(refused, UserError, 'the run was started with another device ("cuda", now "cpu")');
  const wrong = () => parseTrainConfig({ ...presets.tiny, device: "gpu" }, "test");
  assertThrows(wrong, UserError, "device: gpu is no device: auto, cpu, cuda, or cuda:1");
});
