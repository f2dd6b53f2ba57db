import { cp } from "node:fs/promises";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import { readMetrics, stripClock } from "../../src/base/mod.ts";
import { train } from "../../src/train/train.ts";
import { type Rand, seeded } from "../native.ts";
import { makeStartModel, trainFrom } from "./start_model.ts";
import { digests, filesOf, smallConfig, TempDir, timeless } from "./small.ts";

const config = smallConfig({ steps: 4 });

/** What two runs of the same settings must share, however often they were stopped. */
async function remains(run: string) {
  const files = await digests(`${run}/checkpoints`);
  return {
    metrics: await timeless(run),
    warmstart: (await readMetrics(`${run}/warmstart.jsonl`)).map(stripClock),
    episodes: await Deno.readTextFile(`${run}/episodes.jsonl`),
    checkpoints: Object.entries(files).filter(([path]) => /step-[024]\//.test(path)),
  };
}

/** A signal that aborts `ms` milliseconds after `tick` has been called `ticks` times. */
function interruption(ticks: number, ms: number) {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tick = () => {
    if (ticks-- === 0) timer = setTimeout(() => controller.abort(new Error("stopped")), ms);
  };
  return { signal: controller.signal, tick, stop: () => clearTimeout(timer) };
}

/** Trains with interruptions at random moments until the run is over; resolves to their number. */
async function withInterruptions(out: string, rand: Rand): Promise<number> {
  for (let stops = 0;; stops++) {
    const { signal, tick, stop } = interruption(rand.int(0, stops < 2 ? 12 : 30), rand.int(0, 40));
    const resume = stops > 0;
    try {
      await train(config, { out, resume, signal, onStep: tick, onPhase: tick });
      return stops;
    } catch (error) {
      assertEquals((error as Error).message, "stopped");
    } finally {
      stop();
    }
  }
}

Deno.test("resume: a run stopped at random moments ends as one that was never stopped", () =>
  seeded(async (rand) => {
    await using dir = await TempDir.make();
    await train(config, { out: `${dir.path}/whole` });
    const expected = await remains(`${dir.path}/whole`);
    let stops = 0;
    for (let i = 0; i < 4; i++) {
      stops += await withInterruptions(`${dir.path}/${i}`, rand);
      assertEquals(await remains(`${dir.path}/${i}`), expected);
    }
    assert(stops >= 4, `${stops} interruptions`);
  }));

Deno.test("resume: an interruption between two steps saves the one that is done", async () => {
  await using dir = await TempDir.make();
  const out = `${dir.path}/run`;
  const controller = new AbortController();
  const stop = (step: number, metrics: Record<string, number>) => {
    if (step === 1 && "ppo/kl" in metrics) controller.abort(new Error("stopped"));
  };
  const run = train(config, { out, signal: controller.signal, onStep: stop });
  await assertRejects(() => run, Error, "stopped");
  const saved = await filesOf(`${out}/checkpoints`);
  assert(saved.includes("step-1/trainer/state.json"));
  assertEquals((await timeless(out)).map(({ step }) => step), [0, 1]);
});

Deno.test("resume: a finished run goes on when it is given more steps", async () => {
  await using dir = await TempDir.make();
  const out = `${dir.path}/run`;
  await train(smallConfig({ steps: 1 }), { out });
  const before = await remains(out);
  const phases: string[] = [];
  const onPhase = (name: string, total: number, from: number) =>
    phases.push(`${name} ${from}/${total}`);
  await train(smallConfig({ steps: 1 }), { out, resume: true, onPhase });
  assertEquals(await remains(out), before);
  await train(smallConfig({ steps: 2 }), { out, resume: true, onPhase });
  assertEquals(phases, ["train 1/1", "train 1/2"]);
  const after = await timeless(out);
  assertEquals(after.slice(0, 2), before.metrics);
  assertEquals(after.map(({ step }) => step), [0, 1, 2]);
});

Deno.test("resume: only a run's own settings go on, and only in its folder", async () => {
  await using dir = await TempDir.make();
  const out = `${dir.path}/run`;
  const short = smallConfig({ steps: 1, evalProblems: 2 });
  await assertRejects(() => train(short, { out, resume: true }), UserError, "no run to resume");
  await train(short, { out });
  await assertRejects(() => train(short, { out }), UserError, "is not empty");
  const other = smallConfig({ steps: 1, evalProblems: 2, seed: 7 });
  await assertRejects(() => train(other, { out, resume: true }), UserError, "another seed");
  await Deno.writeTextFile(`${out}/checkpoints/step-1/trainer/state.json`, "{");
  const damaged = "state.json is not valid JSON";
  await assertRejects(() => train(short, { out, resume: true }), UserError, damaged);
});

Deno.test("resume: the model that a run started from may be gone, unless a KL term refers to it", async () => {
  await using dir = await TempDir.make();
  const { path } = dir, model = await makeStartModel(path), run = `${path}/run`;
  const steps = { steps: 1, evalProblems: 2, model, prompts: `${path}/prompts.json` };
  const distant = smallConfig({ ...steps, ppo: { klCoefficient: 0.1 } });
  await train(distant, { out: `${path}/kl` });
  await trainFrom(path, model);
  await cp(run, `${path}/twin`, { recursive: true });
  const longer = smallConfig({ ...steps, steps: 2 });
  await train(longer, { out: `${path}/twin`, resume: true });
  await Deno.rename(model, `${path}/elsewhere`);
  await train(longer, { out: run, resume: true });
  const [here, there] = [await timeless(run), await timeless(`${path}/twin`)];
  assertEquals([here.length, here], [3, there]);
  assertEquals(
    await digests(`${run}/checkpoints/step-2`),
    await digests(`${path}/twin/checkpoints/step-2`),
  );
  const before = await digests(`${path}/kl`);
  const again = train({ ...distant, steps: 2 }, { out: `${path}/kl`, resume: true });
  const { hint } = await assertRejects(() => again, UserError, `${model} holds no weights now`);
  assert(hint?.includes("put that folder back"));
  assertEquals(await digests(`${path}/kl`), before);
  await Deno.rename(`${path}/elsewhere`, model);
  await train({ ...distant, steps: 2 }, { out: `${path}/kl`, resume: true });
});
