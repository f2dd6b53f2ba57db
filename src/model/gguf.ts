/**
 * Reading GGUF files (llama.cpp's format, versions 2 and 3): metadata and tensors.
 *
 * A file is magic, version and two counts, key/value metadata, one entry per tensor, then the tensors'
 * bytes, each at a multiple of the alignment. Nothing in a file is believed before it is checked
 * against the file's size: a bad file costs one clear line, and never more memory than its header.
 *
 * @module
 */
import { reason, refuseLfsPointer, refuseSpecial, UserError } from "../base/mod.ts";
import { blockFormats, type GgufType, typeName } from "./gguf_blocks.ts";

/** Longest header accepted, in bytes; vocabularies of 256,000 tokens take about 15 MB. */
const maxHeader = 64 * 2 ** 20;
/** Bytes read at a time while the header is parsed. */
const windowBytes = 2 ** 18;
const maxDimensions = 4;
const maxNesting = 3;
/** Longest key or tensor name, in characters. */
const maxName = 1024;
const hint = "the file is damaged, incomplete or not a GGUF file: get it again";

/** A metadata value. Arrays of numbers are typed arrays, 64-bit integers are bigints. */
export type GgufValue =
  | number
  | bigint
  | boolean
  | string
  | ArrayLike<number>
  | ArrayLike<bigint>
  | readonly GgufValue[];

/** What a file says of one tensor. */
export interface GgufTensor {
  /** llama.cpp's name of it. */
  readonly name: string;
  /** How its elements are stored. */
  readonly type: GgufType;
  /** Sizes, outermost first. */
  readonly shape: readonly number[];
  /** Size of its data in bytes. */
  readonly bytes: number;
  /** Position of its first byte in the file. */
  readonly begin: number;
}

/** One GGUF file, open for reading; close it with `using`. */
export class GgufFile implements Disposable {
  /** The file's path. */
  readonly path: string;
  /** Metadata by key. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** Tensors by name, in the order of the file. */
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly #file: Deno.FsFile;

  /** Use {@linkcode openGguf}: it closes the file when the header is refused. */
  constructor(path: string, file: Deno.FsFile) {
    this.path = path;
    this.#file = file;
    const { size, isFile } = file.statSync();
    if (!isFile) throw new UserError(`${path}: is not a file`, { hint });
    ({ metadata: this.metadata, tensors: this.tensors } = readHeader(new Reader(path, file, size)));
  }

  /**
   * A tensor's bytes from `offset` on; fills the whole buffer.
   *
   * @throws {UserError} when the file has become shorter since it was opened.
   */
  read(tensor: GgufTensor, offset: number, into: Uint8Array): void {
    this.#file.seekSync(tensor.begin + offset, Deno.SeekMode.Start);
    for (let filled = 0; filled < into.length;) {
      const got = this.#file.readSync(into.subarray(filled));
      if (got === null) {
        throw new UserError(`${this.path}: the data of tensor ${tensor.name} ends too early`, {
          hint,
        });
      }
      filled += got;
    }
  }

  /** Close the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/**
 * Open a GGUF file and check its header.
 *
 * @throws {UserError} When the file cannot be read or is malformed.
 */
export function openGguf(path: string): GgufFile {
  refuseSpecial(path);
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path);
  } catch (cause) {
    throw new UserError(`cannot open ${path}: ${reason(cause)}`, {
      hint: "name an existing GGUF file",
      cause,
    });
  }
  try {
    return new GgufFile(path, file);
  } catch (cause) {
    file.close();
    throw cause;
  }
}

/** Takes little-endian values from the head of a file, never beyond its end or the header's limit. */
class Reader {
  /** Bytes taken so far. */
  position = 0;
  readonly fileBytes: number;
  readonly path: string;
  readonly #file: Deno.FsFile;
  #window: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** Position in the file of the window's first byte. */
  #windowBegin = 0;

  constructor(path: string, file: Deno.FsFile, fileBytes: number) {
    this.path = path;
    this.#file = file;
    this.fileBytes = fileBytes;
  }

  refuse(message: string): never {
    throw new UserError(`${this.path}: ${message}`, { hint });
  }

  /** Refuses `n` bytes that the file cannot hold, before any memory is taken for them. */
  expect(n: number, what: string): void {
    if (n > this.fileBytes - this.position) {
      this.refuse(`${what} does not fit in the ${this.fileBytes} bytes of the file`);
    }
    if (n > maxHeader - this.position) this.refuse(`the header exceeds ${maxHeader} bytes`);
  }

