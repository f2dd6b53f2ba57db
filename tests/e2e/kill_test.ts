/** Runs in child processes, with the command line's own permissions, that are killed and go on. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { cp } from "node:fs/promises";
import { libraryPath } from "../../ffi/mod.ts";
import { lockFolder, readMetrics, stripClock, temporaryPath } from "../../src/base/mod.ts";
import { start, thinker } from "../cli/thinker.ts";
import { type Rand, seeded } from "../native.ts";
import { digests, smallConfig, TempDir, timeless } from "./small.ts";

const config = smallConfig({
  steps: 15,
  evalEvery: 5,
  saveEvery: 3,
  evalProblems: 50,
  warmstart: { steps: 60, lr: 8e-3 },
});

/** A folder with the config's file, and what `train` is called with. */
async function workplace(changes: Partial<typeof config> = {}) {
  await libraryPath("cpu"); // no test waits for a build
  const dir = await TempDir.make();
  const file = `${dir.path}/config.json`;
  await Deno.writeTextFile(file, JSON.stringify({ ...config, ...changes }));
  const fresh = (out: string) => ["train", "--config", file, "--out", out];
  const resume = (out: string) => ["train", "--resume", "--out", out];
  return { path: dir.path, fresh, resume, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

/** Everything that runs of one config share, byte for byte but for the clock. */
async function remains(run: string) {
  return {
    config: await Deno.readTextFile(`${run}/config.json`),
    warmstart: (await readMetrics(`${run}/warmstart.jsonl`)).map(stripClock),
    metrics: await timeless(run),
    episodes: await Deno.readTextFile(`${run}/episodes.jsonl`),
    checkpoints: await digests(`${run}/checkpoints`),
  };
}

async function finish(args: string[]): Promise<void> {
  const { code, stderr } = await thinker(args);
  assertEquals(code, 0, stderr);
}

/** How far a run has come, as its folder shows from outside. */
function look(run: string) {
  const lines = (name: string) => {
    try {
      return Deno.readTextFileSync(`${run}/${name}.jsonl`).split("\n").length - 1;
    } catch {
      return 0;
    }
  };
  const names = (dir: string) => {
    try {
      return [...Deno.readDirSync(dir)].map((entry) => entry.name);
    } catch {
      return [];
    }
  };
  const inside = names(`${run}/checkpoints`);
  const steps = inside.flatMap((name) => /^step-(\d+)$/.exec(name)?.[1] ?? []).map(Number);
  return {
    begun: names(run).includes("config.json"),
    warm: lines("warmstart"),
    logged: lines("metrics"),
    saved: Math.max(-1, ...steps),
    saving: inside.some((name) => name.endsWith(".tmp")),
  };
}
type Look = ReturnType<typeof look>;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs `thinker` and sends it a signal `ms` milliseconds after `when` first holds. */
async function interrupt(
  args: string[],
  run: string,
  signal: Deno.Signal,
  when: (now: Look) => boolean,
  ms: number,
) {
  const child = await start(args);
  let over = false;
  const output = child.output().finally(() => over = true);
  while (!over && !when(look(run))) await sleep(1);
  await sleep(ms);
  const hit = !over;
  if (hit) child.kill(signal);
  const { code, stderr } = await output;
  return { hit, code, stderr: new TextDecoder().decode(stderr) };
}

/** Moments to kill a run at: what to wait for, and how many milliseconds longer, at least and at most. */
function moments(
  rand: Rand,
  before: Look,
): Record<string, [(now: Look) => boolean, number, number]> {
  const { steps, saveEvery, evalEvery } = config;
  const warm = rand.int(1, config.warmstart.steps);
  const next = Math.min(before.saved + 1 + rand.int(0, 3), steps - 1);
  // The step after the logged ones has begun: what was to be saved is saved.
  const inStep = ({ logged, saved }: Look) =>
    logged > next && saved === Math.floor((logged - 1) / saveEvery) * saveEvery;
  return {
    "starting": [(now) => now.begun, 0, 30],
    "warm start": [(now) => now.warm >= warm && now.logged === 0, 0, 10],
    "first evaluation": [(now) => now.warm === config.warmstart.steps, 0, 60],
    "a step": [inStep, 0, 80],
    "an evaluation": [(now) => inStep(now) && now.logged % evalEvery === 0, 50, 150],
    "a checkpoint": [(now) => now.saving, 0, 8],
  };
}

const early = ["starting", "warm start", "first evaluation"];
const late = ["a step", "a checkpoint", "an evaluation", "a step", "a checkpoint", "a step"];

Deno.test("kill -9 at ten random moments: the run ends as one that was never killed", () =>
  seeded(async (rand) => {
    console.log(`  seed ${rand.seed}`);
    await using place = await workplace();
    const whole = `${place.path}/whole`, twin = `${place.path}/twin`, run = `${place.path}/run`;
    await Promise.all([finish(place.fresh(whole)), finish(place.fresh(twin))]);
    const expected = await remains(whole);
    assertEquals(await remains(twin), expected, "two runs that nobody touched");
    assert(expected.metrics.some((line) => line["reward/episode"] > 0), "nothing was learned from");
    // Saved before it was evaluated, the last step has its line marked in its checkpoint all the same.
    const state = `${whole}/checkpoints/step-${config.steps}/trainer/state.json`;
    const { logs } = JSON.parse(await Deno.readTextFile(state));
    assertEquals(logs.metrics.rows, config.steps + 1);

    const hits: string[] = [];
    for (let kills = 0; kills < 10; kills++) {
      const before = look(run);
      const names = before.saved < 0 && kills < early.length ? early : late;
      const name = names[kills % names.length];
      const [when, least, most] = moments(rand, before)[name];
      const wait = least + rand.uniform() * (most - least);
      const args = before.begun ? place.resume(run) : place.fresh(run);
      const { hit } = await interrupt(args, run, "SIGKILL", when, wait);
      const { warm, logged, saved, saving } = look(run);
      const state = `warm start ${warm}, logged ${logged - 1}, saved ${saved}`;
      if (hit) hits.push(`${name}: ${state}${saving ? ", a checkpoint half written" : ""}`);
    }
    await finish(place.resume(run));
    assertEquals(await remains(run), expected, hits.join("; "));
    console.log(`  ${hits.length} kills hit a running process\n    ${hits.join("\n    ")}`);
    assert(hits.length >= 7, `only ${hits.length} kills hit a running process`);
  }));

Deno.test("Ctrl-C saves the last whole step and exits 130; what goes on is the same run", async () => {
  await using place = await workplace({ evalEvery: 100, saveEvery: 100 });
  const whole = `${place.path}/whole`, run = `${place.path}/run`;
  await finish(place.fresh(whole));

  const warm = await interrupt(place.fresh(run), run, "SIGINT", (now) => now.warm >= 5, 0);
  assertEquals([warm.code, warm.hit], [130, true], warm.stderr);
  assertMatch(warm.stderr, /interrupted\n$/);
  assertEquals(look(run).saved, -1);

  for (let stops = 0; stops < 2; stops++) {
    const { saved } = look(run);
    const when = (now: Look) => now.logged > saved + 3;
    const { code, stderr } = await interrupt(place.resume(run), run, "SIGINT", when, 0);
    assertEquals(code, 130, stderr);
    const after = look(run);
    assert(after.saved > saved, `saved ${saved}, then ${after.saved}`);
    assertEquals(after.saved, after.logged - 1);
  }
  await finish(place.resume(run));
  const last = `/checkpoints/step-${config.steps}`;
  assertEquals(await digests(run + last), await digests(whole + last));
  assertEquals(await timeless(run), await timeless(whole));
});

/** Fails to resume, with one line and a hint. */
async function refused(args: string[], ...parts: string[]): Promise<void> {
  const { code, stderr } = await thinker(args);
  assertEquals(code, 1, `${args.join(" ")}: ${stderr}`);
  assertMatch(stderr, /^error: .+\n(hint: .+\n)?$/);
  for (const part of parts) assertStringIncludes(stderr, part);
}

Deno.test("--resume takes the run's own settings, more steps, and sound checkpoints", async () => {
  await using place = await workplace({ steps: 2, evalProblems: 5 });
  const run = `${place.path}/run`, none = `${place.path}/none`;
  await finish(place.fresh(run));
  const other = `${place.path}/other.json`;
  await Deno.writeTextFile(other, JSON.stringify({ ppo: { gamma: 0.9 } }));
  const before = await digests(run);
  await Promise.all([
    refused(["train", "--resume"], "--out"),
    refused(place.resume(none), "no run to resume", none),
    refused([...place.resume(run), "--seed", "7"], "another seed (1, now 7)", "--steps"),
    refused([...place.resume(run), "--data", "my.jsonl"], 'another data (null, now "my.jsonl")'),
    refused([...place.resume(run), "--task", "baseline"], "another task"),
    refused([...place.resume(run), "--config", other], "another ppo.gamma (1, now 0.9)"),
  ]);
  {
    // What a second process would cut off of the run that goes on.
    const log = `${run}/metrics.jsonl`, lines = await Deno.readTextFile(log);
    await Deno.writeTextFile(log, '{"step":3}\n', { append: true });
    using _lock = await lockFolder(run, { name: "the run" });
    await refused(place.resume(run), `the run folder ${run} is in use by process ${Deno.pid}`);
    assertStringIncludes(await Deno.readTextFile(log), '{"step":3}\n');
    await Deno.writeTextFile(log, lines);
  }
  assertEquals(await digests(run), before);

  // tests/train/whole_test.ts has every file and every kind of damage.
  const copy = `${place.path}/copy`,
    half = (path: string) => Deno.truncate(path, Math.floor(Deno.statSync(path).size / 2));
  await cp(run, copy, { recursive: true });
  await half(`${copy}/checkpoints/step-2/trainer/optimizer.safetensors`);
  await half(`${copy}/checkpoints/step-0/model.safetensors`);
  const damaged = await digests(copy);
  await refused(
    place.resume(copy),
    "no whole checkpoint: step-2 is damaged (trainer/optimizer.safetensors), step-0 is damaged",
  );
  assertEquals(await digests(copy), damaged);
  await cp(`${run}/checkpoints/step-0`, `${copy}/checkpoints/step-0`, { recursive: true });
  const { code, stderr } = await thinker(place.resume(copy));
  assertEquals(code, 0, stderr);
  assertStringIncludes(
    stderr,
    "checkpoint step-2 is damaged (trainer/optimizer.safetensors): going on from step-0\n",
  );
  assertEquals(await digests(`${copy}/checkpoints`), await digests(`${run}/checkpoints`));

  // What a kill may leave behind: half a checkpoint under its temporary name, half a line.
  const unfinished = temporaryPath(`${run}/checkpoints/step-9`);
  await Deno.mkdir(unfinished);
  await Deno.writeTextFile(`${unfinished}/config.json`, '{"step": 9');
  await Deno.writeTextFile(`${run}/metrics.jsonl`, '{"step":3,"rew', { append: true });
  const lines = await timeless(run);
  await finish([...place.resume(run), "--steps", "4"]);
  assertEquals(look(run), { begun: true, warm: 60, logged: 5, saved: 4, saving: false });
  assertEquals((await timeless(run)).slice(0, 3), lines);
});
