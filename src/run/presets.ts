/**
 * Presets: complete training configs by name.
 *
 * @module
 */
import { type TrainConfig, trainConfigSchema } from "./config.ts";

/**
 * `tiny`: learns to think fast and slow about sums on a laptop CPU in minutes. A Qwen2-architecture
 * model of under a million parameters is made, warm-started on scripted dialogues that are right only
 * part of the time, and trained with PPO. Its own learning rates: a model this small wants rates a
 * hundred times those of the 1.5B models. Fast budgets leave no room to calculate, slow ones do.
 */
export const tiny: TrainConfig = trainConfigSchema.parse({
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
    prompts: 64,
    samples: 4,
    actorLr: 3e-4,
    criticLr: 1e-3,
    warmupSteps: 3,
    criticMiniBatches: 4,
    actorMiniBatches: 1,
    packTokens: 4096,
  },
});

/** Every preset by name. */
export const presets: Readonly<Record<TrainConfig["preset"], TrainConfig>> = { tiny };
