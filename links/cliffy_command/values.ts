import { ValidationError } from "./errors.ts";

/** The value part of a definition: `<n:integer>`, `[file:string]`, `<name...:string>`. */
export interface ValueSpec {
  name: string;
  type: string;
  optional: boolean;
  variadic: boolean;
}

const VALUE = /([<[])(\.\.\.)?([\w-]+)(\.\.\.)?(?::(\w+))?[>\]]/g;

const CONVERTERS: Record<string, (text: string) => unknown> = {
  string: (text) => text,
  file: (text) => text,
  number: (text) => finite(text),
  integer: (text) => {
    const value = finite(text);
    return Number.isInteger(value) ? value : undefined;
  },
  boolean: (text) =>
    ["true", "1"].includes(text) ? true : ["false", "0"].includes(text) ? false : undefined,
};

function finite(text: string): number | undefined {
  const value = Number(text);
  return text.trim() !== "" && Number.isFinite(value) ? value : undefined;
}

/** Reads every value definition in `spec`; an unknown type is a mistake of the programmer. */
export function parseValues(spec: string): ValueSpec[] {
  return [...spec.matchAll(VALUE)].map(
    ([raw, open, before, name, after, type = "string"]) => {
      if (!(type in CONVERTERS)) {
        throw new Error(`Unknown type "${type}" in "${raw}".`);
      }
      return {
        name,
        type,
        optional: open === "[",
        variadic: Boolean(before ?? after),
      };
    },
  );
}

/** The definition as commander writes it: `<n>`, `[file]`, `<name...>`. */
export function commanderSyntax(
  { name, optional, variadic }: ValueSpec,
): string {
  const body = variadic ? `${name}...` : name;
  return optional ? `[${body}]` : `<${body}>`;
}

/** Converts `text`; `label` says in the error whose value it is, for example `Option "--steps"`. */
export function convert(label: string, type: string, text: string): unknown {
  const value = CONVERTERS[type](text);
  if (value === undefined) {
    throw new ValidationError(
      `${label} must be of type ${type}, but got "${text}".`,
    );
  }
  return value;
}
