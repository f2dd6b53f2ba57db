import { existsSync } from "node:fs";
import { cp } from "node:fs/promises";
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import {
  exists,
  readMetrics,
  readSealed,
  sealJson,
  stripClock,
  version,
} from "../../src/base/mod.ts";
import { loadModel } from "../../src/model/mod.ts";
import type { Origin } from "../../src/train/origin.ts";
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

Deno.test("resume: warm start and evaluation are taken up where a signal stopped them", async () => {
  await using dir = await TempDir.make();
  const whole = `${dir.path}/whole`, out = `${dir.path}/run`;
  const short = smallConfig({ steps: 2, evalEvery: 2, evalProblems: 60 });
  await train(short, { out: whole });
  const phases: string[] = [];
  const onPhase = (name: string, total: number, from: number) =>
    phases.push(`${name} ${from}/${total}`);
  const stopped = async (onStep: (step: number, stop: () => void) => void, resume: boolean) => {
    const controller = new AbortController();
    const stop = () => controller.abort(new Error("stopped"));
    const { signal } = controller;
    const run = train(short, {
      out,
      resume,
      signal,
      onPhase,
      onStep: (step) => onStep(step, stop),
    });
    await assertRejects(() => run, Error, "stopped");
  };
  await stopped((step, stop) => step === 5 && stop(), false);
  await stopped((step, stop) => step === 12 && stop(), true);
  assertEquals((await readMetrics(`${out}/warmstart.jsonl`)).length, 12);

  const isHeld = (step: number) => existsSync(`${out}/checkpoints/step-${step}`);
  let timer: ReturnType<typeof setInterval> | undefined;
  const whenHeld = (held: number) => (step: number, stop: () => void) => {
    // Step 0 follows the 20 updates of the warm start, and its checkpoint comes before its line.
    if (step === (held === 0 ? 13 : 0)) timer = setInterval(() => isHeld(held) && stop(), 1);
  };
  for (const held of [0, 2]) {
    await stopped(whenHeld(held), true).finally(() => clearInterval(timer));
    assertEquals((await timeless(out)).map(({ step }) => step), held === 0 ? [] : [0, 1]);
  }
  await train(short, { out, resume: true, onPhase });
  assertEquals(await remains(out), await remains(whole));
  assertEquals(await filesOf(out), await filesOf(whole));
  assertEquals(phases, [
    ...["warm start 0/20", "warm start 5/20", "warm start 12/20"],
    ...["train 0/2", "train 0/2", "train 2/2"],
  ]);
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

  // Settings are the run's own also where its file says others.
  const file = `${out}/config.json`, settings = await Deno.readTextFile(file);
  await Deno.writeTextFile(file, settings.replace('"clipHigh": 0.2', '"clipHigh": 0.6'));
  const changed = JSON.parse(await Deno.readTextFile(file));
  await assertRejects(
    () => train(changed, { out, resume: true }),
    UserError,
    `${file}: the run was begun with another ppo.clipHigh (0.2, now 0.6)`,
  );
  await Deno.writeTextFile(file, settings);
  const log = await Deno.readTextFile(`${out}/metrics.jsonl`);
  await Deno.writeTextFile(`${out}/metrics.jsonl`, log.split("\n").slice(1).join("\n"));
  const missing = "metrics.jsonl:1 is of step 1, not 0";
  await assertRejects(() => train(short, { out, resume: true }), UserError, missing);
  await Deno.writeTextFile(`${out}/metrics.jsonl`, log);
  await Deno.remove(`${out}/origin.json`);
  const lost = `cannot read ${out}/origin.json`;
  await assertRejects(() => train(short, { out, resume: true }), UserError, lost);
});

