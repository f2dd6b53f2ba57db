/**
 * The `help` command: `program help train` prints the help of `program train`.
 *
 * @module
 */
import { Command, ValidationError } from "./mod.ts";

/** Shows the help of the program or of one of its commands. */
export class HelpCommand extends Command {
  /** Makes the command; the program is the one it is added to. */
  constructor() {
    super();
    this.description("Show this help or the help of a sub-command.");
    this.program.argument("[command]").action((name?: string) => {
      const main = this.program.parent!;
      const target = name ? main.commands.find((other) => other.name() === name) : main;
      if (!target) {
        const names = main.commands.map((other) => other.name()).join(", ");
        throw new ValidationError(`Unknown command "${name}". There are: ${names}.`);
      }
      target.outputHelp();
    });
  }
}
