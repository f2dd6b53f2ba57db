/**
 * The kernel cache on disk: whose it is, and whether what it holds is whole. A library is code that runs in
 * this process, and a cut one ends it without a word (SIGBUS), so both are asked before each load.
 *
 * @module
 */

import { namesIn, reason, removeTree, syncPath, UserError, writeError } from "../src/base/mod.ts";
import { cacheDir } from "./cache.ts";

const elsewhere = "set XDG_CACHE_HOME to a folder of your own, by its full path";

/**
 * The cache folder.
 *
 * @throws {UserError} when no variable names one, or Deno's permissions cannot name it.
 */
export function kernelCache(): string {
  try {
    return cacheDir();
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new UserError(reason(error), { hint: elsewhere, cause: error });
  }
}

/** Does what reads or writes the cache; where the system refuses, that becomes one clear line. */
export async function inCache<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (isPermission(cause) || writeError("", cause) === cause) throw cause;
    const why = reason(cause).replace(/, run again with .*/, "");
    throw new UserError(`the kernel cache ${kernelCache()} cannot be used: ${why}`, {
      hint: `make it writable and give it room, or ${elsewhere}`,
      cause,
    });
  }
}

/** Whether a flag of Deno would help; below devices only its having all permissions would. */
function isPermission(cause: unknown): boolean {
  return cause instanceof Deno.errors.NotCapable && !/^Requires all access/.test(cause.message);
}

/** Makes a folder of the cache that nobody else enters, and makes one private that was not. */
export async function makePrivate(dir: string): Promise<void> {
  await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
  await expectPrivate(dir);
}

/**
 * Whether a folder is there, and nobody's but this user's.
 *
 * @throws {UserError} when it is another user's, or others may enter and that cannot be changed.
 */
export async function expectPrivate(dir: string): Promise<boolean> {
  const found = await statOf(dir);
  if (!found) return false;
  const own = ownId();
  if (own !== undefined && found.uid !== null && found.uid !== own) {
    throw new UserError(
      `${dir} belongs to user ${found.uid}, not to you (${own}): no library is loaded from there`,
      { hint: elsewhere },
    );
  }
  if (isOpen(found, 0o077)) {
    let problem = "its file system knows no owners";
    try {
      await Deno.chmod(dir, 0o700);
    } catch (error) {
      problem = reason(error);
    }
    const left = await Deno.stat(dir);
    if (isOpen(left, 0o077)) {
      throw new UserError(
        `others may enter ${dir}, so no library is loaded from there, and that stays so: ${problem}`,
        { hint: `chmod 700 ${dir}, or ${elsewhere}` },
      );
    }
  }
  return true;
}

/** What stands at the place of a library: nothing, one that may be loaded, or why it may not. */
export type Examined = "missing" | "sound" | { readonly flaw: string };

/** Looks at a library and the digest beside it, in a folder that is private. */
export async function examine(path: string): Promise<Examined> {
  const found = await statOf(path), folder = await statOf(dirOf(path));
  if (!found || !folder) return "missing";
  if (!found.isFile || found.uid !== folder.uid) return { flaw: "is not yours" };
  if (isOpen(found, 0o022)) return { flaw: "may be written by others" };
  const published = await textOf(digestPath(path));
  if (published === undefined) return { flaw: "has no digest beside it" };
  return await digestOf(path) === published ? "sound" : { flaw: "is damaged: its digest differs" };
}

/** Moves a library that was built into its place, with its digest, so that a crash leaves no half of it. */
export async function store(built: string, path: string): Promise<void> {
  await Deno.chmod(built, 0o700); // whatever umask and linker thought
  await syncPath(built);
  await Deno.writeTextFile(`${built}.sha256`, await digestOf(built), { mode: 0o600 });
  await syncPath(`${built}.sha256`);
  // The digest first: a crash in between leaves an older library with a digest that is not its own.
  await Deno.rename(`${built}.sha256`, digestPath(path));
  await Deno.rename(built, path);
  await syncPath(dirOf(path));
}

/** The lock under which one process builds in a folder; it ends with its process. */
export async function openLock(dir: string): Promise<Deno.FsFile> {
  return await Deno.open(`${dir}/lock`, { create: true, write: true });
}

/** Folders in which libraries are built: `build-` and what makeTempDir adds. */
const buildPrefix = "build-";

/** Makes a folder to build in, in a folder whose lock is held. */
export async function makeBuildFolder(dir: string): Promise<string> {
  return await Deno.makeTempDir({ dir, prefix: buildPrefix });
}

/** Removes what killed builds left in a folder whose lock is held: nobody else builds there. */
export async function removeLeftovers(dir: string): Promise<void> {
  for (const name of await namesIn(dir)) {
    if (name.startsWith(buildPrefix)) await removeTree(`${dir}/${name}`);
  }
}

/** The same in the folders of other versions and machines, as far as nobody builds there now. */
export async function removeOtherLeftovers(): Promise<void> {
  const cache = kernelCache();
  for (const name of await namesIn(cache)) {
    const dir = `${cache}/${name}`, held = (await statOf(dir))?.isDirectory && await namesIn(dir);
    if (!held || !held.includes("lock")) continue;
    if (!held.some((each) => each.startsWith(buildPrefix))) continue;
    using lock = await openLock(dir);
    if (await lock.tryLock(true)) await removeLeftovers(dir);
  }
}

async function digestOf(path: string): Promise<string> {
  using file = await Deno.open(path);
  // Deno.readFile grows its buffer: this is several times as fast.
  const bytes = new Uint8Array((await file.stat()).size);
  for (let at = 0; at < bytes.length;) {
    const read = file.readSync(bytes.subarray(at));
    if (read === null) break;
    at += read;
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

const digestPath = (path: string) => `${path}.sha256`;
const dirOf = (path: string) => path.slice(0, path.lastIndexOf("/"));

/** Where the system has no modes there is nothing to see. */
const isOpen = ({ mode }: Deno.FileInfo, bits: number) => mode !== null && (mode & bits) !== 0;

async function statOf(path: string): Promise<Deno.FileInfo | undefined> {
  return await ifThere(() => Deno.stat(path));
}

async function textOf(path: string): Promise<string | undefined> {
  return await ifThere(() => Deno.readTextFile(path));
}

async function ifThere<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/**
 * This user's id, as far as the program may know. Without it a folder of mode 700 that can be read is still
 * nobody else's, unless root reads it.
 */
function ownId(): number | undefined {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "uid" });
  return state === "granted" ? Deno.uid() ?? undefined : undefined;
}
