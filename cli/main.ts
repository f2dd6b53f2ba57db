/**
 * The command line: `deno task thinker <command>`.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import { CompletionsCommand } from "@cliffy/command/completions";
import { HelpCommand } from "@cliffy/command/help";
import { version } from "../src/base/mod.ts";
import { dataCommand } from "./data.ts";
import { doctorCommand } from "./doctor.ts";
import { evalCommand } from "./eval.ts";
import { reportFailure } from "./failure.ts";
import { modelCommand } from "./model.ts";
import { planCommand } from "./plan.ts";
import { solveCommand } from "./solve.ts";
import { trainCommand } from "./train.ts";

const main = new Command()
  .name("thinker")
  .version(version)
  .description("Trains language models to think fast and slow, and runs them.")
  .throwErrors() // for all commands below; errors are printed in one place, here
  .command("train", trainCommand())
  .command("eval", evalCommand())
  .command("solve", solveCommand())
  .command("data", dataCommand())
  .command("plan", planCommand())
  .command("model", modelCommand())
  .command("doctor", doctorCommand())
  .command("help", new HelpCommand())
  .command("completions", new CompletionsCommand());

/** Runs the command line; resolves to the exit code. */
async function run(args: string[]): Promise<number> {
  try {
    if (args.length === 0) main.showHelp();
    else await main.parse(args);
    return 0;
  } catch (error) {
    return reportFailure(error);
  }
}

if (import.meta.main) Deno.exit(await run(Deno.args));
