/** What goes wrong on a user's machine: one clear line, exit code 1, and nothing left behind. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { digests, filesOf, smallConfig, TempDir, timeless } from "../e2e/small.ts";
import { type Start, thinker } from "./thinker.ts";

/** A run that is refused: options of `train`, and parts of the line that says why. */
interface Refusal extends Start {
  readonly args: readonly string[];
  readonly says: readonly (string | RegExp)[];
}

/** Every file and folder below a folder. */
async function everything(dir: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(dir));
  const nested = await Promise.all(entries.map(async ({ name, isDirectory }) => {
    const inside = isDirectory ? await everything(`${dir}/${name}`) : [];
    return [name, ...inside.map((path) => `${name}/${path}`)];
  }));
  return nested.flat().sort();
}

/** Each case in a process of its own; `dir` must be the same afterwards. */
async function assertRefused(dir: string, cases: readonly Refusal[]): Promise<void> {
  const before = await everything(dir);
  const results = await Promise.all(cases.map(({ args, says: _, ...options }, i) => {
    const out = args.includes("--out") ? [] : ["--out", `${dir}/run-${i}`];
    return thinker(["train", ...args, ...out], options);
  }));
  for (const [i, { code, stdout, stderr }] of results.entries()) {
    const { args, says } = cases[i];
    assertEquals([code, stdout], [1, ""], `${args.join(" ")}: ${stderr}`);
    assertMatch(stderr, /^error: .+\n(hint: .+\n)?$/, args.join(" "));
    for (const part of says) {
      if (typeof part === "string") assertStringIncludes(stderr, part);
      else assertMatch(stderr, part);
    }
  }
  assertEquals(await everything(dir), before);
}

function writer(dir: string) {
  return async (name: string, content: string | object): Promise<string> => {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    await Deno.writeTextFile(`${dir}/${name}`, text);
    return `${dir}/${name}`;
  };
}

Deno.test("failures: a misspelt key of a config or prompts file is named, with what it may mean", async () => {
  await using dir = await TempDir.make();
  const write = writer(dir.path);
  const config = async (name: string, content: object, ...says: Refusal["says"]) => {
    const file = await write(name, content);
    return { args: ["--config", file], says: [`error: ${file}: `, ...says] };
  };
  const prompts = await write("prompts.json", {
    fast: "{question}",
    verfy: "check",
    slow: "again",
  });
  await assertRefused(dir.path, [
    await config("top.json", { stepps: 3 }, 'unknown key "stepps"', 'did you mean "steps"?'),
    await config(
      "deep.json",
      { warmstart: { skill: { fsat: 1 } } },
      'unknown key "warmstart.skill.fsat"',
      'did you mean "warmstart.skill.fast"?',
    ),
    await config("case.json", { ppo: { actorlr: 1 } }, 'did you mean "ppo.actorLr"?'),
    await config("far.json", { engine: { zzz: 1 } }, '"engine.zzz"', "known here: maxSequences, "),
    await config("type.json", { ppo: { gamma: "1" } }, ": ppo.gamma: ", "expected number"),
    await config("part.json", { engine: 3 }, ": engine: ", "expected object"),
    {
      args: ["--config", await write("use.json", { prompts })],
      says: [`prompt file ${prompts}: unknown key "verfy"`, 'did you mean "verify"?'],
    },
  ]);
});

Deno.test("failures: budgets that cannot be", async () => {
  await using dir = await TempDir.make();
  const write = writer(dir.path);
  const { budgets } = smallConfig();
  const none = await write("none.json", { budgets: { ...budgets, verify: 0 } });
  const long = await write("long.json", { budgets: { ...budgets, slow: 4000 } });
  const pack = await write("pack.json", { ppo: { packTokens: 300 } });
  await assertRefused(dir.path, [
    { args: ["--config", none], says: [`${none}: budgets.verify: `, ">0"] },
    {
      args: ["--config", long],
      says: [
        /sequences of \d+ tokens exceed the model's 2048 positions/,
        "lower the token budgets",
      ],
    },
    { args: ["--config", pack], says: ["do not fit into packs of 300", "ppo.packTokens"] },
  ]);
});

