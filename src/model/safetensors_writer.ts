/**
 * Writing safetensors files: streamed, and complete or not there at all.
 *
 * @module
 */
import { temporaryPath, writeError } from "../base/mod.ts";
import { type Dtype, dtypeBytes } from "./dtype.ts";

/** A tensor to write. */
export interface TensorToWrite {
  /** Name in the file. */
  readonly name: string;
  /** Element type. */
  readonly dtype: Dtype;
  /** Sizes, outermost first. */
  readonly shape: readonly number[];
  /** The tensor's bytes in order, in pieces of any size; asked for once. */
  chunks(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/**
 * Write tensors to a safetensors file that PyTorch and transformers load.
 *
 * The file appears under its name only when it is complete and on disk; a crash before that leaves
 * an earlier file of that name as it was.
 *
 * @param path The file; its folder must exist.
 * @param tensors Streamed one after the other, those of wider elements first so that all stay
 *   aligned.
 * @param metadata Strings for the header, beside `format: "pt"` which transformers asks for.
 * @throws {UserError} When the file cannot be written.
 * @throws {RangeError} When names repeat or a tensor's chunks do not add up to its shape.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const ordered = tensors.toSorted((a, b) => dtypeBytes[b.dtype] - dtypeBytes[a.dtype]);
  const header = encodeHeader(ordered, metadata);
  const temporary = temporaryPath(path);
  try {
    {
      using file = Deno.openSync(temporary, { write: true, createNew: true });
      writeFully(file, header);
      for (const tensor of ordered) await writeTensor(file, tensor);
      file.syncSync();
    }
    Deno.renameSync(temporary, path);
  } catch (cause) {
    try {
      Deno.removeSync(temporary);
    } catch {
      // It was never created, or the disk that failed cannot be cleaned either.
    }
    throw writeError(path, cause);
  }
}

/** Header length and header, padded with spaces so that the data begins on a multiple of 8. */
function encodeHeader(
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const entries = new Map<string, unknown>([["__metadata__", { format: "pt", ...metadata }]]);
  let end = 0;
  for (const tensor of tensors) {
    const { name, dtype, shape } = tensor;
    if (entries.has(name)) throw new RangeError(`tensor name ${name} is taken`);
    const begin = end;
    end += byteLength(tensor);
    entries.set(name, { dtype, shape, data_offsets: [begin, end] });
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const padded = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + padded).fill(0x20, 8);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(json, 8);
  return header;
}

async function writeTensor(file: Deno.FsFile, tensor: TensorToWrite): Promise<void> {
  let written = 0;
  for await (const chunk of tensor.chunks()) {
    writeFully(file, chunk);
    written += chunk.length;
  }
  const expected = byteLength(tensor);
  if (written !== expected) {
    throw new RangeError(`tensor ${tensor.name} gave ${written} bytes instead of ${expected}`);
  }
}

function byteLength({ dtype, shape }: TensorToWrite): number {
  return shape.reduce((product, n) => product * n, dtypeBytes[dtype]);
}

function writeFully(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
}
