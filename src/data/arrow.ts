/**
 * Rows of Arrow files: the stream that Hugging Face's `datasets` writes, and the file format (Feather).
 *
 * @module
 */
import type { DataType } from "npm:@uwdata/flechette@2.6.0";
import { reason, UserError } from "../base/mod.ts";
import { checkBatch, checkLengths } from "./arrow_bounds.ts";
import { decodeLz4Frame } from "./lz4.ts";
import { type ColumnType, plainValue } from "./values.ts";

/**
 * Every row of an Arrow file as an object, with the digits that stand in it ({@linkcode plainValue}).
 *
 * @param where The file's name, for the error message.
 * @throws {UserError} when the file is damaged.
 */
export async function readArrow(bytes: Uint8Array, where: string): Promise<unknown[]> {
  // Loaded here because few runs read Arrow: none of the others should pay for it.
  const [arrow, { decompressZstd }] = await Promise.all([
    import("npm:@uwdata/flechette@2.6.0"),
    import("npm:hyparquet-compressors@1.1.2"),
  ]);
  const { CompressionType, setCompressionCodec, tableFromIPC, Type, Precision } = arrow;
  const encode = () => {
    throw new Error("nothing is written here");
  };
  setCompressionCodec(CompressionType.LZ4_FRAME, { decode: decodeLz4Frame, encode });
  // A copy, because it is read as 64-bit words: it must begin at a multiple of eight bytes.
  const decode = (data: Uint8Array) => decompressZstd(data).slice();
  setCompressionCodec(CompressionType.ZSTD, { decode, encode });
  const typeOf = (type: DataType): ColumnType => {
    if (type.typeId === Type.Float) return { single: type.precision === Precision.SINGLE };
    if (type.typeId === Type.Dictionary) return typeOf(type.dictionary);
    const children = "children" in type && type.children ? type.children : [];
    if (type.typeId !== Type.Struct) {
      return children.length === 1 ? { item: typeOf(children[0].type) } : {};
    }
    return { fields: Object.fromEntries(children.map((each) => [each.name, typeOf(each.type)])) };
  };
  try {
    checkLengths(bytes);
    const table = tableFromIPC(bytes, { useBigInt: true, useDate: true });
    for (const column of table.children) for (const batch of column.data) checkBatch(batch);
    const { fields } = table.schema;
    const type = {
      fields: Object.fromEntries(fields.map((each) => [each.name, typeOf(each.type)])),
    };
    return table.toArray().map((row) => plainValue(row, type));
  } catch (cause) {
    throw new UserError(`${where}: cannot be read as Arrow (${reason(cause)})`, {
      hint: "get the file again, or convert it to JSONL",
      cause,
    });
  }
}
