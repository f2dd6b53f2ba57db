/**
 * JSON from disk, with one clear line for every way it can be wrong.
 *
 * @module
 */
import { reason, UserError } from "./errors.ts";
import { refuseLfsPointer } from "./lfs.ts";
import { refuseSpecial } from "./special.ts";

/**
 * Reads and parses a JSON file.
 *
 * @param hint What the user can do when the file is missing, unreadable or no JSON.
 * @throws {UserError} when the file cannot be read or is not JSON.
 */
export function readJson(path: string, hint: string): unknown {
  refuseSpecial(path);
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (cause) {
    throw new UserError(`cannot read ${path}: ${reason(cause)}`, { hint, cause });
  }
  refuseLfsPointer(path, text);
  return parseJson(text, path, hint);
}

/**
 * Parses JSON.
 *
 * @param text The text, or its bytes: what is not UTF-8 is no JSON.
 * @param where What it is, for the message: a file, a line of it, an answer.
 * @param hint What the user can do about a text that is no JSON.
 * @throws {UserError} when it is none.
 */
export function parseJson(text: string | Uint8Array, where: string, hint: string): unknown {
  try {
    const decoder = new TextDecoder("utf-8", { fatal: true });
    return JSON.parse(typeof text === "string" ? text : decoder.decode(text));
  } catch (cause) {
    throw new UserError(`${where} is not valid JSON: ${reason(cause)}`, { hint, cause });
  }
}

/** The first place where two JSON values differ, as `a.b (1, now 2)`; undefined where they are equal. */
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
