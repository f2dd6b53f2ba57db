/**
 * One file from a hub: resumable, checked, and there whole or not at all.
 *
 * It grows under a hidden name beside its final place. What lies there when a download starts, after
 * Ctrl-C, a crash or a dropped connection, is kept and continued; whether it belongs is decided by the
 * digest, not believed. The final name comes last, by one rename. Another process that wants the same file
 * waits for it.
 *
 * @module
 */
import { createHash, type Hash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import {
  fileDigest,
  isSameFile,
  openPlain,
  publish,
  removeTree,
  UserError,
  writing,
} from "../base/mod.ts";
import { type Digest, digestOfEtag, hasDigest } from "./digest.ts";
import { type Hub, type HubResponse, Refusal, Transient } from "./endpoint.ts";

/** What is known of a file beforehand, and who watches. */
export interface FetchOptions {
  /** What the file must be. Without it the hub's own word counts, and nothing outlives this process. */
  readonly digest?: Digest;
  /** Its size in bytes. */
  readonly size?: number;
  /** Called at the beginning and whenever bytes have been written. */
  readonly onProgress?: (progress: FetchProgress) => void;
}

/** How far a file is. */
export interface FetchProgress {
  /** Bytes that are on disk. */
  readonly done: number;
  /** Bytes of them that were there before. */
  readonly kept: number;
  /** All bytes, where caller or server tell. */
  readonly total?: number;
}

/** A file that is there. */
export interface Fetched {
  /** Its size. */
  readonly bytes: number;
  /** The commit that the hub says it is from; undefined where it did not say, or was not asked. */
  readonly revision?: string;
}

/**
 * Makes sure that a file is there: one that has the digest already is left alone, any other is replaced
 * once the new one is whole and checked.
 *
 * @param remote The path below the hub's address, beginning with a slash.
 * @param target Where the file is to be; missing folders are made.
 * @throws {UserError} when the hub refuses, the connection never comes back, what arrived is not what was
 *   published, or the file cannot be written. `target` is as it was then.
 */
export async function fetchFile(
  hub: Hub,
  remote: string,
  target: string,
  options: FetchOptions = {},
): Promise<Fetched> {
  const there = await isThere(target, options);
  if (there) return there;
  await writing(target, () => Deno.mkdir(dirname(target), { recursive: true }));
  const path = partialPath(target);
  using file = await openPart(path);
  // Another process may have brought it while this one waited.
  const brought = await isThere(target, options);
  if (brought) {
    await removeTree(path);
    return brought;
  }
  // Without a digest nobody could tell whether what lies there belongs to the file.
  if (!options.digest) await writing(path, () => file.truncate(0));
  const { bytes, revision } = await complete(hub, remote, { file, path }, options);
  await writing(target, async () => {
    await file.sync();
    await publish(path, target);
  });
  return { bytes, revision };
}

/** Where a file or a folder grows, download after download, until it is whole: hidden, and beside its place. */
export function partialPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.part`);
}

/** What is to be said of a file that has the digest already; undefined for any other. */
async function isThere(
  target: string,
  { digest, onProgress }: FetchOptions,
): Promise<Fetched | undefined> {
  if (!digest || !await hasDigest(target, digest)) return undefined;
  const bytes = (await Deno.stat(target)).size;
  onProgress?.({ done: bytes, kept: bytes, total: bytes });
  return { bytes };
}

/** What is there of a file: opened, and this process's alone. */
interface Part {
  readonly file: Deno.FsFile;
  readonly path: string;
}

/** Opens the part of a file, as soon as no other process writes to it. */
async function openPart(path: string): Promise<Deno.FsFile> {
  while (true) {
    const file = await writing(path, () => openPlain(path));
    try {
      await file.lock(true); // it ends with the process
      // Else the other process has given it its final name.
      if (await isSameFile(file, path)) return file;
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
  }
}

/** Brings what is missing of a file and checks the whole. */
async function complete(
  hub: Hub,
  remote: string,
  part: Part,
  options: FetchOptions,
): Promise<Transfer> {
  const { digest, size } = options, url = hub.endpoint + remote;
  const older = (await part.file.stat()).size;
  const startOver = async () => {
    await writing(part.path, () => part.file.truncate(0));
    return await complete(hub, remote, part, options);
  };
  const transfer = new Transfer(hub, remote, part, older, options);
  try {
    const whole = older > 0 && older === (size ?? older) && await hasDigest(part.path, digest!);
    if (!whole) {
      await hub.retry(`cannot download ${url}`, () => transfer.attempt(), () => transfer.bytes);
    }
  } catch (cause) {
    // What was there before is longer than the file: it belongs to another one.
    if (older > 0 && cause instanceof Refusal && cause.status === 416) return await startOver();
    throw cause;
  }
  const published = digest ?? transfer.digest, kind = published?.kind;
  const hex = kind && await transfer.digestOf(kind);
  if (hex === published?.hex) return transfer;
  if (older > 0) return await startOver(); // what was there before may be to blame
  await removeTree(part.path);
  throw new UserError(
    `${url}: its checksum differs: ${kind} ${hex}, published ${published?.hex}`,
    {
      hint: "run the same command again; if it stays so, the source has changed or something " +
        "is in between",
    },
  );
}

/** A file that grows, and the requests that make it grow. */
class Transfer {
  /** The file's size. */
  bytes: number;
  /** The commit that the hub says the file is from. */
  revision?: string;
  /** What the hub says the file must be. */
  digest?: Digest;
  readonly #hub: Hub;
  readonly #path: string;
  readonly #part: Part;
  readonly #options: FetchOptions;
  #kept: number;
  #total?: number;
  #etag?: string;
  /** Of the bytes as they come; not where the first ones were there before. */
  #hash?: Hash;

  constructor(hub: Hub, path: string, part: Part, older: number, options: FetchOptions) {
    this.#hub = hub;
    this.#path = path;
    this.#part = part;
    this.#options = options;
    this.#total = options.size;
    this.bytes = this.#kept = older;
    this.#tell();
  }

  /** Appends what is missing; throws whatever interrupts it. */
  async attempt(): Promise<void> {
    const { file, path: part } = this.#part, { size = Infinity } = this.#options;
    const response = await this.#ask();
    await writing(part, async () => {
      await file.truncate(this.bytes);
      await file.seek(this.bytes, Deno.SeekMode.Start);
    });
    for await (const chunk of response.chunks()) {
      if (this.bytes + chunk.length > size) {
        throw new UserError(`${this.#url}: the hub sends more than the ${size} bytes it lists`);
      }
      await writing(part, () => writeFully(file, chunk));
      this.#hash?.update(chunk);
      this.bytes += chunk.length;
      this.#tell();
    }
    if (this.bytes < (this.#total ?? 0)) {
      throw new Transient(`the connection ended after ${this.bytes} bytes`);
    }
  }

  /** The digest of the whole file. */
  async digestOf(kind: Digest["kind"]): Promise<string> {
    // Large files come with a SHA-256: reading them again would cost seconds per gigabyte.
    if (kind === "sha256" && this.#hash) return this.#hash.digest("hex");
    return await fileDigest(this.#part.path, kind);
  }

  /** Asks for the rest. A server that cannot begin there, or has another file now, sends all of it. */
  async #ask(): Promise<HubResponse> {
    const from = this.bytes, headers: Record<string, string> = {};
    if (from > 0) headers.range = `bytes=${from}-`;
    if (from > 0 && this.#etag !== undefined) headers["if-range"] = this.#etag;
    const response = await this.#hub.get(this.#path, headers);
    const { begin, total } = placeOf(response);
    if (begin !== from && begin !== 0) {
      await response.cancel();
      throw new UserError(`${this.#url}: asked from byte ${from} on, the hub sends from ${begin}`);
    }
    this.bytes = begin;
    if (begin === 0) this.#hash = createHash("sha256");
    this.#kept = Math.min(this.#kept, begin);
    this.#total = this.#options.size ?? total;
    const etag = response.headers.get("etag");
    this.#etag = etag?.startsWith('"') ? etag : undefined; // only a strong one says which bytes it means
    // The hub tells of a file in its first answer, before it redirects; others tell nothing reliable.
    const { first } = response;
    this.revision = first.get("x-repo-commit") ?? undefined;
    this.digest = digestOfEtag(first.get("x-linked-etag")) ??
      (this.revision === undefined ? undefined : digestOfEtag(first.get("etag")));
    return response;
  }

  get #url(): string {
    return this.#hub.endpoint + this.#path;
  }

  #tell(): void {
    this.#options.onProgress?.({ done: this.bytes, kept: this.#kept, total: this.#total });
  }
}

/** Where an answer begins in its file and, if it says so, how long the file is. */
function placeOf({ status, headers }: HubResponse): { begin: number; total?: number } {
  const range = /^bytes (\d+)-\d+\/(\d+)?/.exec(headers.get("content-range") ?? "");
  const begin = status === 206 ? Number(range?.[1] ?? NaN) : 0;
  const total = status === 206 ? range?.[2] : headers.get("content-length") ?? undefined;
  return { begin, total: total === undefined ? undefined : Number(total) };
}

async function writeFully(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}
