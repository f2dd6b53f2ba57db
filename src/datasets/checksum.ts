/**
 * Checksums of files.
 *
 * @module
 */
import { type Digest, newHash } from "../hub/mod.ts";

/** The checksum of a file, in hexadecimal digits. */
export async function fileChecksum(path: string, kind: Digest["kind"]): Promise<string> {
  using file = await Deno.open(path);
  const hash = newHash(kind, (await file.stat()).size);
  for await (const chunk of file.readable) hash.update(chunk);
  return hash.digest("hex");
}

/** Reads an ETag of the hub: 64 digits are a SHA-256 (large files), 40 a git blob id; others say nothing. */
export function checksumOfEtag(etag: string | null): Digest | undefined {
  const hex = /^(?:W\/)?"?([0-9a-f]+)"?$/.exec(etag ?? "")?.[1];
  if (hex?.length === 64) return { kind: "sha256", hex };
  if (hex?.length === 40) return { kind: "git-blob", hex };
  return undefined;
}
