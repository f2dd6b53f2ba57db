/**
 * From a GGUF file's metadata and tensors to the way its RoPE is scaled.
 *
 * @module
 */
import { dequantise } from "./gguf_blocks.ts";
import type { GgufFile, GgufTensor } from "./gguf.ts";
import type { Metadata } from "./gguf_metadata.ts";
import { type Llama3Scaling, type RopeConfig, ropeFrequencies, type RopeScaling } from "./rope.ts";

/** The tensor with a divisor of each frequency, which Llama 3.1 and later have. */
export const ropeFactorsName = "rope_freqs.weight";
const longFactorsName = "rope_factors_long.weight";
/** How far two ways to compute a frequency in float32 lie apart at most. */
const tolerance = 1e-5;

/**
 * The scaling of a file's RoPE; undefined for plain RoPE.
 *
 * @param plain What its RoPE depends on without scaling.
 * @param maxPositions What the original length defaults to.
 * @throws {UserError} for a scaling that is not supported, lacks a number, or follows no known rule.
 */
export function ggufRopeScaling(
  file: Pick<GgufFile, "tensors" | "read">,
  meta: Metadata,
  architecture: string,
  plain: RopeConfig,
  maxPositions: number,
): RopeScaling | undefined {
  const real = (key: string) => meta.real(`${architecture}.rope.scaling.${key}`);
  const factor = real("factor") ?? meta.real(`${architecture}.rope.scale_linear`) ?? 0;
  // Linear is what llama.cpp takes a factor without a type for, and 0 is none.
  const named = meta.text(`${architecture}.rope.scaling.type`) ?? "linear";
  const type = named === "linear" && (factor === 0 || factor === 1) ? "none" : named;
  if (type === "longrope" || file.tensors.has(longFactorsName)) {
    meta.refuse(
      'RoPE scaling "longrope" is not supported',
      "its model cannot be imported: take one whose RoPE is plain, linear, llama3 or yarn",
    );
  }
  if (type !== "none" && type !== "linear" && type !== "yarn") {
    meta.refuse(
      `RoPE scaling ${JSON.stringify(type)} is not supported`,
      "take a model whose RoPE is plain, linear, llama3 or yarn",
    );
  }
  const attention = real("attn_factor") ?? 1;
  if (type !== "yarn" && attention !== 1) {
    meta.refuse(
      `scales attention by ${attention} without YaRN, which is not supported`,
      "take a model whose RoPE is plain, linear, llama3 or yarn",
    );
  }
  const factors = file.tensors.get(ropeFactorsName);
  if (factors && type !== "none") {
    meta.refuse(`has both ${type} scaling and ${ropeFactorsName}`, "convert the model again");
  }
  if (factors) return llama3Scaling(readFactors(file, factors, plain, meta), plain, meta);
  if (type === "linear") return { type, factor };
  return type === "yarn" ? yarnScaling(meta, architecture, maxPositions) : undefined;
}

function yarnScaling(
  meta: Metadata,
  architecture: string,
  maxPositions: number,
): RopeScaling {
  const at = (key: string) => `${architecture}.rope.scaling.${key}`;
  for (const [key, usual] of [["yarn_log_multiplier", 0], ["yarn_ext_factor", 1]] as const) {
    const value = meta.real(at(key)) ?? usual;
    if (value !== usual) {
      meta.refuse(`YaRN with ${key} ${value} is not supported`, "take a model without it");
    }
  }
  const factor = meta.needReal(at("factor"));
  // The conversion writes transformers' attention_factor as yarn_attn_factor; it replaces YaRN's own.
  const own = meta.real(at("yarn_attn_factor")) ?? 0.1 * Math.log(factor) + 1;
  return {
    type: "yarn",
    factor,
    originalPositions: meta.count(at("original_context_length")) ?? maxPositions,
    betaFast: meta.real(at("yarn_beta_fast")) ?? 32,
    betaSlow: meta.real(at("yarn_beta_slow")) ?? 1,
    attentionFactor: own * (meta.real(at("attn_factor")) ?? 1),
  };
}

