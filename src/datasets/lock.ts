/**
 * The lock file of a data folder: what was downloaded, so that it stays the same from then on.
 *
 * @module
 */
import * as z from "npm:zod@4.6.7";
import { check, exists, readJson } from "../base/mod.ts";
import type { DataSource } from "./sources.ts";

/** What is known of a file since its first download. */
export interface LockedFile {
  /** The commit that it came from; null where the server named none. */
  readonly revision: string | null;
  /** 64 hexadecimal digits. */
  readonly sha256: string;
  /** Size of the file. */
  readonly bytes: number;
}

/** Files by {@linkcode lockKey}. */
export type Lock = Readonly<Record<string, LockedFile>>;

const schema = z.strictObject({
  files: z.record(
    z.string(),
    z.strictObject({
      revision: z.string().nullable(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/, { error: "must be 64 hexadecimal digits" }),
      bytes: z.int().nonnegative(),
    }),
  ),
});

/** The name of a source's file in the lock. */
export function lockKey({ host, repo, path }: DataSource): string {
  return `${host}:${repo}/${path}`;
}

/**
 * Reads a lock file; one that is not there is empty.
 *
 * @throws {UserError} when it is damaged.
 */
export async function readLock(path: string): Promise<Lock> {
  if (!await exists(path)) return {};
  const hint = "correct it, or remove it to accept whatever the sources have now";
  return check(schema, readJson(path, hint), path, hint).files;
}

/** A lock as text; its entries stand in the order of their names. */
export function formatLock(lock: Lock): string {
  const files = Object.fromEntries(Object.entries(lock).sort(([a], [b]) => a < b ? -1 : 1));
  return JSON.stringify({ files }, null, 2) + "\n";
}
