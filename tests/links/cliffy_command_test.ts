import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { ValidationError } from "@cliffy/command";
import { type Call, calls, program } from "./program.ts";

// What the programs rely on: all of this holds for the real package, too.

/** Parses and returns what the action got. */
async function call(...args: string[]): Promise<Call> {
  calls.length = 0;
  await program().parse(args);
  assertEquals(calls.length, 1);
  return calls[0];
}

/** Parses and returns the message of the expected refusal. */
async function refusal(...args: string[]): Promise<string> {
  return (await assertRejects(() => program().parse(args), ValidationError)).message;
}

/** Runs deno in a process of its own, where exits count. */
async function deno(...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: new URL("../..", import.meta.url),
    env: { NO_COLOR: "1" },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out, err };
}

/** Runs the program and returns what it printed, without colours; it must end well. */
async function printed(...args: string[]): Promise<string> {
  const script = new URL("program.ts", import.meta.url).pathname;
  const { code, out, err } = await deno("run", "-qA", "--no-check", script, ...args);
  assertEquals([code, err], [0, ""], args.join(" "));
  // deno-lint-ignore no-control-regex -- escape sequences are control characters
  return out.replace(/\x1b\[[0-9;]*m/g, "");
}

Deno.test("options arrive typed, camelCased and with defaults", async () => {
  assertEquals((await call("train")).options, { steps: 3 });
  const given = ["--steps", "7", "--lr=1e-6", "--max-new-tokens", "-1", "--model", "m", "--resume"];
  assertEquals(
    (await call("train", ...given)).options,
    { steps: 7, lr: 1e-6, maxNewTokens: -1, model: "m", resume: true },
  );
  assertMatch(await refusal("train", "--steps", "1", "--steps", "2"), /--steps/);
});

Deno.test("an option that collects may come several times", async () => {
  const given = ["--set", "a=1", "--set=b=x"];
  assertEquals((await call("train", ...given)).options, { steps: 3, set: ["a=1", "b=x"] });
});

Deno.test("wrong types are refused with the option, the type and the value", async () => {
  assertMatch(await refusal("train", "--steps", "two"), /--steps.*integer.*"two"/);
  assertMatch(await refusal("train", "--steps", "1.5"), /--steps.*integer.*"1.5"/);
  assertMatch(await refusal("train", "--lr", "fast"), /--lr.*number.*"fast"/);
});

Deno.test("positional arguments of nested commands", async () => {
  const args = ["a.gguf", "dir"];
  assertEquals(await call("model", "import", ...args), { options: {}, args });
  assertEquals(await call("model", "import", ...args, "--json"), { options: { json: true }, args });
});

Deno.test("missing and surplus input is refused", async () => {
  assertMatch(await refusal("model", "import", "a"), /[Mm]issing.*dir/);
  assertMatch(await refusal("train", "--model"), /--model/);
  assertMatch(await refusal("train", "now"), /arguments/);
});

Deno.test("unknown commands and options name the nearest known one", async () => {
  assertMatch(await refusal("trian"), /Unknown command "trian".*Did you mean.*train/);
  assertMatch(await refusal("train", "--stesp", "3"), /Unknown option "--stesp".*--steps/);
  assertMatch(await refusal("help", "trian"), /Unknown command "trian".*train/);
});

Deno.test("help and version", async () => {
  const main = await printed("--help");
  for (const part of ["Usage: ", "Thinks fast and slow.", "--version", "Train a model."]) {
    assertStringIncludes(main, part);
  }
  const train = await printed("train", "--help");
  for (const part of ["thinker train", "--steps", "efault: 3", "Two steps", "train --steps 2"]) {
    assertStringIncludes(train, part);
  }
  assertEquals(await printed("help", "train"), await printed("train", "-h"));
  assertEquals(await printed("-V"), "1.2.3\n");
  assertStringIncludes(await printed("--version"), "thinker 1.2.3");
  assertEquals(await printed("model"), await printed("help", "model"));
});

Deno.test("parse waits for the action, whose errors reach the caller", async () => {
  await assertRejects(() => program().parse(["fail"]), RangeError, "inside");
});

Deno.test("without throwErrors a mistake prints help and the error, and exits with 2", async () => {
  const { code, out, err } = await deno(
    "eval",
    "--no-check",
    `const { Command } = await import("@cliffy/command");
    await new Command().name("tool").option("--steps <n:integer>", "Steps.").parse(["--steps", "x"]);`,
  );
  assertEquals(code, 2);
  assertMatch(out, /Usage: .*tool/);
  assertMatch(err, /--steps.*integer.*"x"/);
});

Deno.test("completion scripts name every command and option", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const script = await printed("completions", shell);
    for (const word of ["thinker", "train", "import", "steps", "json"]) {
      assertStringIncludes(script, word);
    }
  }
});

Deno.test("bash completes commands and options where they stand", async () => {
  const script = await printed("completions", "bash");
  const complete = async (...words: string[]) => {
    const line = words.map((word) => `'${word}'`).join(" ");
    const { code, stdout } = await new Deno.Command("bash", {
      args: [
        "-c",
        `${script}
COMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}
$(complete -p thinker | sed -E 's/.*-F ([^ ]+).*/\\1/')
printf '%s\\n' "\${COMPREPLY[@]}"`,
      ],
    }).output();
    assertEquals(code, 0);
    return new TextDecoder().decode(stdout).trim().split("\n");
  };
  assertEquals(await complete("thinker", "tr"), ["train"]);
  assertEquals(await complete("thinker", "train", "--st"), ["--steps"]);
  assertEquals(await complete("thinker", "model", "im"), ["import"]);
});
