import type { Command } from "./command.ts";

/** Settings of an option. */
export interface OptionOptions {
  /** Value when neither the command line nor the environment gives one. */
  default?: unknown;
  /** Refuse to run without the option. */
  required?: boolean;
  /** Leave the option out of help and completions. */
  hidden?: boolean;
  /** Gather the values of a repeated option in an array (otherwise repeating it is an error). */
  collect?: boolean;
}

/** Settings of an environment variable. */
export interface EnvVarOptions {
  /** Part of the name that the option key leaves out: `THINKER_` makes `THINKER_SEED` `seed`. */
  prefix?: string;
  /** Sub-commands read the variable too. */
  global?: boolean;
}

/** What the program knows about an option, for help and completions. */
export interface Option {
  /** Spellings, for example `["-s", "--steps"]`. */
  flags: string[];
  /** One line for the help text. */
  description: string;
}

/** Called with the options under their camelCase keys, then the positional arguments. */
export type ActionHandler<Args extends unknown[]> = (
  this: Command,
  options: Record<string, unknown>,
  ...args: Args
) => unknown;

type Value<Name> = Name extends "integer" | "number" ? number
  : Name extends "boolean" ? boolean
  : string;

type TypeOf<Body> = Body extends `${string}:${infer Name}` ? Value<Name>
  : string;

type One<Spec> = Spec extends `<${infer Body}>`
  ? Body extends `${string}...${string}` ? [TypeOf<Body>, ...TypeOf<Body>[]]
  : [TypeOf<Body>]
  : Spec extends `[${infer Body}]`
    ? Body extends `${string}...${string}` ? TypeOf<Body>[] : [TypeOf<Body>?]
  : [];

/** Types of the positional arguments in a definition such as `<question:string> [n:integer]`. */
export type ArgumentsOf<Spec extends string> = Spec extends `${infer Head} ${infer Rest}`
  ? [...One<Head>, ...ArgumentsOf<Rest>]
  : One<Spec>;
