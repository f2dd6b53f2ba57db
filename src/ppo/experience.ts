/**
 * From scored episodes to what the losses take: one flat list of actions with rewards and credit
 * segments.
 *
 * @module
 */
import type { Episode } from "../task/mod.ts";
import { actionsOf, type Sample } from "./packing.ts";

/** An episode with one reward per segment, as a training sample. */
export interface ScoredEpisode extends Sample {
  /** The dialogue that it is made of. */
  readonly episode: Episode;
  /** `(segments)`. */
  readonly rewards: readonly number[];
  /** Number of the question in the rollout: samples of one question share it. */
  readonly group: number;
}

/** Joins an episode with its rewards. */
export function scored(
  episode: Episode,
  rewards: readonly number[],
  group: number,
): ScoredEpisode {
  return { ids: episode.ids, spans: episode.segments, episode, rewards, group };
}

/** Flat arrays over all actions of a batch, in the order of the samples. */
export interface Experience {
  /** `(N)`: log-probs at sampling time. */
  readonly logprobs: Float32Array<ArrayBuffer>;
  /** `(N)`: a segment's reward stands on its last action. */
  readonly rewards: Float32Array<ArrayBuffer>;
  /** `(S + 1)`: where the segments begin. */
  readonly segments: Int32Array<ArrayBuffer>;
  /** `(S)`: how much of the next segment's value flows back; 0 at the end of an episode. */
  readonly link: Float32Array<ArrayBuffer>;
}

/** Flattens samples. `stageDiscount` links the stages of one episode. */
export function flatten(samples: readonly ScoredEpisode[], stageDiscount: number): Experience {
  const n = samples.reduce((total, sample) => total + actionsOf(sample), 0);
  const logprobs = new Float32Array(n), rewards = new Float32Array(n);
  const segments = [0], link: number[] = [];
  let at = 0;
  for (const { episode, rewards: earned } of samples) {
    episode.segments.forEach((segment, s) => {
      logprobs.set(segment.logprobs, at);
      at += segment.length;
      rewards[at - 1] = earned[s];
      segments.push(at);
      link.push(s + 1 < episode.segments.length ? stageDiscount : 0);
    });
  }
  return {
    logprobs,
    rewards,
    segments: Int32Array.from(segments),
    link: Float32Array.from(link),
  };
}
