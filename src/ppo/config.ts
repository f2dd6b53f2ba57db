/**
 * Hyper-parameters of PPO. Defaults are Open-Reasoner-Zero's unless said otherwise.
 *
 * @module
 */
import * as z from "npm:zod@4.6.7";
import type { Fields, Schema } from "../base/mod.ts";

/** Sequence ids of step s start at s times this: unique over a run. */
export const idsPerStep = 2 ** 24;

const positive = z.number().positive();
const count = z.int().positive();
/** More than episodes in a step would be empty. */
const miniBatches = z.int().positive().max(idsPerStep);

/** How advantages are estimated. */
export const estimators = ["gae", "grpo", "reinforce++"] as const;
/** One of {@linkcode estimators}. */
export type Estimator = typeof estimators[number];

/** Schulman's estimators of a KL divergence. */
export const klEstimators = ["k1", "k2", "k3"] as const;
/** An estimator of a KL divergence. */
export type KlEstimator = typeof klEstimators[number];

/** Hyper-parameters of PPO (Thinker, arXiv 2505.21097; defaults of Open-Reasoner-Zero). */
export interface PpoConfig {
  /** Questions per rollout. */
  readonly questions: number;
  /** Episodes per question. */
  readonly samples: number;
  /** How advantages are estimated; only `gae` uses a critic. */
  readonly estimator: Estimator;
  /** The policy's learning rate after warm-up. */
  readonly actorLr: number;
  /** The critic's learning rate after warm-up. */
  readonly criticLr: number;
  /**
   * Updates over which a learning rate rises linearly, constant afterwards. Each model counts its own:
   * the critic, with many in a step, has risen sooner.
   */
  readonly warmupUpdates: number;
  /** AdamW's decay rates of the two moments. */
  readonly betas: readonly [number, number];
  /** AdamW's decoupled weight decay, of matrices only. */
  readonly weightDecay: number;
  /** Gradients are scaled down to this L2 norm over all parameters. */
  readonly gradNorm: number;
  /**
   * A gradient norm over so many times its median of the last 32 steps is a spike: it is scaled down to that
   * bound, counted, and said; null: none is.
   */
  readonly spikeFactor: number | null;
  /** The probability ratio is clipped to [1 - clipLow, 1 + clipHigh]. */
  readonly clipLow: number;
  /** The upper bound of the same clip, apart as in DAPO (arXiv 2503.14476). */
  readonly clipHigh: number;
  /** How far a value may move from the one at rollout time before the critic's loss is clipped. */
  readonly valueClip: number;
  /** Discount per token. */
  readonly gamma: number;
  /** GAE's trade of bias for variance; 1: returns without bootstrapping. */
  readonly lambda: number;
  /**
   * Factor by which the next stage's value flows back over a stage border; 0 makes every
   * stage its own credit-assignment unit.
   */
  readonly stageDiscount: number;
  /** Weight of the entropy bonus. */
  readonly entropyCoefficient: number;
  /** Weight of the KL to the policy before PPO; above 0 a frozen copy of it is kept. */
  readonly klCoefficient: number;
  /**
   * Schulman's estimators of that KL per token, with d = log π - log π_reference: k1 = d, k2 = d² / 2,
   * k3 = exp(-d) - 1 + d.
   */
  readonly klEstimator: KlEstimator;
  /**
   * Cap of truncated importance weights, which correct for log-probs that differ between rollout and
   * training; null: none. The built-in kernels need none: their gap is 0.
   */
  readonly importanceCap: number | null;
  /** Sampling temperature, which the loss applies too. */
  readonly temperature: number;
  /** Critic updates per rollout: so many mini-batches, each trained on once. */
  readonly criticMiniBatches: number;
  /** Policy updates per rollout; 1 keeps them on-policy. */
  readonly actorMiniBatches: number;
  /** Most tokens that go through a model at a time: it bounds activation memory. */
  readonly packTokens: number;
}

/** Checks the `ppo` part of a training config; every field has a default. */
export const ppoSchema: Schema<PpoConfig> = z.strictObject<Fields<PpoConfig>>({
  questions: count.default(128),
  samples: count.default(64),
  estimator: z.enum(estimators).default("gae"),
  actorLr: positive.default(1e-6),
  criticLr: positive.default(5e-6),
  warmupUpdates: z.int().nonnegative().default(50),
  betas: z.tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)]).default([0.9, 0.95]),
  weightDecay: z.number().nonnegative().default(0),
  gradNorm: positive.default(1),
  spikeFactor: z.number().min(1).nullable().default(10),
  clipLow: z.number().positive().max(1).default(0.2),
  clipHigh: positive.default(0.2),
  valueClip: positive.default(0.2),
  gamma: z.number().min(0).max(1).default(1),
  lambda: z.number().min(0).max(1).default(1),
  stageDiscount: z.number().min(0).max(1).default(0),
  entropyCoefficient: z.number().nonnegative().default(0),
  klCoefficient: z.number().nonnegative().default(0),
  klEstimator: z.enum(klEstimators).default("k3"),
  importanceCap: positive.nullable().default(null),
  temperature: positive.default(1),
  criticMiniBatches: miniBatches.default(12),
  actorMiniBatches: miniBatches.default(1),
  packTokens: count.default(16384),
}).refine(({ questions, samples }) => questions * samples <= idsPerStep, {
  message: `questions × samples must not exceed ${idsPerStep}, the sequence ids of a step`,
}).refine(({ estimator, samples }) => estimator !== "grpo" || samples > 1, {
  path: ["samples"],
  message: "grpo compares the samples of a question with each other, so it needs at least 2",
});
