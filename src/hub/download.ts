/**
 * Downloads of models: resumable, checked against the digests that the hub lists, and complete or not
 * there at all.
 *
 * Files grow in a hidden folder beside the final one. What is there when a download starts, after
 * Ctrl-C, a crash or a dropped connection, is kept and gone on with; whether it belonged is decided by
 * the digest, not believed. When every file has been checked, the folder gets its name by one rename.
 *
 * @module
 */
import type { Hash } from "node:crypto";
import { basename, dirname, join, resolve } from "node:path";
import * as z from "npm:zod@^4";
import { publish, syncPath, temporaryPath, UserError, writeError } from "../base/mod.ts";
import { newHash } from "./digest.ts";
import { Hub, type HubOptions, Transient } from "./endpoint.ts";
import { openRepository, type RemoteFile, type Repository } from "./repository.ts";

/** Files that are downloaded at a time. */
const lanes = 4;
/** The record that a download leaves in the model folder. */
export const downloadRecord = "download.json";

/** Where a model came from: the content of {@linkcode downloadRecord}. */
export interface DownloadRecord {
  /** Owner and name of the repository. */
  readonly repository: string;
  /** The commit, 40 hexadecimal digits. */
  readonly commit: string;
  /** What was downloaded, with digests. */
  readonly files: readonly RemoteFile[];
}

/** How to download. */
export interface DownloadOptions extends HubOptions {
  /** A branch, tag or commit; default `main`. */
  readonly revision?: string;
  /** The folder that the model becomes; it must not exist, or be empty. */
  readonly out: string;
  /** Called when the size is known, and whenever bytes have been checked. */
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** How far a download is. */
export interface DownloadProgress {
  /** Bytes of all files. */
  readonly total: number;
  /** Bytes that are on disk. */
  readonly done: number;
  /** Bytes of them that were on disk before this download started. */
  readonly kept: number;
}

/** A model that has been downloaded. */
export interface Downloaded extends DownloadRecord {
  /** Bytes of all files. */
  readonly bytes: number;
  /** Whether nothing had to be done: the folder held this very commit already. */
  readonly already: boolean;
}

/**
 * Downloads a model: config, tokenizer, chat template, safetensors, licence and model card.
 *
 * @param name `owner/name`.
 * @throws {UserError} when the repository is no such model or cannot be reached, a digest differs, or a
 *   file cannot be written. What has arrived stays and is gone on with next time.
 */
export async function downloadModel(name: string, options: DownloadOptions): Promise<Downloaded> {
  const stop = new AbortController();
  const signals = [stop.signal, ...options.signal ? [options.signal] : []];
  const hub = new Hub({ ...options, signal: AbortSignal.any(signals) });
  const out = resolve(options.out);
  const repository = await openRepository(hub, name, options.revision ?? "main");
  const files = modelFiles(repository);
  const record: DownloadRecord = { repository: name, commit: repository.commit, files };
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  if (await isThere(out, record)) return { ...record, bytes, already: true };
  const staging = temporaryPath(out);
  await refusals(staging, () => Deno.mkdir(staging, { recursive: true }));
  using lock = await refusals(
    staging,
    () => Deno.open(join(staging, ".lock"), { create: true, write: true }),
  );
  await lock.lock(true); // another download of the same model: wait for it; the lock dies with us
  if (await isThere(out, record)) return { ...record, bytes, already: true };

  const meter = new Meter(bytes, options.onProgress);
  const queue = [...files].sort((a, b) => b.size - a.size);
  const worker = async () => {
    for (let file = queue.shift(); file; file = queue.shift()) {
      const path = join(staging, file.path);
      await refusals(path, () => fetchFile(hub, repository, file, path, meter));
    }
  };
  // The first failure ends the other downloads too, and all of them are over before it is told.
  let failure: { error: unknown } | undefined;
  await Promise.all(Array.from({ length: lanes }, async () => {
    try {
      await worker();
    } catch (error) {
      failure ??= { error };
      queue.length = 0;
      stop.abort(error);
    }
  }));
  options.signal?.throwIfAborted();
  if (failure) throw failure.error;
  await refusals(staging, async () => {
    await Deno.writeTextFile(join(staging, downloadRecord), JSON.stringify(record, null, 2) + "\n");
    await syncPath(join(staging, downloadRecord));
    await clean(staging, new Set([downloadRecord, ...files.map(({ path }) => path)]));
    await syncPath(staging);
    await publish(staging, out);
  });
  return { ...record, bytes, already: false };
}

/** The files of a repository that make a model here. */
function modelFiles({ name, files }: Repository): RemoteFile[] {
  const wanted = files.filter(({ path }) =>
    /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens)\.json$/
      .test(path) ||
    /^model(-\d+-of-\d+)?\.safetensors$|^model\.safetensors\.index\.json$/.test(path) ||
    /^(chat_template\.jinja|LICEN[CS]E(\.\w+)?|README\.md)$/.test(path)
  );
  const has = (pattern: RegExp) => wanted.some(({ path }) => pattern.test(path));
  const missing = !has(/^config\.json$/)
    ? "config.json"
    : !has(/^tokenizer\.json$/)
    ? "tokenizer.json"
    : !has(/\.safetensors$/)
    ? "weights as safetensors"
    : undefined;
  if (missing === undefined) return wanted;
  const gguf = files.find(({ path }) => path.endsWith(".gguf"));
  throw new UserError(`${name} has no ${missing}`, {
    hint: gguf ? `it holds ${gguf.path}: GGUF files are imported, not loaded` : "take another one",
  });
}

/**
 * Whether a folder already holds the very same download.
 *
 * @throws {UserError} when it holds anything else.
 */
