/**
 * Rows of parquet files.
 *
 * @module
 */
import { reason, UserError } from "../base/mod.ts";

/**
 * Every row of a parquet file as an object. 64-bit integers become numbers where they are exact.
 *
 * @param where The file's name, for the error message.
 * @throws {UserError} when the file is damaged, or compressed in a way that is not supported.
 */
export async function readParquet(
  bytes: Uint8Array<ArrayBuffer>,
  where: string,
): Promise<unknown[]> {
  // Loaded here because few runs read parquet: none of the others should pay for it.
  const [{ parquetReadObjects }, { compressors }] = await Promise.all([
    import("npm:hyparquet@^1.33"),
    import("npm:hyparquet-compressors@^1.1"),
  ]);
  try {
    const rows = await parquetReadObjects({ file: bytes.buffer, compressors });
    return rows.map(plain);
  } catch (cause) {
    throw new UserError(`${where}: cannot be read as parquet (${reason(cause)})`, {
      hint: "get the file again, or convert it to JSONL",
      cause,
    });
  }
}

function plain(value: unknown): unknown {
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}
