import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import { openPrompts } from "../../src/setup/mod.ts";
import { latestCheckpoint } from "../../src/train/runs.ts";
import { baseline, thinker } from "../../src/task/mod.ts";
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