  /** The next `n` bytes; valid until the next call. */
  bytes(n: number, what: string): Uint8Array<ArrayBuffer> {
    this.expect(n, what);
    if (this.position + n > this.#windowBegin + this.#window.length) this.#fill(n);
    const begin = this.position - this.#windowBegin;
    this.position += n;
    return this.#window.subarray(begin, begin + n);
  }

  /** Up to `n` of the next bytes, which stay the next ones. */
  peek(n: number): Uint8Array<ArrayBuffer> {
    const begin = this.position;
    const bytes = this.bytes(Math.min(n, this.fileBytes - begin), "the header");
    this.position = begin;
    return bytes;
  }

  #fill(least: number): void {
    const size = Math.min(Math.max(least, windowBytes), this.fileBytes - this.position);
    if (this.#window.length !== size) this.#window = new Uint8Array(size);
    this.#windowBegin = this.position;
    this.#file.seekSync(this.position, Deno.SeekMode.Start);
    for (let filled = 0; filled < size;) {
      const got = this.#file.readSync(this.#window.subarray(filled));
      if (got === null) this.refuse("the header ends too early");
      filled += got;
    }
  }

  #view(n: number, what: string): DataView {
    const { buffer, byteOffset } = this.bytes(n, what);
    return new DataView(buffer, byteOffset, n);
  }

  u32(what: string): number {
    return this.#view(4, what).getUint32(0, true);
  }

  /** A 64-bit count or size; those beyond 2^53 fit no file. */
  size(what: string): number {
    const value = this.#view(8, what).getBigUint64(0, true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) this.refuse(`${what} is ${value}`);
    return Number(value);
  }

  string(what: string): string {
    const length = this.size(`the length of ${what}`);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
        .decode(this.bytes(length, what));
    } catch (cause) {
      if (cause instanceof UserError) throw cause;
      this.refuse(`${what} is not UTF-8 text`);
    }
  }

  /** A key or a tensor's name: short text that can stand in a message of one line. */
  name(what: string): string {
    const name = this.string(what);
    // deno-lint-ignore no-control-regex
    if (name.length > maxName || /[\x00-\x1f\x7f]/.test(name)) {
      this.refuse(`${what} is not a name: ${JSON.stringify(name.slice(0, 40))}`);
    }
    return name;
  }

  /** One number, as its type says. */
  number(type: NumberType, what: string): number | bigint {
    const { size, get } = numberTypes[type];
    return get(this.#view(size, what));
  }

  /** `count` numbers in one typed array. */
  numbers(type: NumberType, count: number, what: string): ArrayLike<number> | ArrayLike<bigint> {
    const { size, array } = numberTypes[type];
    return new array(this.bytes(count * size, what).slice().buffer);
  }
}

/** Metadata value types that are numbers, by their code in the file. */
const numberTypes = {
  0: { size: 1, array: Uint8Array, get: (v: DataView) => v.getUint8(0) },
  1: { size: 1, array: Int8Array, get: (v: DataView) => v.getInt8(0) },
  2: { size: 2, array: Uint16Array, get: (v: DataView) => v.getUint16(0, true) },
  3: { size: 2, array: Int16Array, get: (v: DataView) => v.getInt16(0, true) },
  4: { size: 4, array: Uint32Array, get: (v: DataView) => v.getUint32(0, true) },
  5: { size: 4, array: Int32Array, get: (v: DataView) => v.getInt32(0, true) },
  6: { size: 4, array: Float32Array, get: (v: DataView) => v.getFloat32(0, true) },
  7: { size: 1, array: Uint8Array, get: (v: DataView) => v.getUint8(0) }, // boolean
  10: { size: 8, array: BigUint64Array, get: (v: DataView) => v.getBigUint64(0, true) },
  11: { size: 8, array: BigInt64Array, get: (v: DataView) => v.getBigInt64(0, true) },
  12: { size: 8, array: Float64Array, get: (v: DataView) => v.getFloat64(0, true) },
} as const;
type NumberType = keyof typeof numberTypes;
const booleanType = 7, stringType = 8, arrayType = 9;

function isNumberType(type: number): type is NumberType {
  return Object.hasOwn(numberTypes, type);
}

