import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { TempDir } from "../e2e/small.ts";
import { thinker } from "./thinker.ts";

Deno.test("cli: without arguments it shows its commands", async () => {
  const { code, stdout } = await thinker([]);
  assertEquals(code, 0);
  for (const command of ["train", "solve", "doctor", "completions"]) {
    assertStringIncludes(stdout, command);
  }
});

Deno.test("cli: --help everywhere exits 0, explains and shows examples", async () => {
  for (const command of ["train", "solve", "doctor"]) {
    const { code, stdout, stderr } = await thinker([command, "--help"]);
    assertEquals([code, stderr], [0, ""], command);
    assertMatch(stdout, new RegExp(`^\\s*Usage: +thinker ${command}`));
    assertStringIncludes(stdout, "Examples:");
    assertStringIncludes(stdout.slice(stdout.indexOf("Examples:")), `thinker ${command}`);
  }
  const { code, stdout } = await thinker(["help", "train"]);
  assertEquals(code, 0);
  assertMatch(stdout, /Usage: +thinker train/);
});

Deno.test("cli: --version names the program", async () => {
  const { code, stdout } = await thinker(["--version"]);
  assertEquals(code, 0);
  const { version } = JSON.parse(await Deno.readTextFile("deno.json"));
  assertEquals(stdout, `thinker ${version}\n`);
});

Deno.test("cli: what cannot be parsed exits 1 with one line that names it", async () => {
  const cases: [string[], string | RegExp][] = [
    [["bogus"], '"bogus"'],
    [["train", "--bogus"], '"--bogus"'],
    [["train", "surplus"], /surplus|No arguments allowed/],
    [["train", "--steps"], "--steps"],
    [["train", "--steps", "many"], '"many"'],
    [["train", "--steps", "0"], "--steps"],
    [["train", "--seed=-1"], "--seed"],
    [["train", "--task", "sing"], "--task"],
    [["train", "--preset", "huge"], "--preset"],
    [["train", "--device", "abacus"], "--device"],
    [
      ["solve", "1+1=", "--device", "cuda:first"],
      "cuda:first is no device: auto, cpu, cuda, or cuda:1",
    ],
    [["solve"], "question"],
    [["solve", "1+1=", "--top-p", "2"], "--top-p"],
    [["solve", "1+1=", "--temperature", "hot"], "hot"],
  ];
  const results = cases.map(async ([args, named]) => {
    const { code, stdout, stderr } = await thinker(args);
    assertEquals([code, stdout], [1, ""], args.join(" "));
    assertMatch(stderr, /^error: .+\n$/, args.join(" "));
    if (typeof named === "string") assertStringIncludes(stderr, named);
    else assertMatch(stderr, named);
  });
  await Promise.all(results);
});

Deno.test("cli: files that do not fit exit 1 with one line and leave no folder", async () => {
  await using dir = await TempDir.make();
  const file = async (name: string, content: string) => {
    await Deno.writeTextFile(`${dir.path}/${name}`, content);
    return `${dir.path}/${name}`;
  };
  const missing = `${dir.path}/missing.json`;
  const cases: [string[], string[]][] = [
    [["--data", missing], [missing]],
    [["--data", await file("rows.jsonl", '{"id": 1}\n')], ["rows.jsonl: line 1", "question"]],
    [["--config", missing], [missing]],
    [["--config", await file("broken.json", "{")], ["broken.json"]],
    [["--config", await file("list.json", "[]")], ["list.json"]],
    [["--config", await file("top.json", '{"stepps": 3}')], ["top.json", "stepps"]],
    [["--config", await file("deep.json", '{"ppo": {"clipp": 1}}')], ["deep.json", "ppo", "clipp"]],
    [["--config", await file("type.json", '{"steps": "x"}')], ["type.json", "steps"]],
    [["--model", dir.path], ["tokenizer.json"]],
  ];
  for (const [args, named] of cases) {
    const out = `${dir.path}/run`;
    const { code, stdout, stderr } = await thinker(["train", ...args, "--out", out]);
    assertEquals([code, stdout], [1, ""], `${args} ${stderr}`);
    assertMatch(stderr, /^error: .+\n(hint: .+\n)?$/, args.join(" "));
    for (const each of named) assertStringIncludes(stderr, each);
    const names = Array.from(Deno.readDirSync(dir.path), ({ name }) => name);
    assert(!names.includes("run"), args.join(" "));
  }
});

