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
    hidden: 128,
    ffn: 384,
    layers: 4,
    heads: 4,
    kvHeads: 2,
    headDim: 32,
    maxPositions: 2048,
  },
  budgets: { fast: 10, verify: 40, slow: 48, summary: 10, answer: 48 },
  promptLimit: 1200,
  steps: 40,
  evalEvery: 10,
  saveEvery: 5,
  evalProblems: 1000,
  engine: { maxSequences: 128, cacheTokens: 128 * 256 },
  warmstart: {
    steps: 400,
    batch: 64,
    lr: 3e-3,
    skill: { fast: 0.5, verify: 0.7, slow: 0.6, summary: 0.8, answer: 0.5 },
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
