/** Small decoders for tests: shapes, random weights, and gradients by name. */
import { Decoder, type DecoderOptions, type ModelConfig } from "../../src/model/mod.ts";
import type { Tensor } from "../../ffi/mod.ts";
import type { Lab, Rand } from "../native.ts";
import type { Weights } from "./reference.ts";

/** A decoder small enough for finite differences, with sizes that are no powers of two. */
export function tinyConfig(changes: Partial<ModelConfig> = {}): ModelConfig {
  return {
    architecture: "Qwen2ForCausalLM",
    hidden: 24,
    ffn: 37,
    layers: 2,
    heads: 4,
    kvHeads: 2,
    headDim: 16,
    vocab: 61,
    maxPositions: 64,
    ropeTheta: 100,
    normEps: 1e-5,
    tiedHead: true,
    qkvBias: true,
    qkNorm: false,
    eos: [1],
    bos: null,
    dtype: "float32",
    ...changes,
  };
}

/** What Qwen3, Llama and their scaled RoPE change, by name; Qwen2 is `tinyConfig` itself. */
export const families: Readonly<Record<string, Partial<ModelConfig>>> = {
  "Qwen2, YaRN": {
    ropeScaling: {
      type: "yarn",
      factor: 4,
      originalPositions: 16,
      betaFast: 2,
      betaSlow: 0.5,
      attentionFactor: 1.2,
    },
  },
  Qwen3: { architecture: "Qwen3ForCausalLM", qkvBias: false, qkNorm: true },
  "Llama, linear": {
    architecture: "LlamaForCausalLM",
    qkvBias: false,
    ropeScaling: { type: "linear", factor: 3 },
  },
  "Llama 3": {
    architecture: "LlamaForCausalLM",
    qkvBias: false,
    ropeScaling: {
      type: "llama3",
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalPositions: 32,
    },
  },
};

/**
 * A decoder with weights far from their usual start, so that every part of it matters: matrices
 * N(0, 1/K) times `gain`, norms around 1, biases around 0.
 */
export function randomDecoder(
  lab: Lab,
  config: ModelConfig,
  options: DecoderOptions,
  rand: Rand,
  gain = 1,
): Decoder {
  const decoder = new Decoder(lab.stream, config, options);
  const { layout, master } = decoder.params;
  for (const { name, shape, offset } of layout.slots.values()) {
    const size = shape.reduce((a, b) => a * b, 1);
    const scale = shape.length === 2 ? gain / Math.sqrt(shape[1]) : 0.3;
    const values = rand.normal(size, scale);
    if (name.endsWith("norm.weight")) values.forEach((value, i) => values[i] = 1 + value);
    lab.stream.upload(master.flat.view(offset, [size]), values);
  }
  decoder.params.refresh(lab.stream);
  return decoder;
}

/** Downloads a flat parameter or gradient buffer and cuts it by name. */
export async function byName(lab: Lab, decoder: Decoder, flat: Tensor): Promise<Weights> {
  const all = await lab.f32(flat);
  const slots = [...decoder.params.layout.slots.values()];
  return new Map(slots.map(({ name, shape, offset }) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return [name, Float64Array.from(all.subarray(offset, offset + size))];
  }));
}

/** Random token sequences of the given lengths. */
export function randomSequences(rand: Rand, lengths: readonly number[], vocab: number): number[][] {
  return lengths.map((length) => [...rand.ints(length, 0, vocab)]);
}
