/**
 * Rotary position embedding: frequencies, and the ways that longer contexts scale them.
 *
 * @module
 */
/** Positions divided by a factor (position interpolation, arXiv 2306.15595). */
export interface LinearScaling {
  /** Which of the scalings this is. */
  readonly type: "linear";
  /** How many times longer the context becomes. */
  readonly factor: number;
}

/** Low frequencies divided by a factor, high ones kept, a ramp between them (Llama 3.1). */
export interface Llama3Scaling {
  /** Which of the scalings this is. */
  readonly type: "llama3";
  /** How many times longer the context becomes. */
  readonly factor: number;
  /** Wavelengths beyond `originalPositions` over this are divided in full. */
  readonly lowFreqFactor: number;
  /** Wavelengths below `originalPositions` over this are kept. */
  readonly highFreqFactor: number;
  /** Positions the model was pretrained on. */
  readonly originalPositions: number;
}

/** YaRN (arXiv 2309.00071), as Qwen2.5 and Qwen3 use it. */
export interface YarnScaling {
  /** Which of the scalings this is. */
  readonly type: "yarn";
  /** How many times longer the context becomes. */
  readonly factor: number;
  /** Positions the model was pretrained on. */
  readonly originalPositions: number;
  /** Frequencies that turn more often than this over the original positions are kept. */
  readonly betaFast: number;
  /** Frequencies that turn less often than this over them are divided in full. */
  readonly betaSlow: number;
  /** Factor of the rotated queries and keys. */
  readonly attentionFactor: number;
  /** Whether the ramp begins and ends at whole pairs; default: true. */
  readonly truncate?: boolean;
}

/** How the frequencies of a model's RoPE are scaled. */
export type RopeScaling = LinearScaling | Llama3Scaling | YarnScaling;

/** What the rotation of a model depends on. */
export interface RopeConfig {
  /** Width of one head (D); even. */
  readonly headDim: number;
  /** Base of the frequencies. */
  readonly ropeTheta: number;
  /** Scaling for longer contexts; absent for plain RoPE. */
  readonly ropeScaling?: RopeScaling;
}

const { fround } = Math;

/**
 * Radians per position of the D/2 pairs. Every step is rounded to float32, in transformers' order: over
 * thousands of positions the last bit of a frequency turns into angles that the model was not trained with.
 */
export function ropeFrequencies(config: RopeConfig): Float32Array {
  const { headDim: D, ropeTheta, ropeScaling } = config;
  const powers = Float32Array.from({ length: D / 2 }, (_, i) => ropeTheta ** fround(2 * i / D));
  const plain = powers.map((power) => 1 / power);
  switch (ropeScaling?.type) {
    case undefined:
      return plain;
    case "linear":
      return plain.map((frequency) => frequency / ropeScaling.factor);
    case "llama3":
      return plain.map((frequency) => llama3Frequency(frequency, ropeScaling));
    case "yarn":
      return yarnFrequencies(powers, ropeTheta, ropeScaling);
  }
}

/** Mixes the two frequencies by how often the kept one turns over the original positions. */
function llama3Frequency(frequency: number, scaling: Llama3Scaling): number {
  const { factor, lowFreqFactor, highFreqFactor, originalPositions } = scaling;
  // PyTorch divides a number by a tensor as the number times the tensor's reciprocal.
  const wavelength = fround(fround(1 / frequency) * fround(2 * Math.PI));
  const turns = fround(fround(1 / wavelength) * originalPositions);
  const kept = clamp(fround(fround(turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor)));
  const divided = fround(fround(fround(1 - kept) * frequency) / factor);
  return divided + fround(kept * frequency);
}

function yarnFrequencies(powers: Float32Array, theta: number, scaling: YarnScaling): Float32Array {
  const { factor, originalPositions, betaFast, betaSlow, truncate = true } = scaling;
  const [floor, ceil] = truncate ? [Math.floor, Math.ceil] : [Number, Number];
  const D = 2 * powers.length;
  /** The (fractional) pair that turns so often over the original positions. */
  const pairOf = (turns: number) =>
    D * Math.log(originalPositions / (turns * 2 * Math.PI)) / (2 * Math.log(theta));
  const low = Math.max(0, floor(pairOf(betaFast)));
  const high = Math.min(D - 1, ceil(pairOf(betaSlow)));
  const width = fround(high === low ? 0.001 : high - low);
  return powers.map((power, i) => {
    const kept = fround(1 - clamp(fround(fround(i - low) / width)));
    const divided = fround(1 / fround(factor * power));
    return fround(divided * fround(1 - kept)) + fround(fround(1 / power) * kept);
  });
}

function clamp(x: number): number {
  return Math.min(1, Math.max(0, x));
}

/**
 * Cosines and sines of the positions: `(P, D)`, D/2 of each. Angles are float32, what is
 * made of them float64. With YaRN they carry
 * its attention factor, so that the rotation scales queries and keys too.
 */
export function ropeTable(config: RopeConfig, positions: number): Float32Array<ArrayBuffer> {
  const { headDim: D, ropeScaling } = config;
  const half = D / 2, frequencies = ropeFrequencies(config);
  const scale = ropeScaling?.type === "yarn" ? ropeScaling.attentionFactor : 1;
  const table = new Float32Array(positions * D);
  for (let p = 0; p < positions; p++) {
    for (let i = 0; i < half; i++) {
      const angle = fround(p * frequencies[i]);
      table[p * D + i] = scale * Math.cos(angle);
      table[p * D + half + i] = scale * Math.sin(angle);
    }
  }
  return table;
}
