import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import { openPrompts, presets } from "../../src/setup/mod.ts";
import { askSettings, latestCheckpoint } from "../../src/train/runs.ts";
import { baseline, builtinTasks, thinker } from "../../src/task/mod.ts";
import { tinyPrompts } from "../../src/tiny/mod.ts";

async function withFolder(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("latestCheckpoint: the newest of all runs, the highest step of its run", () =>
  withFolder(async (root) => {
    const make = async (run: string, step: number, seconds: number) => {
      const dir = `${root}/${run}/checkpoints/step-${step}`;
      await Deno.mkdir(dir, { recursive: true });
      await Deno.utime(dir, seconds, seconds);
      return dir;
    };
    await Deno.writeTextFile(`${root}/a-file`, "");
    await Deno.mkdir(`${root}/begun/checkpoints`, { recursive: true });
    await make("old", 100, 1000);
    await make("new", 9, 2000);
    const newest = await make("new", 10, 2001);
    assertEquals(await latestCheckpoint(root), newest);
  }));

Deno.test("latestCheckpoint: without any it says how to get one", () =>
  withFolder(async (root) => {
    await Deno.mkdir(`${root}/begun/checkpoints`, { recursive: true });
    for (const dir of [root, `${root}/missing`]) {
      const error = await assertRejects(
        () => latestCheckpoint(dir),
        UserError,
        `no checkpoint under ${dir}/`,
      );
      assertEquals(error.hint?.includes("deno task train"), true);
    }
  }));

Deno.test("openPrompts: the built-in sets, a file, or one clear line", () =>
  withFolder(async (dir) => {
    const open = (name: string) => openPrompts(name, [thinker, baseline]);
    assertEquals(open("tiny"), tinyPrompts);
    assertEquals(open("default"), {}, "each task's own");
    const file = `${dir}/prompts.json`;
    const mine = { ...tinyPrompts, slow: "try again" };
    await Deno.writeTextFile(file, JSON.stringify(mine));
    assertEquals(open(file), mine);
    await Deno.writeTextFile(file, "{ broken");
    assertThrows(() => open(file), UserError, `${file} is not valid JSON`);
    await Deno.writeTextFile(file, '{ "fasst": "x" }');
    assertThrows(() => open(file), UserError, file);
    assertThrows(() => open(`${dir}/none.json`), UserError, "cannot read");
  }));

/** A run's config and an empty checkpoint of it, whose path is returned. */
async function checkpointOf(dir: string, config: object): Promise<string> {
  const checkpoint = `${dir}/run/checkpoints/step-1`;
  await Deno.mkdir(checkpoint, { recursive: true });
  await Deno.writeTextFile(`${dir}/run/config.json`, JSON.stringify(config));
  return checkpoint;
}

Deno.test("askSettings: as in the model's run; a folder that is no checkpoint has none", () =>
  withFolder(async (dir) => {
    const budgets = { answer: 7 };
    const config = { ...presets.tiny, task: "baseline", budgets, weightDtype: "bf16" };
    const model = await checkpointOf(dir, config);
    const asRun = { task: baseline, prompts: tinyPrompts, budgets, weightDtype: "bf16" as const };
    assertEquals(askSettings(model), asRun);
    assertEquals(askSettings(`${model}/`), asRun);
    await Deno.symlink(model, `${dir}/link`);
    assertEquals(askSettings(`${dir}/link`), asRun);

    const plain = { task: thinker, prompts: {}, budgets: undefined, weightDtype: undefined };
    await Deno.mkdir(`${dir}/run/models/mine`, { recursive: true });
    assertEquals(askSettings(`${dir}/run/models/mine`), plain);
    assertEquals(askSettings(`${dir}/nowhere`), plain);
    await Deno.remove(`${dir}/run/config.json`);
    assertEquals(askSettings(model), plain);
  }));

Deno.test("askSettings: a run's config that does not fit is no plain model", () =>
  withFolder(async (dir) => {
    const { weightDtype, ...others } = presets.tiny;
    const model = await checkpointOf(dir, { ...others, weights: weightDtype });
    for (const chosen of [{}, { task: "baseline", prompts: "tiny" }]) {
      const error = assertThrows(
        () => askSettings(model, chosen),
        UserError,
        'run/config.json: "weights" has another name now',
      );
      assertEquals(error.hint, "write weightDtype");
    }
    await Deno.writeTextFile(`${dir}/run/config.json`, "{");
    assertThrows(() => askSettings(model), UserError, "config.json is not valid JSON");
  }));

Deno.test("askSettings: of the run only what is not chosen has to be there", () =>
  withFolder(async (dir) => {
    const own = { ...baseline, name: "own" };
    const model = await checkpointOf(dir, { ...presets.tiny, task: "own" });
    assertEquals(askSettings(model, { task: "baseline" }).task, baseline);
    assertEquals(askSettings(model, { tasks: [...builtinTasks, own] }).task, own);
    const error = assertThrows(() => askSettings(model), UserError, `the run's task "own"`);
    assertEquals(error.hint?.includes("--task (thinker, "), true);

    await checkpointOf(dir, { ...presets.tiny, prompts: `${dir}/gone.json` });
    assertEquals(askSettings(model, { prompts: "tiny" }).prompts, tinyPrompts);
    const gone = assertThrows(() => askSettings(model), UserError, `cannot read ${dir}/gone.json`);
    assertEquals(gone.hint?.includes("--prompts"), true);
  }));
