/**
 * Reading weights from safetensors files, streamed through one small buffer.
 *
 * A file is an 8-byte little-endian header length, a JSON header, then the tensors' bytes without
 * gaps. Nothing in a file is believed before it is checked: a bad file costs one clear line.
 *
 * @module
 */
import * as z from "npm:zod@4.6.7";
import {
  check,
  parseJson,
  reason,
  refuseLfsPointer,
  refuseSpecial,
  UserError,
} from "../base/mod.ts";
import { type Dtype, dtypeBytes } from "./dtype.ts";

export { type TensorToWrite, writeSafetensors } from "./safetensors_writer.ts";

/** Longest header accepted, in bytes. */
const maxHeader = 100 * 2 ** 20;
/** Bytes read at a time; a multiple of every element size, and as fast as larger reads. */
export const stagingBytes: number = 4 * 2 ** 20;
const damaged = "the file is damaged or incomplete: get it again, or use an earlier checkpoint";

/** What a header says of one tensor. */
export interface TensorInfo {
  /** Element type. */
  readonly dtype: Dtype;
  /** Sizes, outermost first; empty for a scalar. */
  readonly shape: readonly number[];
  /** Size of the tensor's data in bytes. */
  readonly bytes: number;
}

/**
 * Receives a tensor piece by piece.
 *
 * @param bytes Whole elements, at most 4 MiB; valid only during the call, and aligned so that a
 *   typed array of the tensor's type can be laid over it.
 * @param offset Position of the piece in the tensor, in bytes.
 */
export type OnChunk = (bytes: Uint8Array, offset: number) => void;

/** Named tensors that can be streamed from disk; close it with `using`. */
export interface TensorSource extends Disposable {
  /** Names of all tensors. */
  names(): string[];
  /**
   * Type, shape and size of a tensor.
   *
   * @throws {UserError} When there is no such tensor.
   */
  info(name: string): TensorInfo;
  /**
   * Stream a tensor's bytes in order. `onChunk` is not called for an empty tensor.
   *
   * @param part First byte and byte past the last, where not all of the tensor is asked for.
   * @throws {UserError} When there is no such tensor or the file ends too early.
   */
  read(name: string, onChunk: OnChunk, part?: readonly [number, number]): void;
}

/** One safetensors file, open for reading. */
export class SafetensorsFile implements TensorSource {
  /** The file's path. */
  readonly path: string;
  /** The `__metadata__` strings of the header. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly #file: Deno.FsFile;
  readonly #tensors: Map<string, Placed>;
  readonly #staging = new Uint8Array(stagingBytes);

  /** Use {@linkcode openSafetensors}: it closes the file when the header is refused. */
  constructor(path: string, file: Deno.FsFile) {
    this.path = path;
    this.#file = file;
    const header = readHeader(path, file);
    this.metadata = header.metadata;
    this.#tensors = header.tensors;
  }

