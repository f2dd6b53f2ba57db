/**
 * Digests of files, as the hub and git name them.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { exists } from "../base/mod.ts";

/** What a file must be, as its publisher says: SHA-256 of its bytes, or the id of its git blob. */
export interface Digest {
  /** How it is computed. */
  readonly kind: "sha256" | "git-blob";
  /** In lower-case hexadecimal digits. */
  readonly hex: string;
}

/** The digest of a file in hexadecimal digits. That of a git blob is the SHA-1 of its length and its bytes. */
export async function fileDigest(path: string, kind: Digest["kind"]): Promise<string> {
  using file = await Deno.open(path);
  const { size } = await file.stat();
  const hash = kind === "sha256"
    ? createHash("sha256")
    : createHash("sha1").update(`blob ${size}\0`);
  const buffer = new Uint8Array(Math.min(Math.max(size, 1), 2 ** 20));
  for (;;) {
    const got = await file.read(buffer);
    if (got === null) return hash.digest("hex");
    hash.update(buffer.subarray(0, got));
  }
}

/** Whether a file is there and has the digest. */
export async function hasDigest(path: string, { kind, hex }: Digest): Promise<boolean> {
  return await exists(path) && await fileDigest(path, kind) === hex;
}

/** Reads an ETag of the hub: 64 digits are a SHA-256 (large files), 40 a git blob id; others say nothing. */
export function digestOfEtag(etag: string | null): Digest | undefined {
  const hex = /^(?:W\/)?"?([0-9a-f]+)"?$/.exec(etag ?? "")?.[1];
  if (hex?.length === 64) return { kind: "sha256", hex };
  if (hex?.length === 40) return { kind: "git-blob", hex };
  return undefined;
}
