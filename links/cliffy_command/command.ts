import { type Definition, inherited, lineage, path, summary } from "./definition.ts";
import { ValidationError } from "./errors.ts";
import { Finished, help, run } from "./program.ts";
import type { ActionHandler, ArgumentsOf, EnvVarOptions, Option, OptionOptions } from "./types.ts";
import { parseValues } from "./values.ts";

/** What `parse` resolves to. */
export interface CommandResult {
  /** Values under the camelCase names of their options. */
  options: Record<string, unknown>;
  /** Positional arguments. */
  args: unknown[];
  /** The command that ran. */
  cmd: Command;
}

/**
 * A command with options, arguments, examples and sub-commands. After `.command(...)` the builder
 * methods configure that sub-command, until the next `.command(...)` or `.reset()`.
 */
export class Command<Args extends unknown[] = []> {
  readonly #definition: Definition = {
    command: this as unknown as Command,
    name: "COMMAND",
    description: "",
    options: [],
    env: [],
    arguments: [],
    examples: [],
    commands: [],
  };
  #selected = this.#definition;

  /** Sets the name that help and completions show. */
  name(name: string): this {
    this.#selected.name = name;
    return this;
  }

  /** Sets the version that `--version` prints. */
  version(version: string): this {
    this.#selected.version = version;
    return this;
  }

  /** Sets the description; its first line also stands in the list of the parent's commands. */
  description(description: string): this {
    this.#selected.description = description;
    return this;
  }

  /** Adds an option, for example `-s, --steps <n:integer>`, `--no-color` or `--plot [file:string]`. */
  option(
    flags: string,
    description: string,
    settings: OptionOptions = {},
  ): this {
    return this.#addOption(flags, description, settings, false);
  }

  /** Adds an option that this command and all commands below it accept. */
  globalOption(
    flags: string,
    description: string,
    settings: OptionOptions = {},
  ): this {
    return this.#addOption(flags, description, settings, true);
  }

  #addOption(
    spec: string,
    description: string,
    settings: OptionOptions,
    global: boolean,
  ): this {
    const [value] = parseValues(spec);
    const flags = spec.replace(/\s*[<[].*$/, "").split(/[ ,]+/);
    this.#selected.options.push({
      flags,
      value,
      description,
      settings,
      global,
    });
    return this;
  }

  /** Reads an option from an environment variable, for example `THINKER_SEED=<n:integer>`. */
  env(
    spec: string,
    description: string,
    { prefix = "", global = false }: EnvVarOptions = {},
  ): this {
    const name = spec.split(/[=\s]/)[0];
    const key = name.slice(name.startsWith(prefix) ? prefix.length : 0)
      .toLowerCase()
      .replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
    const type = parseValues(spec)[0]?.type ?? "boolean";
    this.#selected.env.push({ name, key, type, description, global });
    return this;
  }

  /** Sets the positional arguments, for example `<question:string> [file...:string]`. */
  arguments<const Spec extends string>(spec: Spec): Command<ArgumentsOf<Spec>> {
    this.#selected.arguments = parseValues(spec);
    return this as unknown as Command<ArgumentsOf<Spec>>;
  }

  /** Adds an example to the help text. */
  example(name: string, description: string): this {
    this.#selected.examples.push({ name, description });
    return this;
  }

  /** Sets what the command does; `parse` waits for a promise it returns. */
  action(handler: ActionHandler<Args>): this {
    this.#selected.action = handler as unknown as ActionHandler<unknown[]>;
    return this;
  }

  /** Adds a ready command under the given name and selects it. */
  command<Child extends unknown[]>(
    name: string,
    command: Command<Child>,
  ): Command<Child>;
  /** Adds a command (`solve <question:string>`) with a description and selects it. */
  command<const Spec extends string>(
    nameAndArguments: Spec,
    description?: string,
  ): Command<ArgumentsOf<Spec>>;
  command(nameAndArguments: string, command: unknown = ""): unknown {
    const child = command instanceof Command ? command : new Command();
    const [name] = nameAndArguments.split(" ");
    if (this.#definition.commands.some((other) => other.name === name)) {
      throw new Error(`Duplicate command name "${name}".`);
    }
    child.reset().name(name);
    if (typeof command === "string") child.description(command);
    if (name !== nameAndArguments) child.arguments(nameAndArguments);
    child.#definition.parent = this.#definition;
    this.#definition.commands.push(child.#definition);
    this.#selected = child.#definition;
    return this;
  }

  /** Selects the command itself again after `.command(...)`. */
  reset(): this {
    this.#selected = this.#definition;
    return this;
  }

  /** Makes `parse` reject with a {@linkcode ValidationError} instead of printing it and exiting. */
  throwErrors(): this {
    this.#selected.throwErrors = true;
    return this;
  }

  /** As `throwErrors`, and `parse` also returns after it printed help or the version. */
  noExit(): this {
    this.#selected.noExit = true;
    return this.throwErrors();
  }

  /** Name of the command. */
  getName(): string {
    return this.#definition.name;
  }

  /** Names from the main command down to this one, as the user types them. */
  getPath(): string {
    return path(this.#definition);
  }

  /** The command at the top. */
  getMainCommand(): Command {
    return lineage(this.#definition).at(-1)!.command;
  }

  /** First line of the description. */
  getShortDescription(): string {
    return summary(this.#definition);
  }

  /** Sub-commands in the order they were added. */
  getCommands(): Command[] {
    return this.#definition.commands.map(({ command }) => command);
  }

  /** Visible options of the command and the global ones from above. */
  getOptions(): Option[] {
    return inherited(this.#definition, ({ options }) => options)
      .filter(({ settings }) => !settings.hidden)
      .map(({ flags, description }) => ({ flags, description }));
  }

  /** The help text. */
  getHelp(): string {
    return help(this.#definition);
  }

  /** Prints the help text. */
  showHelp(): void {
    console.log(this.getHelp());
  }

  /** Reads the command line, runs the matching action and resolves when that is done. */
  async parse(args: string[] = Deno.args): Promise<CommandResult> {
    try {
      return await run(this.#definition, args);
    } catch (error) {
      if (error instanceof Finished) {
        console.log(error.text);
        if (!lineage(error.definition).some(({ noExit }) => noExit)) {
          Deno.exit(0);
        }
        return { options: {}, args: [], cmd: error.definition.command };
      }
      if (!(error instanceof ValidationError)) throw error;
      const failed = error.cmd ?? this;
      if (lineage(failed.#definition).some(({ throwErrors }) => throwErrors)) {
        throw error;
      }
      failed.showHelp();
      console.error(`  error: ${error.message}\n`);
      Deno.exit(error.exitCode);
    }
  }
}
