/**
 * Digests of files, as the hub and git name them.
 *
 * @module
 */
import { createHash, type Hash } from "node:crypto";

/** What a file must be, as its publisher says: SHA-256 of its bytes, or the id of its git blob. */
export interface Digest {
  /** How it is computed. */
  readonly kind: "sha256" | "git-blob";
  /** In lower-case hexadecimal digits. */
  readonly hex: string;
}

/** A hash that takes a file's bytes. The id of a git blob is the SHA-1 of its length and its bytes. */
export function newHash(kind: Digest["kind"], size: number): Hash {
  return kind === "sha256" ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);
}
