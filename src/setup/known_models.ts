/**
 * Shapes of the models that presets start from, so that a run can be planned before its model is
 * downloaded. What is run is always the folder's own config.json.
 *
 * @module
 */
import type { ModelConfig } from "../model/mod.ts";

const qwen2 = {
  architecture: "Qwen2ForCausalLM",
  layers: 28,
  headDim: 128,
  maxPositions: 131072,
  normEps: 1e-6,
  qkvBias: true,
  qkNorm: false,
  eos: [151643],
  dtype: "bfloat16",
} as const;
const qwen15 = { ...qwen2, hidden: 1536, ffn: 8960, heads: 12, kvHeads: 2, vocab: 151936 };

/** By the name of the repository. */
export const knownModels: Readonly<Record<string, ModelConfig>> = {
  "Qwen/Qwen2.5-1.5B": { ...qwen15, ropeTheta: 1e6, tiedHead: true, bos: 151643 },
  "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B": {
    ...qwen15,
    ropeTheta: 1e4,
    tiedHead: false,
    bos: 151646,
  },
  "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B": {
    ...qwen2,
    hidden: 3584,
    ffn: 18944,
    heads: 28,
    kvHeads: 4,
    vocab: 152064,
    ropeTheta: 1e4,
    tiedHead: false,
    bos: 151646,
  },
};
