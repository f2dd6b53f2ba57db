/**
 * The bytes of a data file: unpacked, and told apart by how they begin.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { namesIn, reason, refuseLfsPointer, refuseSpecial, UserError } from "../base/mod.ts";

/** What a file turned out to be. */
export type Format = "parquet" | "arrow" | "text";

/** Beginnings of files that hold no rows, or not as they are, with what to do about them. */
const others: readonly (readonly [magic: string, what: string, hint: string])[] = [
  ["PK\x03\x04", "a zip archive", "unpack it, then name the file inside"],
  ["\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it with `zstd -d`"],
  ["\xfd7zXZ", "compressed with xz", "unpack it with `xz -d`"],
  ["BZh", "compressed with bzip2", "unpack it with `bzip2 -d`"],
  ["SQLite format 3", "an SQLite database", "export the table as CSV or JSONL"],
  ["\x80\x04", "a Python pickle", "save the rows as JSONL or parquet"],
  ["\x93NUMPY", "a NumPy array", "save the rows as JSONL or parquet"],
  ["Obj\x01", "an Avro file", "convert it to parquet or JSONL"],
  ["<!DOCTYPE", "a web page", "download the file itself: on a hub, its address has /resolve/"],
  ["<!doctype", "a web page", "download the file itself: on a hub, its address has /resolve/"],
  ["<html", "a web page", "download the file itself: on a hub, its address has /resolve/"],
];

/**
 * Reads a data file, and unpacks it where it is gzip. Text comes as UTF-8.
 *
 * @throws {UserError} when it cannot be read or unpacked, or is of a kind that holds no rows.
 */
export async function openBytes(
  path: string,
): Promise<{ format: Format; bytes: Uint8Array<ArrayBuffer> }> {
  const bytes = await unpacked(path, await contents(path));
  const begin = new TextDecoder("latin1").decode(bytes.subarray(0, 64));
  refuseLfsPointer(path, begin);
  for (const [magic, what, hint] of others) {
    if (begin.startsWith(magic)) throw new UserError(`${path} is ${what}`, { hint });
  }
  if (begin.startsWith("PAR1")) return { format: "parquet", bytes };
  if (/^(?:ARROW1|ÿÿÿÿ)/.test(begin)) return { format: "arrow", bytes };
  // Windows' tools write UTF-16, with a byte order mark.
  const wide = begin.startsWith("ÿþ")
    ? "utf-16le"
    : begin.startsWith("þÿ")
    ? "utf-16be"
    : undefined;
  if (wide === undefined) return { format: "text", bytes };
  return { format: "text", bytes: new TextEncoder().encode(new TextDecoder(wide).decode(bytes)) };
}

async function contents(path: string): Promise<Uint8Array<ArrayBuffer>> {
  refuseSpecial(path);
  try {
    return new Uint8Array(await readFile(path));
  } catch (cause) {
    if ((cause as { code?: string }).code === "EISDIR") {
      const names = (await namesIn(path)).filter((name) => !name.startsWith(".")).sort();
      throw new UserError(`${path} is a folder, not a data file`, {
        hint: `name one file of it: ${names.slice(0, 5).join(", ")}${
          names.length > 5 ? ", …" : ""
        }`,
      });
    }
    throw new UserError(`${path}: cannot be read (${(cause as Error).message})`, {
      hint: "check the path of the data file",
      cause,
    });
  }
}

async function unpacked(
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (cause) {
    throw new UserError(`${path}: cannot be unpacked as gzip (${reason(cause)})`, {
      hint: "get the file again",
      cause,
    });
  }
}