Deno.test("cli: train into a folder that is not empty exits 1 and says what to do", async () => {
  await using dir = await TempDir.make();
  await Deno.writeTextFile(`${dir.path}/notes.txt`, "mine");
  const { code, stderr } = await thinker(["train", "--out", dir.path]);
  assertEquals(code, 1);
  assertMatch(stderr, /^error: the run folder .* is not empty\nhint: .*--resume.*--out\n$/);
  assertEquals(Array.from(Deno.readDirSync(dir.path), ({ name }) => name), ["notes.txt"]);
});

Deno.test("cli: --resume needs a run", async () => {
  await using dir = await TempDir.make();
  const nameless = await thinker(["train", "--resume"]);
  assertEquals(nameless.code, 1);
  assertMatch(nameless.stderr, /^error: --resume needs the run folder\nhint: .*--out\n$/);
  const nothing = await thinker(["train", "--resume", "--out", dir.path]);
  assertEquals(nothing.code, 1);
  assertMatch(nothing.stderr, /^error: no run to resume in .+\nhint: .+\n$/);
});

Deno.test("cli: solve without any checkpoint says how to get one", async () => {
  await using dir = await TempDir.make();
  const { code, stdout, stderr } = await thinker(["solve", "1+1="], { cwd: dir.path });
  assertEquals([code, stdout], [1, ""]);
  assertEquals(
    stderr,
    "error: no checkpoint under runs/\n" +
      "hint: train one with `deno task train`, or name a model folder with --model\n",
  );
});

Deno.test("cli: doctor tells what this machine has, for people and for programs", async () => {
  const people = await thinker(["doctor"]);
  assertEquals(people.code, 0);
  assertMatch(people.stdout, /^ok {7}deno/m);
  assertMatch(people.stdout, /^ok {7}cpu backend/m);
  const program = await thinker(["doctor", "--json"]);
  assertEquals(program.code, 0);
  const findings: { name: string; state: string; detail: string }[] = JSON.parse(program.stdout);
  assertEquals(
    findings.find(({ name }) => name === "deno")?.detail.split(" ")[0],
    Deno.version.deno,
  );
  assertEquals(findings.find(({ name }) => name === "cpu backend")?.state, "ok");
  const gpu = findings.find(({ name }) => name === "gpu")!;
  assertMatch(gpu.detail, gpu.state === "ok" ? /, sm_\d+, .* GiB/ : /; computing on the CPU$/);
  for (const { state } of findings) assert(["ok", "missing", "failed"].includes(state));
});

/** Runs a command on a terminal of its own, with the flags of the task as they stand. */
async function onTerminal(args: string): Promise<string> {
  const command = new Deno.Command("script", {
    args: ["-qec", `${Deno.execPath()} task -q thinker ${args}`, "/dev/null"],
    stdin: "null",
    stderr: "null",
  });
  return new TextDecoder().decode((await command.output()).stdout);
}

const noTerminal = await Deno.stat("/usr/bin/script").then(() => false, () => true);
if (noTerminal) console.log("skipped: terminal tests need util-linux's script");

Deno.test({
  name: "cli: on a terminal nothing asks for a permission",
  ignore: noTerminal,
  fn: async () => {
    for (const args of ["--help", "train --help", "plan", "doctor"]) {
      const output = await onTerminal(args);
      assert(!/allow-|Requires|permission/i.test(output), output);
      assert(output.length > 100, `${args}: ${output}`);
    }
  },
});
