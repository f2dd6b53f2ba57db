/**
 * Digests of files, as the hub and git name them.
 *
 * @module
 */
import { type DigestKind, exists, fileDigest } from "../base/mod.ts";

/** What a file must be, as its publisher says: SHA-256 of its bytes, or the id of its git blob. */
export interface Digest {
  /** How it is computed. */
  readonly kind: DigestKind;
  /** In lower-case hexadecimal digits. */
  readonly hex: string;
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
