/**
 * Local stand-in for the JSR package `@cliffy/command`: the same calls with the same meaning, laid
 * over `npm:commander`, for networks where JSR cannot be reached. It holds the calls that the
 * programs make and nothing that the real package does not document, so removing the `links` line
 * of deno.json swaps the real one in.
 *
 * @module
 */
import { Command as Program, type CommanderError, Option } from "npm:commander@15.1.0";

/** The user called the program wrongly: unknown command or option, missing or malformed value. */
export class ValidationError extends Error {
  override name = "ValidationError";
}

/**
 * A command that has commands below it. The real package's other methods would now configure the
 * one added last, so they are not offered.
 */
export type Group = Pick<Command, "command" | "parse" | "showHelp">;

/** Called with the options under their camelCase names, then the positional arguments. */
export type Action = (options: Record<string, unknown>, ...args: never[]) => void | Promise<void>;

/** A command with options, arguments, examples and commands below it. */
export class Command {
  /** The command in commander's terms. */
  protected readonly program: Program = new Program()
    .helpOption("-h, --help", "Show this help.")
    .helpCommand(false)
    .enablePositionalOptions()
    .configureOutput({
      writeOut: print,
      writeErr: print,
      outputError: () => {}, // it is thrown as well
      // Nothing is coloured; asking the terminal would read a dozen environment variables.
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText("after", () => this.#examplesText())
    .exitOverride((end) => {
      if (end.code.startsWith("commander.help")) Deno.exit(0);
      throw mistake(end);
    });
  readonly #examples: [string, string][] = [];
  #args: string[] = [];
  #throwErrors = false;

  /** Sets the name that help and completions show. */
  name(name: string): this {
    this.program.name(name);
    return this;
  }

  /** Sets what `-V` prints; `--version` says the name, too. */
  version(version: string): this {
    this.program
      .option("-V, --version", "Show the version number.")
      .on("option:version", () => {
        const long = this.#args.includes("--version");
        console.log(long ? `${this.program.name()} ${version}` : version);
        Deno.exit(0);
      });
    return this;
  }

  /** Sets the description. */
  description(description: string): this {
    this.program.description(description);
    return this;
  }

  /**
   * Adds an option: `--resume` or `--steps <n:integer>`, of type string, number or integer; with `collect`
   * it may come several times, and its values make a list.
   */
  option(
    spec: string,
    description: string,
    settings: { default?: unknown; collect?: boolean } = {},
  ): this {
    const [matched, flag, value, type] =
      spec.match(/^(--[a-z-]+)(?: (<[\w=]+):(string|number|integer)>)?$/) ?? [];
    if (!matched) throw new Error(`the stand-in for cliffy knows no options like "${spec}"`);
    const option = new Option(value ? `${flag} ${value}>` : flag, description)
      .default(settings.default);
    if (type) {
      option.argParser((text, before: unknown) => {
        if (settings.collect) return [...(before as unknown[] ?? []), convert(flag, type, text)];
        if (this.program.getOptionValueSource(option.attributeName()) === "cli") {
          throw new ValidationError(`Option "${flag}" was given twice.`);
        }
        return convert(flag, type, text);
      });
    }
    this.program.addOption(option);
    return this;
  }

  /** Sets the positional arguments: `<file:string> <dir:string>`. */
  arguments(spec: string): this {
    if (!/^<\w+:string>( <\w+:string>)*$/.test(spec)) {
      throw new Error(`the stand-in for cliffy knows no arguments like "${spec}"`);
    }
    this.program.arguments(spec.replaceAll(":string", ""));
    return this;
  }

  /** Adds an example to the help text. */
  example(name: string, description: string): this {
    this.#examples.push([name, description]);
    return this;
  }

  /** Sets what the command does; `parse` waits for a promise it returns. */
  action(handler: Action): this {
    const { program } = this;
    program.action(() => handler(program.opts(), ...program.processedArgs as never[]));
    return this;
  }

  /** Adds a ready command under the given name. */
  command(name: string, command: Group): Group {
    this.program.addCommand((command as Command).program.name(name));
    return this;
  }

  /** Makes `parse` reject with a {@linkcode ValidationError} instead of printing it and exiting. */
  throwErrors(): this {
    this.#throwErrors = true;
    return this;
  }

  /** Prints the help text. */
  showHelp(): void {
    this.program.outputHelp();
  }

  /** Reads the command line, runs the action that it chooses and resolves when that is done. */
  async parse(args: string[]): Promise<void> {
    this.#args = args;
    try {
      await this.program.parseAsync(args, { from: "user" });
    } catch (error) {
      if (this.#throwErrors || !(error instanceof ValidationError)) throw error;
      this.showHelp();
      console.error(`  error: ${error.message}\n`);
      Deno.exit(2);
    }
  }

  #examplesText(): string {
    if (this.#examples.length === 0) return "";
    const width = Math.max(...this.#examples.map(([name]) => name.length)) + 2;
    const lines = this.#examples.map(([name, text]) => `  ${name.padEnd(width)}${text}`);
    return `\nExamples:\n${lines.join("\n")}`;
  }
}

function print(text: string): void {
  console.log(text.trimEnd());
}

/** Brings commander's error (prefix, several lines, single quotes) into one plain sentence. */
function mistake(error: CommanderError): ValidationError {
  const text = error.message
    .replace(/^error: /, "")
    .replace(/\n\(Did you mean (.*)\?\)$/, ". Did you mean $1?")
    .replaceAll("'", '"');
  return new ValidationError(text[0].toUpperCase() + text.slice(1), { cause: error });
}

function convert(flag: string, type: string, text: string): string | number {
  if (type === "string") return text;
  const value = text.trim() === "" ? NaN : Number(text);
  if (type === "integer" ? Number.isInteger(value) : Number.isFinite(value)) return value;
  throw new ValidationError(`Option "${flag}" must be of type ${type}, but got "${text}".`);
}