Deno.test("failures: data that is none", async () => {
  await using dir = await TempDir.make();
  const write = writer(dir.path);
  const rows = await write(
    "rows.jsonl",
    '{"id": 1, "question": "1+1="}\n{"id": 2, "question": "2+2="}\n',
  );
  const text = await write("text.jsonl", "What is 1 + 1?\n");
  const long = await write("long.jsonl", { id: 1, question: "?".repeat(3000), answer: 1 });
  await assertRefused(dir.path, [
    {
      args: ["--data", rows],
      says: [`${rows}: line 1: the answer is missing; keys found: id, question`, "--answer"],
    },
    {
      args: ["--data", rows, "--question", "question", "--answer", "gold"],
      says: [
        'line 1: there is no column "gold" for the answer; keys found: id, question',
        "--answer",
      ],
    },
    { args: ["--data", text], says: [`${text}: line 1: it is not valid JSON`] },
    { args: ["--data", await write("empty.jsonl", "\n")], says: ["contains no problem"] },
    { args: ["--data", long], says: [`${long}: no row has a prompt of at most`, "promptLimit"] },
  ]);
});

Deno.test("failures: a model folder that is damaged or incomplete", async () => {
  await using dir = await TempDir.make();
  const write = writer(dir.path);
  const config = smallConfig({ steps: 1, evalProblems: 1 });
  const run = `${dir.path}/source`;
  const file = await write("config.json", config);
  const trained = await thinker(["train", "--config", file, "--out", run]);
  assertEquals(trained.code, 0, trained.stderr);
  const copy = async (name: string) => {
    const to = `${dir.path}/${name}`;
    await Deno.mkdir(to);
    for (const part of ["config.json", "model.safetensors", "tokenizer.json"]) {
      await Deno.copyFile(`${run}/checkpoints/step-1/${part}`, `${to}/${part}`);
    }
    return to;
  };
  const sound = await copy("sound");
  const header = await copy("header"), short = await copy("short"), mute = await copy("mute");
  const weights = await Deno.readFile(`${header}/model.safetensors`);
  weights.fill(0x7b, 8, 40);
  await Deno.writeFile(`${header}/model.safetensors`, weights);
  await Deno.truncate(`${short}/model.safetensors`, weights.length - 1000);
  await Deno.remove(`${mute}/tokenizer.json`);
  const other = await copy("other");
  const shape = JSON.parse(await Deno.readTextFile(`${other}/config.json`));
  await Deno.writeTextFile(`${other}/config.json`, JSON.stringify({ ...shape, hidden_size: 64 }));
  const model = (path: string) => ["--config", file, "--model", path];
  await assertRefused(dir.path, [
    { args: model(header), says: [`${header}/model.safetensors: header is not valid JSON`] },
    { args: model(short), says: [`${short}/model.safetensors: tensor `, "damaged or incomplete"] },
    { args: model(mute), says: [`cannot read ${mute}/tokenizer.json: No such file`] },
    { args: model(other), says: [`${other}: `, "has shape", "config.json asks for"] },
    { args: model(`${dir.path}/nowhere`), says: [`${dir.path}/nowhere`] },
  ]);
  const { code, stderr } = await thinker(["train", ...model(sound), "--out", `${dir.path}/run`]);
  assertEquals(code, 0, stderr);
});

Deno.test("failures: a folder that cannot be written, or holds something", async () => {
  await using dir = await TempDir.make();
  const write = writer(dir.path);
  const file = await write("file", "");
  const config = await write("config.json", smallConfig());
  await Deno.mkdir(`${dir.path}/full`);
  await write("full/notes.txt", "mine");
  const out = (path: string) => ["--config", config, "--out", path];
  await assertRefused(dir.path, [
    { args: out(`${file}/run`), says: [`the run folder ${file}/run: `, "--out"] },
    { args: out(file), says: [`the run folder ${file}: `, "--out"] },
    {
      args: out(`${dir.path}/full`),
      says: [`the run folder ${dir.path}/full is not empty`, "--resume"],
    },
  ]);
});

