/**
 * The blocks of GGUF's quantised formats, element by element in float32.
 *
 * A block holds a float16 scale (and minimum) and small integers, mostly four to six bits each, whose high
 * bits lie apart; blocks of 256 ("K") have smaller blocks inside, each with a small integer that its scale
 * is multiplied by. An element is scale times integer, less or plus the minimum. Every product here is exact
 * in float64 and nearly all in float32, so that the one rounding, on storing, gives llama.cpp's bits.
 *
 * @module
 */

/** The quantised formats, as llama.cpp names them. */
export type QuantisedType =
  | "Q4_0"
  | "Q4_1"
  | "Q5_0"
  | "Q5_1"
  | "Q8_0"
  | "Q2_K"
  | "Q3_K"
  | "Q4_K"
  | "Q5_K"
  | "Q6_K"
  | "IQ4_NL"
  | "IQ4_XS";

/** Writes the elements of the block that begins at byte `at`, from element `to` on. */
type BlockReader = (bytes: Uint8Array, at: number, out: Float32Array, to: number) => void;

/** Every float16 in float32, by its bits: several times as fast as a DataView. */
const halves: Float32Array = Float32Array.from(
  new Float16Array(Uint16Array.from({ length: 65536 }, (_, bits) => bits).buffer),
);

function half(bytes: Uint8Array, at: number): number {
  return halves[bytes[at] | bytes[at + 1] << 8];
}

/** An integer of eight bits with its sign. */
function signed(byte: number): number {
  return byte << 24 >> 24;
}

/** The values that the four bits of IQ4 formats stand for. */
const nonLinear = Int8Array.of(
  ...[-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113],
);

