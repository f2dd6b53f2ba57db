import {
  Command as Program,
  type CommanderError,
  Option as ProgramOption,
} from "npm:commander@^15";
import type { CommandResult } from "./command.ts";
import {
  type Definition,
  type EnvDefinition,
  inherited,
  lineage,
  type OptionDefinition,
  summary,
} from "./definition.ts";
import { fromCommander, ValidationError } from "./errors.ts";
import { commanderSyntax, convert } from "./values.ts";

/** Thrown through commander where help or the version was asked for: print it and be done. */
export class Finished extends Error {
  /** Keeps the definition that answered and the text it has to print. */
  constructor(readonly definition: Definition, readonly text: string) {
    super();
  }
}

/** Reads `args` by the definitions from `root` down and runs the action they choose. */
export async function run(
  root: Definition,
  args: string[],
): Promise<CommandResult> {
  let result: CommandResult = { options: {}, args: [], cmd: root.command };
  const program = build(root, {
    explain: (error, definition) => explain(error, definition, args),
    execute: async (definition, program) => {
      result = {
        options: collectOptions(definition, program),
        args: program.processedArgs.flat(),
        cmd: definition.command,
      };
      try {
        await definition.action?.call(
          result.cmd,
          result.options,
          ...result.args,
        );
      } catch (error) {
        throw blame(error, definition);
      }
    },
  });
  await program.parseAsync(args, { from: "user" });
  return result;
}

/** The help text of one command, with the environment variables and examples commander lacks. */
export function help(definition: Definition): string {
  let own: Program | undefined;
  build(lineage(definition).at(-1)!, {
    built: (other, program) => {
      if (other === definition) own = program;
    },
  });
  const env = inherited(definition, ({ env }) => env);
  return own!.helpInformation() +
    section(
      "Environment variables",
      env.map(({ name, description }) => [name, description]),
    ) +
    section(
      "Examples",
      definition.examples.map((example) => [example.name, example.description]),
    );
}

function section(title: string, rows: [string, string][]): string {
  if (rows.length === 0) return "";
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  const lines = rows.map(([name, text]) => `  ${name.padEnd(width)}${text}`);
  return `\n${title}:\n${lines.join("\n")}\n`;
}

interface Hooks {
  explain?: (error: CommanderError, definition: Definition) => Error;
  execute?: (definition: Definition, program: Program) => Promise<void>;
  built?: (definition: Definition, program: Program) => void;
}

/** Says the definition, and those below it, in commander's terms; for one run only. */
function build(definition: Definition, hooks: Hooks): Program {
  const program = new Program(definition.name)
    .description(definition.description)
    .summary(summary(definition))
    .helpOption("-h, --help", "Show this help.")
    .helpCommand(false)
    .enablePositionalOptions()
    .configureOutput({
      writeOut: () => {},
      writeErr: () => {},
      // Nothing is coloured; asking the terminal would read a dozen environment variables.
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .exitOverride((error) => {
      throw hooks.explain?.(error, definition) ?? error;
    });
  if (definition.version) {
    program.version(
      definition.version,
      "-V, --version",
      "Show the version number.",
    );
  }
  for (const option of inherited(definition, ({ options }) => options)) {
    program.addOption(translateOption(definition, option));
  }
  for (const value of definition.arguments) {
    const parse = collector(
      definition,
      `Argument "${value.name}"`,
      value.type,
      value.variadic,
    );
    program.argument(commanderSyntax(value), "", parse);
  }
  for (const child of definition.commands) {
    program.addCommand(build(child, hooks));
  }
  // Commander answers for a command without action: it shows help or rejects the unknown name.
  if (definition.action || definition.commands.length === 0) {
    program.action(() => hooks.execute?.(definition, program));
  }
  hooks.built?.(definition, program);
  return program;
}

function translateOption(
  definition: Definition,
  option: OptionDefinition,
): ProgramOption {
  const { flags, value, description, settings } = option;
  const names = flags.join(", ");
  const syntax = value ? `${names} ${commanderSyntax(value)}` : names;
  const translated = new ProgramOption(syntax, description)
    .makeOptionMandatory(settings.required ?? false)
    .hideHelp(settings.hidden ?? false);
  if (settings.default !== undefined) translated.default(settings.default);
  if (value) {
    const label = `Option "${flags.at(-1)}"`;
    const many = settings.collect || value.variadic;
    translated.argParser(collector(definition, label, value.type, many));
  }
  return translated;
}

/** A parser that converts a value and keeps it: all of them as an array if `many`, else just one. */
function collector(
  definition: Definition,
  label: string,
  type: string,
  many = false,
): (text: string) => unknown {
  const values: unknown[] = [];
  return (text) => {
    try {
      values.push(convert(label, type, text));
      if (values.length > 1 && !many) {
        throw new ValidationError(`${label} was given twice.`);
      }
    } catch (error) {
      throw blame(error, definition);
    }
    return many ? values : values[0];
  };
}

/** Notes in a validation error which command it came from. */
function blame(error: unknown, definition: Definition): unknown {
  if (error instanceof ValidationError) error.cmd ??= definition.command;
  return error;
}

/** Merges what the levels of the command line say: given, else environment, else default. */
function collectOptions(
  definition: Definition,
  program: Program,
): Record<string, unknown> {
  const defaults: Record<string, unknown> = {};
  const given: Record<string, unknown> = {};
  for (let level: Program | null = program; level; level = level.parent) {
    for (const [key, value] of Object.entries(level.opts())) {
      const target = level.getOptionValueSource(key) === "default" ? defaults : given;
      if (!(key in target)) target[key] = value;
    }
  }
  const env = inherited(definition, ({ env }) => env).flatMap((variable) => {
    const text = readEnv(variable);
    if (!text) return [];
    const label = `Environment variable "${variable.name}"`;
    return [[variable.key, collector(definition, label, variable.type)(text)]];
  });
  return { ...defaults, ...Object.fromEntries(env), ...given };
}

/** A variable the process may not read counts as unset: no prompt, no failure. */
function readEnv({ name }: EnvDefinition): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}

/** What it means that commander ended early: help, the version, or a mistake of the user. */
function explain(
  error: CommanderError,
  definition: Definition,
  args: string[],
): Error {
  if (error.code.startsWith("commander.help")) {
    return new Finished(definition, help(definition));
  }
  if (error.code === "commander.version") {
    const long = args.includes("--version") ? `${definition.name} ` : "";
    return new Finished(definition, `${long}${definition.version}`);
  }
  const mistake = fromCommander(error);
  mistake.cmd = definition.command;
  return mistake;
}