  /** Names of all tensors, in the order of their data. */
  names(): string[] {
    return [...this.#tensors.keys()];
  }

  /** Type, shape and size of a tensor; see {@linkcode TensorSource.info}. */
  info(name: string): TensorInfo {
    return this.#find(name);
  }

  /** Stream a tensor's bytes in order; see {@linkcode TensorSource.read}. */
  read(name: string, onChunk: OnChunk, part?: readonly [number, number]): void {
    const { bytes, begin } = this.#find(name), [from, end] = part ?? [0, bytes];
    this.#file.seekSync(begin + from, Deno.SeekMode.Start);
    for (let offset = from; offset < end;) {
      const piece = this.#staging.subarray(0, Math.min(stagingBytes, end - offset));
      if (!readFully(this.#file, piece)) {
        throw new UserError(`${this.path}: the data of tensor ${name} ends too early`, {
          hint: damaged,
        });
      }
      onChunk(piece, offset);
      offset += piece.length;
    }
  }

  /** Close the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }

  #find(name: string): Placed {
    return this.#tensors.get(name) ?? missingTensor(this.path, name);
  }
}

/**
 * Open a safetensors file and check its header.
 *
 * @throws {UserError} When the file cannot be read or is malformed.
 */
export function openSafetensors(path: string): SafetensorsFile {
  refuseSpecial(path);
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path);
  } catch (cause) {
    const tooMany = (cause as { code?: string }).code === "EMFILE";
    throw new UserError(`cannot open ${path}: ${reason(cause)}`, {
      hint: tooMany
        ? "all shards are read at once: allow more with ulimit -n"
        : "check the model folder",
      cause,
    });
  }
  try {
    return new SafetensorsFile(path, file);
  } catch (cause) {
    file.close();
    throw cause;
  }
}

/** A tensor and the position of its first byte in the file. */
interface Placed extends TensorInfo {
  readonly begin: number;
}

interface Header {
  readonly metadata: Record<string, string>;
  readonly tensors: Map<string, Placed>;
}

const size = z.int().nonnegative();
const metadataSchema = z.record(z.string(), z.string());
const tensorSchema = z.object({
  dtype: z.enum(Object.keys(dtypeBytes) as Dtype[]),
  shape: z.array(size),
  data_offsets: z.tuple([size, size]),
});

/** Read and check the header: afterwards every tensor lies inside the file and none overlap. */
function readHeader(path: string, file: Deno.FsFile): Header {
  const refuse = (message: string): never => {
    throw new UserError(`${path}: ${message}`, { hint: damaged });
  };
  const { size: fileBytes, isFile } = file.statSync();
  if (!isFile) refuse("is not a file");
  const start = new Uint8Array(Math.min(fileBytes, 64));
  if (fileBytes < 8 || !readFully(file, start)) {
    refuse(`is too short for a safetensors file (${fileBytes} bytes)`);
  }
  refuseLfsPointer(path, start);
  file.seekSync(8, Deno.SeekMode.Start);
  const headerBytes = Number(new DataView(start.buffer).getBigUint64(0, true));
  if (headerBytes > maxHeader) refuse(`header of ${headerBytes} bytes exceeds ${maxHeader}`);
  const text = new Uint8Array(Math.min(headerBytes, fileBytes));
  if (8 + headerBytes > fileBytes || !readFully(file, text)) {
    refuse(`header of ${headerBytes} bytes does not fit in ${fileBytes} bytes`);
  }
  const dataBegin = 8 + headerBytes;
  const dataBytes = fileBytes - dataBegin;

  const json = parseJson(text, `${path}: header`, damaged);
  if (json === null || typeof json !== "object" || Array.isArray(json)) {
    refuse("header is not a JSON object");
  }

  let metadata: Record<string, string> = {};
  const tensors: [string, Placed][] = [];
  for (const [name, value] of Object.entries(json as Record<string, unknown>)) {
    if (name === "__metadata__") {
      metadata = check(metadataSchema, value, `${path}: __metadata__`, damaged);
      continue;
    }
    const { dtype, shape, data_offsets } = check(
      tensorSchema,
      value,
      `${path}: tensor ${name}`,
      damaged,
    );
    const [begin, end] = data_offsets;
    const bytes = shape.reduce((product, n) => product * n, dtypeBytes[dtype]);
    if (begin > end || end > dataBytes) {
      refuse(`tensor ${name} lies at ${begin}..${end}, the file has ${dataBytes} bytes of data`);
    }
    if (bytes !== end - begin) {
      refuse(`tensor ${name} is ${dtype} [${shape}] but has ${end - begin} bytes`);
    }
    tensors.push([name, { dtype, shape, bytes, begin: dataBegin + begin }]);
  }
  // An empty tensor sorts before the one that shares its position.
  tensors.sort(([, a], [, b]) => a.begin - b.begin || a.bytes - b.bytes);
  let at = dataBegin;
  for (const [name, { begin, bytes }] of tensors) {
    if (begin < at) refuse(`tensor ${name} overlaps the one before it`);
    if (begin > at) refuse(`${begin - at} bytes before tensor ${name} belong to no tensor`);
    at += bytes;
  }
  if (at < fileBytes) refuse(`the last ${fileBytes - at} bytes belong to no tensor`);
  return { metadata, tensors: new Map(tensors) };
}

/** Fill the buffer from the file's position; false when the file ends first. */
function readFully(file: Deno.FsFile, buffer: Uint8Array): boolean {
  for (let filled = 0; filled < buffer.length;) {
    const got = file.readSync(buffer.subarray(filled));
    if (got === null) return false;
    filled += got;
  }
  return true;
}

/**
 * Says that a file or folder lacks a tensor.
 *
 * @throws {UserError} always.
 */
export function missingTensor(path: string, name: string): never {
  throw new UserError(`${path} has no tensor ${name}`, {
    hint: "the weights do not belong to this config.json, or a file is missing",
  });
}
