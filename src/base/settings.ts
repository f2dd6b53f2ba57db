/**
 * Settings that users write: checked against a schema of strict objects, with one clear line for the
 * first thing that does not fit and a suggestion for a misspelt key.
 *
 * @module
 */
import * as z from "npm:zod@^4";
import { UserError } from "./errors.ts";
import type { Schema } from "./schema.ts";

/**
 * Checks settings against a schema.
 *
 * @param value The parsed JSON.
 * @param where The file's name, for the error message.
 * @param hint What helps where no key is misspelt.
 * @throws {UserError} naming the file and the dotted path of the first key that is wrong.
 */
export function parseSettings<T>(
  schema: Schema<T>,
  value: unknown,
  where: string,
  hint?: string,
): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { issues } = result.error;
  // A misspelt key explains the missing one.
  const misspelt = issues.find((issue) => issue.code === "unrecognized_keys");
  if (misspelt?.keys) {
    const { path, keys: [key] } = misspelt;
    const names = keysAt(schema, path);
    const near = closest(key, names);
    throw new UserError(`${where}: unknown key "${[...path, key].join(".")}"`, {
      hint: near === undefined
        ? `known here: ${names.join(", ")}`
        : `did you mean "${[...path, near].join(".")}"?`,
    });
  }
  const [{ path, message }] = issues;
  const key = path.length > 0 ? `"${path.join(".")}": ` : "";
  throw new UserError(`${where}: ${key}${message}`, { hint });
}

/** The keys of the object that a schema has at a path; none where it has no object. */
function keysAt(schema: unknown, path: readonly PropertyKey[]): string[] {
  let at = schema;
  for (const key of path) at = at instanceof z.ZodObject ? at.shape[String(key)] : undefined;
  return at instanceof z.ZodObject ? Object.keys(at.shape) : [];
}

/** The candidate that `word` most likely stands for; none where all differ in more than half of it. */
function closest(word: string, candidates: readonly string[]): string | undefined {
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

/** The first place where two settings differ, as `a.b (1, now 2)`; undefined where they are equal. */
export function firstDifference(a: unknown, b: unknown, path: string = ""): string | undefined {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) {
    const show = (value: unknown) => JSON.stringify(value);
    return a === b ? undefined : `${path} (${show(a)}, now ${show(b)})`;
  }
  const [left, right] = [a, b] as Record<string, unknown>[];
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
    const found = firstDifference(left[key], right[key], path ? `${path}.${key}` : key);
    if (found) return found;
  }
  return undefined;
}