/** How to read a block of each format. In blocks of 32, a byte holds elements i (low half) and i + 16. */
export const readBlock: Readonly<Record<QuantisedType, BlockReader>> = {
  Q4_0(bytes, at, out, to) {
    const scale = half(bytes, at);
    for (let i = 0; i < 16; i++) {
      const pair = bytes[at + 2 + i];
      out[to + i] = scale * ((pair & 15) - 8);
      out[to + 16 + i] = scale * ((pair >> 4) - 8);
    }
  },
  Q4_1(bytes, at, out, to) {
    const scale = half(bytes, at), minimum = half(bytes, at + 2);
    for (let i = 0; i < 16; i++) {
      const pair = bytes[at + 4 + i];
      out[to + i] = scale * (pair & 15) + minimum;
      out[to + 16 + i] = scale * (pair >> 4) + minimum;
    }
  },
  Q5_0(bytes, at, out, to) {
    const scale = half(bytes, at), high = word(bytes, at + 2);
    for (let i = 0; i < 16; i++) {
      const pair = bytes[at + 6 + i];
      out[to + i] = scale * ((pair & 15 | (high >> i & 1) << 4) - 16);
      out[to + 16 + i] = scale * ((pair >> 4 | (high >> i + 16 & 1) << 4) - 16);
    }
  },
  Q5_1(bytes, at, out, to) {
    const scale = half(bytes, at), minimum = half(bytes, at + 2), high = word(bytes, at + 4);
    for (let i = 0; i < 16; i++) {
      const pair = bytes[at + 8 + i];
      out[to + i] = scale * (pair & 15 | (high >> i & 1) << 4) + minimum;
      out[to + 16 + i] = scale * (pair >> 4 | (high >> i + 16 & 1) << 4) + minimum;
    }
  },
  Q8_0(bytes, at, out, to) {
    const scale = half(bytes, at);
    for (let i = 0; i < 32; i++) out[to + i] = scale * signed(bytes[at + 2 + i]);
  },
  Q2_K(bytes, at, out, to) {
    const scale = half(bytes, at + 80), minimum = half(bytes, at + 82);
    for (let part = 0; part < 16; part++) {
      // Sixteen elements: two bits of as many bytes, of which the four parts 2, 4 and 6 further share.
      const both = bytes[at + part], shift = part >> 1 << 1 & 6;
      const from = at + 16 + (part >> 3) * 32 + (part & 1) * 16;
      const partScale = scale * (both & 15), partMinimum = minimum * (both >> 4);
      for (let i = 0; i < 16; i++) {
        out[to + part * 16 + i] = partScale * (bytes[from + i] >> shift & 3) - partMinimum;
      }
    }
  },
  Q3_K(bytes, at, out, to) {
    const scale = half(bytes, at + 108), scales = at + 96;
    for (let part = 0; part < 16; part++) {
      const low = part < 8 ? bytes[scales + part] & 15 : bytes[scales + part - 8] >> 4;
      const high = bytes[scales + 8 + (part & 3)] >> (part >> 2) * 2 & 3;
      const partScale = scale * ((low | high << 4) - 32), shift = part >> 1 << 1 & 6;
      const mask = at + (part & 1) * 16, from = mask + 32 + (part >> 3) * 32;
      for (let i = 0; i < 16; i++) {
        const offset = (bytes[mask + i] >> (part >> 1) & 1) === 1 ? 0 : 4;
        out[to + part * 16 + i] = partScale * ((bytes[from + i] >> shift & 3) - offset);
      }
    }
  },
  Q4_K(bytes, at, out, to) {
    const scale = half(bytes, at), minimum = half(bytes, at + 2);
    for (let part = 0; part < 8; part++) {
      const partScale = scale * scaleOf(bytes, at + 4, part);
      const partMinimum = minimum * minimumOf(bytes, at + 4, part);
      const from = at + 16 + (part >> 1) * 32, shift = (part & 1) * 4;
      for (let i = 0; i < 32; i++) {
        out[to + part * 32 + i] = partScale * (bytes[from + i] >> shift & 15) - partMinimum;
      }
    }
  },
  Q5_K(bytes, at, out, to) {
    const scale = half(bytes, at), minimum = half(bytes, at + 2);
    for (let part = 0; part < 8; part++) {
      const partScale = scale * scaleOf(bytes, at + 4, part);
      const partMinimum = minimum * minimumOf(bytes, at + 4, part);
      const from = at + 48 + (part >> 1) * 32, shift = (part & 1) * 4;
      for (let i = 0; i < 32; i++) {
        const high = (bytes[at + 16 + i] >> part & 1) << 4;
        out[to + part * 32 + i] = partScale * (bytes[from + i] >> shift & 15 | high) - partMinimum;
      }
    }
  },
  Q6_K(bytes, at, out, to) {
    const scale = half(bytes, at + 208);
    for (let part = 0; part < 16; part++) {
      // Quarters of 128 elements: the first two are low halves of 64 bytes, the last two high halves.
      const quarter = part >> 1 & 3, lower = (part >> 3) * 64 + (part & 3) * 16;
      const from = at + lower, highs = at + 128 + (part >> 3) * 32 + (part & 1) * 16;
      const partScale = scale * signed(bytes[at + 192 + part]), shift = quarter >> 1 << 2;
      for (let i = 0; i < 16; i++) {
        const high = (bytes[highs + i] >> quarter * 2 & 3) << 4;
        out[to + part * 16 + i] = partScale * ((bytes[from + i] >> shift & 15 | high) - 32);
      }
    }
  },
  IQ4_NL(bytes, at, out, to) {
    spread(bytes, at + 2, half(bytes, at), out, to);
  },
  IQ4_XS(bytes, at, out, to) {
    const scale = half(bytes, at), highs = bytes[at + 2] | bytes[at + 3] << 8;
    for (let part = 0; part < 8; part++) {
      const low = bytes[at + 4 + (part >> 1)] >> (part & 1) * 4 & 15;
      const partScale = scale * ((low | (highs >> part * 2 & 3) << 4) - 32);
      spread(bytes, at + 8 + part * 16, partScale, out, to + part * 32);
    }
  },
};

/** Thirty-two bits, the first byte lowest. */
function word(bytes: Uint8Array, at: number): number {
  return bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24;
}

/** The scales of Q4_K and Q5_K, six bits each: those of the last four parts lie in two pieces. */
function scaleOf(bytes: Uint8Array, at: number, part: number): number {
  if (part < 4) return bytes[at + part] & 63;
  return bytes[at + part + 4] & 15 | bytes[at + part - 4] >> 6 << 4;
}

/** Their minima, likewise. */
function minimumOf(bytes: Uint8Array, at: number, part: number): number {
  if (part < 4) return bytes[at + part + 4] & 63;
  return bytes[at + part + 4] >> 4 | bytes[at + part] >> 6 << 4;
}

/** The 32 elements of an IQ4 block whose four bits each begin at byte `at`. */
function spread(
  bytes: Uint8Array,
  at: number,
  scale: number,
  out: Float32Array,
  to: number,
): void {
  for (let i = 0; i < 16; i++) {
    const pair = bytes[at + i];
    out[to + i] = scale * nonLinear[pair & 15];
    out[to + 16 + i] = scale * nonLinear[pair >> 4];
  }
}
