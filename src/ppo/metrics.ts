/**
 * What a rollout says about the policy: accuracies, rewards, lengths and truncations per stage.
 *
 * @module
 */
import { accuracies, type Segment, type StageSpec } from "../task/mod.ts";
import { mean, meanOf } from "../base/mod.ts";
import type { ScoredEpisode } from "./experience.ts";

/** Metrics `accuracy/*`, `reward/*`, `length/*`, `truncated/*` of a scored rollout, and how far rewards spread. */
export function rolloutMetrics(
  rollout: readonly ScoredEpisode[],
  stages: readonly Pick<StageSpec, "name" | "judges">[],
): Record<string, number> {
  const metrics: Record<string, number> = {};
  const put = (key: string, values: readonly number[]) => {
    const value = meanOf(values);
    if (value !== undefined) metrics[key] = value;
  };
  const accuracy = accuracies(rollout.map(({ episode }) => episode), stages);
  for (const [name, value] of Object.entries(accuracy)) metrics[`accuracy/${name}`] = value;
  /** Of each turn's reward from the mean of its stage. */
  const squares: number[] = [];
  for (const { name } of stages) {
    const turns = rollout.flatMap(({ episode, rewards }) =>
      episode.segments.flatMap((segment, i): [Segment, number][] =>
        segment.stage === name ? [[segment, rewards[i]]] : []
      )
    );
    const rewards = turns.map(([, reward]) => reward), average = mean(rewards);
    put(`reward/${name}`, rewards);
    for (const reward of rewards) squares.push((reward - average) ** 2);
    put(`length/${name}`, turns.map(([turn]) => turn.length));
    put(`truncated/${name}`, turns.map(([turn]) => Number(turn.truncated)));
  }
  put("rollout/reward_spread", squares.length > 0 ? [Math.sqrt(mean(squares))] : []);
  put("reward/episode", rollout.map(({ rewards }) => rewards.reduce((a, b) => a + b, 0)));
  return metrics;
}
