/**
 * Downloads that survive dropped connections.
 *
 * `npm:@huggingface/hub` speaks the hub's API, but its downloads start over when a connection drops
 * (2.17: `downloadFileToCacheDir` streams into a file that the next call overwrites) and check no
 * checksum. This one goes on where it stopped, also in the next process, and compares what arrived with
 * what the publisher said.
 *
 * @module
 */
import { dirname } from "node:path";
import { reason, UserError, writeError } from "../errors.ts";
import { type Checksum, checksumOfEtag, fileChecksum } from "./checksum.ts";

/** How to download. */
export interface DownloadOptions {
  /** What the file must be, where it is known beforehand. */
  readonly checksum?: Checksum;
  /** Sent to the first host only, never to one that it redirects to. */
  readonly token?: string;
  /** Attempts in a row that may bring nothing new; default 6. */
  readonly attempts?: number;
  /** Pause after the first of them in milliseconds; it doubles each time. Default 500. */
  readonly pause?: number;
  /** Called with the bytes that are there and, where the server tells, all. */
  readonly onProgress?: (bytes: number, total: number | undefined) => void;
  /** Aborting stops it; what has arrived stays for the next call. */
  readonly signal?: AbortSignal;
}

/** What was downloaded. */
export interface Downloaded {
  /** Size of the file. */
  readonly bytes: number;
  /** Its SHA-256, 64 hexadecimal digits. */
  readonly sha256: string;
  /** The commit that the hub says it is from. */
  readonly revision?: string;
  /** How often the connection had to be made anew. */
  readonly retries: number;
}

/** What a response says about the whole file. */
interface FileFacts {
  readonly checksum?: Checksum;
  readonly revision?: string;
  readonly etag: string | null;
}

const maxRedirects = 5;

/**
 * Downloads a file. It appears at `path` whole and checked, or not at all; meanwhile it grows as
 * `<path>.part`.
 *
 * @throws {UserError} when the server refuses, the connection never comes back, or what arrived is not
 * what was published.
 */
export async function download(
  url: string,
  path: string,
  options: DownloadOptions = {},
): Promise<Downloaded> {
  const { attempts = 6, pause = 500, signal } = options;
  const part = `${path}.part`;
  await Deno.mkdir(dirname(path), { recursive: true });
  // Without a checksum nobody could tell whether an older part belongs to the same file.
  if (!options.checksum) await remove(part);
  const older = await sizeOf(part) > 0;
  let facts: FileFacts | undefined, retries = 0;
  for (let idle = 0;;) {
    const before = await sizeOf(part);
    try {
      facts = await fetchRest(url, part, facts, options);
      break;
    } catch (cause) {
      signal?.throwIfAborted();
      if (cause instanceof UserError) throw cause;
      if (cause instanceof Deno.errors.NotCapable) throw notAllowed(url, cause);
      idle = await sizeOf(part) > before ? 1 : idle + 1;
      if (idle >= attempts) {
        throw new UserError(`cannot download ${url}: ${why(cause)}`, {
          hint:
            "run the command again: it goes on where it stopped; on a closed network use --from",
          cause,
        });
      }
      retries++;
      await wait(retryAfter(cause) ?? pause * 2 ** (idle - 1), signal);
    }
  }
  for (const checksum of [options.checksum, facts.checksum]) {
    if (!checksum || await fileChecksum(part, checksum.kind) === checksum.hex) continue;
    await remove(part);
    // The older part may be to blame: once more, from the start.
    if (older) return await download(url, path, options);
    throw new UserError(`${url} is not the file that was published: its checksum differs`, {
      hint:
        "run the command again; if it stays so, the source has changed or something is in between",
    });
  }
  const result = {
    bytes: await sizeOf(part),
    sha256: await fileChecksum(part, "sha256"),
    revision: facts.revision,
    retries,
  };
  await Deno.rename(part, path);
  return result;
}

