/**
 * Values from outside, such as files and answers: checked against a schema, with one clear line for the
 * first thing that does not fit and a suggestion for a misspelt key.
 *
 * @module
 */
import * as z from "npm:zod@4.6.7";
import { UserError } from "./errors.ts";
import type { Schema } from "./schema.ts";

/**
 * Checks a value against a schema.
 *
 * @param where The file (and place in it) that the value came from, for the message.
 * @param hint What the user can do about a value that does not fit. A key that the schema does not know
 *   gets a hint of its own.
 * @param renamed Dotted paths that had another name once, with the present one.
 * @throws {UserError} naming the dotted path of the first key that is wrong.
 */
export function check<T>(
  schema: Schema<T>,
  value: unknown,
  where: string,
  hint: string,
  renamed: Readonly<Record<string, string>> = {},
): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { error: cause } = result;
  // A misspelt key explains the missing one.
  const misspelt = cause.issues.find((issue) => issue.code === "unrecognized_keys");
  if (misspelt?.keys) {
    const { path, keys: [key] } = misspelt, now = renamed[[...path, key].join(".")];
    if (now) {
      throw new UserError(`${where}: "${[...path, key].join(".")}" has another name now`, {
        hint: `write ${now}`,
      });
    }
    const names = keysAt(schema, path);
    const near = closest(key, names);
    throw new UserError(`${where}: unknown key "${[...path, key].join(".")}"`, {
      hint: near === undefined
        ? `known here: ${names.join(", ") || "none"}`
        : `did you mean "${[...path, near].join(".")}"?`,
      cause,
    });
  }
  const [{ path, message }] = cause.issues;
  const key = path.length > 0 ? `${path.join(".")}: ` : "";
  throw new UserError(`${where}: ${key}${message}`, { hint, cause });
}

/** The keys of the object that a schema has at a path; none where it has no object. */
function keysAt(schema: unknown, path: readonly PropertyKey[]): string[] {
  let at = schema;
  for (const key of path) at = at instanceof z.ZodObject ? at.shape[String(key)] : undefined;
  return at instanceof z.ZodObject ? Object.keys(at.shape) : [];
}

/**
 * The candidate that `word` most likely stands for: the only one that begins with it, or the nearest; none
 * where all differ in more than half of it.
 */
function closest(word: string, candidates: readonly string[]): string | undefined {
  const begun = candidates.filter((name) => name.toLowerCase().startsWith(word.toLowerCase()));
  if (begun.length === 1) return begun[0];
  const scored = candidates
    .map((name) => ({ name, far: editDistance(word.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, far }) => 2 * far <= Math.max(name.length, word.length))
    .sort((a, b) => a.far - b.far);
  return scored[0]?.name;
}

/** Letters to insert, delete or replace so that `a` becomes `b`. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
