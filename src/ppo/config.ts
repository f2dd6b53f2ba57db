/**
 * Hyper-parameters of PPO. Defaults are Open-Reasoner-Zero's unless said otherwise.
 *
 * @module
 */
import * as z from "npm:zod@^4";

const positive = z.number().positive();
const count = z.int().positive();

/** The schema of the `ppo` part of a training config. */
export const ppoSchema = z.strictObject({
  /** Questions per rollout, and episodes per question. */
  prompts: count.default(128),
  samples: count.default(64),
  /** How advantages are estimated; only gae uses a critic. */
  estimator: z.enum(["gae", "grpo", "reinforce++"]).default("gae"),
  actorLr: positive.default(1e-6),
  criticLr: positive.default(5e-6),
  /** Steps over which both learning rates rise linearly; constant afterwards. */
  warmupSteps: z.int().nonnegative().default(50),
  betas: z.tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)]).default([0.9, 0.95]),
  weightDecay: z.number().nonnegative().default(0),
  /** Gradients are scaled down to this norm. */
  gradNorm: positive.default(1),
  /** The ratio is clipped to [1 - clip, 1 + clip]. */
  clip: positive.default(0.2),
  valueClip: positive.default(0.2),
  gamma: z.number().min(0).max(1).default(1),
  lambda: z.number().min(0).max(1).default(1),
  /**
   * Factor by which the next stage's value flows back over a stage border; 0 makes every stage its
   * own credit-assignment unit.
   */
  stageDiscount: z.number().min(0).max(1).default(0),
  entropyCoefficient: z.number().nonnegative().default(0),
  /** Weight of the KL to the policy before PPO; above 0 a frozen copy of it is kept. */
  klCoefficient: z.number().nonnegative().default(0),
  klEstimator: z.enum(["k1", "k2", "k3"]).default("k3"),
  /**
   * Cap of truncated importance weights, which correct for log-probs that differ between rollout and
   * training; null: none. The built-in kernels need none: their gap is 0.
   */
  importanceCap: positive.nullable().default(null),
  /** Sampling temperature, which the loss applies too. */
  temperature: positive.default(1),
  /** Updates per rollout: the batch is cut into so many mini-batches, each trained on once. */
  criticMiniBatches: count.default(12),
  actorMiniBatches: count.default(1),
  /** Most tokens that go through a model at a time. */
  packTokens: count.default(16384),
  /** Weight of the log-probability term in the summary's reward, and how it is reduced. */
  summaryCoefficient: z.number().nonnegative().default(1e-3),
  summaryReduce: z.enum(["sum", "mean"]).default("sum"),
});

/** Hyper-parameters of PPO. */
export type PpoConfig = z.output<typeof ppoSchema>;
