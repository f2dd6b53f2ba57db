/**
 * Presets: complete training configs by name.
 *
 * @module
 */
import { tinySettings } from "../tiny/mod.ts";
import { type PresetName, type TrainConfig, trainConfigSchema } from "./config.ts";

const tiny: TrainConfig = trainConfigSchema.parse(tinySettings);

/**
 * What the presets of real models share: the paper's budgets and Open-Reasoner-Zero's hyper-parameters,
 * which are the defaults of `ppo`. Activations are recomputed, as there. Shape and warm start only
 * matter for a model made here; they are those of `tiny`.
 */
const real = {
  ...tiny,
  prompts: "default",
  budgets: {},
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
