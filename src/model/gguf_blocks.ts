/**
 * How GGUF files store the elements of tensors, and their conversion to float32.
 *
 * Quantised rows are cut into blocks of 32 elements with a float16 scale (and minimum) each.
 *
 * @module
 */
import { type FloatDtype, toF32 } from "./dtype.ts";

/** A supported way to store elements, as llama.cpp names it. */
export type GgufType = FloatDtype | "Q8_0" | "Q4_1";

/** One way to store elements. */
export interface BlockFormat {
  /** Its name. */
  readonly type: GgufType;
  /** Elements of a block. */
  readonly elements: number;
  /** Bytes of a block. */
  readonly bytes: number;
}

/** The supported formats by their code in the file. */
export const blockFormats: ReadonlyMap<number, BlockFormat> = new Map([
  [0, { type: "F32", elements: 1, bytes: 4 }],
  [1, { type: "F16", elements: 1, bytes: 2 }],
  [30, { type: "BF16", elements: 1, bytes: 2 }],
  [8, { type: "Q8_0", elements: 32, bytes: 34 }],
  [3, { type: "Q4_1", elements: 32, bytes: 20 }],
]);

/** Names of formats that are common in files but not supported, for messages. */
const otherNames = new Map([
  [2, "Q4_0"],
  [6, "Q5_0"],
  [7, "Q5_1"],
  [10, "Q2_K"],
  [11, "Q3_K"],
  [12, "Q4_K"],
  [13, "Q5_K"],
  [14, "Q6_K"],
  [15, "Q8_K"],
  [20, "IQ4_NL"],
  [23, "IQ4_XS"],
]);

/** What to call a format in a message. */
export function typeName(code: number): string {
  return blockFormats.get(code)?.type ?? otherNames.get(code) ?? `type ${code}`;
}

/** The format of a name. */
export function formatOf(type: GgufType): BlockFormat {
  return [...blockFormats.values()].find((format) => format.type === type)!;
}

/** Whether elements are stored one by one, so that their bytes can be copied as they are. */
export function isPlain(type: GgufType): type is FloatDtype {
  return type !== "Q8_0" && type !== "Q4_1";
}

/**
 * Elements in float32, computed as llama.cpp does: scale times integer, plus the minimum, each step
 * rounded to float32.
 *
 * @param bytes Whole blocks, from a buffer position that is a multiple of 4 for F32 and of 2 otherwise.
 */
export function dequantise(
  bytes: Uint8Array<ArrayBuffer>,
  type: GgufType,
): Float32Array<ArrayBuffer> {
  const { elements, bytes: size } = formatOf(type);
  const blocks = bytes.length / size;
  const out = new Float32Array(blocks * elements);
  if (isPlain(type)) {
    toF32(bytes, type, out);
    return out;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let b = 0; b < blocks; b++) {
    const at = b * size, to = b * elements;
    const scale = view.getFloat16(at, true);
    if (type === "Q8_0") {
      for (let i = 0; i < elements; i++) out[to + i] = scale * view.getInt8(at + 2 + i);
    } else {
      // Sixteen bytes hold elements i (low half) and i + 16 (high half).
      const minimum = view.getFloat16(at + 2, true), half = elements / 2;
      for (let i = 0; i < half; i++) {
        const pair = bytes[at + 4 + i];
        out[to + i] = Math.fround(scale * (pair & 15)) + minimum;
        out[to + half + i] = Math.fround(scale * (pair >> 4)) + minimum;
      }
    }
  }
  return out;
}
