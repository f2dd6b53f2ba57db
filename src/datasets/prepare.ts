/**
 * From published files to the sets that `eval` and `train` read.
 *
 * @module
 */
import { basename, join } from "node:path";
import { loadProblems, type Problem } from "../data/mod.ts";
import { fileDigest, lockFolder, namesIn, UserError, writeAtomic } from "../base/mod.ts";
import { type Digest, fetchFile, hasDigest, Hub } from "../hub/mod.ts";
import { formatLock, type Lock, lockKey, readLock } from "./lock.ts";
import { type DataSource, type Endpoints, publicEndpoints, sourcePath } from "./sources.ts";

/** How a file was found to be the published one. */
export type Proof =
  /** By the checksum in the table of sources. */
  | "checksum"
  /** By the lock file. */
  | "lock"
  /** Not yet: its checksum was recorded for the next time. */
  | "recorded"
  /** Not at all: it is in another layout than the published file. */
  | "none";

/** A set that is ready. */
export interface PreparedSet {
  /** The set. */
  readonly name: string;
  /** The JSONL file. */
  readonly path: string;
  /** Problems in it. */
  readonly rows: number;
  /** Rows without a question or an answer. */
  readonly skipped: number;
  /** How the file was found to be the published one. */
  readonly proof: Proof;
  /** The file that it was made from. */
  readonly source: string;
}

/** How to prepare. */
export interface PrepareOptions {
  /** The data folder: `eval/`, `train/`, `raw/` and the lock file. */
  readonly out: string;
  /** Other addresses of the hosts: a mirror. */
  readonly endpoints?: Endpoints;
  /** Access token of the hub, for files that ask for one. */
  readonly token?: string;
  /** Seconds before a dropped connection is tried again the first time; default 1. */
  readonly retrySeconds?: number;
  /** A set's download grows. */
  readonly onProgress?: (name: string, bytes: number, total: number | undefined) => void;
  /** Aborting stops the download; what has arrived stays for the next call. */
  readonly signal?: AbortSignal;
}

/**
 * Downloads a set's file, unless it is there already, checks it and converts it.
 *
 * @throws {UserError} when it cannot be had, or is not what was published or locked.
 */
export async function fetchSet(source: DataSource, options: PrepareOptions): Promise<PreparedSet> {
  const { out, endpoints = publicEndpoints, retrySeconds, onProgress, signal } = options;
  const lockPath = join(out, "data.lock.json"), key = lockKey(source);
  const lock = await readLock(lockPath);
  const locked = lock[key];
  const known = knownDigest(source, lock);
  const raw = join(out, "raw", source.host, source.repo, source.path);
  // A branch is followed only until the lock names a commit.
  const followed = source.blob === undefined ? locked?.revision : undefined;
  const remote = sourcePath(source, followed ?? source.revision);
  const token = source.host === "hub" ? options.token : undefined;
  const host = new Hub({ endpoint: endpoints[source.host], token, retrySeconds, signal });
  const got = await fetchFile(host, remote, raw, {
    digest: known?.digest,
    onProgress: ({ done, total }) => onProgress?.(source.name, done, total),
  });
  if (!locked) {
    const sha256 = await fileDigest(raw, "sha256");
    const entry = { revision: got.revision ?? null, sha256, bytes: got.bytes };
    // Read once more: another download may have written it meanwhile, and none writes now.
    using _lock = await lockFolder(out, { name: `the data folder ${out}`, wait: true });
    await writeAtomic(lockPath, formatLock({ ...await readLock(lockPath), [key]: entry }));
  }
  return await convert(source, raw, out, known?.proof ?? "recorded");
}

/**
 * Converts a set from a file that is there already.
 *
 * @param from The folder to look in, see {@linkcode findFile}.
 * @returns Undefined when the folder has no file of the set.
 * @throws {UserError} when the file holds another number of rows than the published one.
 */
export async function importSet(
  source: DataSource,
  from: string,
  options: PrepareOptions,
): Promise<PreparedSet | undefined> {
  const path = await findFile(source, from);
  if (path === undefined) return undefined;
  const lock = await readLock(join(options.out, "data.lock.json"));
  const known = knownDigest(source, lock);
  const published = known && await hasDigest(path, known.digest);
  return await convert(source, path, options.out, published ? known.proof : "none");
}

/**
 * A set's file in a folder of files. Looked for are, in this order: the set's own name
 * (`amc23.jsonl`, `.json`, `.parquet`; also under `eval/` and `train/`), the published path below the
 * folder, below the repository's name or below the hub's cache (`datasets--…/snapshots/…`), the last
 * two parts of that path (`amc23/test.jsonl`), and the file's published name where that tells sets apart.
 */
export async function findFile(source: DataSource, folder: string): Promise<string | undefined> {
  const { name, folder: kind, repo, path, host } = source;
  const own = ["jsonl", "json", "parquet"].map((end) => `${name}.${end}`);
  const candidates = [
    ...own,
    ...own.map((file) => join(kind, file)),
    join(repo, path),
    join(basename(repo), path),
    join("raw", host, repo, path),
    ...await cached(folder, repo, path),
    path.split("/").slice(-2).join("/"),
  ];
  if (host === "github") candidates.push(path);
  if (!/^(test|train)\./.test(basename(path))) candidates.push(basename(path));
  for (const candidate of candidates) {
    // A bare name such as `test.jsonl` could be of any set.
    if (!candidate.includes("/") && /^(test|train)\./.test(candidate)) continue;
    const full = join(folder, candidate);
    if (await isFile(full)) return full;
  }
  return undefined;
}

/** Where the cache of Hugging Face's own tools would have a file, newest snapshot first. */
async function cached(folder: string, repo: string, path: string): Promise<string[]> {
  const base = join(`datasets--${repo.replaceAll("/", "--")}`, "snapshots");
  const names = await namesIn(join(folder, base));
  const times = await Promise.all(
    names.map(async (name) => (await Deno.stat(join(folder, base, name))).mtime?.getTime() ?? 0),
  );
  const order = names.map((_, i) => i).sort((a, b) => times[b] - times[a]);
  return order.map((i) => join(base, names[i], path));
}

/** What a source's file must be, and who says so; undefined before its first download. */
function knownDigest(source: DataSource, lock: Lock): { digest: Digest; proof: Proof } | undefined {
  if (source.blob !== undefined) {
    return { digest: { kind: "git-blob", hex: source.blob }, proof: "checksum" };
  }
  const locked = lock[lockKey(source)];
  return locked && { digest: { kind: "sha256", hex: locked.sha256 }, proof: "lock" };
}

async function convert(
  source: DataSource,
  file: string,
  out: string,
  proof: Proof,
): Promise<PreparedSet> {
  const { name, folder, rows } = source;
  const { problems, skipped } = await loadProblems(file, {
    stem: name,
    published: true,
  });
  if (rows !== undefined && problems.length !== rows) {
    throw new UserError(`${file} has ${problems.length} problems, the published set has ${rows}`, {
      hint: "get the whole file, or name a set of your own otherwise",
    });
  }
  const path = join(out, folder, `${name}.jsonl`);
  await Deno.mkdir(join(out, folder), { recursive: true });
  await writeAtomic(path, problems.map((row: Problem) => JSON.stringify(row) + "\n").join(""));
  return { name, path, rows: problems.length, skipped: skipped.length, proof, source: file };
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
