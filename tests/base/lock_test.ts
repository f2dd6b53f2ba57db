import { assert, assertEquals, assertRejects } from "@std/assert";
import { lockFolder, lockPlace, TakenError, UserError } from "../../src/base/mod.ts";
import { TempDir } from "../e2e/small.ts";

const names = async (dir: string) =>
  (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name).sort();

/** A child process that takes a folder, says so, and holds it until it is killed. */
async function holder(dir: string) {
  const script = `
    import { lockFolder } from "${import.meta.resolve("../../src/base/lock.ts")}";
    const lock = await lockFolder("${dir}", { name: "the folder" });
    console.log("taken");
    setInterval(() => lock, 1000);`;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-q",
      "--no-prompt",
      "--no-config",
      "--no-lock",
      "-RW",
      `data:text/typescript,${encodeURIComponent(script)}`,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  return child;
}

Deno.test("a lock ends with its process, however that ends, and is never stale", async () => {
  await using dir = await TempDir.make();
  const path = `${dir.path}/folder`;
  const child = await holder(path);
  const take = () => lockFolder(path, { name: "the folder x", hint: "take y" });
  const error = await assertRejects(take, TakenError);
  assertEquals([error.message, error.hint], [
    `the folder x is in use by process ${child.pid}`,
    "take y",
  ]);
  child.kill("SIGKILL");
  await child.status;
  assertEquals(await names(path), [".lock"]);
  {
    using _lock = await take();
    await assertRejects(take, TakenError, `in use by process ${Deno.pid}`);
  }
  assertEquals(await names(path), []);
});

Deno.test("who waits for a lock gets it, one after the other", async () => {
  await using dir = await TempDir.make();
  let inside = 0, most = 0;
  await Promise.all(Array.from({ length: 5 }, async () => {
    using _lock = await lockPlace(`${dir.path}/model`, { name: "the model", wait: true });
    most = Math.max(most, ++inside);
    await new Promise((resolve) => setTimeout(resolve, 5));
    inside--;
  }));
  assertEquals([most, await names(dir.path)], [1, []]);
});

Deno.test("a lock is written into no file that is not one", async () => {
  await using dir = await TempDir.make();
  const { path } = dir, other = `${path}/other`, lock = `${path}/.lock`;
  const plant: Record<string, () => Promise<void>> = {
    "is a link or no file": () => Deno.symlink(other, lock),
    "and nothing is written through it": () => Deno.link(other, lock),
    "is a link or": () => Deno.mkdir(lock),
    "is not a lock of this program": () => Deno.writeTextFile(lock, "my notes"),
  };
  await Deno.writeTextFile(other, "4711\n");
  for (const [says, make] of Object.entries(plant)) {
    await make();
    const error = await assertRejects(() => lockFolder(path, { name: "x" }), UserError, says);
    assert(!error.message.includes("\n"));
    assertEquals(await Deno.readTextFile(other), "4711\n");
    await Deno.remove(lock);
  }
  await Deno.symlink(`${path}/nowhere`, lock);
  await assertRejects(() => lockFolder(path, { name: "x" }), UserError, "is a link or no file");
  assertEquals(await names(path), [".lock", "other"]);
});