function readFactors(
  file: Pick<GgufFile, "read">,
  tensor: GgufTensor,
  { headDim }: RopeConfig,
  meta: Metadata,
): Float32Array {
  const elements = tensor.shape.reduce((product, n) => product * n, 1);
  if (elements !== headDim / 2) {
    meta.refuse(
      `${tensor.name} has ${elements} factors for ${headDim / 2} frequencies`,
      "the file is damaged: get it again",
    );
  }
  const bytes = new Uint8Array(tensor.bytes);
  file.read(tensor, 0, bytes);
  return dequantise(bytes, tensor.type);
}

/**
 * Llama 3.1's rule, from the divisors that it gave. The part of a frequency that it keeps is linear in the
 * frequency, from none to all of it: where those two ends lie is what the divisors show.
 */
function llama3Scaling(
  factors: Float32Array,
  plain: RopeConfig,
  meta: Metadata,
): RopeScaling | undefined {
  const frequencies = ropeFrequencies(plain);
  const refuse = (what: string): never =>
    meta.refuse(
      `${ropeFactorsName} ${what}`,
      "only Llama 3.1's rule is known: take the model's safetensors folder instead",
    );
  if (!factors.every((each) => each >= 1 && each < Infinity)) refuse("has factors below 1");
  const factor = rounded(factors.reduce((a, b) => Math.max(a, b)));
  if (factor === 1) return undefined;
  const points = Array.from(factors, (divisor, i) => ({
    frequency: frequencies[i],
    kept: (1 / divisor - 1 / factor) / (1 - 1 / factor),
  }));
  if (points.every(({ kept }) => kept < edge)) return { type: "linear", factor };
  const scaling = llama3Numbers(factor, rampEnds(points));
  const scaled = ropeFrequencies({ ...plain, ropeScaling: scaling });
  const follows = scaled.every((frequency, i) =>
    Math.abs(frequency * factors[i] / frequencies[i] - 1) <= tolerance
  );
  return follows ? scaling : refuse("follows no known rule");
}

/** Which part of a frequency is kept. */
interface Point {
  readonly frequency: number;
  readonly kept: number;
}

/** Below this a kept part counts as none; float32 divisors leave some. */
const edge = 1e-6;
/** One end's frequency over the other's in every published model: for divisors that leave it open. */
const usualSpan = 4;

/** The frequencies of which nothing is kept any more, and all of it still, from the highest one down. */
function rampEnds(points: readonly Point[]): { none: number; all: number } {
  const ramp = points.filter(({ kept }) => kept >= edge && kept <= 1 - edge);
  const above = points.findLast(({ kept }) => kept > 1 - edge)?.frequency ?? Infinity;
  const below = points.find(({ kept }) => kept < edge)?.frequency ?? 0;
  if (ramp.length === 0) {
    const span = Math.sqrt(Math.min(usualSpan, above / below)), middle = Math.sqrt(above * below);
    return { none: middle / span, all: middle * span };
  }
  const { frequency, kept } = ramp[0], last = ramp[ramp.length - 1];
  // The line's width goes by its slope; one point alone leaves that open, but for its neighbours.
  const width = ramp.length > 1 ? (frequency - last.frequency) / (kept - last.kept) : Math.min(
    (usualSpan - 1) * frequency / (1 + (usualSpan - 1) * kept),
    (frequency - below) / kept,
    (above - frequency) / (1 - kept),
  );
  return { none: frequency - kept * width, all: frequency + (1 - kept) * width };
}

/**
 * The rule's numbers. They count turns over the original positions, so only their ratios matter: the
 * positions are a whole number, and where that fits lowFreqFactor is 1, as in every published model.
 */
function llama3Numbers(
  factor: number,
  { none, all }: { none: number; all: number },
): Llama3Scaling {
  const originalPositions = Math.max(1, Math.round(2 * Math.PI / none));
  const turns = (frequency: number) => rounded(originalPositions * frequency / (2 * Math.PI));
  return {
    type: "llama3",
    factor,
    lowFreqFactor: turns(none),
    highFreqFactor: turns(all),
    originalPositions,
  };
}

/** Without the last digits, which rounding to float32 has made up. */
function rounded(value: number): number {
  return Number(value.toPrecision(6));
}
