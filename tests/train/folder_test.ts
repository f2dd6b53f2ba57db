import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { basename, join } from "node:path";
import { temporaryPath } from "../../src/base/mod.ts";
import { RunFolder } from "../../src/train/mod.ts";
import { UserError } from "../../src/base/errors.ts";

async function inTempDir(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const names = async (dir: string) =>
  (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name).sort();

const save = (text: string) => (dir: string) => Deno.writeTextFile(join(dir, "weights"), text);

Deno.test("a new run takes a new or an empty folder only", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "runs", "a");
    {
      using folder = await RunFolder.create(path);
      await folder.writeJson(folder.config, { seed: 1 });
      assertEquals(JSON.parse(await Deno.readTextFile(folder.config)), { seed: 1 });
    }
    const error = await assertRejects(() => RunFolder.create(path), UserError);
    assertStringIncludes(error.message, path);
    assertStringIncludes(error.hint ?? "", "--resume");
    using _again = await RunFolder.create(path, { resume: true });

    const empty = join(dir, "empty");
    await Deno.mkdir(empty);
    using _new = await RunFolder.create(empty);
  }));

Deno.test("what is no folder, or cannot be written, is a user's error", () =>
  inTempDir(async (dir) => {
    const file = join(dir, "file");
    await Deno.writeTextFile(file, "");
    await assertRejects(() => RunFolder.create(file), UserError);
    const error = await assertRejects(() => RunFolder.create(join(file, "run")), UserError);
    assertStringIncludes(error.message, file);
    await assertRejects(() => RunFolder.create("/proc/self/run"), UserError, "/proc/self/run");
  }));

Deno.test("a missing permission is a user's error that names the permission", () =>
  inTempDir(async (dir) => {
    const script = `
      import { RunFolder } from "${import.meta.resolve("../../src/train/folder.ts")}";
      try { await RunFolder.create("${dir}/run"); } catch (e) { console.log(e.name, e.hint); }`;
    const output = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-config", `--allow-read=${dir}`, "-"],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const writer = output.stdin.getWriter();
    await writer.write(new TextEncoder().encode(script));
    await writer.close();
    const text = new TextDecoder().decode((await output.output()).stdout);
    assertStringIncludes(text, "UserError");
    assertStringIncludes(text, `--allow-write=${dir}/run`);
  }));

Deno.test("resume needs a run", () =>
  inTempDir(async (dir) => {
    const missing = join(dir, "none");
    const error = await assertRejects(
      () => RunFolder.create(missing, { resume: true }),
      UserError,
    );
    assertStringIncludes(error.message, missing);
    await assertRejects(() => Deno.stat(missing), Deno.errors.NotFound);
  }));

Deno.test("a run killed before its configuration was in place can start again", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "run");
    await Deno.mkdir(join(path, "checkpoints"), { recursive: true });
    await Deno.writeTextFile(temporaryPath(join(path, "config.json")), '{"se');
    // A checkpoint that add-tokens was changing: nothing else is left of it.
    const aside = temporaryPath(join(path, "checkpoints", "step-1")).replace(/tmp$/, "old");
    await Deno.mkdir(aside);
    await Deno.writeTextFile(join(path, ".lock"), "4711\n");
    {
      using folder = await RunFolder.create(path);
      await Deno.writeTextFile(folder.config, "{}");
    }
    assertEquals(await names(path), ["checkpoints", "config.json"]);
    assertEquals(await names(join(path, "checkpoints")), [basename(aside)]);
  }));

