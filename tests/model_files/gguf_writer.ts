/** Writes small GGUF files, good and bad. */

/** A metadata value with its type. */
export type Value =
  | { u32: number }
  | { u64: bigint }
  | { f32: number }
  | { bool: boolean }
  | { text: string }
  | { texts: readonly string[] }
  | { i32s: readonly number[] }
  | { f32s: readonly number[] };

/** A tensor; `shape` is outermost first, `offset` counts from the beginning of the data. */
export interface Entry {
  readonly name: string;
  readonly type: number;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
  readonly offset?: number;
}

/** What a file is made of; the last four replace what would be right. */
export interface Parts {
  readonly metadata: Readonly<Record<string, Value>>;
  readonly tensors: readonly Entry[];
  readonly magic?: string;
  readonly version?: number;
  readonly tensorCount?: bigint;
  readonly pairCount?: bigint;
}

class Bytes {
  readonly #parts: Uint8Array[] = [];
  length = 0;

  add(part: Uint8Array): this {
    this.#parts.push(part);
    this.length += part.length;
    return this;
  }

  u32(value: number): this {
    return this.add(new Uint8Array(Uint32Array.of(value).buffer));
  }

  u64(value: bigint | number): this {
    return this.add(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  }

  text(value: string): this {
    const bytes = new TextEncoder().encode(value);
    return this.u64(bytes.length).add(bytes);
  }

  pad(alignment: number): this {
    return this.add(new Uint8Array((alignment - this.length % alignment) % alignment));
  }

  whole(): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.#parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}

function addValue(out: Bytes, value: Value): void {
  if ("u32" in value) out.u32(4).u32(value.u32);
  else if ("u64" in value) out.u32(10).u64(value.u64);
  else if ("f32" in value) out.u32(6).add(new Uint8Array(Float32Array.of(value.f32).buffer));
  else if ("bool" in value) out.u32(7).add(Uint8Array.of(Number(value.bool)));
  else if ("text" in value) out.u32(8).text(value.text);
  else if ("texts" in value) {
    out.u32(9).u32(8).u64(value.texts.length);
    for (const text of value.texts) out.text(text);
  } else if ("i32s" in value) {
    out.u32(9).u32(5).u64(value.i32s.length);
    out.add(new Uint8Array(Int32Array.from(value.i32s).buffer));
  } else {
    out.u32(9).u32(6).u64(value.f32s.length);
    out.add(new Uint8Array(Float32Array.from(value.f32s).buffer));
  }
}

/** The bytes of a file, aligned to 32. */
export function ggufBytes(parts: Parts): Uint8Array<ArrayBuffer> {
  const { metadata, tensors } = parts;
  const pairs = Object.entries(metadata);
  const out = new Bytes().add(new TextEncoder().encode(parts.magic ?? "GGUF"));
  out.u32(parts.version ?? 3).u64(parts.tensorCount ?? tensors.length);
  out.u64(parts.pairCount ?? pairs.length);
  for (const [key, value] of pairs) addValue(out.text(key), value);
  const data = new Bytes();
  for (const { name, type, shape, data: bytes, offset } of tensors) {
    out.text(name).u32(shape.length);
    for (const size of shape.toReversed()) out.u64(size);
    out.u32(type).u64(offset ?? data.length);
    data.add(bytes).pad(32);
  }
  return out.pad(32).add(data.whole()).whole();
}
