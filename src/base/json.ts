/**
 * JSON from disk, with one clear line for every way it can be wrong.
 *
 * @module
 */
import { reason, UserError } from "./errors.ts";
import type { Schema } from "./schema.ts";

/**
 * Read and parse a JSON file.
 *
 * @param path The file.
 * @param hint What the user can do when the file is missing or unreadable.
 * @throws {UserError} When the file cannot be read or is not JSON.
 */
export function readJson(path: string, hint: string): unknown {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (cause) {
    throw new UserError(`cannot read ${path}: ${reason(cause)}`, { hint, cause });
  }
  return parseJson(text, path, hint);
}

/**
 * Parse JSON.
 *
 * @param where What the text is, for the message: a file, a line of it, an answer.
 * @param hint What the user can do about a text that is no JSON.
 * @throws {UserError} When it is none.
 */
export function parseJson(text: string, where: string, hint: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UserError(`${where} is not valid JSON: ${reason(cause)}`, { hint, cause });
  }
}

/**
 * Check a value against a schema.
 *
 * @param where The file (and place in it) that the value came from, for the message.
 * @param hint What the user can do about a value that does not fit.
 * @throws {UserError} Naming the first field that is wrong.
 */
export function check<T>(schema: Schema<T>, value: unknown, where: string, hint: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0];
  const field = path.length > 0 ? `${path.join(".")}: ` : "";
  throw new UserError(`${where}: ${field}${message}`, {
    hint,
    cause: result.error,
  });
}
