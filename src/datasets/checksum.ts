/**
 * Checksums of files.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** What a file must be, as its publisher says: the id of its git blob, or its SHA-256. */
export type Checksum =
  | { readonly kind: "git"; readonly hex: string }
  | { readonly kind: "sha256"; readonly hex: string };

/** The checksum of a file. A git blob id is the SHA-1 of its length and its bytes. */
export async function fileChecksum(path: string, kind: Checksum["kind"]): Promise<string> {
  const hash = createHash(kind === "git" ? "sha1" : "sha256");
  using file = await Deno.open(path);
  if (kind === "git") hash.update(`blob ${(await file.stat()).size}\0`);
  for await (const chunk of file.readable) hash.update(chunk);
  return hash.digest("hex");
}

/** Reads an ETag of the hub: 64 digits are a SHA-256 (large files), 40 a git blob id; others say nothing. */
export function checksumOfEtag(etag: string | null): Checksum | undefined {
  const hex = /^(?:W\/)?"?([0-9a-f]+)"?$/.exec(etag ?? "")?.[1];
  if (hex?.length === 64) return { kind: "sha256", hex };
  if (hex?.length === 40) return { kind: "git", hex };
  return undefined;
}
