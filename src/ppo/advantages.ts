/**
 * Advantage estimators over one rollout.
 *
 * - `gae`: generalised advantage estimation with a critic (arXiv 1506.02438), whitened over all actions.
 * - `grpo`: a segment's reward against its group, (r - mean) / std (DeepSeekMath, arXiv 2402.03300). A
 *   group is the samples of one question that reached the stage; a group of one, or one without spread,
 *   gives advantage 0.
 * - `reinforce++`: the discounted reward to go, whitened over all actions (arXiv 2501.03262); no critic.
 *
 * @module
 */
import {
  gae,
  type Stream,
  type Tensors,
  TensorSet,
  type TensorSpecs,
  whiten,
} from "../../ffi/mod.ts";
import { memoryFor } from "../base/mod.ts";
import type { PpoConfig } from "./config.ts";
import type { Experience, ScoredEpisode } from "./experience.ts";

/** Arrays over the actions and segments of one rollout. */
export type RolloutTensor =
  | "logprobs"
  | "rewards"
  | "values"
  | "advantages"
  | "returns"
  | "segments"
  | "link"
  | "refLogprobs"
  | "oldLogprobs"
  | "importanceWeights"
  | "norms";

/** What N actions in S segments take on the device, as far as the config needs it. */
export function rolloutSpecs(
  N: number,
  S: number,
  config: Pick<PpoConfig, "klCoefficient" | "importanceCap">,
): TensorSpecs<RolloutTensor> {
  const referred = config.klCoefficient > 0 ? N : 0;
  const weighted = config.importanceCap === null ? 0 : N;
  return {
    /** Log-probs at sampling time. */
    logprobs: ["f32", N],
    /** A segment's reward stands on its last action. */
    rewards: ["f32", N],
    /** What the critic expected; zero until it is asked. */
    values: ["f32", N],
    /** Filled by `estimateAdvantages`. */
    advantages: ["f32", N],
    /** The critic's targets, filled likewise. */
    returns: ["f32", N],
    /** Where the segments begin. */
    segments: ["i32", S + 1],
    /** How much of the next segment's value flows back. */
    link: ["f32", S],
    /** Log-probs of the reference policy, for a KL term. */
    refLogprobs: ["f32", referred],
    /** Log-probs of the training pass before the first update, where actions are weighted. */
    oldLogprobs: ["f32", weighted],
    /** The weights: how much likelier an action is to the training pass than to the sampler. */
    importanceWeights: ["f32", weighted],
    /** Of values and advantages: finite if all of them are. */
    norms: ["f32", 2],
  };
}

/** Uploads an experience; values start at zero. */
export function uploadRollout(
  stream: Stream,
  { logprobs, rewards, segments, link }: Experience,
  config: PpoConfig,
): TensorSet<RolloutTensor> {
  const specs = rolloutSpecs(logprobs.length, link.length, config);
  const rollout = memoryFor(
    "the arrays over a rollout",
    "lower ppo.questions, ppo.samples or the budgets",
    () => new TensorSet(stream.device, specs),
  );
  const { t } = rollout;
  stream.upload(t.logprobs, logprobs);
  stream.upload(t.rewards, rewards);
  stream.upload(t.segments, segments);
  stream.upload(t.link, link);
  stream.fill(t.values, 0);
  return rollout;
}

/** Fills `batch.advantages`, and with a critic (values are in the batch) `batch.returns`. */
export function estimateAdvantages(
  stream: Stream,
  batch: Tensors<RolloutTensor>,
  samples: readonly ScoredEpisode[],
  config: PpoConfig,
): void {
  if (config.estimator === "grpo") {
    stream.upload(batch.advantages, groupAdvantages(samples));
    return;
  }
  const { advantages, returns, rewards, values, segments, link } = batch;
  const lambda = config.estimator === "gae" ? config.lambda : 1; // without values: the reward to go
  gae(stream, {
    advantages,
    returns,
    rewards,
    values,
    segments,
    link,
    gamma: config.gamma,
    lambda,
  });
  whiten(stream, advantages);
}

/** GRPO advantages of every action `(N)`: equal for all actions of a segment. */
export function groupAdvantages(samples: readonly ScoredEpisode[]): Float32Array<ArrayBuffer> {
  const groups = new Map<string, number[]>();
  const key = (sample: ScoredEpisode, s: number) =>
    `${sample.group}/${sample.episode.segments[s].stage}`;
  for (const sample of samples) {
    sample.rewards.forEach((reward, s) => {
      const name = key(sample, s);
      groups.set(name, [...groups.get(name) ?? [], reward]);
    });
  }
  const values: number[] = [];
  for (const sample of samples) {
    sample.episode.segments.forEach(({ length }, s) => {
      const rewards = groups.get(key(sample, s))!;
      const mean = rewards.reduce((a, b) => a + b, 0) / rewards.length;
      const variance = rewards.reduce((a, b) => a + (b - mean) ** 2, 0) / rewards.length;
      const deviation = Math.sqrt(variance);
      // Equal rewards differ from their mean by rounding: that is no spread.
      const advantage = deviation > 1e-6 ? (sample.rewards[s] - mean) / deviation : 0;
      for (let i = 0; i < length; i++) values.push(advantage);
    });
  }
  return Float32Array.from(values);
}
