import { assertEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import { UserError } from "../../src/base/mod.ts";
import { keepNewest } from "../../src/train/keep.ts";
import { RunFolder } from "../../src/train/mod.ts";
import { chooseCheckpoint } from "../../src/train/whole.ts";
import { filesOf, smallConfig, TempDir } from "../e2e/small.ts";

/** What is left of a run that saved these steps and was told to keep some. */
async function left(steps: number[], changes: Parameters<typeof smallConfig>[0], at?: number) {
  await using dir = await TempDir.make();
  using folder = await RunFolder.create(join(dir.path, "run"));
  for (const step of steps) {
    await folder.checkpoint(step, async (path) => {
      await Deno.writeTextFile(join(path, "model"), "");
      await Deno.mkdir(join(path, "trainer"));
      await Deno.writeTextFile(join(path, "trainer", "state.json"), "");
    });
    if (at === undefined) await keepNewest(folder, step, smallConfig(changes));
  }
  if (at !== undefined) await keepNewest(folder, at, smallConfig(changes));
  const files = await filesOf(join(folder.path, "checkpoints"));
  const whole = files.filter((file) => file.endsWith("/trainer/state.json"));
  const models = files.filter((file) => file.endsWith("/model"));
  assertEquals(files.length, whole.length + models.length, "no half of one, no leftovers");
  const numbers = (names: string[]) => names.map((name) => Number(/^step-(\d+)\//.exec(name)![1]));
  return { whole: numbers(whole), models: numbers(models) };
}

Deno.test("keep: the newest stay, older ones go or stay as models", async () => {
  const steps = [0, 2, 4, 6];
  const all = { whole: steps, models: steps };
  assertEquals(await left(steps, {}), all);
  assertEquals(await left(steps, { keep: 4 }), all);
  assertEquals(await left(steps, { keep: 2 }), { whole: [4, 6], models: [4, 6] });
  assertEquals(await left(steps, { keep: 1, keepWeights: true }), { whole: [6], models: steps });
});

Deno.test("keep: what a KL term refers to stays, where the run made it", async () => {
  const steps = [0, 2, 4], ppo = { klCoefficient: 0.1 };
  assertEquals(await left(steps, { keep: 1, ppo }), { whole: [4], models: [0, 4] });
  const elsewhere = await left(steps, { keep: 1, ppo, model: "models/mine" });
  assertEquals(elsewhere, { whole: [4], models: [4] });
});

Deno.test("keep: checkpoints after the one just saved neither go nor count", async () => {
  // Taken back to step 2 because a later one is damaged: 3 is the last good one.
  const steps = [0, 2, 3, 4, 6];
  assertEquals((await left(steps, { keep: 1 }, 3)).whole, [3, 4, 6]);
  assertEquals((await left(steps, { keep: 2 }, 3)).whole, [2, 3, 4, 6]);
});

Deno.test("keep: no run goes on from a model alone, and it says what can be done with it", async () => {
  await using dir = await TempDir.make();
  using folder = await RunFolder.create(join(dir.path, "run"));
  const { path } = await folder.checkpoint(
    2,
    (path) => Deno.writeTextFile(join(path, "model"), ""),
  );
  const error = await assertRejects(
    () => chooseCheckpoint(folder),
    UserError,
    "step-2 holds a model and no training state",
  );
  assertEquals(error.hint?.includes(`--model ${path}`), true);
});
