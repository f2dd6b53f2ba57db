/** What the tasks of deno.json may do, and how they say what they may not. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { TempDir } from "../e2e/small.ts";
import { TestHub } from "../hub/server.ts";
import { writeModel } from "../model_files/model_folder.ts";
import { ended, start, startModel } from "./thinker.ts";

const root = new URL("../../", import.meta.url).pathname;
const { tasks }: { tasks: Record<string, string> } = JSON.parse(
  await Deno.readTextFile(`${root}deno.json`),
);

Deno.test("permissions: users' tasks write to folders and connect to hosts that they name", () => {
  for (const name of ["thinker", "model", "data", "build"]) {
    assertMatch(tasks[name], / "--allow-write=\S/, name);
    assert(!/ (-\w*A\w*|--allow-(all|write|net|run|ffi)) /.test(tasks[name]), name);
  }
  const unlocked = Object.entries(tasks).filter(([, task]) =>
    task.replaceAll(/\$\(.*?\)/g, "").split("&&").some((command) =>
      /deno (run|check|test|doc) /.test(command) && !command.includes(" --lock=deno.lock ") &&
      !command.endsWith(" ffi/generate.ts") // it imports nothing
    )
  );
  assertEquals(unlocked, []);
});

Deno.test("permissions: a place outside is refused in one line that says how, before any work", async () => {
  await using dir = await TempDir.make();
  const own = dir.path, out = `${own}/out`, model = `${own}/model`, rows = `${own}/rows.jsonl`;
  await Deno.mkdir(model);
  await writeModel(model, { rows: 300, tied: false });
  await Deno.writeTextFile(rows, '{"id": 1, "question": "1+1=", "answer": "2"}\n');
  const before = [...Deno.readDirSync(own)].map(({ name }) => name).sort();
  const env = { THINKER_WRITE: "" };
  const cases: [string, string[]][] = [
    [out, ["train", "--out", out]],
    [out, ["eval", "--model", model, "--out", out, "--task", "thinker", "--prompts", "default"]],
    [out, ["data", "--from", own, "--out", out]],
    [out, ["data", "check", rows, "--write", out]],
    [out, ["model", "import", rows, out]],
    [model, ["model", "add-tokens", model]],
  ];
  await Promise.all(cases.map(async ([path, args]) => {
    const { code, stderr } = await ended(await start(args, { env }));
    assertEquals(code, 1, args.join(" "));
    const [error, hint, rest] = stderr.split("\n");
    assertMatch(error, /^error: .*: this task may not write to /);
    assert(error.endsWith(path), stderr);
    assertMatch(hint, /^hint: only below runs, models, data and what THINKER_WRITE names: /);
    assertStringIncludes(hint, `THINKER_WRITE=${own} deno task`);
    assertEquals(rest, "");
  }));
  assertEquals([...Deno.readDirSync(own)].map(({ name }) => name).sort(), before);
  const some = await ended(
    await start(["model", "add-tokens", model], { env: { THINKER_WRITE: `runs, ${own}` } }),
  );
  assertEquals(some.code, 0, some.stderr);
});

Deno.test("permissions: a hub that sends files from a host of nobody's choice is told so", async () => {
  await using dir = await TempDir.make();
  const names = ["config.json", "tokenizer.json", "model.safetensors"];
  const files = Object.fromEntries(names.map((name) => [name, new TextEncoder().encode("{}")]));
  await using hub = await TestHub.start({ files, large: ["model.safetensors"] });
  const args = ["download", hub.repository, "--out", `${dir.path}/model`];
  const run = async (env: Record<string, string>) =>
    await ended(await startModel(args, { env: { HF_ENDPOINT: hub.endpoint, ...env } }));
  const { code, stderr } = await run({});
  assertEquals(code, 1);
  const lines = stderr.split("\n").filter((line) => /^(error|hint)/.test(line));
  const [, storage] = lines[0].match(
    /^error: 127\.0\.0\.1:\d+ sends files from (127\.0\.0\.1:\d+), which this task may not reach$/,
  ) ?? [];
  assertEquals(lines[1], `hint: if you trust that host: THINKER_NET=${storage} deno task …`);
  assertEquals((await run({ THINKER_NET: storage })).stderr.includes("may not reach"), false);
});

Deno.test("permissions: the first start asks the registry for what it uses, nothing of tests and grading", async () => {
  await using dir = await TempDir.make();
  const asked = new Set<string>();
  const registry = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const path = decodeURIComponent(new URL(request.url).pathname.slice(1));
    asked.add(path.replace(/\/-\/.*/, ""));
    return new Response("not found", { status: 404 });
  });
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "-q", "thinker", "--help"],
    cwd: root,
    env: { DENO_DIR: dir.path, NPM_CONFIG_REGISTRY: `http://127.0.0.1:${registry.addr.port}` },
  }).output();
  await registry.shutdown();
  assertEquals(code, 1);
  assert(asked.has("zod") && asked.has("commander"));
  const needed =
    /^(zod|commander|@huggingface\/jinja|@uwdata\/flechette|hyparquet(-compressors)?|fzstd|hysnappy)$/;
  assertEquals([...asked].filter((name) => !needed.test(name)), []);
});
