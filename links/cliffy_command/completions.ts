/**
 * The `completions` command: `source <(program completions bash)` makes the shell complete the
 * names of commands and options.
 *
 * @module
 */
import { Command } from "./command.ts";
import { bash, fish, zsh } from "./completion_scripts.ts";

/** Prints completion scripts for bash, fish and zsh. */
export class CompletionsCommand extends Command {
  /** Completes `command` if one is given, else the program this is added to. */
  constructor(command?: Command) {
    super();
    this.description("Generate shell completions.");
    for (const [shell, script] of Object.entries({ bash, fish, zsh })) {
      this.command(shell, `Generate shell completions for ${shell}.`)
        .action(() => console.log(script(command ?? this.getMainCommand())));
    }
    this.reset();
  }
}