Deno.test("what this program did not make is never removed, written through or run over", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "run"), other = join(dir, "other");
    await Deno.mkdir(join(path, "checkpoints"), { recursive: true });
    await Deno.writeTextFile(other, "precious");
    const foreign = [".notes.tmp", ".config.json.tmp", ".a.1-2.tmp", "checkpoints/.step-3.tmp"];
    for (const name of foreign) await Deno.symlink(other, join(path, name));
    const ours = [
      temporaryPath(join(path, "config.json")),
      temporaryPath(join(path, "checkpoints/step-3")),
    ];
    for (const name of ours) await Deno.symlink(other, name);
    {
      using folder = await RunFolder.create(path);
      await folder.writeJson(folder.config, {});
      await folder.checkpoint(3, save("three"));
    }
    assertEquals(await names(path), [
      ".a.1-2.tmp",
      ".config.json.tmp",
      ".notes.tmp",
      "checkpoints",
      "config.json",
    ]);
    assertEquals(await names(join(path, "checkpoints")), [".step-3.tmp", "step-3"]);
    using again = await RunFolder.create(path, { resume: true });
    assertEquals((await again.checkpoints()).length, 1);
    for (const name of foreign) assertEquals(await Deno.readLink(join(path, name)), other);
    assertEquals(await Deno.readTextFile(other), "precious");
  }));

Deno.test("a run folder belongs to one run: a second one is refused before it touches anything", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "run");
    using folder = await RunFolder.create(path);
    await folder.writeJson(folder.config, {});
    const leftover = temporaryPath(folder.metrics); // of the run that goes on
    await Deno.writeTextFile(leftover, "");
    const error = await assertRejects(() => RunFolder.create(path, { resume: true }), UserError);
    assertEquals(error.message, `the run folder ${path} is in use by process ${Deno.pid}`);
    assertEquals(error.hint, "wait until that is done, or stop it");
    assert((await Deno.stat(leftover)).isFile);
  }));

Deno.test("runs that name no folder get one each, though they begin at the same moment", () =>
  inTempDir(async (dir) => {
    const run = { preset: "tiny", task: "thinker", seed: 7 },
      base = join(dir, "tiny-thinker-seed7");
    await Deno.mkdir(base);
    await Deno.writeTextFile(join(base, "notes"), "");
    const folders = await Promise.all([1, 2, 3].map(() => RunFolder.createNext(run, dir)));
    for (const folder of folders) folder[Symbol.dispose]();
    assertEquals(folders.map(({ path }) => path).sort(), [`${base}-2`, `${base}-3`, `${base}-4`]);
    const other = { preset: "tiny", task: "baseline", seed: 0 };
    using folder = await RunFolder.createNext(other, join(dir, "runs"));
    assertEquals(folder.path, join(dir, "runs", "tiny-baseline-seed0"));
  }));

Deno.test("checkpoints appear whole, and the highest step is the latest", () =>
  inTempDir(async (dir) => {
    using folder = await RunFolder.create(join(dir, "run"));
    await folder.writeJson(folder.config, {});
    assertEquals(await folder.latestCheckpoint(), null);
    await folder.checkpoint(5, save("five"));
    await folder.checkpoint(10, async (temporary) => {
      await Deno.mkdir(join(temporary, "policy"));
      await save("ten")(join(temporary, "policy"));
      assertEquals((await folder.latestCheckpoint())?.step, 5);
    });
    const latest = await folder.latestCheckpoint();
    assertEquals(latest, { step: 10, path: folder.checkpointPath(10) });
    assertEquals(await Deno.readTextFile(join(latest!.path, "policy", "weights")), "ten");

    await assertRejects(
      () =>
        folder.checkpoint(15, async (temporary) => {
          await save("half")(temporary);
          throw new Error("killed");
        }),
      Error,
      "killed",
    );
    assertEquals((await folder.checkpoints()).map(({ step }) => step), [5, 10]);

    assertEquals(await names(join(folder.path, "checkpoints")), ["step-10", "step-5"]);
    folder[Symbol.dispose]();
    using resumed = await RunFolder.create(folder.path, { resume: true });
    await resumed.checkpoint(10, save("again"));
    assertEquals(await Deno.readTextFile(join(resumed.checkpointPath(10), "weights")), "again");
  }));
