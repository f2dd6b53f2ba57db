/**
 * Presets: complete training configs by name.
 *
 * @module
 */
import { defaultBudgets } from "../task/mod.ts";
import { type PresetName, type TrainConfig, trainConfigSchema } from "./config.ts";

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

/**
 * What the presets of real models share: the paper's budgets and Open-Reasoner-Zero's hyper-parameters,
 * which are the defaults of `ppo`. Activations are recomputed, as there. Shape and warm start only
 * matter for a model made here; they are those of `tiny`.
 */
const real = {
  ...tiny,
  prompts: "default",
  budgets: { ...defaultBudgets, answer: 8000 },
  promptLimit: 2048,
  steps: 1000,
  evalEvery: 10,
  saveEvery: 50,
  evalProblems: 500,
  recompute: true,
};
const [small, large] = [96, 16].map((sequences) => sequences * 2 ** 14);

/** `q1.5b`: Qwen2.5-1.5B, the general base model. */
const q15: TrainConfig = trainConfigSchema.parse({
  ...real,
  preset: "q1.5b",
  repository: "Qwen/Qwen2.5-1.5B",
  engine: { maxSequences: 512, cacheTokens: small },
  ppo: { packTokens: 32768 },
});

/** `r1.5b`: DeepSeek-R1-Distill-Qwen-1.5B. */
const r15: TrainConfig = trainConfigSchema.parse({
  ...real,
  preset: "r1.5b",
  repository: "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B",
  engine: { maxSequences: 512, cacheTokens: small },
  ppo: { packTokens: 32768 },
});

/** `r7b`: DeepSeek-R1-Distill-Qwen-7B; actor and critic do not fit one GPU, see `thinker plan`. */
const r7: TrainConfig = trainConfigSchema.parse({
  ...real,
  preset: "r7b",
  repository: "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B",
  engine: { maxSequences: 256, cacheTokens: large },
  ppo: { packTokens: 20480 },
});

/** Every preset by name. */
export const presets: Readonly<Record<PresetName, TrainConfig>> = {
  tiny,
  "q1.5b": q15,
  "r1.5b": r15,
  r7b: r7,
};
