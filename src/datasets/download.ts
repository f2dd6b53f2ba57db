/**
 * Downloads of single files that survive dropped connections: they go on where they stopped, also in
 * the next process, and what arrived is compared with what the publisher said.
 *
 * @module
 */
import { dirname } from "node:path";
import { publish, syncPath, UserError, writeError } from "../base/mod.ts";
import { type Digest, type Hub, type HubResponse, Refusal, Transient } from "../hub/mod.ts";
import { checksumOfEtag, fileChecksum } from "./checksum.ts";

/** How to download. */
export interface DownloadOptions {
  /** What the file must be, where it is known beforehand. */
  readonly checksum?: Digest;
  /** Called with the bytes that are there and, where the server tells, all. */
  readonly onProgress?: (bytes: number, total: number | undefined) => void;
}

/** What was downloaded. */
export interface Downloaded {
  /** Size of the file. */
  readonly bytes: number;
  /** Its SHA-256, 64 hexadecimal digits. */
  readonly sha256: string;
  /** The commit that the hub says it is from. */
  readonly revision?: string;
}

/** What the server says about the whole file. */
interface FileFacts {
  readonly checksum?: Digest;
  readonly revision?: string;
}

/**
 * Downloads a file. It appears at `path` whole and checked, or not at all; meanwhile it grows as
 * `<path>.part`.
 *
 * @param from The path below the host's address, beginning with a slash.
 * @throws {UserError} when the server refuses, the connection never comes back, or what arrived is not
 * what was published.
 */
export async function download(
  host: Hub,
  from: string,
  path: string,
  options: DownloadOptions = {},
): Promise<Downloaded> {
  const part = `${path}.part`, url = `${host.endpoint}${from}`;
  await Deno.mkdir(dirname(path), { recursive: true });
  // Without a checksum nobody could tell whether an older part belongs to the same file.
  if (!options.checksum) await remove(part);
  const older = await sizeOf(part) > 0;
  let facts: FileFacts | undefined, size = await sizeOf(part);
  const attempt = async () => {
    try {
      facts = await fetchRest(host, from, part, options);
    } finally {
      size = await sizeOf(part);
    }
  };
  try {
    await host.retry(`cannot download ${url}`, attempt, () => size);
  } catch (cause) {
    // The older part is longer than the file: it belongs to another one.
    if (!(older && cause instanceof Refusal && cause.status === 416)) throw cause;
    await remove(part);
    return await download(host, from, path, options);
  }
  for (const checksum of [options.checksum, facts!.checksum]) {
    if (!checksum || await fileChecksum(part, checksum.kind) === checksum.hex) continue;
    await remove(part);
    // The older part may be to blame: once more, from the start.
    if (older) return await download(host, from, path, options);
    throw new UserError(`${url} is not the file that was published: its checksum differs`, {
      hint:
        "run the command again; if it stays so, the source has changed or something is in between",
    });
  }
  const sha256 = await fileChecksum(part, "sha256");
  await syncPath(part);
  await publish(part, path);
  return { bytes: size, sha256, revision: facts!.revision };
}

/** Appends to the part what is missing; throws whatever interrupts it. */
async function fetchRest(
  host: Hub,
  from: string,
  part: string,
  options: DownloadOptions,
): Promise<FileFacts> {
  // The last byte is asked for again: a range that begins behind the end would be an error.
  const start = Math.max(0, await sizeOf(part) - 1);
  const headers: Record<string, string> = start > 0 ? { range: `bytes=${start}-` } : {};
  const response = await host.get(from, headers);
  const range = /^bytes (\d+)-\d+\/(\d+)/.exec(response.headers.get("content-range") ?? "");
  const partial = response.status === 206 && Number(range?.[1]) === start;
  const length = response.headers.get("content-length");
  const total = partial ? Number(range?.[2]) : length === null ? undefined : Number(length);
  let bytes = partial ? start : 0;
  let file: Deno.FsFile;
  try {
    file = await Deno.open(part, { create: true, write: true });
    if (!partial) await file.truncate(0);
    await file.seek(bytes, Deno.SeekMode.Start);
  } catch (cause) {
    await response.cancel();
    throw writeError(part, cause);
  }
  try {
    for await (const chunk of response.chunks()) {
      await writeAll(file, chunk, part);
      bytes += chunk.length;
      options.onProgress?.(bytes, total);
    }
  } finally {
    file.close();
  }
  if (total !== undefined && bytes < total) {
    throw new Transient(`the connection ended after ${bytes} bytes`);
  }
  return factsOf(response);
}

/** The hub tells of a file in its first answer, before it redirects; others tell nothing reliable. */
function factsOf({ first }: HubResponse): FileFacts {
  const revision = first.get("x-repo-commit") ?? undefined;
  return {
    checksum: checksumOfEtag(first.get("x-linked-etag")) ??
      (revision === undefined ? undefined : checksumOfEtag(first.get("etag"))),
    revision,
  };
}

async function writeAll(file: Deno.FsFile, chunk: Uint8Array, path: string): Promise<void> {
  try {
    for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
  } catch (cause) {
    throw writeError(path, cause);
  }
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
