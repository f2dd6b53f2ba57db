import { assert } from "@std/assert";
import { readMetrics } from "../../src/base/mod.ts";
import { train } from "../../src/train/train.ts";
import { smallConfig, TempDir } from "./small.ts";

Deno.test("train: thirty steps on sixteen sums multiply the reward", async () => {
  await using dir = await TempDir.make();
  const digits = [1, 2, 3, 4];
  const rows = digits.flatMap((a) =>
    digits.map((b) => ({ question: `${a}+${b}=`, answer: a + b }))
  );
  const data = `${dir.path}/sums.jsonl`;
  const lines = rows.map((row) => JSON.stringify({ id: row.question, ...row }));
  await Deno.writeTextFile(data, lines.join("\n"));
  const run = `${dir.path}/run`;
  // The warm start teaches little more than the form of the turns; what is right must come from PPO.
  const config = smallConfig({
    data,
    steps: 30,
    evalEvery: 100,
    saveEvery: 100,
    warmstart: { steps: 400, batch: 16 },
    ppo: { questions: 16, samples: 8, actorLr: 2e-3 },
  });
  await train(config, { out: run });
  const steps = (await readMetrics(`${run}/metrics.jsonl`)).slice(1);
  const mean = (key: string, from: number, to: number) =>
    steps.slice(from, to).reduce((sum, line) => sum + line[key], 0) / (to - from);
  // Means over 512 episodes: their standard error is about 0.03.
  for (const key of ["reward/episode", "reward/fast"]) {
    const first = mean(key, 0, 4), last = mean(key, 26, 30);
    assert(last > 1.8 * first && last > first + 0.08, `${key}: ${first} became ${last}`);
  }
  const gained = mean("reward/episode", 26, 30) - mean("reward/episode", 0, 4);
  assert(gained > 0.2, `the reward rose by ${gained} only`);
});
