/**
 * The `help` command: `program help train` prints the help of `program train`.
 *
 * @module
 */
import { Command } from "./command.ts";
import { ValidationError } from "./errors.ts";

/** Shows the help of the program or of one of its commands. */
export class HelpCommand extends Command<[string?]> {
  /** Always shows the help of `command` if one is given. */
  constructor(command?: Command) {
    super();
    this.description("Show this help or the help of a sub-command.")
      .arguments("[command:string]")
      .action((_, name) => {
        const main = this.getMainCommand();
        const found = name ? main.getCommands().find((other) => other.getName() === name) : main;
        const target = command ?? found;
        if (!target) {
          const names = main.getCommands().map((other) => other.getName()).join(
            ", ",
          );
          throw new ValidationError(
            `Unknown command "${name}". There are: ${names}.`,
          );
        }
        target.showHelp();
      });
  }
}