Deno.test("resume: a damaged checkpoint is passed over, said, and written anew; nothing trains on it", async () => {
  await using dir = await TempDir.make();
  const out = `${dir.path}/run`, last = `${out}/checkpoints/step-4`;
  await train(config, { out });
  const expected = await remains(out);
  const weights = await Deno.readFile(`${last}/model.safetensors`);
  weights[weights.length - 1_000] ^= 1;
  await Deno.writeFile(`${last}/model.safetensors`, weights);

  const damaged = "model.safetensors is not as it was written";
  await assertRejects(() => loadModel(last), UserError, damaged);
  const from = smallConfig({ steps: 1, model: last });
  await assertRejects(() => train(from, { out: `${dir.path}/from` }), UserError, damaged);
  assertEquals(await exists(`${dir.path}/from`), false);

  const notes: string[] = [];
  await train(config, { out, resume: true, onNote: (text) => notes.push(text) });
  assertEquals(notes, [
    "checkpoint step-4 is damaged (model.safetensors): going on from step-2",
  ]);
  assertEquals(await remains(out), expected);

  // So is what a KL term refers to, of which the model alone was kept.
  const distant = smallConfig({ steps: 1, evalProblems: 2, keep: 1, ppo: { klCoefficient: 0.1 } });
  await train(distant, { out: `${dir.path}/kl` });
  const start = `${dir.path}/kl/checkpoints/step-0/model.safetensors`;
  await Deno.writeTextFile(start, "!", { append: true });
  const again = train({ ...distant, steps: 2 }, { out: `${dir.path}/kl`, resume: true });
  await assertRejects(() => again, UserError, `step-0 is damaged: ${damaged}`);
});

Deno.test("resume: other rows are another run; a moved file is the same one; other programs are said", async () => {
  await using dir = await TempDir.make();
  const { path } = dir, data = `${path}/sums.jsonl`, out = `${path}/run`;
  const rows = Array.from(
    { length: 60 },
    (_, i) => JSON.stringify({ question: `${i}+${i}=`, answer: `${2 * i}` }) + "\n",
  );
  await Deno.writeTextFile(data, rows.join(""));
  const steps = (n: number, place = data) =>
    smallConfig({ steps: n, data: place, evalProblems: 5, evalEvery: 1 });
  await train(steps(1), { out });
  await cp(out, `${path}/twin`, { recursive: true });
  await train(steps(2), { out: `${path}/twin`, resume: true });

  const before = await digests(out);
  await Deno.writeTextFile(data, '{"question":"1+1=","answer":"2"}\n', { append: true });
  const appended = await assertRejects(
    () => train(steps(2), { out, resume: true }),
    UserError,
    `${data} is another file than the run was begun with (SHA-256 `,
  );
  assertMatch(appended.message, /SHA-256 [0-9a-f]{12}…, now SHA-256 [0-9a-f]{12}…\)$/);
  await Deno.remove(data);
  const gone = await assertRejects(() => train(steps(2), { out, resume: true }), UserError, data);
  assertStringIncludes(gone.hint ?? "", "--data");
  assertEquals(await digests(out), before);

  const elsewhere = `${path}/elsewhere.jsonl`;
  await Deno.writeTextFile(elsewhere, rows.join(""));
  const origin = readSealed(`${out}/origin.json`, "") as Origin;
  const [program] = origin.programs;
  const older = { ...program, version: "0.0.9", kernels: "0123456789ab" };
  await Deno.writeTextFile(`${out}/origin.json`, sealJson({ ...origin, programs: [older] }));
  const notes: string[] = [];
  await train(steps(2, elsewhere), { out, resume: true, onNote: (text) => notes.push(text) });
  assertEquals(notes, [
    `from step 1 on the run is taken up with version ${version} (before: 0.0.9), kernels ` +
    `${program.kernels} (before: 0123456789ab): that its bits stay those of one program cannot be ` +
    "promised",
  ]);
  const { data: now } = JSON.parse(await Deno.readTextFile(`${out}/config.json`));
  const { programs } = readSealed(`${out}/origin.json`, "") as Origin;
  assertEquals([now, programs], [elsewhere, [older, { ...program, step: 1 }]]);
  // Ids and all: as a run whose file stayed in its place.
  const saved = async (run: string) => ({
    metrics: await timeless(run),
    episodes: await Deno.readTextFile(`${run}/episodes.jsonl`),
    last: await digests(`${run}/checkpoints/step-2`),
  });
  assertEquals(await saved(out), await saved(`${path}/twin`));
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
  // It may come back elsewhere, but not as another.
  const moved = { ...distant, steps: 2, model: `${path}/elsewhere` };
  const weights = `${path}/elsewhere/model.safetensors`, good = await Deno.readFile(weights);
  await Deno.writeFile(weights, good.with(good.length - 3, 1));
  for (
    const [folder, asked] of [["kl", moved], ["run", { ...longer, model: moved.model }]] as const
  ) {
    await assertRejects(
      () => train(asked, { out: `${path}/${folder}`, resume: true }),
      UserError,
      `${weights} is another file than the run was begun with`,
    );
  }
  await Deno.writeFile(weights, good);
  await train(moved, { out: `${path}/kl`, resume: true });
});
