/** Files that are either the old ones or the new ones, never half of each. */

import { basename, dirname, join } from "node:path";

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

/** Replaces the file at `path`: temporary file, fsync, rename. */
export async function writeAtomic(path: string, data: string | Uint8Array): Promise<void> {
  const temporary = temporaryPath(path);
  await Deno.writeFile(temporary, typeof data === "string" ? new TextEncoder().encode(data) : data);
  await syncPath(temporary);
  await publish(temporary, path);
}
