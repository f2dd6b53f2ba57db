import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { filesOf, TempDir } from "../e2e/small.ts";
import { TestHub } from "../hub/server.ts";
import { writeModel } from "../model_files/model_folder.ts";
import { thinker } from "./thinker.ts";

const root = new URL("../../", import.meta.url).pathname;

/** Runs `deno task model ...args`, the one task that may use the network. */
async function model(args: readonly string[], env: Record<string, string>, cwd = root) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "-q", "--config", `${root}deno.json`, "model", ...args],
    cwd,
    env: { NO_COLOR: "1", INIT_CWD: cwd, THINKER_WRITE: "/tmp", THINKER_NET: "127.0.0.1", ...env },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** The files of a small model, for a hub. */
async function modelFiles(): Promise<Record<string, Uint8Array>> {
  await using dir = await TempDir.make();
  await writeModel(dir.path, { rows: 300, tied: true });
  const names = await filesOf(dir.path);
  const contents = await Promise.all(names.map((name) => Deno.readFile(`${dir.path}/${name}`)));
  return Object.fromEntries(names.map((name, i) => [name, contents[i]]));
}

Deno.test("cli: model download, info and add-tokens, one after the other", async () => {
  const files = await modelFiles();
  const faults = { "model.safetensors": [{ dropAfter: 3000 }] };
  await using hub = await TestHub.start({
    files,
    large: ["model.safetensors"],
    faults,
    token: "hf_x",
  });
  await using dir = await TempDir.make();
  const out = `${dir.path}/small`, env = { HF_ENDPOINT: hub.endpoint, HF_TOKEN: "hf_x" };
  const download = ["download", hub.repository, "--out", out];
  const first = await model(download, env);
  assertEquals(first.code, 0, first.stderr);
  assertMatch(
    first.stdout,
    /^downloaded and checked: some-lab\/small-model at 0123456789ab, \d.*B\n/,
  );
  assertStringIncludes(first.stdout, `model info ${out}`);
  assertMatch(first.stderr, /^.* of .*B, .*\/s\n/);
  const again = await model(download, env);
  assertEquals([again.code, again.stdout.split(":")[0]], [0, "already there"]);
  const stranger = await model(download, { HF_ENDPOINT: hub.endpoint });
  assertEquals([stranger.code, stranger.stdout], [1, ""]);
  assertMatch(stranger.stderr, /^error: .* answers 401 .*\nhint: .*HF_TOKEN\n$/);

  const before = JSON.parse((await thinker(["model", "info", out, "--json"])).stdout);
  assertEquals(before.source.repository, hub.repository);
  assertEquals(before.tokenizer.chatML, { "<|im_start|>": null, "<|im_end|>": null });
  const added = await thinker(["model", "add-tokens", out]);
  assertEquals(
    added.stdout,
    "<|im_start|>  257  added\n<|im_end|>  258  added\nembedding: 300 rows suffice\n",
  );
  const people = await thinker(["model", "info", out]);
  assertStringIncludes(people.stdout, `${out}  (some-lab/small-model at 0123456789ab)\n`);
  assertMatch(people.stdout, /\n {2}turns +<\|im_start\|> 257, <\|im_end\|> 258\n/);
  assertMatch(people.stdout, /\n {2}tokenizer +259 ids for 300 rows, 3 control tokens\n/);
  assertMatch((await thinker(["model", "add-tokens", out])).stdout, /257 {2}was there\n/);
});

Deno.test("cli: model info says as what a checkpoint was trained, and why it would not be asked", async () => {
  await using dir = await TempDir.make();
  await writeModel(dir.path, {
    rows: 300,
    tied: true,
    added: ["<|im_start|>", "<|im_end|>"].map((content, i) => ({
      id: 257 + i,
      content,
      special: true,
    })),
    tokenizerConfig: { chat_template: "{% for %}" },
  });
  const info = async () => {
    const { code, stdout, stderr } = await thinker(["model", "info", dir.path]);
    assertEquals([code, stderr], [0, ""]);
    return stdout;
  };
  const write = (name: string, text: string) => Deno.writeTextFile(`${dir.path}/${name}`, text);
  const trained = (task: string) =>
    write(
      "thinker.json",
      JSON.stringify({
        task,
        stages: ["answer"],
        settings: {},
        prompts: { answer: "{question}" },
        budgets: { answer: 7 },
        weightDtype: "f32",
      }),
    );
  const fromElsewhere = await info();
  assertMatch(fromElsewhere, /\nwarning: .*the chat template cannot be read/);
  assert(!/trained as|will not/.test(fromElsewhere), fromElsewhere);
  await trained("baseline");
  const known = await info();
  assertMatch(known, /\n {2}trained as +baseline: answer\n/);
  assert(!known.includes("will not"), known);
  // What train reads of the folder is in order in every case.
  await trained("own");
  const refused = 'the model was trained on the task "own", which is not known here';
  const unknown = await info();
  assertMatch(unknown, /\n {2}trained as +own: answer\n/);
  assertStringIncludes(unknown, `\nwill not be asked: ${refused}\n  hint: `);
  await write("thinker.json", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n");
  assertMatch(
    await info(),
    /\nwill not be asked: .*thinker\.json is a git-lfs pointer.*\n {2}hint: /,
  );
  const { unasked, trained: none } = JSON.parse(
    (await thinker(["model", "info", dir.path, "--json"])).stdout,
  );
  assertMatch(unasked.message, /is a git-lfs pointer/);
  assertEquals(none, null);
  const plan = ["plan", "--model", dir.path, "--memory", "16GB"];
  const { code, stdout } = await thinker(plan);
  assertEquals(code, 0);
  assertMatch(stdout, /\nwarning: .*the chat template cannot be read/);
  await Deno.remove(`${dir.path}/thinker.json`);
  await write("state.json", "{}");
  assertMatch(await info(), /\nwill not be asked: .* is a checkpoint of an older version/);
});

Deno.test("cli: thinker has no network and says which task has", async () => {
  const { code, stdout, stderr } = await thinker(["model", "download", "a/b"]);
  assertEquals([code, stdout], [1, ""]);
  assertMatch(
    stderr,
    /^error: a download needs the network.*\nhint: use `deno task model download/,
  );
});

Deno.test("cli: what model cannot do is one clear line", async () => {
  await using dir = await TempDir.make();
  const cases: [string[], string][] = [
    [["model", "info", dir.path], "cannot read"],
    [["model", "add-tokens", dir.path], "cannot read"],
    [["model", "info"], "dir"],
    [["train", "--preset", "q1.5b", "--out", `${dir.path}/run`], "deno task model download Qwen/"],
    [["train", "--preset", "r7b", "--model", dir.path, "--out", `${dir.path}/run`], "--data"],
  ];
  for (const [args, part] of cases) {
    const { code, stdout, stderr } = await thinker(args);
    assertEquals([code, stdout], [1, ""], args.join(" "));
    assertMatch(stderr, /^error: .+\n(hint: .+\n)?$/);
    assertStringIncludes(stderr, part);
  }
  assertEquals(await filesOf(dir.path), []);
  const help = await thinker(["model", "--help"]);
  for (const name of ["download", "info", "add-tokens", "import"]) {
    assertStringIncludes(help.stdout, name);
  }
  const offline = await model(["download", "a/b"], { HF_ENDPOINT: "nowhere" });
  assertEquals(offline.code, 1);
  assert(offline.stderr.includes('"nowhere" is no http(s) address'), offline.stderr);
});
