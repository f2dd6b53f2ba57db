/**
 * How GGUF files store the elements of tensors.
 *
 * Quantised rows are cut into blocks of 32 or 256 elements; {@linkcode dequantise} says what they hold.
 *
 * @module
 */
import { type FloatDtype, toF32 } from "./dtype.ts";
import { type QuantisedType, readBlock } from "./gguf_quants.ts";

/** A supported way to store elements, as llama.cpp names it. */
export type GgufType = FloatDtype | QuantisedType;

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
  [2, { type: "Q4_0", elements: 32, bytes: 18 }],
  [3, { type: "Q4_1", elements: 32, bytes: 20 }],
  [6, { type: "Q5_0", elements: 32, bytes: 22 }],
  [7, { type: "Q5_1", elements: 32, bytes: 24 }],
  [8, { type: "Q8_0", elements: 32, bytes: 34 }],
  [10, { type: "Q2_K", elements: 256, bytes: 84 }],
  [11, { type: "Q3_K", elements: 256, bytes: 110 }],
  [12, { type: "Q4_K", elements: 256, bytes: 144 }],
  [13, { type: "Q5_K", elements: 256, bytes: 176 }],
  [14, { type: "Q6_K", elements: 256, bytes: 210 }],
  [20, { type: "IQ4_NL", elements: 32, bytes: 18 }],
  [23, { type: "IQ4_XS", elements: 256, bytes: 136 }],
]);

/** Names of formats that files hold but that are not supported, for messages. */
const otherNames = new Map([
  [15, "Q8_K"],
  [16, "IQ2_XXS"],
  [17, "IQ2_XS"],
  [18, "IQ3_XXS"],
  [19, "IQ1_S"],
  [21, "IQ3_S"],
  [22, "IQ2_S"],
  [28, "F64"],
  [29, "IQ1_M"],
  [34, "TQ1_0"],
  [35, "TQ2_0"],
  [39, "MXFP4"],
  [40, "NVFP4"],
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
  return type === "F32" || type === "F16" || type === "BF16";
}

/**
 * Elements in float32, to the bit what llama.cpp computes.
 *
 * @param bytes Whole blocks, from a buffer position that is a multiple of 4 for F32 and of 2 for F16 and
 *   BF16.
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
  const read = readBlock[type];
  for (let b = 0; b < blocks; b++) read(bytes, b * size, out, b * elements);
  return out;
}
