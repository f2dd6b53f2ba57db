/**
 * Rows of parquet files.
 *
 * @module
 */
import type { SchemaTree } from "npm:hyparquet@1.33.0";
import { reason, UserError } from "../base/mod.ts";
import { type ColumnType, exactJson, plainValue } from "./values.ts";

/**
 * Every row of a parquet file as an object, with the digits that stand in it ({@linkcode plainValue}).
 *
 * @param where The file's name, for the error message.
 * @throws {UserError} when the file is damaged, or compressed in a way that is not supported.
 */
export async function readParquet(
  bytes: Uint8Array<ArrayBuffer>,
  where: string,
): Promise<unknown[]> {
  // Loaded here because few runs read parquet: none of the others should pay for it.
  const [{ parquetMetadata, parquetReadObjects, parquetSchema }, { compressors }] = await Promise
    .all([import("npm:hyparquet@1.33.0"), import("npm:hyparquet-compressors@1.1.2")]);
  try {
    const file = bytes.buffer, metadata = parquetMetadata(file), text = new TextDecoder();
    const parsers = {
      jsonFromBytes: (json: Uint8Array | undefined) => json && exactJson(text.decode(json)),
    };
    const rows = await parquetReadObjects({ file, metadata, compressors, parsers });
    const type = typeOf(parquetSchema(metadata));
    return rows.map((row) => plainValue(row, type));
  } catch (cause) {
    throw new UserError(`${where}: cannot be read as parquet (${reason(cause)})`, {
      hint: "get the file again, or convert it to JSONL",
      cause,
    });
  }
}

function typeOf({ element, children }: SchemaTree): ColumnType {
  if (children.length === 0) return { single: element.type === "FLOAT" };
  if (element.converted_type === "LIST" || element.logical_type?.type === "LIST") {
    // A list is a group with one repeated child, which in newer files holds the element.
    const [repeated] = children, [inner, ...more] = repeated.children;
    return { item: typeOf(inner && more.length === 0 ? inner : repeated) };
  }
  return { fields: Object.fromEntries(children.map((each) => [each.element.name, typeOf(each)])) };
}
