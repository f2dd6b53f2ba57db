/** A small program that makes every call that the command line makes, for the tests beside it. */
import { Command } from "@cliffy/command";
import { CompletionsCommand } from "@cliffy/command/completions";
import { HelpCommand } from "@cliffy/command/help";

/** What an action received. */
export interface Call {
  options: Record<string, unknown>;
  args: unknown[];
}

/** The calls of actions so far. */
export const calls: Call[] = [];

type Options = Record<string, unknown>;

/** The program, new. */
export function program() {
  const train = new Command()
    .description("Train a model.")
    .option("--steps <n:integer>", "PPO steps.", { default: 3 })
    .option("--lr <x:number>", "Learning rate.")
    .option("--model <dir:string>", "Model folder.")
    .option("--max-new-tokens <n:integer>", "Longest answer.")
    .option("--resume", "Go on.")
    .option("--set <key=value:string>", "Any setting.", { collect: true })
    .example("Two steps", "thinker train --steps 2")
    .action((options: Options) => {
      calls.push({ options, args: [] });
    });
  const importer = new Command()
    .description("Convert a file.")
    .arguments("<file:string> <dir:string>")
    .option("--json", "Print JSON.")
    .action((options: Options, file: string, dir: string) => {
      calls.push({ options, args: [file, dir] });
    });
  const fail = new Command().description("Fail late.").action(async () => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    throw new RangeError("inside");
  });
  return new Command()
    .name("thinker")
    .version("1.2.3")
    .description("Thinks fast and slow.")
    .throwErrors()
    .command("train", train)
    .command("model", new Command().description("Model files.").command("import", importer))
    .command("fail", fail)
    .command("help", new HelpCommand())
    .command("completions", new CompletionsCommand());
}

if (import.meta.main) await program().parse(Deno.args);
