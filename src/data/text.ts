/**
 * The text of a data file, and the bytes in it that are none.
 *
 * @module
 */
import { UserError } from "../base/mod.ts";

/** Why a row is left out whose bytes are not UTF-8. */
export const notUtf8 = "its text is not UTF-8";

/** How to get a file whose text is not UTF-8 into it. */
export function utf8Hint(path: string): string {
  return `convert it, if it is Latin-1: iconv -f latin1 -t utf-8 ${path} > NEW`;
}

/**
 * The text of a file. A byte that begins no character of UTF-8 becomes half a surrogate pair, which no right
 * text has (as Python's `surrogateescape`): {@linkcode strayIn} finds the rows that hold one.
 *
 * @throws {UserError} when it is longer than a text can be.
 */
export function wholeText(path: string, bytes: Uint8Array): { text: string; strays: boolean } {
  // The byte order mark goes with the first piece only.
  const first = new TextDecoder("utf-8", { fatal: true });
  const later = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    const pieces: string[] = [];
    for (let at = 0; at < bytes.length;) {
      const stray = strayAt(bytes, at);
      pieces.push((at === 0 ? first : later).decode(bytes.subarray(at, stray)));
      if (stray < bytes.length) pieces.push(String.fromCharCode(0xdc00 + bytes[stray]));
      at = stray + 1;
    }
    return { text: pieces.join(""), strays: pieces.length > 1 };
  } catch (cause) {
    throw new UserError(`${path} is too large to be read as one document`, {
      hint: "convert it to JSONL or parquet",
      cause,
    });
  }
}

/** The first byte in a value, at any depth, that {@linkcode wholeText} found to be no text. */
export function strayIn(value: unknown): number | undefined {
  if (typeof value === "string") {
    const found = /[\udc80-\udcff]/u.exec(value);
    return found === null ? undefined : found[0].charCodeAt(0) - 0xdc00;
  }
  if (typeof value !== "object" || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    const found = strayIn(key) ?? strayIn(inner);
    if (found !== undefined) return found;
  }
}

/** The first byte that is no text, for people; undefined where all is UTF-8. */
export function firstStray(bytes: Uint8Array): string | undefined {
  const at = strayAt(bytes, 0);
  return at < bytes.length ? strayName(bytes[at]) : undefined;
}

/** A byte as people know it: `byte 0xE9, which is é in Latin-1`. */
export function strayName(byte: number): string {
  const letter = new TextDecoder("windows-1252").decode(new Uint8Array([byte]));
  return `byte 0x${byte.toString(16).toUpperCase()}, which is ${letter} in Latin-1`;
}

/** Where the first byte from `at` on stands that begins no character of UTF-8; the end where none does. */
function strayAt(bytes: Uint8Array, at: number): number {
  while (at < bytes.length) {
    const length = characterAt(bytes, at);
    if (length === 0) return at;
    at += length;
  }
  return at;
}

/** How many bytes the character at a place has; 0 where there is none. */
function characterAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at];
  if (byte < 0x80) return 1;
  const length = byte > 0xf4 ? 0 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 0;
  // Spelt longer than need be, a surrogate, or beyond the last character.
  const low = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
  const high = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
  if (!(bytes[at + 1] >= low && bytes[at + 1] <= high)) return 0;
  for (let i = 2; i < length; i++) if ((bytes[at + i] & 0xc0) !== 0x80) return 0;
  return length;
}