/** Appends to the part what is missing; throws whatever interrupts it. */
async function fetchRest(
  url: string,
  part: string,
  known: FileFacts | undefined,
  options: DownloadOptions,
): Promise<FileFacts> {
  const start = await sizeOf(part);
  const headers = new Headers({ "accept-encoding": "identity" });
  if (start > 0) headers.set("range", `bytes=${start}-`);
  if (start > 0 && known?.etag) headers.set("if-range", known.etag);
  const { response, facts } = await follow(url, headers, options);
  if (response.status === 416) {
    await response.body?.cancel();
    if (Number(/\*\/(\d+)/.exec(response.headers.get("content-range") ?? "")?.[1]) === start) {
      return known ?? facts; // all of it is there already
    }
    await remove(part);
    throw new Error("the server has another file than the one that was begun");
  }
  if (!response.ok) {
    await response.body?.cancel();
    throw refusal(url, response);
  }
  const range = /^bytes (\d+)-\d+\/(\d+)/.exec(response.headers.get("content-range") ?? "");
  const partial = response.status === 206 && Number(range?.[1]) === start;
  const length = response.headers.get("content-length");
  const total = partial ? Number(range?.[2]) : length === null ? undefined : Number(length);
  let bytes = partial ? start : 0;
  let file: Deno.FsFile;
  try {
    file = await Deno.open(part, {
      create: true,
      write: true,
      append: partial,
      truncate: !partial,
    });
  } catch (cause) {
    await response.body?.cancel();
    throw writeError(part, cause);
  }
  try {
    for await (const chunk of response.body ?? []) {
      options.signal?.throwIfAborted();
      await writeAll(file, chunk, part);
      bytes += chunk.length;
      options.onProgress?.(bytes, total);
    }
  } finally {
    file.close();
  }
  if (total !== undefined && bytes < total) throw new Error("the connection was closed early");
  return facts;
}

async function writeAll(file: Deno.FsFile, chunk: Uint8Array, path: string): Promise<void> {
  try {
    for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
  } catch (cause) {
    throw writeError(path, cause);
  }
}

/** Follows redirects by hand: what the hub says of a file stands in the first answer only. */
async function follow(
  url: string,
  headers: Headers,
  { token, signal }: DownloadOptions,
): Promise<{ response: Response; facts: FileFacts }> {
  let at = new URL(url), facts: FileFacts = { etag: null };
  for (let hop = 0; hop <= maxRedirects; hop++) {
    const own = new Headers(headers);
    if (token && at.origin === new URL(url).origin) own.set("authorization", `Bearer ${token}`);
    const response = await fetch(at, { headers: own, redirect: "manual", signal });
    const get = (name: string) => response.headers.get(name);
    facts = {
      checksum: facts.checksum ?? checksumOfEtag(get("x-linked-etag")) ??
        (get("x-repo-commit") ? checksumOfEtag(get("etag")) : undefined),
      revision: facts.revision ?? get("x-repo-commit") ?? undefined,
      etag: get("etag"),
    };
    const target = get("location");
    if (response.status < 300 || response.status > 399 || target === null) {
      return { response, facts };
    }
    await response.body?.cancel();
    at = new URL(target, at);
  }
  throw new UserError(`${url} redirects without end`, { hint: "try again later" });
}

/** Errors that pass (busy, broken) are tried again; the others are for the user. */
function refusal(url: string, response: Response): Error {
  const { status } = response;
  const seconds = Number(response.headers.get("retry-after"));
  if (status === 408 || status === 429 || status >= 500) {
    const after = seconds > 0 ? Math.min(seconds, 60) * 1000 : undefined;
    return Object.assign(new Error(`the server says ${status}`), { after });
  }
  const hint = status === 401 || status === 403
    ? "the file needs an account: accept its terms on its page, and set HF_TOKEN"
    : "the source may have moved: download the file by hand and use --from";
  return new UserError(`cannot download ${url}: the server says ${status}`, { hint });
}

function retryAfter(cause: unknown): number | undefined {
  return cause instanceof Error && "after" in cause ? cause.after as number | undefined : undefined;
}

/** What went wrong, with the reason that fetch keeps apart. */
function why(cause: unknown): string {
  const inner = cause instanceof Error ? cause.cause : undefined;
  return inner === undefined ? reason(cause) : `${reason(cause)} (${reason(inner)})`;
}

function notAllowed(url: string, cause: unknown): UserError {
  return new UserError(`no permission to connect to ${new URL(url).host}`, {
    hint: "`deno task data` has it; on a closed network use --from",
    cause,
  });
}

function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** The size of a file; 0 where there is none. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

async function remove(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
