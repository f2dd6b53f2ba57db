/**
 * mod.ts is imported by URL, from a folder without a deno.json, under the permissions that README.md
 * names: nothing of this repository may be needed but what the server hands out.
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { TempDir } from "./small.ts";

const root = new URL("../../", import.meta.url);
const types: Record<string, string> = { ts: "application/typescript", json: "application/json" };

/** Serves the repository's files to this machine. */
function serve() {
  const requested: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const path = new URL(request.url).pathname.slice(1);
    requested.push(path);
    const type = types[path.split(".").pop()!] ?? "text/plain";
    try {
      const content = await Deno.readFile(new URL(path, root));
      return new Response(content, { headers: { "content-type": type } });
    } catch {
      return new Response("not found", { status: 404 });
    }
  });
  return { server, requested, host: `127.0.0.1:${server.addr.port}` };
}

/** A Deno cache folder of its own (remote modules are cached by port), with the machine's npm cache. */
async function denoDir(dir: string): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  const { npmCache } = JSON.parse(new TextDecoder().decode(stdout));
  await Deno.mkdir(npmCache, { recursive: true });
  await Deno.mkdir(`${dir}/deno`);
  await Deno.symlink(npmCache, `${dir}/deno/npm`);
  return `${dir}/deno`;
}

/** A user's program, run in an empty folder. */
async function program(host: string, dir: string, DENO_DIR: string, source: string) {
  const cwd = `${dir}/${crypto.randomUUID()}`;
  await Deno.mkdir(cwd);
  await Deno.writeTextFile(`${cwd}/main.ts`, source.replace("$URL", `http://${host}/mod.ts`));
  return async (command: string[], env: Record<string, string> = {}) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...command, "main.ts"],
      cwd,
      env: { DENO_DIR, NO_COLOR: "1", ...env },
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: text(stdout), stderr: text(stderr) };
  };
}

/** Plays an episode whose fast answer is wrong: all four stages, with turns from a script. */
const episodeProgram = String.raw`
import { type Codec, grade, scoreEpisode, Task, thinker, tinyPrompts } from "$URL";

const control = ["<|im_start|>", "<|im_end|>"];
const codec: Codec = {
  encode: (text, { special = false } = {}) =>
    (text.match(special ? /<\|\w+\|>|[^]/g : /[^]/g) ?? [])
      .map((piece) => piece.length > 1 ? control.indexOf(piece) : 2 + piece.charCodeAt(0)),
  decode: (ids) => ids.map((id) => control[id] ?? String.fromCharCode(id - 2)).join(""),
  id: (token) => control.indexOf(token),
};
const budgets = { fast: 20, verify: 20, slow: 20, summary: 20 };
const task = new Task(thinker, { codec, prompts: tinyPrompts, stop: [1], budgets });
const script: Record<string, string> = {
  fast: "\\boxed{12}",
  verify: "\\boxed{No}",
  slow: "so \\boxed{11}",
  summary: "\\boxed{11}",
};
const problem = { id: "sum", question: "5+6=", answer: "11" };
const episode = task.episode({ id: 1n, problem, mode: "train" });
const commands = episode.start();
for (let command = commands.shift(); command; command = commands.shift()) {
  if (command.kind === "generate") {
    const ids = [...codec.encode(script[command.stage]), 1];
    const turn = { ids, logprobs: ids.map(() => -0.5), truncated: false };
    commands.push(...episode.step({ kind: "turn", turn }));
  } else if (command.kind === "grade") {
    const { equal } = grade(command.answer, "11");
    commands.push(...episode.step({ kind: "graded", segment: command.segment, equal }));
  }
}
const logprobs = new Map([[3, Array(episode.segments[3].length).fill(-20)]]);
const rewards = await scoreEpisode(task, episode, { trailing: 0.25, logprobs });
const stages = episode.segments.map(({ stage }) => stage);
console.log(JSON.stringify({ done: episode.done, stages, rewards }));
`;

/** Grades what only the symbolic stage, in its worker, can decide. */
const gradingProgram = String.raw`
import { GradePool } from "$URL";

await using pool = new GradePool();
console.log(JSON.stringify(await pool.grade("\\int_0^1 x dx", "\\frac{1}{2}")));
`;

/** Samples from a decoder with random weights on kernels that are built first. */
const decoderProgram = String.raw`
import { Decoder, Device, Engine, initialise, type ModelConfig, Random } from "$URL";

const config: ModelConfig = {
  architecture: "Qwen2ForCausalLM",
  hidden: 32,
  ffn: 48,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  headDim: 16,
  vocab: 50,
  maxPositions: 64,
  ropeTheta: 10000,
  normEps: 1e-6,
  tiedHead: false,
  qkvBias: true,
  qkNorm: false,
  eos: [],
  bos: null,
  dtype: "float32",
};
using device = await Device.open("cpu", { onBuild: (text) => console.error(text) });
using stream = device.stream();
using decoder = new Decoder(stream, config, { head: "lm", train: false });
initialise(stream, decoder, new Random(1));
const sizes = { maxSequences: 2, cacheTokens: 256, maxTokens: 64, stop: [] };
using engine = new Engine(stream, decoder, sizes);
const tokens: number[][] = [];
const sequences = [0n, 1n].map((id) => ({
  id,
  onTurn: (turn: { ids: number[] }) => (tokens[Number(id)] = turn.ids, null),
}));
await engine.run([{ prompt: [1, 2, 3], budget: 20, maxTokens: 23, sequences }], {
  seed: 7n,
  sampling: { temperature: 1, topP: 1, topK: 0 },
});
console.log(JSON.stringify(tokens));
`;

