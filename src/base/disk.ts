/**
 * Room on disks.
 *
 * @module
 */
import { statfsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { exists } from "./files.ts";

/**
 * Bytes that may still be written where a path is, or will be once its folders are made; undefined where the
 * program may not ask (`--allow-sys=statfs`), or the file system does not tell.
 */
export async function freeBytes(path: string): Promise<number | undefined> {
  const permission = { name: "sys", kind: "statfs" } as const;
  if ((await Deno.permissions.query(permission)).state !== "granted") return undefined;
  try {
    let place = resolve(path);
    while (!await exists(place)) place = dirname(place);
    const { blocks, bavail, bsize } = statfsSync(place);
    return blocks > 0 ? bavail * bsize : undefined;
  } catch {
    return undefined; // a file among the folders, a link to nowhere: who makes the folder tells
  }
}

/** Bytes of all files of a folder. */
export async function treeBytes(path: string): Promise<number> {
  let bytes = 0;
  for await (const { name, isDirectory, isFile } of Deno.readDir(path)) {
    const child = join(path, name);
    if (isDirectory) bytes += await treeBytes(child);
    else if (isFile) bytes += (await Deno.stat(child)).size;
  }
  return bytes;
}
