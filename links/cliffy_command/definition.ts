import type { Command } from "./command.ts";
import type { ActionHandler, OptionOptions } from "./types.ts";
import type { ValueSpec } from "./values.ts";

/** An option as the builder recorded it. */
export interface OptionDefinition {
  /** Spellings, for example `["-s", "--steps"]`. */
  flags: string[];
  value?: ValueSpec;
  description: string;
  settings: OptionOptions;
  global: boolean;
}

/** An environment variable as the builder recorded it. */
export interface EnvDefinition {
  name: string;
  /** Key of its value among the options. */
  key: string;
  type: string;
  description: string;
  global: boolean;
}

/** Everything a `Command` was told. */
export interface Definition {
  command: Command;
  parent?: Definition;
  name: string;
  version?: string;
  description: string;
  options: OptionDefinition[];
  env: EnvDefinition[];
  arguments: ValueSpec[];
  examples: { name: string; description: string }[];
  commands: Definition[];
  action?: ActionHandler<unknown[]>;
  throwErrors?: boolean;
  noExit?: boolean;
}

/** The definition and those above it, nearest first. */
export function lineage(definition: Definition): Definition[] {
  return [definition, ...(definition.parent ? lineage(definition.parent) : [])];
}

/** What `list` gives for the definition itself and, where marked global, for those above it. */
export function inherited<T extends { global: boolean }>(
  definition: Definition,
  list: (definition: Definition) => T[],
): T[] {
  const [own, ...above] = lineage(definition);
  return [
    ...above.reverse().flatMap(list).filter(({ global }) => global),
    ...list(own),
  ];
}

/** Names from the main command down, as the user types them. */
export function path(definition: Definition): string {
  return lineage(definition).map(({ name }) => name).reverse().join(" ");
}

/** First line of the description. */
export function summary(definition: Definition): string {
  return definition.description.trim().split("\n", 1)[0];
}
