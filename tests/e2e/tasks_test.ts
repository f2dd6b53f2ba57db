// Tasks of one's own, each one file that imports mod.ts alone: they train, are evaluated and reported under
// their own names, and no source file knows of them.
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { baseline, builtinTasks, type TaskSpec } from "../../mod.ts";
import { type Metrics, readJsonl, readMetrics, UserError } from "../../src/base/mod.ts";
import { readTrained } from "../../src/model/mod.ts";
import { runEvaluation, weightsFingerprint } from "../../src/eval/mod.ts";
import { howToAsk } from "../../src/rollout/mod.ts";
import { type EpisodeSample, train } from "../../src/train/mod.ts";
import { smallConfig, TempDir, timeless } from "./small.ts";
import { calculator } from "./tasks/calculator.ts";
import { checked } from "./tasks/checked.ts";

const tasks: readonly TaskSpec[] = [...builtinTasks, checked, calculator];

/** Trains a small model on a task. */
async function trained(dir: TempDir, task: TaskSpec, name: string = task.name) {
  const out = `${dir.path}/${name}`;
  const warmstart = { steps: 60, batch: 8, skill: {} };
  const config = smallConfig({ task: task.name, warmstart, steps: 2 });
  const results = await train(config, { out, tasks });
  return { out, results, metrics: await readMetrics(`${out}/metrics.jsonl`) };
}

/** Evaluates the run's last checkpoint as its own task. */
async function evaluated(dir: TempDir, out: string) {
  const model = `${out}/checkpoints/step-2`,
    { task, prompts, budgets } = howToAsk(readTrained(model), { tasks });
  const rows = ["1+2=", "3+4="].map((question, i) =>
    JSON.stringify({ id: `${i}`, question, answer: `${[3, 7][i]}` })
  );
  await Deno.writeTextFile(`${dir.path}/sums.jsonl`, rows.join("\n"));
  const { results } = await runEvaluation({
    method: {
      model,
      fingerprint: weightsFingerprint(model),
      task: task.name,
      budgets: budgets!,
      complete: false,
      prompts,
      sampling: { temperature: 1, topP: 1, topK: 0 },
      seed: 1,
      device: "cpu",
      weightDtype: null,
    },
    extent: { sets: ["sums"], data: dir.path, samples: 2, limit: null },
  }, { out: `${out}-eval`, parallel: 4, tasks });
  return results;
}

const namesIn = (metrics: Metrics, group: string) =>
  Object.keys(metrics).filter((key) => key.startsWith(`${group}/`)).map((key) =>
    key.slice(group.length + 1)
  );

Deno.test("own task: Fast and Verify trains, is evaluated and reported as itself", async () => {
  await using dir = await TempDir.make();
  const { out, results, metrics: [first, , last] } = await trained(dir, checked);
  assertEquals(results.title, "Fast and Verify on arithmetic");
  assertEquals(results.rows.map(({ name }) => name), [
    "Pretrained",
    "Fast and Verify",
    "Fast alone",
  ]);
  assertEquals(namesIn(last, "reward"), ["fast", "verify", "episode"]);
  assertEquals(last["rollout/logprob_gap_max"], 0);
  assert("rollout/trailing_accuracy" in last, "verification is paid by how rare its case is");
  assertEquals(
    namesIn(first, "eval").filter((name) => !name.endsWith("tokens")).sort(),
    [
      ...("eval/verify" in first ? ["verify"] : []),
      "fast",
      "final",
    ].sort(),
  );
  const config = JSON.parse(await Deno.readTextFile(`${out}/config.json`));
  assertEquals(Object.keys(config.budgets), ["fast", "verify"]);
  assertStringIncludes(
    await Deno.readTextFile(`${out}/report.md`),
    "# Fast and Verify on arithmetic",
  );

  const { sets: [sums], task } = await evaluated(dir, out);
  assertEquals(Object.keys(sums.stages), ["fast", "verify"]);
  assertEquals(task.title, "Fast and Verify");
  const report = await Deno.readTextFile(`${out}-eval/report.md`);
  assertStringIncludes(report, ", Fast and Verify\n");
  assertStringIncludes(report, "| Fast alone (");
});

Deno.test("own task: a calculator's text is read, masked from the loss, and its calls are counted", async () => {
  await using dir = await TempDir.make();
  const { out, results, metrics: [, , last] } = await trained(dir, calculator);
  assertEquals(results.rows.map(({ name }) => name), ["Pretrained", "Calculator"]);
  assertEquals(namesIn(last, "reward"), ["ask", "tell", "episode"]);
  assertEquals(last["rollout/logprob_gap_max"], 0);
  assertEquals([last["tool/calls"], last["tool/late"]], [16, 0]);
  const dialogues = await readJsonl<EpisodeSample>(`${out}/episodes.jsonl`);
  for (const { turns: [ask, tell] } of dialogues) {
    const sum = /\\boxed\{(\d+(?:\+\d+)*)\}/.exec(ask.response)?.[1];
    const said = sum === undefined ? "(the to" : `${sum.split("+").reduce((a, b) => a + +b, 0)}`;
    assertStringIncludes(tell.prompt, `user\n=${said}`);
    assert(!tell.response.includes("user"), "what the environment says is no part of a turn");
  }
  // The same run with a calculator that takes its time: latency changes no bit.
  const [ask, tell] = calculator.stages;
  const slow: TaskSpec = {
    ...calculator,
    stages: [ask, {
      ...tell,
      tool: {
        ...tell.tool!,
        call: async (...of) => {
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
          return await tell.tool!.call(...of);
        },
      },
    }],
  };
  await train(
    smallConfig({
      task: "calculator",
      warmstart: { steps: 60, batch: 8, skill: {} },
      steps: 2,
    }),
    {
      out: `${dir.path}/slow`,
      tasks: [...builtinTasks, slow],
    },
  );
  assertEquals(await timeless(`${dir.path}/slow`), await timeless(out));

  // The same folder with a task of the same name that says something else: another run.
  const other: TaskSpec = { ...calculator, stages: [ask, { ...tell, prompt: "is {result}" }] };
  const { budgets, taskSettings, warmstart } = JSON.parse(
    await Deno.readTextFile(`${out}/config.json`),
  );
  const asked = smallConfig({ task: "calculator", budgets, taskSettings, warmstart, steps: 2 });
  await assertRejects(
    () => train(asked, { out, resume: true, tasks: [...builtinTasks, other] }),
    UserError,
    'another prompts.tell ("={result}", now "is {result}")',
  );

  const { sets: [sums], task } = await evaluated(dir, out);
  assertEquals(Object.keys(sums.stages), ["ask", "tell"]);
  assertNotEquals(sums.accuracy, undefined);
  assertEquals(task.title, "Calculator");
});

Deno.test("a stage without a script is found before the run has a folder", async () => {
  await using dir = await TempDir.make();
  const [answer] = baseline.stages;
  const dumb: TaskSpec = {
    ...baseline,
    name: "dumb",
    stages: [answer, { ...answer, name: "never", prompt: "Again?" }],
    final: ([first]) => first,
  };
  const out = `${dir.path}/run`;
  const error = await assertRejects(
    () => train(smallConfig({ task: "dumb", taskSettings: {} }), { out, tasks: [dumb] }),
    UserError,
    'stage "never" has no script',
  );
  assertStringIncludes(error.hint!, "--model");
  await assertRejects(() => Deno.stat(out), Deno.errors.NotFound);
});
