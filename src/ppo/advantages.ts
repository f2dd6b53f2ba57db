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
  type Allocation,
  type Device,
  gae,
  type Stream,
  type Tensor,
  whiten,
} from "../../ffi/mod.ts";
import type { PpoConfig } from "./config.ts";
import type { Experience, ScoredEpisode } from "./experience.ts";

/**
 * Bytes of a {@linkcode BatchTensors} over N actions and S segments.
 *
 * @param more Arrays over the actions that are `put` beside its own five.
 */
export function batchTensorBytes(actions: number, segments: number, more: number): number {
  return 4 * ((5 + more) * actions + 2 * segments + 1);
}

/** Device arrays over the N actions and S segments of one rollout. */
export class BatchTensors implements Disposable {
  /** `(N)` float32: log-probs at sampling time. */
  readonly logprobs: Tensor;
  /** `(N)` float32: a segment's reward stands on its last action. */
  readonly rewards: Tensor;
  /** `(N)` float32: what the critic expected; zero until it is asked. */
  readonly values: Tensor;
  /** `(N)` float32, filled by `estimateAdvantages`. */
  readonly advantages: Tensor;
  /** `(N)` float32: the critic's targets, filled likewise. */
  readonly returns: Tensor;
  /** `(S + 1)` int32: where the segments begin. */
  readonly segments: Tensor;
  /** `(S)` float32: how much of the next segment's value flows back. */
  readonly link: Tensor;
  readonly #device: Device;
  readonly #memory: Allocation[] = [];

  /** Uploads an experience; values start at zero. */
  constructor(stream: Stream, experience: Experience) {
    this.#device = stream.device;
    const { logprobs, rewards, segments, link } = experience;
    this.logprobs = this.put(stream, logprobs);
    this.rewards = this.put(stream, rewards);
    this.segments = this.put(stream, segments);
    this.link = this.put(stream, link);
    this.values = this.#alloc("f32", logprobs.length);
    this.advantages = this.#alloc("f32", logprobs.length);
    this.returns = this.#alloc("f32", logprobs.length);
    stream.fill(this.values, 0);
  }

  /** Uploads one more array; it lives as long as the batch. */
  put(stream: Stream, data: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>): Tensor {
    const tensor = this.#alloc(data instanceof Float32Array ? "f32" : "i32", data.length);
    stream.upload(tensor, data);
    return tensor;
  }

  #alloc(dtype: "f32" | "i32", size: number): Tensor {
    const memory = this.#device.alloc(dtype, [size]);
    this.#memory.push(memory);
    return memory.tensor;
  }

  /** Frees them all. */
  [Symbol.dispose](): void {
    for (const memory of this.#memory) memory[Symbol.dispose]();
  }
}

/** Fills `batch.advantages`, and with a critic (values are in the batch) `batch.returns`. */
export function estimateAdvantages(
  stream: Stream,
  batch: BatchTensors,
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
