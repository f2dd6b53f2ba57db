/**
 * What a rollout says about the policy: accuracies, rewards, lengths and truncations per stage.
 *
 * @module
 */
import {
  balancedVerification,
  finalAnswer,
  meanOf,
  type Segment,
  type Stage,
} from "../task/mod.ts";
import type { ScoredEpisode } from "./experience.ts";

/** Metrics `accuracy/*`, `reward/*`, `length/*`, `truncated/*` of a scored rollout. */
export function rolloutMetrics(samples: readonly ScoredEpisode[]): Record<string, number> {
  const episodes = samples.map((sample) => sample.episode);
  const metrics: Record<string, number> = {};
  const put = (key: string, values: readonly number[]) => {
    const value = meanOf(values);
    if (value !== undefined) metrics[key] = value;
  };
  const stages: Stage[] = ["fast", "verify", "slow", "summary", "answer"];
  for (const stage of stages) {
    const turns = samples.flatMap(({ episode, rewards }) =>
      episode.segments.flatMap((segment, i): [Segment, number][] =>
        segment.stage === stage ? [[segment, rewards[i]]] : []
      )
    );
    if (stage !== "verify") {
      put(`accuracy/${stage}`, turns.map(([turn]) => Number(turn.correct === true)));
    }
    put(`reward/${stage}`, turns.map(([, reward]) => reward));
    put(`length/${stage}`, turns.map(([turn]) => turn.length));
    put(`truncated/${stage}`, turns.map(([turn]) => Number(turn.truncated)));
  }
  const verify = balancedVerification(episodes);
  if (verify !== undefined) metrics["accuracy/verify"] = verify;
  put("accuracy/final", episodes.map((e) => Number(finalAnswer(e)?.correct === true)));
  put(
    "reward/episode",
    samples.map(({ rewards }) => rewards.reduce((a, b) => a + b, 0)),
  );
  return metrics;
}
