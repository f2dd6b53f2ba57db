import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { Command, ValidationError } from "@cliffy/command";
import { CompletionsCommand } from "@cliffy/command/completions";
import { HelpCommand } from "@cliffy/command/help";

/** What the action of the last parsed command received. */
interface Call {
  options: Record<string, unknown>;
  args: unknown[];
}

const calls: Call[] = [];

function record(options: Record<string, unknown>, ...args: unknown[]): void {
  calls.push({ options, args });
}

/** A small program with everything the command line of an engine needs. */
function program() {
  const train = new Command()
    .description("Train a model.\nThe second line is for the long help.")
    .option("-s, --steps <n:integer>", "PPO steps.", { default: 3 })
    .option("--lr <x:number>", "Learning rate.")
    .option("--model <dir:string>", "Model folder.")
    .option("--plot [file:string]", "Draw curves.")
    .option("--keep [yes:boolean]", "Keep all checkpoints.")
    .option("--data <file:string>", "Data file, repeatable.", { collect: true })
    .option("--no-eval", "Do not evaluate.")
    .option("--max-new-tokens <n:integer>", "Longest answer.", { hidden: true })
    .env("THINKER_TEST_MODEL=<value:string>", "Model folder.", { prefix: "THINKER_TEST_" })
    .env("THINKER_TEST_LR=<value:number>", "Learning rate.", { prefix: "THINKER_TEST_" })
    .example("Two steps", "thinker train --steps 2")
    .action((options) => record(options));
  return new Command()
    .name("thinker")
    .version("1.2.3")
    .description("Thinks fast and slow.")
    .noExit()
    .globalOption("--json", "Print JSON.")
    .command("train", train)
    .command("solve <question:string> [times:integer]", "Answer a question.")
    .option("--seed <n:integer>", "Seed.", { required: true })
    .action((options, question, times) => {
      const sum: number = (times ?? 0) + question.length;
      record(options, question, times, sum);
    })
    .command(
      "grade",
      new Command().arguments("<gold:string> <answers...:number>")
        .action((_, gold, ...answers) => {
          const scores: number[] = answers;
          record({}, gold, ...scores);
        }),
    )
    .command(
      "model",
      new Command().description("Model files.")
        .command(
          "info",
          new Command().option("--long", "Say more.").arguments("<dir:string>").action((o, dir) =>
            record(o, dir)
          ),
        ),
    )
    .command("help", new HelpCommand())
    .command("completions", new CompletionsCommand());
}

/** Parses and returns what the action got. */
async function call(...args: string[]): Promise<Call> {
  calls.length = 0;
  await program().parse(args);
  assertEquals(calls.length, 1);
  return calls[0];
}

/** Parses and returns the message of the expected refusal. */
async function refusal(...args: string[]): Promise<string> {
  const error = await assertRejects(() => program().parse(args), ValidationError);
  assertEquals(error.exitCode, 2);
  return error.message;
}

