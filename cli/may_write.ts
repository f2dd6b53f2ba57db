/**
 * Where a task may write: below the folders that deno.json names, and those of THINKER_WRITE.
 *
 * @module
 */
import { dirname, join, resolve } from "node:path";
import { UserError } from "../src/base/mod.ts";

/**
 * Asks before the work whether the task may write to a file or folder, so that hours do not end there.
 *
 * @param what How the user named it: `--out`.
 * @param beside Whether it is prepared beside its place, and renamed.
 * @throws {UserError} when it may not.
 */
export async function checkMayWrite(
  what: string,
  path: string,
  { beside = false } = {},
): Promise<void> {
  const paths = [path, ...beside ? [join(dirname(resolve(path)), ".name.tmp")] : []];
  for (const each of paths) {
    const { state } = await Deno.permissions.query({ name: "write", path: each });
    if (state !== "granted") throw mayNotWrite(`${what}: this task may not write to ${path}`, path);
  }
}

/** The error for a place that the task may not write to, and how it may. */
export function mayNotWrite(message: string, path: string, cause?: unknown): UserError {
  const above = dirname(resolve(path)), folder = above === "/" ? resolve(path) : above;
  const hint = folder.includes(",")
    ? "choose a path without commas"
    : `only below runs, models, data and what THINKER_WRITE names: THINKER_WRITE=${folder} deno task …`;
  return new UserError(message, { hint, cause });
}
