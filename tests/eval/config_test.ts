import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { temporaryPath, UserError } from "../../src/base/mod.ts";
import { type EvalConfig, EvalFolder, readResults } from "../../src/eval/mod.ts";
import { filesOf, TempDir } from "../e2e/small.ts";

const config: EvalConfig = {
  method: {
    model: "models/small",
    fingerprint: "0123456789abcdef",
    task: "thinker",
    budgets: { fast: 10 },
    complete: false,
    prompts: {},
    sampling: { temperature: 1, topP: 1, topK: 0 },
    seed: 1,
    device: "cpu",
    weightDtype: "f32",
  },
  extent: { sets: ["sums"], data: "data", samples: 1, limit: null },
};

Deno.test("EvalFolder: opens again with the same method only", async () => {
  await using dir = await TempDir.make();
  const path = `${dir.path}/eval`;
  (await EvalFolder.open(path, config))[Symbol.dispose]();
  const more = { ...config, extent: { ...config.extent, samples: 2 } };
  using folder = await EvalFolder.open(path, more);
  const held = await assertRejects(() => EvalFolder.open(path, more), UserError);
  assertEquals(held.message, `the evaluation folder ${path} is in use by process ${Deno.pid}`);
  folder[Symbol.dispose]();
  assertEquals(EvalFolder.at(path).savedConfig(), more);
  const other = { ...config, method: { ...config.method, seed: 2 } };
  await assertRejects(() => EvalFolder.open(path, other), UserError, "another seed (1, now 2)");
});

Deno.test("an evaluation of an older version: one line, and a way that works", async () => {
  await using dir = await TempDir.make();
  const { path } = dir, { fingerprint, ...method } = config.method;
  const old = { method: { ...method, weights: fingerprint }, extent: config.extent };
  await Deno.writeTextFile(`${path}/config.json`, JSON.stringify(old));
  const opened = await assertRejects(
    () => EvalFolder.open(path, config),
    UserError,
    `${path} holds an evaluation of an older version`,
  );
  assertEquals(opened.hint, "name another folder with --out");

  await Deno.writeTextFile(`${path}/results.json`, JSON.stringify({ config: old, sets: [] }));
  const compared = assertThrows(
    () => readResults(path),
    UserError,
    `${path}/results.json is of an older version`,
  );
  assertEquals(compared.hint?.includes("another folder with --out"), true);
});

Deno.test("EvalFolder: nothing foreign is written through or removed, hidden or not", async () => {
  await using dir = await TempDir.make();
  const path = `${dir.path}/eval`, other = `${dir.path}/other`;
  await Deno.mkdir(path);
  await Deno.writeTextFile(other, "precious");
  await Deno.symlink(other, `${path}/.config.json.tmp`);
  await Deno.symlink(other, temporaryPath(`${path}/config.json`));
  (await EvalFolder.open(path, config))[Symbol.dispose]();
  assertEquals(await filesOf(path), [".config.json.tmp", "config.json"]);
  assertEquals(await Deno.readTextFile(other), "precious");
  await Deno.symlink(other, `${path}/.lock`);
  await assertRejects(() => EvalFolder.open(path, config), UserError, "is a link or no file");
  assertEquals(await Deno.readTextFile(other), "precious");
});

Deno.test("EvalFolder: a folder of something else is no older evaluation", async () => {
  await using dir = await TempDir.make();
  await Deno.writeTextFile(`${dir.path}/config.json`, '{"preset":"tiny"}');
  await assertRejects(
    () => EvalFolder.open(dir.path, config),
    UserError,
    "config.json: this is no evaluation",
  );
});
