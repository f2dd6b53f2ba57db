/**
 * Files and folders: what is there, and changes that leave either the old ones or the new ones, never half
 * of each.
 *
 * @module
 */
import { basename, dirname, join, resolve } from "node:path";
import { UserError, writeError } from "./errors.ts";

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

/**
 * A new name beside a file's or a folder's final place, hidden, to prepare it under before its rename. It is
 * this call's alone: make what stands there with `createNew`, or with `mkdir`, which follow no link.
 */
export function temporaryPath(path: string): string {
  const own = crypto.getRandomValues(new Uint8Array(8)).toHex();
  return join(dirname(path), `.${basename(path)}.${Deno.pid}-${own}.tmp`);
}

/** The names that {@link temporaryPath} makes, and nobody else: what a killed process may leave. */
const temporaryName = /^\.(?<of>.+)\.\d+-[0-9a-f]{16}\.(?<kind>tmp|old)$/;

/**
 * Removes what killed processes left directly below a folder: what {@link temporaryPath} named and nothing
 * else. The caller holds the lock of all that writes there.
 *
 * @param of Only what was prepared for this name.
 */
export async function removeLeftovers(dir: string, of?: string): Promise<void> {
  for (const name of await namesIn(dir)) {
    const found = temporaryName.exec(name)?.groups;
    if (!found || (of ?? found.of) !== found.of) continue;
    // Set aside, and nothing has taken its place: it is all that there is.
    if (found.kind === "old" && !await exists(join(dir, found.of))) continue;
    await removeTree(join(dir, name));
  }
}

/**
 * Opens a file to read and write, and makes it where there is none; never through a link, so that whoever
 * may write beside us cannot lead our bytes into another file.
 *
 * @throws {UserError} when something else than a file of its own is there.
 */
export async function openPlain(path: string): Promise<Deno.FsFile> {
  while (true) {
    try {
      return await Deno.open(path, { read: true, write: true, createNew: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
    const found = await ifThere(() => Deno.lstat(path));
    if (found && (!found.isFile || (found.nlink ?? 1) > 1)) {
      throw new UserError(`${path} is a link or no file, and nothing is written through it`, {
        hint: "move it away",
      });
    }
    const file = await ifThere(() => Deno.open(path, { read: true, write: true }));
    if (!file) continue; // removed meanwhile
    if (await isSameFile(file, path)) return file;
    file.close();
  }
}

/** Whether the file that stands at `path`, not at the end of a link, is the opened one. */
export async function isSameFile(file: Deno.FsFile, path: string): Promise<boolean> {
  const opened = await file.stat(), found = await ifThere(() => Deno.lstat(path));
  return found?.ino === opened.ino && found.dev === opened.dev;
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
    await Deno.writeFile(temporary, bytes, { createNew: true });
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
 * takes the folder's place. A crash leaves the folder as it was, or as it was to become; the next call of
 * {@linkcode recoverFolder} tidies up. The caller holds the folder's lock.
 *
 * @throws {UserError} when the system refuses; the folder is as it was then.
 */
export async function changeFolder(
  dir: string,
  change: (copy: string) => Promise<void>,
): Promise<void> {
  let place = resolve(dir);
  try {
    place = await Deno.realPath(place);
    const copy = temporaryPath(place), old = copy.replace(/tmp$/, "old");
    try {
      await linkTree(place, copy);
      await change(copy);
      await syncPath(copy);
      await Deno.rename(place, old);
      await publish(copy, place);
    } finally {
      await recoverFolder(place);
    }
  } catch (cause) {
    throw writeError(place, cause);
  }
}

/**
 * Puts a folder back that a crash caught between the two renames of {@linkcode changeFolder}, and removes
 * what a killed process left beside it. The caller holds the folder's lock.
 */
export async function recoverFolder(dir: string): Promise<void> {
  const place = await exists(dir) ? await Deno.realPath(dir) : resolve(dir);
  const above = dirname(place), own = basename(place);
  if (!await exists(place)) {
    const old = (await namesIn(above)).find((name) => {
      const found = temporaryName.exec(name)?.groups;
      return found?.of === own && found.kind === "old";
    });
    if (old !== undefined) await Deno.rename(join(above, old), place);
  }
  await removeLeftovers(above, own);
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
