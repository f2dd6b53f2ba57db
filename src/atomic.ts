/** Files that are either the old ones or the new ones, never half of each. */

import { basename, dirname, join } from "node:path";
import { writeError } from "./errors.ts";

/** Where a file or folder is prepared before its rename: hidden, and beside its final place. */
export function temporaryPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.tmp`);
}

/** True for a name made by {@link temporaryPath}: what a killed process may leave behind. */
export function isTemporaryName(name: string): boolean {
  return name.startsWith(".") && name.endsWith(".tmp");
}

/** Makes a file's or a folder's content durable (fsync). */
export async function syncPath(path: string): Promise<void> {
  using file = await Deno.open(path, { read: true });
  await file.sync();
}

/** Renames `from` to `to` and makes the rename durable. */
export async function publish(from: string, to: string): Promise<void> {
  await Deno.rename(from, to);
  await syncPath(dirname(to));
}

/** Removes a file or a folder with all that is in it, if it exists. */
export async function removeTree(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/**
 * Replaces the file at `path`: temporary file, fsync, rename.
 *
 * @throws {UserError} when the system refuses; the old file is still there then.
 */
export async function writeAtomic(path: string, data: string | Uint8Array): Promise<void> {
  const temporary = temporaryPath(path);
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  try {
    await Deno.writeFile(temporary, bytes);
    await syncPath(temporary);
    await publish(temporary, path);
  } catch (cause) {
    await removeTree(temporary);
    throw writeError(path, cause);
  }
}
