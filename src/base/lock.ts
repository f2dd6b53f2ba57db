/**
 * What belongs to one process at a time: a run's folder, a model that is downloaded or changed.
 *
 * A lock is the system's own, on a file. It ends with its process, however that ends, so that none is ever
 * stale; the process id in the file is for people alone.
 *
 * @module
 */
import { basename, dirname, join, resolve } from "node:path";
import { UserError } from "./errors.ts";
import { exists, isSameFile, openPlain, writing } from "./files.ts";

/** Refuses a place that is another's: a folder in use, or one that is not empty. */
export class TakenError extends UserError {}

/** How to take a lock. */
export interface LockOptions {
  /** What is locked, as a message begins: `the run folder runs/x`. */
  readonly name: string;
  /** What to do where another process has it. */
  readonly hint?: string;
  /** Wait until the other process is done, instead of refusing. */
  readonly wait?: boolean;
}

/** A lock that is held until it is disposed of, or the process is gone. */
export class FolderLock implements Disposable {
  readonly #path: string;
  /** Undefined once it is given back. */
  #file: Deno.FsFile | undefined;

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  /**
   * Locks what is at a path, where the folder of the lock's file exists.
   *
   * @param path The lock's file, made here; once it is released it is gone.
   * @throws {TakenError} when another process has it and `wait` is not set.
   * @throws {UserError} when the file at `path` is none that this program made, or cannot be written.
   */
  static async take(path: string, options: LockOptions): Promise<FolderLock> {
    while (true) {
      const file = await writing(path, () => openPlain(path));
      try {
        if (options.wait) await file.lock(true);
        else if (!await file.tryLock(true)) throw await taken(file, options);
        // Whoever had it removed the file on release: then this is a lock on nothing, and another may
        // hold the file that is there now.
        if (await isSameFile(file, path)) {
          await expectOwn(file, path);
          await writing(path, () => sign(file));
          return new FolderLock(path, file);
        }
      } catch (error) {
        file.close();
        throw error;
      }
      file.close();
    }
  }

  /** Gives it back. */
  [Symbol.dispose](): void {
    if (!this.#file) return;
    try {
      // Before it is unlocked, so that nobody's new lock is removed.
      Deno.removeSync(this.#path);
    } catch {
      // The folder went meanwhile, or the disk refuses: an unlocked file locks nobody out.
    }
    this.#file.close();
    this.#file = undefined;
  }
}

/**
 * Takes a folder for this process; one that is not there is made.
 *
 * @throws {TakenError} when another process has it and `wait` is not set.
 */
export async function lockFolder(dir: string, options: LockOptions): Promise<FolderLock> {
  await writing(dir, () => Deno.mkdir(dir, { recursive: true }));
  return await FolderLock.take(join(dir, ".lock"), options);
}

/**
 * Takes a folder that is made, or replaced as a whole: the lock stands beside it, in a folder that exists. Of
 * a link, what it leads to is locked.
 *
 * @throws {TakenError} when another process has it and `wait` is not set.
 */
export async function lockPlace(path: string, options: LockOptions): Promise<FolderLock> {
  const place = await exists(path) ? await Deno.realPath(path) : resolve(path);
  return await FolderLock.take(join(dirname(place), `.${basename(place)}.lock`), options);
}

/** The error for a lock that another process holds, with the id that it signed with. */
async function taken(file: Deno.FsFile, { name, hint }: LockOptions): Promise<TakenError> {
  const id = (await signature(file)).trim();
  return new TakenError(`${name} is in use by ${id ? `process ${id}` : "another process"}`, {
    hint: hint ?? "wait until that is done, or stop it",
  });
}

/** What the file says: the process that holds it, or the last one that was killed. */
async function signature(file: Deno.FsFile): Promise<string> {
  const bytes = new Uint8Array(64);
  await file.seek(0, Deno.SeekMode.Start);
  const length = await file.read(bytes) ?? 0;
  return new TextDecoder().decode(bytes.subarray(0, length));
}

/** @throws {UserError} for a file of somebody else that happens to have a lock's name. */
async function expectOwn(file: Deno.FsFile, path: string): Promise<void> {
  if (/^\d*\n?$/.test(await signature(file))) return;
  throw new UserError(`${path} is not a lock of this program`, { hint: "move it away" });
}

async function sign(file: Deno.FsFile): Promise<void> {
  await file.truncate(0);
  await file.seek(0, Deno.SeekMode.Start);
  await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
}
