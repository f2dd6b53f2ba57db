// docs/metrics.md is made from the table of metrics: here the table is held to what a run logs.
import { assertEquals } from "@std/assert";
import { metricLogs, readMetrics } from "../../src/base/mod.ts";
import { builtinTasks, type TaskSpec, thinker } from "../../src/task/mod.ts";
import { train } from "../../src/train/mod.ts";
import { smallConfig, TempDir } from "./small.ts";
import { calculator } from "./tasks/calculator.ts";

/** Logs all that a task can: Thinker's judging stage, then the calculator's stage with a tool. */
const everything: TaskSpec = {
  name: "everything",
  title: "Everything",
  stages: [calculator.stages[0], { ...thinker.stages[1], judges: "ask" }, calculator.stages[1]],
  next: ({ length }) =>
    length === 1 ? { stage: "verify" } : length === 2 ? { stage: "tell" } : "end",
  final: ([, , last]) => last,
};

/** Only where something was right; tests/ppo/metrics_test.ts and trainer_test.ts have them. */
const ofGoodModels = ["eval/<stage>_after_right", "ppo/explained_variance"];

Deno.test("metrics: the table describes every key that a run logs, and no other", async () => {
  await using dir = await TempDir.make();
  const config = smallConfig({
    task: everything.name,
    steps: 2,
    warmstart: { steps: 100, skill: {} },
    prompts: "default",
    budgets: { ask: 20, verify: 20, tell: 12 },
    ppo: { klCoefficient: 0.01, importanceCap: 2 },
  });
  await train(config, { out: dir.path + "/run", tasks: [...builtinTasks, everything] });
  for (const { file, entries } of metricLogs) {
    const lines = await readMetrics(`${dir.path}/run/${file}`);
    const stages = everything.stages.map(({ name }) => name);
    const names = new Map(
      entries.flatMap(({ key }) =>
        (key.includes("<stage>") ? stages : [""]).flatMap((stage) =>
          (key.includes("<k>") ? ["2", "4"] : [""])
            .map((k) => [key.replace("<stage>", stage).replace("<k>", k), key])
        )
      ),
    );
    const logged = [...new Set(lines.flatMap(Object.keys))];
    assertEquals(logged.filter((key) => !names.has(key)), [], `${file}: not described`);
    const seen = new Set([...logged.map((key) => names.get(key)), ...ofGoodModels]);
    assertEquals(entries.map(({ key }) => key).filter((key) => !seen.has(key)), [], "never logged");
  }
});