async function isThere(out: string, record: DownloadRecord): Promise<boolean> {
  let names: string[];
  try {
    names = (await Array.fromAsync(Deno.readDir(out))).map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw writeError(out, error);
  }
  if (names.length === 0) return false;
  const found = await readRecord(out);
  if (found?.repository !== record.repository || found.commit !== record.commit) {
    const holds = found ? `${found.repository} at ${found.commit.slice(0, 12)}` : "other files";
    throw new UserError(`${out} holds ${holds}`, { hint: "name another folder with --out" });
  }
  return true;
}

const recordSchema = z.looseObject({
  repository: z.string(),
  commit: z.string(),
  files: z.array(z.looseObject({
    path: z.string(),
    size: z.number(),
    digest: z.looseObject({ kind: z.enum(["sha256", "git-blob"]), hex: z.string() }),
  })),
});

/** What a model folder's download left; undefined where it was not downloaded. */
export async function readRecord(dir: string): Promise<DownloadRecord | undefined> {
  try {
    const text = await Deno.readTextFile(join(dir, downloadRecord));
    return recordSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Counts bytes for whoever watches. */
class Meter {
  #done = 0;
  #kept = 0;

  constructor(
    readonly total: number,
    readonly report: ((progress: DownloadProgress) => void) | undefined,
  ) {
    this.add(0);
  }

  add(bytes: number, { kept = false } = {}): void {
    this.#done += bytes;
    if (kept) this.#kept += bytes;
    this.report?.({ total: this.total, done: this.#done, kept: this.#kept });
  }
}

/** Completes one file and checks its digest. What was there and does not fit is fetched once more. */
async function fetchFile(
  hub: Hub,
  repository: Repository,
  file: RemoteFile,
  path: string,
  meter: Meter,
): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  using target = await Deno.open(path, { create: true, read: true, write: true });
  let before = (await target.stat()).size;
  if (before > file.size) before = 0;
  await target.truncate(before);
  for (;;) {
    const hash = newHash(file.digest.kind, file.size);
    await hashFile(target, before, hash);
    meter.add(before, { kept: true });
    let length = before;
    await hub.retry(file.path, async () => {
      while (length < file.size) {
        for await (const chunk of await rest(hub, repository, file, length)) {
          if (length + chunk.length > file.size) {
            throw new UserError(
              `${file.path}: the hub sends more than the ${file.size} bytes it lists`,
            );
          }
          await writeFully(target, chunk);
          hash.update(chunk);
          length += chunk.length;
          meter.add(chunk.length);
        }
        if (length < file.size) throw new Transient(`the connection ended after ${length} bytes`);
      }
    }, () => length);
    const hex = hash.digest("hex");
    if (hex === file.digest.hex) break;
    await target.truncate(0);
    await target.seek(0, Deno.SeekMode.Start);
    meter.add(-length);
    if (before > 0) {
      meter.add(-before, { kept: true });
      meter.add(before);
      before = 0;
      continue; // what was there belonged to something else
    }
    throw new UserError(
      `${file.path}: its ${file.digest.kind} digest is ${hex}, the hub lists ${file.digest.hex}`,
      { hint: "it was damaged on its way and removed: run the same command again" },
    );
  }
  await target.sync();
}

/** The file's bytes from `length` on. */
async function rest(
  hub: Hub,
  { name, commit }: Repository,
  file: RemoteFile,
  length: number,
): Promise<AsyncIterable<Uint8Array>> {
  const path = file.path.split("/").map(encodeURIComponent).join("/");
  const range: Record<string, string> = length > 0 ? { range: `bytes=${length}-` } : {};
  const response = await hub.get(`/${name}/resolve/${commit}/${path}`, range);
  if (length === 0) return response.chunks();
  const begins = response.status === 206
    ? Number(response.headers.get("content-range")?.match(/^bytes (\d+)-/)?.[1] ?? NaN)
    : 0;
  if (begins === length) return response.chunks();
  if (begins === 0) return skip(response.chunks(), length);
  await response.cancel();
  throw new UserError(`${file.path}: asked from byte ${length} on, the hub sends from ${begins}`);
}

/** A stream without its first bytes: for servers that cannot begin in the middle. */
async function* skip(chunks: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
  let left = bytes;
  for await (const chunk of chunks) {
    const drop = Math.min(left, chunk.length);
    left -= drop;
    if (drop < chunk.length) yield chunk.subarray(drop);
  }
}

/** Hashes the first `bytes` of a file and leaves its position behind them. */
async function hashFile(file: Deno.FsFile, bytes: number, hash: Hash): Promise<void> {
  await file.seek(0, Deno.SeekMode.Start);
  const buffer = new Uint8Array(Math.min(bytes, 4 * 2 ** 20));
  for (let done = 0; done < bytes;) {
    const got = await file.read(buffer.subarray(0, Math.min(buffer.length, bytes - done)));
    if (got === null) throw new Error("a file shrank while it was read");
    hash.update(buffer.subarray(0, got));
    done += got;
  }
}

async function writeFully(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}

/** Removes what a download of another commit or the lock left behind. */
async function clean(dir: string, keep: ReadonlySet<string>): Promise<void> {
  for (const { name } of await Array.fromAsync(Deno.readDir(dir))) {
    if (!keep.has(name)) await Deno.remove(join(dir, name), { recursive: true });
  }
}

/** Runs file operations; a refusal of the system becomes one clear line. */
async function refusals<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof UserError || cause instanceof Transient) throw cause;
    throw writeError(path, cause);
  }
}

/** The folder that a repository is downloaded into where none is named. */
export function defaultFolder(name: string): string {
  return `models/${basename(name)}`;
}
