/**
 * Element types of weights on disk and their conversion from and to float32.
 *
 * Typed arrays have the byte order of the machine and safetensors is little endian; every machine
 * Deno runs on is little endian, so bytes are reinterpreted in place.
 *
 * @module
 */

/** Name of an element type, as safetensors spells it. */
export type Dtype =
  | "F64"
  | "I64"
  | "U64"
  | "F32"
  | "I32"
  | "U32"
  | "F16"
  | "BF16"
  | "I16"
  | "U16"
  | "I8"
  | "U8"
  | "BOOL"
  | "F8_E4M3"
  | "F8_E5M2";

/** Bytes of one element, for every element type that a safetensors file may hold. */
export const dtypeBytes: Readonly<Record<Dtype, number>> = {
  F64: 8,
  I64: 8,
  U64: 8,
  F32: 4,
  I32: 4,
  U32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
};

/** The element types that weights come in. */
export type FloatDtype = "F32" | "F16" | "BF16";

/** Whether weights of this element type can be converted to float32 with {@linkcode toF32}. */
export function isFloatDtype(dtype: Dtype): dtype is FloatDtype {
  return dtype === "F32" || dtype === "F16" || dtype === "BF16";
}

/**
 * Convert raw little-endian elements to float32; exact for all three types.
 *
 * @param bytes `n * dtypeBytes[dtype]` bytes.
 * @param out At least `n` floats; the first `n` are written.
 */
export function toF32(bytes: Uint8Array, dtype: FloatDtype, out: Float32Array): void {
  const size = dtypeBytes[dtype];
  // A typed array must start on a multiple of its element size; a copy always does.
  const { buffer, byteOffset, byteLength } = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const count = byteLength / size;
  if (dtype === "F32") {
    out.set(new Float32Array(buffer, byteOffset, count));
  } else if (dtype === "F16") {
    out.set(new Float16Array(buffer, byteOffset, count));
  } else {
    const halves = new Uint16Array(buffer, byteOffset, count);
    const bits = new Uint32Array(out.buffer, out.byteOffset, count);
    for (let i = 0; i < count; i++) bits[i] = halves[i] << 16;
  }
}

/** Per 32 bits: the exponents, and what carries exponents of ones alone into the sign. */
const exponents: Readonly<Record<FloatDtype, { mask: number; carry: number; signs: number }>> = {
  F32: { mask: 0x7f800000, carry: 0x00800000, signs: 0x80000000 },
  BF16: { mask: 0x7f807f80, carry: 0x00800080, signs: 0x80008000 },
  F16: { mask: 0x7c007c00, carry: 0x04000400, signs: 0x80008000 },
};

/**
 * The first element that is NaN or infinite; undefined where all are finite. Looks at two halves at a time,
 * and at single elements only when there is something to find: about as fast as memory.
 *
 * @param bytes Raw little-endian elements.
 */
export function firstNonFinite(
  bytes: Uint8Array,
  dtype: FloatDtype,
): { readonly index: number; readonly value: number } | undefined {
  const { buffer, byteOffset, byteLength } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const { mask, carry, signs } = exponents[dtype], words = byteLength >> 2;
  const bits = new Int32Array(buffer, byteOffset, words);
  let found = 0;
  for (let i = 0; i < words; i++) found |= (bits[i] & mask) + carry;
  // The last element of an odd number of halves is no whole word.
  if ((found & signs) === 0 && byteLength % 4 === 0) return undefined;
  const values = new Float32Array(byteLength / dtypeBytes[dtype]);
  toF32(bytes, dtype, values);
  const index = values.findIndex((value) => !Number.isFinite(value));
  return index < 0 ? undefined : { index, value: values[index] };
}

/** A tensor's element as messages name it, e.g. `lm_head.weight[7, 3]`; `index` counts in row-major order. */
export function elementName(name: string, shape: readonly number[], index: number): string {
  const place = shape.toReversed().map((size) => {
    const at = index % size;
    index = Math.floor(index / size);
    return at;
  }).toReversed();
  return `${name}[${place.join(", ")}]`;
}

/**
 * Convert float32 values to raw little-endian elements, rounding to nearest, ties to even.
 *
 * @returns `values.length * dtypeBytes[dtype]` bytes; for F32 a view of `values`, else a new array.
 */
export function fromF32(values: Float32Array, dtype: FloatDtype): Uint8Array {
  if (dtype === "F32") return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  if (dtype === "F16") return new Uint8Array(new Float16Array(values).buffer);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i];
    // Rounding could carry a NaN into infinity, so NaN keeps its top bits and is made quiet.
    const isNaN = (b & 0x7fffffff) > 0x7f800000;
    halves[i] = isNaN ? (b >>> 16) | 0x40 : (b + 0x7fff + ((b >>> 16) & 1)) >>> 16;
  }
  return new Uint8Array(halves.buffer);
}