/** Where Deno keeps its own cache; it would follow XDG_CACHE_HOME. */
async function denoDir(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

Deno.test("failures: no compiler, one that fails, and a library of another version", async () => {
  await using dir = await TempDir.make();
  const write = writer(dir.path);
  const empty = `${dir.path}/empty`;
  await Deno.mkdir(empty);
  const env = { DENO_DIR: await denoDir(), XDG_CACHE_HOME: empty, THINKER_LIB: "" };
  const library = `${dir.path}/old.so`;
  const source = await write("old.cpp", 'extern "C" int tk_abi_version() { return 999; }');
  const { success } = await new Deno.Command("g++", {
    args: ["-shared", "-fPIC", source, "-o", library],
  }).output();
  assert(success);
  await assertRefused(dir.path, [
    {
      args: [],
      env: { ...env, PATH: empty },
      says: ["no C++ compiler found: neither g++ nor clang++ is on PATH", "apt install g++"],
    },
    {
      args: [],
      env: { ...env, THINKER_MARCH: "nonsense" },
      says: [/building the cpu kernels failed: g\+\+: .*error: .*nonsense/],
    },
    {
      args: [],
      env: { ...env, THINKER_LIB: library },
      says: [
        /^error: .*old\.so speaks ABI version 999, this program version \d+\nhint: .*THINKER_LIB\n$/,
      ],
    },
  ]);
  assertEquals(await everything(dir.path), ["empty", "old.cpp", "old.so"]);
});

Deno.test("failures: train samples from the whole distribution, so it takes no top-p and top-k", async () => {
  await using dir = await TempDir.make();
  await assertRefused(dir.path, [
    { args: ["--top-p", "0.9"], says: ['Unknown option "--top-p"'] },
    { args: ["--top-k", "20"], says: ['Unknown option "--top-k"'] },
  ]);
});

/** Whether a process may mount what it alone sees. */
const mountable = await new Deno.Command("unshare", {
  args: ["-rm", "sh", "-c", "mount -t tmpfs none /mnt"],
  stdout: "null",
  stderr: "null",
}).output().then(({ success }) => success, () => false);

Deno.test("failures: a full disk leaves the earlier checkpoints, and the run goes on when there is room", async () => {
  await using dir = await TempDir.make();
  const write = writer(dir.path);
  // Where a run ends there would be more samples a problem.
  const config = await write("config.json", smallConfig({ steps: 4, evalSamples: 1 }));
  const whole = `${dir.path}/whole`, run = `${dir.path}/run`, after = `${dir.path}/after`;
  const train = async (...args: string[]) => {
    const { code, stderr } = await thinker(["train", ...args]);
    assertEquals(code, 0, stderr);
  };
  await train("--config", config, "--out", whole);
  await train("--config", config, "--steps", "2", "--out", run);
  const before = await digests(`${run}/checkpoints`);

  // A file system of 2 MiB that this process alone sees. Where nothing can be mounted, no file may be
  // longer than 400 KiB: too short for optimizer states.
  const [prepare, limit] = mountable
    ? ["mount -t tmpfs -o size=2m none disk", "true"]
    : ["true", "trap '' XFSZ; ulimit -f 400"];
  const resume = `"$0" run --no-prompt -A cli/main.ts train --resume --out ${dir.path}/disk/run`;
  const script = `root=$PWD; cd ${dir.path}; mkdir disk; ${prepare}; cp -r run disk
    (cd $root; ${limit}; ${resume} --steps 4)
    code=$?; cp -r disk/run after; exit $code`;
  const [program, ...args] = [...(mountable ? ["unshare", "-rm"] : []), "bash", "-c", script];
  const { code, stderr } = await new Deno.Command(program, {
    args: [...args, Deno.execPath()],
    cwd: new URL("../../", import.meta.url).pathname,
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stderr);
  assertEquals(code, 1, text);
  const reason = mountable ? "No space left on device" : "File too large";
  assertMatch(
    text,
    new RegExp(`\\nerror: cannot write .*disk/run/.*: ${reason}\\nhint: .*room.*\\n$`),
  );
  assertEquals(text.match(/error/g)?.length, 1, text);
  assertEquals(await digests(`${after}/checkpoints`), before);
  assertEquals((await filesOf(after)).filter((name) => name.includes("tmp")), []);

  await train("--resume", "--steps", "4", "--out", after);
  assertEquals(await timeless(after), await timeless(whole));
  assertEquals(
    await digests(`${after}/checkpoints/step-4`),
    await digests(`${whole}/checkpoints/step-4`),
  );
});