function readValue(reader: Reader, type: number, what: string, nesting: number): GgufValue {
  if (type === stringType) return reader.string(what);
  if (type === booleanType) return reader.number(type, what) !== 0;
  if (isNumberType(type)) return reader.number(type, what);
  if (type !== arrayType) return reader.refuse(`${what} has the unknown type ${type}`);
  if (nesting === maxNesting) return reader.refuse(`${what} nests arrays too deeply`);
  const inner = reader.u32(what), count = reader.size(`the length of ${what}`);
  if (isNumberType(inner)) return reader.numbers(inner, count, what);
  // A string takes at least its length, an array its type and length.
  reader.expect(count * (inner === stringType ? 8 : 12), what);
  const values: GgufValue[] = [];
  for (let i = 0; i < count; i++) values.push(readValue(reader, inner, what, nesting + 1));
  return values;
}

interface Header {
  readonly metadata: Map<string, GgufValue>;
  readonly tensors: Map<string, GgufTensor>;
}

/** Reads and checks everything before the data: afterwards every tensor lies inside the file, alone. */
function readHeader(reader: Reader): Header {
  refuseLfsPointer(reader.path, reader.peek(64));
  const magic = new TextDecoder("latin1").decode(reader.bytes(4, "a GGUF header"));
  if (magic !== "GGUF") reader.refuse(`begins with ${JSON.stringify(magic)} instead of "GGUF"`);
  const version = reader.u32("the version");
  if (version !== 2 && version !== 3) {
    reader.refuse(`has GGUF version ${version}; supported are 2 and 3, little endian`);
  }
  const tensorCount = reader.size("the number of tensors");
  const pairCount = reader.size("the number of metadata entries");
  // The least that an entry takes: a name's length, a type and a value; dimensions and an offset.
  reader.expect(pairCount * 13, `metadata of ${pairCount} entries`);
  reader.expect(tensorCount * 24, `a list of ${tensorCount} tensors`);

  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < pairCount; i++) {
    const key = reader.name("a metadata key");
    if (metadata.has(key)) reader.refuse(`metadata key ${key} stands there twice`);
    metadata.set(key, readValue(reader, reader.u32(key), `metadata ${key}`, 0));
  }
  const alignment = metadata.get("general.alignment") ?? 32;
  if (typeof alignment !== "number" || !Number.isInteger(alignment) || alignment < 1) {
    return reader.refuse(`general.alignment is ${alignment}`);
  }

  const tensors: GgufTensor[] = [];
  for (let i = 0; i < tensorCount; i++) tensors.push(readTensor(reader, alignment));
  const dataBegin = Math.ceil(reader.position / alignment) * alignment;
  const placed = tensors.map((tensor) => ({ ...tensor, begin: dataBegin + tensor.begin }));
  let end = dataBegin;
  for (const { name, begin, bytes } of placed.toSorted((a, b) => a.begin - b.begin)) {
    if (begin < end) reader.refuse(`tensor ${name} overlaps the one before it`);
    end = begin + bytes;
    if (end > reader.fileBytes) reader.refuse(`tensor ${name} reaches beyond the end of the file`);
  }
  const byName = new Map(placed.map((tensor) => [tensor.name, tensor]));
  if (byName.size < placed.length) reader.refuse("two tensors have the same name");
  return { metadata, tensors: byName };
}

/** One entry of the tensor list; `begin` counts from the beginning of the data. */
function readTensor(reader: Reader, alignment: number): GgufTensor {
  const name = reader.name("a tensor's name");
  const dimensions = reader.u32(`tensor ${name}`);
  if (dimensions > maxDimensions) reader.refuse(`tensor ${name} has ${dimensions} dimensions`);
  const sizes = Array.from({ length: dimensions }, () => reader.size(`a size of tensor ${name}`));
  const code = reader.u32(`tensor ${name}`);
  const begin = reader.size(`the offset of tensor ${name}`);
  const format = blockFormats.get(code);
  if (!format) {
    throw new UserError(
      `${reader.path}: tensor ${name} is stored as ${typeName(code)}, which is not supported`,
      {
        hint: "take the model in another quantisation, such as Q4_K_M; supported are " +
          [...blockFormats.values()].map(({ type }) => type).join(", "),
      },
    );
  }
  const [row = 1] = sizes;
  const elements = sizes.reduce((product, n) => product * n, 1);
  if (row % format.elements !== 0) {
    reader.refuse(`rows of tensor ${name} are no whole number of ${format.type} blocks`);
  }
  if (begin % alignment !== 0) reader.refuse(`tensor ${name} is not aligned to ${alignment} bytes`);
  const bytes = elements / format.elements * format.bytes;
  if (!Number.isSafeInteger(begin + bytes)) reader.refuse(`tensor ${name} is too large`);
  return { name, type: format.type, shape: sizes.reverse(), bytes, begin };
}
