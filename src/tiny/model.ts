/**
 * The toy's model and settings: small enough to learn on a laptop's CPU in minutes.
 *
 * @module
 */
import type { ModelConfig } from "../model/mod.ts";
import type { Codec, Prompts } from "../task/mod.ts";
import templates from "./prompts.json" with { type: "json" };
import { tinyVocabSize } from "./tokenizer.ts";

/** One-word templates: the toy's context is a few dozen tokens. */
export const tinyPrompts: Prompts = templates;

/** A Qwen2 of the given shape over the toy's tokenizer. */
export function tinyModelConfig(
  shape: Pick<
    ModelConfig,
    "hidden" | "ffn" | "layers" | "heads" | "kvHeads" | "headDim" | "maxPositions"
  >,
  codec: Pick<Codec, "id">,
): ModelConfig {
  return {
    architecture: "Qwen2ForCausalLM",
    ...shape,
    vocab: tinyVocabSize,
    ropeTheta: 10000,
    normEps: 1e-6,
    tiedHead: false,
    qkvBias: true,
    qkNorm: false,
    eos: [codec.id("<|im_end|>"), codec.id("<|endoftext|>")],
    bos: null,
    dtype: "float32",
  };
}

/**
 * Settings of the preset `tiny`: it learns to think fast and slow about sums. A Qwen2-architecture model of
 * under a million parameters is made, warm-started on scripted dialogues that are right only part of the
 * time, and trained with PPO. Its own learning rates: a model this small wants rates a hundred times those
 * of the 1.5B models. Fast budgets leave no room to calculate, slow ones do.
 */
export const tinySettings = {
  preset: "tiny",
  shape: {
    hidden: 64,
    ffn: 192,
    layers: 4,
    heads: 4,
    kvHeads: 2,
    headDim: 16,
    maxPositions: 2048,
  },
  budgets: { fast: 10, verify: 56, slow: 48, summary: 10, answer: 48 },
  promptLimit: 1200,
  steps: 100,
  evalEvery: 20,
  saveEvery: 5,
  evalProblems: 1000,
  engine: { maxSequences: 128, cacheTokens: 128 * 256 },
  warmstart: {
    steps: 2200,
    batch: 32,
    lr: 4e-3,
    skill: { fast: 0.6, verify: 0.75, slow: 0.7, summary: 0.9, answer: 0.6 },
  },
  ppo: {
    questions: 64,
    samples: 4,
    actorLr: 3e-4,
    criticLr: 1e-3,
    warmupUpdates: 3,
    criticMiniBatches: 4,
    actorMiniBatches: 1,
    packTokens: 4096,
  },
} as const;
