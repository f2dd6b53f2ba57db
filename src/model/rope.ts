/**
 * Rotary position embedding: frequencies, and the ways that longer contexts scale them.
 *
 * @module
 */
import * as z from "npm:zod@^4";
import { check, UserError } from "../base/mod.ts";

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

const positive = z.number().positive();
const common = {
  rope_type: z.string().nullish(),
  type: z.string().nullish(),
  rope_theta: positive.nullish(),
  partial_rotary_factor: z.literal(1, { error: "only full rotation is supported" }).nullish(),
};
const factor = z.number().min(1);
const positions = z.int().positive().nullish();

/** Strict: a key that is not known may change the computation. */
const schemas = {
  linear: z.strictObject({ ...common, factor }),
  llama3: z.strictObject({
    ...common,
    factor,
    low_freq_factor: positive,
    high_freq_factor: positive,
    original_max_position_embeddings: positions,
  }),
  yarn: z.strictObject({
    ...common,
    factor,
    original_max_position_embeddings: positions,
    attention_factor: positive.nullish(),
    beta_fast: positive.nullish(),
    beta_slow: positive.nullish(),
  }),
};

/** For a scaling that lacks a number, or has a wrong one. */
const incomplete = "compare with the model's published config.json";

/**
 * Reads `rope_scaling` (older files) or `rope_parameters` (newer ones) of a config.json.
 *
 * @param value The object; nothing, or type `default`, is plain RoPE.
 * @param maxPositions `max_position_embeddings`: what the original length defaults to.
 * @param where File and field, for messages.
 * @throws {UserError} for a scaling that is not supported or lacks a number.
 */
export function parseRopeScaling(
  value: { rope_type?: string | null; type?: string | null } | null | undefined,
  maxPositions: number,
  where: string,
): RopeScaling | undefined {
  if (value === null || value === undefined) return undefined;
  const type = value.rope_type ?? value.type ?? "default";
  if (type === "default") return undefined;
  if (type === "linear") {
    return { type, factor: check(schemas.linear, value, where, incomplete).factor };
  }
  if (type === "llama3") {
    const raw = check(schemas.llama3, value, where, incomplete);
    const { low_freq_factor: lowFreqFactor, high_freq_factor: highFreqFactor } = raw;
    if (lowFreqFactor >= highFreqFactor) {
      throw new UserError(
        `${where}: low_freq_factor ${lowFreqFactor} is not below high_freq_factor`,
        {
          hint: "the file is damaged: get it again",
        },
      );
    }
    const originalPositions = raw.original_max_position_embeddings ?? maxPositions;
    return { type, factor: raw.factor, lowFreqFactor, highFreqFactor, originalPositions };
  }
  if (type === "yarn") {
    const raw = check(schemas.yarn, value, where, incomplete);
    return {
      type,
      factor: raw.factor,
      originalPositions: raw.original_max_position_embeddings ?? maxPositions,
      betaFast: raw.beta_fast ?? 32,
      betaSlow: raw.beta_slow ?? 1,
      attentionFactor: raw.attention_factor ?? 0.1 * Math.log(raw.factor) + 1,
    };
  }
  throw new UserError(`${where}: RoPE of type ${type} is not supported`, {
    hint: "supported: default, linear, llama3, yarn",
  });
}

/** The `rope_scaling` object of a config.json. */
export function toHfRopeScaling(scaling: RopeScaling): Record<string, unknown> {
  switch (scaling.type) {
    case "linear":
      return { rope_type: "linear", factor: scaling.factor };
    case "llama3":
      return {
        rope_type: "llama3",
        factor: scaling.factor,
        low_freq_factor: scaling.lowFreqFactor,
        high_freq_factor: scaling.highFreqFactor,
        original_max_position_embeddings: scaling.originalPositions,
      };
    case "yarn":
      return {
        rope_type: "yarn",
        factor: scaling.factor,
        original_max_position_embeddings: scaling.originalPositions,
        attention_factor: scaling.attentionFactor,
        beta_fast: scaling.betaFast,
        beta_slow: scaling.betaSlow,
      };
  }
}

/** Radians per position of the D/2 pairs, in float64. */
export function ropeFrequencies(config: RopeConfig): Float64Array {
  const { headDim: D, ropeTheta, ropeScaling } = config;
  const plain = Float64Array.from({ length: D / 2 }, (_, i) => ropeTheta ** (-2 * i / D));
  switch (ropeScaling?.type) {
    case undefined:
      return plain;
    case "linear":
      return plain.map((frequency) => frequency / ropeScaling.factor);
    case "llama3":
      return plain.map((frequency) => llama3Frequency(frequency, ropeScaling));
    case "yarn":
      return yarnFrequencies(plain, ropeTheta, ropeScaling);
  }
}

/** Mixes the two frequencies by how often the kept one turns over the original positions. */
function llama3Frequency(frequency: number, scaling: Llama3Scaling): number {
  const { factor, lowFreqFactor, highFreqFactor, originalPositions } = scaling;
  const turns = originalPositions * frequency / (2 * Math.PI);
  const kept = clamp((turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor));
  return kept * frequency + (1 - kept) * frequency / factor;
}

function yarnFrequencies(plain: Float64Array, theta: number, scaling: YarnScaling): Float64Array {
  const { factor, originalPositions, betaFast, betaSlow } = scaling;
  const D = 2 * plain.length;
  /** The (fractional) pair that turns so often over the original positions. */
  const pairOf = (turns: number) =>
    D * Math.log(originalPositions / (turns * 2 * Math.PI)) / (2 * Math.log(theta));
  const low = Math.max(0, Math.floor(pairOf(betaFast)));
  const high = Math.min(D - 1, Math.ceil(pairOf(betaSlow)));
  const width = high === low ? 0.001 : high - low;
  return plain.map((frequency, i) => {
    const divided = clamp((i - low) / width);
    return divided * frequency / factor + (1 - divided) * frequency;
  });
}

function clamp(x: number): number {
  return Math.min(1, Math.max(0, x));
}

/**
 * Cosines and sines of the positions: `(P, D)`, D/2 of each. Computed in float64. With YaRN they carry
 * its attention factor, so that the rotation scales queries and keys too.
 */
export function ropeTable(config: RopeConfig, positions: number): Float32Array<ArrayBuffer> {
  const { headDim: D, ropeScaling } = config;
  const half = D / 2, frequencies = ropeFrequencies(config);
  const scale = ropeScaling?.type === "yarn" ? ropeScaling.attentionFactor : 1;
  const table = new Float32Array(positions * D);
  for (let p = 0; p < positions; p++) {
    for (let i = 0; i < half; i++) {
      const angle = p * frequencies[i];
      table[p * D + i] = scale * Math.cos(angle);
      table[p * D + half + i] = scale * Math.sin(angle);
    }
  }
  return table;
}