/** Parses and returns what was printed, without colours. */
async function printed(...args: string[]): Promise<string> {
  const lines: string[] = [];
  const original = console.log;
  console.log = (line: unknown) => lines.push(String(line));
  try {
    await program().parse(args);
  } finally {
    console.log = original;
  }
  // deno-lint-ignore no-control-regex -- escape sequences are control characters
  return lines.join("\n").replace(/\x1b\[[0-9;]*m/g, "");
}

async function withEnv(values: Record<string, string>, body: () => Promise<void>): Promise<void> {
  for (const [name, value] of Object.entries(values)) Deno.env.set(name, value);
  try {
    await body();
  } finally {
    for (const name of Object.keys(values)) Deno.env.delete(name);
  }
}

Deno.test("options arrive typed, camelCased and with defaults", async () => {
  assertEquals((await call("train")).options, { steps: 3, eval: true });
  assertEquals(
    (await call("train", "-s", "7", "--lr=1e-6", "--max-new-tokens", "10", "--model", "m")).options,
    { steps: 7, lr: 1e-6, maxNewTokens: 10, model: "m", eval: true },
  );
  assertEquals((await call("train", "--no-eval")).options.eval, false);
});

Deno.test("optional values and repeated options", async () => {
  assertEquals((await call("train", "--plot", "--keep")).options.plot, true);
  assertEquals((await call("train", "--plot", "a.svg", "--keep", "false")).options, {
    steps: 3,
    eval: true,
    plot: "a.svg",
    keep: false,
  });
  assertEquals((await call("train", "--data", "a", "--data", "b")).options.data, ["a", "b"]);
  assertMatch(await refusal("train", "--steps", "1", "--steps", "2"), /--steps/);
});

Deno.test("wrong types are refused with the option, the type and the value", async () => {
  assertMatch(await refusal("train", "--steps", "two"), /--steps.*integer.*"two"/);
  assertMatch(await refusal("train", "--steps", "1.5"), /--steps.*integer.*"1.5"/);
  assertMatch(await refusal("train", "--lr", "fast"), /--lr.*number.*"fast"/);
  assertMatch(await refusal("train", "--keep", "maybe"), /--keep.*boolean.*"maybe"/);
  assertMatch(await refusal("solve", "2+2", "x", "--seed", "1"), /times.*integer.*"x"/);
});

Deno.test("environment: flag before variable before default", async () => {
  await withEnv({ THINKER_TEST_MODEL: "from-env", THINKER_TEST_LR: "0.5" }, async () => {
    const { options } = await call("train", "--lr", "0.25");
    assertEquals([options.model, options.lr], ["from-env", 0.25]);
  });
  await withEnv({ THINKER_TEST_LR: "high" }, async () => {
    assertMatch(await refusal("train"), /THINKER_TEST_LR.*number.*"high"/);
    assertEquals((await call("solve", "--seed", "1", "hi")).options, { seed: 1 });
  });
});

Deno.test("positional arguments, nested commands and global options", async () => {
  assertEquals(await call("solve", "2+2", "5", "--seed", "1"), {
    options: { seed: 1 },
    args: ["2+2", 5, 8],
  });
  assertEquals((await call("grade", "7", "7", "7.5")).args, ["7", 7, 7.5]);
  assertEquals(await call("model", "info", "dir"), { options: {}, args: ["dir"] });
  assertEquals(
    await call("--json", "model", "info", "dir"),
    await call("model", "info", "dir", "--json"),
  );
  assertEquals((await call("model", "info", "dir", "--json")).options, { json: true });
});

Deno.test("missing and surplus input is refused", async () => {
  assertMatch(await refusal("solve", "--seed", "1"), /[Mm]issing.*question/);
  assertMatch(await refusal("solve", "2+2"), /required option.*--seed/i);
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
  for (
    const part of ["Usage: ", "Thinks fast and slow.", "--json", "train", "solve", "Train a model."]
  ) {
    assertStringIncludes(main, part);
  }
  assert(!main.includes("second line"));
  const train = await printed("train", "--help");
  for (
    const part of [
      "thinker train",
      "second line",
      "--steps",
      "efault: 3",
      "THINKER_TEST_MODEL",
      "Two steps",
    ]
  ) assertStringIncludes(train, part);
  assertStringIncludes(train, "thinker train --steps 2");
  assert(!train.includes("max-new-tokens"));
  assertEquals(await printed("help", "train"), await printed("train", "-h"));
  assertEquals(await printed("-V"), "1.2.3");
  assertEquals(await printed("--version"), "thinker 1.2.3");
  assertEquals(await printed("model"), await printed("help", "model"));
});

Deno.test("errors of an action reach the caller; its promise is awaited", async () => {
  let finished = false;
  const command = new Command().noExit().option("--bad", "Fail.").action(async ({ bad }) => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (bad) throw new RangeError("inside");
    finished = true;
  });
  await assertRejects(() => command.parse(["--bad"]), RangeError, "inside");
  const { options } = await command.parse([]);
  assert(finished);
  assertEquals(options, {});
});

Deno.test("without throwErrors a mistake prints help and the error, and exits with 2", async () => {
  const code = `const { Command } = await import("@cliffy/command");
    await new Command().name("tool").option("--steps <n:integer>", "Steps.").parse(["--steps", "x"]);`;
  const result = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", code],
    cwd: new URL("../..", import.meta.url),
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals(result.code, 2);
  const [out, err] = [result.stdout, result.stderr].map((bytes) => new TextDecoder().decode(bytes));
  assertMatch(out, /Usage: .*tool/);
  assertMatch(err, /--steps.*integer.*"x"/);
});

Deno.test("completion scripts name every command and option", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const script = await printed("completions", shell);
    for (const word of ["thinker", "train", "info", "steps", "seed"]) {
      assertStringIncludes(script, word);
    }
    assert(!script.includes("max-new-tokens"));
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
  assertEquals(await complete("thinker", "model", "in"), ["info"]);
});
