/** Runs that keep a part of their checkpoints. */
import { assertEquals, assertRejects } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import { loadModel, openSafetensors } from "../../src/model/mod.ts";
import { planDisk } from "../../src/setup/mod.ts";
import { train } from "../../src/train/train.ts";
import { filesOf, smallConfig, TempDir, timeless } from "./small.ts";

Deno.test("keep: a run that keeps little learns the same, goes on, and leaves models to ask", async () => {
  await using dir = await TempDir.make();
  const all = `${dir.path}/all`, few = `${dir.path}/few`;
  const config = smallConfig({
    steps: 2,
    saveEvery: 1,
    evalEvery: 1,
    evalProblems: 2,
    evalSamples: 1, // where a run ends there would be more
    warmstart: { steps: 2 },
    ppo: { klCoefficient: 0.1, questions: 2 },
  });
  await train(config, { out: all });
  const saved = `${all}/checkpoints`;

  // Before the first update there are no moments; with them a checkpoint takes what is planned.
  const moments = [0, 1].map((step) => {
    using file = openSafetensors(`${saved}/step-${step}/trainer/optimizer.safetensors`);
    return file.names();
  });
  assertEquals(moments, [[], ["actor.m", "actor.v", "critic.m", "critic.v"]]);
  const weights = async (step: number) => {
    const files = (await filesOf(`${saved}/step-${step}`)).filter((f) =>
      f.endsWith(".safetensors")
    );
    const sizes = files.map((f) => Deno.statSync(`${saved}/step-${step}/${f}`).size);
    return sizes.reduce((a, b) => a + b);
  };
  {
    using model = await loadModel(`${saved}/step-0`, { backend: "cpu" });
    const plan = planDisk(config, model.decoder.config);
    const headers = 3 * 4096; // at most, of three files
    for (const [step, bytes] of [plan.first, plan.checkpoint].entries()) {
      const real = await weights(step);
      assertEquals([real > bytes, real < bytes + headers], [true, true], `${real}, ${bytes}`);
    }
  }

  // What is kept may change on the way; the first checkpoint stays for the KL term, as a model.
  await train({ ...config, steps: 1 }, { out: few });
  await train({ ...config, keep: 1 }, { out: few, resume: true });
  assertEquals(await timeless(few), await timeless(all));
  const names = async () =>
    (await Array.fromAsync(Deno.readDir(`${few}/checkpoints`))).map(({ name }) => name).sort();
  assertEquals(await names(), ["step-0", "step-2"]);
  await train({ ...config, steps: 3, keep: 1, keepWeights: true }, { out: few, resume: true });
  assertEquals(await names(), ["step-0", "step-2", "step-3"]);
  using model = await loadModel(`${few}/checkpoints/step-2`, { backend: "cpu" });
  assertEquals(model.trained?.task, "thinker");

  await Deno.remove(`${few}/checkpoints/step-3`, { recursive: true });
  const before = await timeless(few);
  await assertRejects(
    () => train({ ...config, steps: 3 }, { out: few, resume: true }),
    UserError,
    "step-2 holds a model and no training state",
  );
  assertEquals(await timeless(few), before);
});

Deno.test("keep: weights of older checkpoints without older ones is a misunderstanding", async () => {
  await using dir = await TempDir.make();
  const config = smallConfig({ keepWeights: true });
  const out = `${dir.path}/run`;
  await assertRejects(() => train(config, { out }), UserError, "keepWeights is about checkpoints");
});
