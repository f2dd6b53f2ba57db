/**
 * Amounts of memory as people write them.
 *
 * @module
 */
import { UserError } from "./errors.ts";

const prefixes = ["", "k", "M", "G", "T"];
const pattern = /^(\d+(?:\.\d+)?) *(?:([kMGT])(i?))?B?$/i;

/**
 * Bytes of an amount such as `16GB` (decimal, 10^9), `512MiB` (binary, 2^20) or a plain number of
 * bytes. Case and the final B do not matter.
 *
 * @throws {UserError} when the text is no amount above zero.
 */
export function parseBytes(text: string): number {
  const match = text.trim().match(pattern);
  const [, number, prefix = "", binary] = match ?? [];
  const power = prefixes.findIndex((each) => each.toLowerCase() === prefix.toLowerCase());
  const bytes = Math.floor(Number(number) * (binary ? 1024 : 1000) ** power);
  if (!match || bytes === 0) {
    throw new UserError(`"${text}" is not an amount of memory`, {
      hint: "write for example 16GB (10^9 bytes each) or 512MiB (2^20 bytes each)",
    });
  }
  return bytes;
}

/** Bytes with three digits and a decimal unit: `16.0 GB`, `512 MB`, `80 B`. */
export function formatBytes(bytes: number): string {
  let power = 0, value = bytes;
  while (value >= 999.5 && power < prefixes.length - 1) {
    value /= 1000;
    power++;
  }
  const digits = power === 0 ? 0 : value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${prefixes[power]}B`;
}
