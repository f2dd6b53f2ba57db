/**
 * Digests: whether bytes are still those that were written or published.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import * as z from "npm:zod@4.6.7";
import { reason, UserError } from "./errors.ts";
import { namesIn } from "./files.ts";
import { parseJson } from "./json.ts";
import type { Fields, Schema } from "./schema.ts";

/** How a digest is computed: SHA-256 of a file's bytes, or the id that git gives them. */
export type DigestKind = "sha256" | "git-blob";

/** The digest of a file in hexadecimal digits. That of a git blob is the SHA-1 of its length and its bytes. */
export async function fileDigest(path: string, kind: DigestKind): Promise<string> {
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

/** What tells a file's content from every other. */
export interface FileMark {
  /** Its size. */
  readonly bytes: number;
  /** SHA-256 of its bytes, in hexadecimal digits. */
  readonly sha256: string;
}

/** Checks a {@linkcode FileMark}. */
export const fileMarkSchema: Schema<FileMark> = z.strictObject<Fields<FileMark>>({
  bytes: z.int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/**
 * The mark of a file, which is read once.
 *
 * @param hint What the user can do when it cannot be read.
 * @throws {UserError} when it cannot be read, or can be read only once, as a pipe.
 */
export async function fileMark(path: string, hint: string): Promise<FileMark> {
  let isFile: boolean, bytes: number;
  try {
    ({ isFile, size: bytes } = await Deno.stat(path));
    if (isFile) return { bytes, sha256: await fileDigest(path, "sha256") };
  } catch (cause) {
    throw new UserError(`cannot read ${path}: ${reason(cause)}`, { hint, cause });
  }
  throw new UserError(`cannot read ${path}: it is no regular file`, { hint });
}

/**
 * The marks of all files of a folder and of the folders in it, by their paths in it.
 *
 * @param known Marks of files directly in it, which are not read again.
 */
export async function markFolder(
  dir: string,
  known: Readonly<Record<string, FileMark>> = {},
): Promise<Record<string, FileMark>> {
  const marks: Record<string, FileMark> = {};
  for (const name of (await namesIn(dir)).sort()) {
    const path = join(dir, name);
    if ((await Deno.stat(path)).isDirectory) {
      const inside = await markFolder(path);
      for (const [below, mark] of Object.entries(inside)) marks[`${name}/${below}`] = mark;
    } else marks[name] = known[name] ?? await fileMark(path, "check the folder");
  }
  return marks;
}

/**
 * The first file of a folder that is not as its mark says: changed, cut, grown, gone or not to be read;
 * undefined where all are. Files without a mark are not looked at. Sizes are compared first.
 */
export async function changedFile(
  dir: string,
  marks: Readonly<Record<string, FileMark>>,
): Promise<string | undefined> {
  const entries = Object.entries(marks);
  const found = await Promise.all(entries.map(([name]) => look(join(dir, name))));
  const at = entries.findIndex(([, { bytes }], i) => !found[i]?.isFile || found[i].size !== bytes);
  if (at >= 0) return entries[at][0];
  for (const [name, { sha256 }] of entries) {
    const digest = await fileDigest(join(dir, name), "sha256").catch(() => undefined);
    if (digest !== sha256) return name;
  }
  return undefined;
}

/** What is at a path; undefined where nothing is, or nothing that can be reached. */
async function look(path: string): Promise<Deno.FileInfo | undefined> {
  return await Deno.stat(path).catch(() => undefined);
}

/** The first digits of a digest, enough for people to tell two apart. */
export function shortDigest(hex: string): string {
  return hex.slice(0, 12);
}

/** The text of a JSON file that ends with a digest of its own content: {@linkcode readSealed} reads it. */
export function sealJson(content: object): string {
  const digest = createHash("sha256").update(JSON.stringify(content)).digest("hex");
  return JSON.stringify({ ...content, digest }, null, 2) + "\n";
}

/**
 * Reads a file that {@linkcode sealJson} wrote; the content comes without the digest.
 *
 * @param hint What the user can do when the file is missing or not as it was written.
 * @throws {UserError} when it cannot be read, is no JSON, or one of its bytes is not as it was written.
 */
export function readSealed(path: string, hint: string): unknown {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (cause) {
    throw new UserError(`cannot read ${path}: ${reason(cause)}`, { hint, cause });
  }
  const value = parseJson(text, path, hint);
  if (typeof value === "object" && value !== null) {
    const { digest: _, ...content } = value as Record<string, unknown>;
    if (sealJson(content) === text) return content;
  }
  throw new UserError(`${path} is not as it was written: its digest is another`, { hint });
}
