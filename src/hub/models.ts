/**
 * Downloads of models: resumable, checked against the digests that the hub lists, and complete or not
 * there at all.
 *
 * Files are gathered in a hidden folder beside the final one; what a download that was broken off left
 * there is used. When every file has been checked, the folder gets its name by one rename.
 *
 * @module
 */
import { basename, dirname, join, resolve } from "node:path";
import * as z from "npm:zod@4.6.7";
import {
  exists,
  lockPlace,
  namesIn,
  publish,
  readJson,
  removeTree,
  syncPath,
  UserError,
  writing,
} from "../base/mod.ts";
import { Hub, type HubOptions } from "./endpoint.ts";
import { fetchFile, type FetchProgress, partialPath } from "./file.ts";
import { openRepository, type RemoteFile, type Repository, resolvePath } from "./repository.ts";

/** Files that are downloaded at a time. */
const lanes = 4;
/** The record that a download leaves in the model folder. */
const downloadRecord = "download.json";

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
 *   file cannot be written. What has arrived stays and is used next time.
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
  await writing(out, () => Deno.mkdir(dirname(out), { recursive: true }));
  // Another download of the same model: wait for it.
  using _lock = await lockPlace(out, { name: `the model folder ${out}`, wait: true });
  if (await isThere(out, record)) return { ...record, bytes, already: true };
  const staging = partialPath(out);
  await openStaging(staging);

  const meter = new Meter(bytes, options.onProgress);
  const queue = [...files].sort((a, b) => b.size - a.size);
  const worker = async () => {
    for (let file = queue.shift(); file; file = queue.shift()) {
      const { path, size, digest } = file;
      const onProgress = (progress: FetchProgress) => meter.show(path, progress);
      const remote = resolvePath(name, repository.commit, path);
      await fetchFile(hub, remote, join(staging, path), { size, digest, onProgress });
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
  await writing(staging, async () => {
    await Deno.writeTextFile(join(staging, downloadRecord), JSON.stringify(record, null, 2) + "\n");
    await syncPath(join(staging, downloadRecord));
    await clean(staging, new Set([downloadRecord, ...files.map(({ path }) => path)]));
    await syncPath(staging);
    await publish(staging, out);
  });
  return { ...record, bytes, already: false };
}

/**
 * The folder that the files are gathered in, new or of a download that was broken off.
 *
 * @throws {UserError} when something else is there: what does not belong to the model is removed from it.
 */
async function openStaging(path: string): Promise<void> {
  if (!await exists(path)) return await writing(path, () => Deno.mkdir(path));
  if ((await Deno.lstat(path)).isDirectory) return;
  throw new UserError(`${path} is a link or no folder, and nothing is downloaded through it`, {
    hint: "move it away",
  });
}

/** The files of a repository that make a model here. */
function modelFiles({ name, files }: Repository): RemoteFile[] {
  const wanted = files.filter(({ path }) =>
    /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens)\.json$/
      .test(path) ||
    path === "thinker.json" || // of a checkpoint: how to ask it
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
  if ((await writing(out, () => namesIn(out))).length === 0) return false;
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

/** What a model folder's download left; undefined where it was not downloaded, or the record is damaged. */
export async function readRecord(dir: string): Promise<DownloadRecord | undefined> {
  const path = join(dir, downloadRecord);
  if (!await exists(path)) return undefined;
  try {
    return recordSchema.parse(readJson(path, ""));
  } catch {
    return undefined;
  }
}

/** Adds up the files for whoever watches. */
class Meter {
  readonly #files = new Map<string, FetchProgress>();

  constructor(
    readonly total: number,
    readonly report: ((progress: DownloadProgress) => void) | undefined,
  ) {
    report?.({ total, done: 0, kept: 0 });
  }

  show(path: string, progress: FetchProgress): void {
    this.#files.set(path, progress);
    let done = 0, kept = 0;
    for (const file of this.#files.values()) {
      done += file.done;
      kept += file.kept;
    }
    this.report?.({ total: this.total, done, kept });
  }
}

/** Removes what a download of another commit left behind. */
async function clean(dir: string, keep: ReadonlySet<string>): Promise<void> {
  for (const name of await namesIn(dir)) {
    if (!keep.has(name)) await removeTree(join(dir, name));
  }
}

/** The folder that a repository is downloaded into where none is named. */
export function defaultFolder(name: string): string {
  return `models/${basename(name)}`;
}
