import { assertEquals, assertThrows } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import { formatBytes, parseBytes } from "../../src/base/bytes.ts";

Deno.test("bytes: decimal and binary amounts are read apart", () => {
  const amounts: Record<string, number> = {
    "16GB": 16e9,
    "141 GB": 141e9,
    "512MiB": 512 * 2 ** 20,
    "16gib": 2 ** 34,
    "1.5G": 1.5e9,
    "80kB": 80e3,
    " 2TiB ": 2 ** 41,
    "4096": 4096,
    "4096B": 4096,
  };
  for (const [text, bytes] of Object.entries(amounts)) assertEquals(parseBytes(text), bytes, text);
});

Deno.test("bytes: anything else is refused", () => {
  for (const text of ["", "GB", "lots", "-1GB", "1e9", "16 G i B", "16XB", "0", "0.2B", "16GBs"]) {
    assertThrows(() => parseBytes(text), UserError, `"${text}" is not an amount of memory`);
  }
});

Deno.test("bytes: three digits and a unit", () => {
  const shown: Record<string, number> = {
    "0 B": 0,
    "999 B": 999,
    "1.00 kB": 1000,
    "9.99 kB": 9994,
    "10.0 kB": 9996,
    "99.9 MB": 99.94e6,
    "100 MB": 99.96e6,
    "999 MB": 999.4e6,
    "1.00 GB": 999.6e6,
    "16.0 GB": 16e9,
    "1000 TB": 1e15,
  };
  for (const [text, bytes] of Object.entries(shown)) assertEquals(formatBytes(bytes), text);
});
