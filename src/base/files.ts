/**
 * Files and folders: what is there, and changes that leave either the old ones or the new ones, never half
 * of each.
 *
 * @module
 */
import { basename, dirname, join, resolve } from "node:path";
import { writeError } from "./errors.ts";

/** Whether there is a file, a folder or a link. */
export async function exists(path: string): Promise<boolean> {
  return (await ifThere(() => Deno.lstat(path))) !== undefined;
}

/** The names in a folder; none where there is no folder. */
export async function namesIn(path: string): Promise<string[]> {
  const entries = await ifThere(() => Array.fromAsync(Deno.readDir(path)));
  return entries?.map(({ name }) => name) ?? [];
}

/** What a look at the disk finds; undefined where there is nothing. */
async function ifThere<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

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
  await ifThere(() => Deno.remove(path, { recursive: true }));
}

/** Does what writes to `path`; where the system refuses, that becomes one clear line. */
export async function writing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw writeError(path, cause);
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

/**
 * Changes files of a folder all at once. `change` gets a copy of the folder (its files are hard links, so
 * nothing large is copied) and must replace files in it by rename, never write into them; the copy then
 * takes the folder's place. A crash leaves the folder as it was, or as it was to become; the next call
 * tidies up.
 *
 * @throws {UserError} when the system refuses; the folder is as it was then.
 */
export async function changeFolder(
  dir: string,
  change: (copy: string) => Promise<void>,
): Promise<void> {
  await recoverFolder(dir);
  let place = resolve(dir);
  try {
    place = await Deno.realPath(place);
    const copy = temporaryPath(place), old = setAside(place);
    await removeTree(copy);
    try {
      await linkTree(place, copy);
      await change(copy);
      await syncPath(copy);
      await Deno.rename(place, old);
      await publish(copy, place);
    } catch (cause) {
      await recoverFolder(place);
      await removeTree(copy);
      throw cause;
    }
    await removeTree(old);
  } catch (cause) {
    throw writeError(place, cause);
  }
}

/** Puts a folder back that a crash caught between the two renames of {@linkcode changeFolder}. */
export async function recoverFolder(dir: string): Promise<void> {
  const place = resolve(dir), old = setAside(place);
  if (await exists(place)) await removeTree(old);
  else if (await exists(old)) await Deno.rename(old, place);
}

/** Where the old folder waits until the new one has taken its place. */
function setAside(place: string): string {
  return join(dirname(place), `.${basename(place)}.old.tmp`);
}

async function linkTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to);
  for await (const { name, isDirectory, isSymlink } of Deno.readDir(from)) {
    const source = join(from, name), target = join(to, name);
    if (isDirectory) await linkTree(source, target);
    // Of a link its target: a cache of downloads links to files that other models share.
    else await Deno.link(isSymlink ? await Deno.realPath(source) : source, target);
  }
}