Deno.test("url import: an episode and an engine, with the permissions of README.md", async (t) => {
  await using dir = await TempDir.make();
  const { server, requested, host } = serve();
  await using _ = { [Symbol.asyncDispose]: () => server.shutdown() };
  const cache = await denoDir(dir.path);
  const deny = (flags: string[], index: number) => flags.filter((_, i) => i !== index);

  await t.step("tasks, rewards and grading need no permission but the import", async () => {
    const run = await program(host, dir.path, cache, episodeProgram);
    const allowed = ["run", "-q", "--check", "--no-prompt", `--allow-import=${host}`];
    const { code, stdout, stderr } = await run(allowed);
    assertEquals(code, 0, stderr);
    assertEquals(JSON.parse(stdout), {
      done: true,
      stages: ["fast", "verify", "slow", "summary"],
      rewards: [0, 0.25, 1, 0.78],
    });
    const refused = await run(["run", "-q", "--no-prompt"]);
    assertEquals(refused.code, 1);
    assertStringIncludes(refused.stderr, "--allow-import");
  });

  await t.step("the workers of symbolic grading need none either", async () => {
    const run = await program(host, dir.path, cache, gradingProgram);
    const { code, stdout, stderr } = await run([
      "run",
      "-q",
      "--no-prompt",
      `--allow-import=${host}`,
    ]);
    assertEquals(code, 0, stderr);
    assertEquals(JSON.parse(stdout), { equal: true, reason: "symbolic" });
  });

  await t.step("the engine is built into an empty cache, and then found there", async () => {
    const run = await program(host, dir.path, cache, decoderProgram);
    const home = `${dir.path}/cache`, kernels = `${home}/thinker`;
    const env = { XDG_CACHE_HOME: home };
    const check = await run(["check", "-q", `--allow-import=${host}`]);
    assertEquals(check.code, 0, check.stderr);
    const flags = [
      `--allow-import=${host}`,
      "--allow-env=XDG_CACHE_HOME,THINKER_LIB,THINKER_MARCH",
      `--allow-read=${kernels}`,
      "--allow-run=g++,clang++",
      `--allow-ffi=${kernels}`,
      `--allow-write=${kernels}`,
    ];
    const start = ["run", "-q", "--no-prompt"];
    const readOnly = await run([...start, ...deny(flags, 5)], env);
    assertMatch(readOnly.stderr, /NotCapable: Requires write access/);
    const first = await run([...start, ...flags], env);
    assertEquals(first.code, 0, first.stderr);
    assertMatch(
      first.stderr,
      /^building the cpu kernels with \S+ \(once per machine and version\)\n$/,
    );
    const tokens: number[][] = JSON.parse(first.stdout);
    assertEquals(tokens.map(({ length }) => length), [20, 20]);
    assert(tokens.flat().every((token) => Number.isInteger(token) && token >= 0 && token < 50));
    assert(new Set(tokens.flat()).size > 5, first.stdout);

    // Once built, it needs no write permission; without any of the others it does not run.
    const second = await run([...start, ...deny(flags, 5)], env);
    assertEquals([second.stdout, second.stderr, second.code], [first.stdout, "", 0]);
    for (const missing of [0, 1, 2, 3, 4]) {
      const { code, stderr } = await run([...start, ...deny(flags, missing)], env);
      assertEquals(code, 1, `runs without ${flags[missing]}`);
      assertStringIncludes(stderr, flags[missing].split("=")[0]);
    }
    const readme = await Deno.readTextFile(new URL("README.md", root));
    for (const flag of flags) assertStringIncludes(readme, flag.split("=")[0]);
  });

  assert(requested.includes("mod.ts") && requested.includes("kernels/cpu/linear.cpp"));
  const outside = requested.filter((path) => !/^(mod\.ts$|src\/|ffi\/|kernels\/)/.test(path));
  assertEquals(outside, []);
});

Deno.test("url import: mod.ts reaches relative, npm: and node: specifiers only", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", new URL("mod.ts", root).pathname],
  }).output();
  interface Module {
    readonly specifier: string;
    readonly kind?: string;
    readonly error?: string;
    readonly dependencies?: { readonly specifier: string }[];
  }
  const { modules }: { modules: Module[] } = JSON.parse(new TextDecoder().decode(stdout));
  assert(modules.length > 50);
  const local = modules.filter(({ specifier }) => specifier.startsWith(root.href));
  const specifiers = local.flatMap(({ specifier: from, dependencies = [] }) =>
    dependencies.map(({ specifier }) => ({ from: from.slice(root.href.length), specifier }))
  );
  assert(specifiers.length > 100);
  assertEquals(modules.filter(({ error }) => error), []);
  assertEquals(specifiers.filter(({ specifier }) => !/^(\.\.?\/|npm:|node:)/.test(specifier)), []);
});
