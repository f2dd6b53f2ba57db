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
  for (const { name } of stages) {
    if (accuracy[name] !== undefined) metrics[`accuracy/${name}`] = accuracy[name];
  }
  // Not under `accuracy`, where it would look like what an evaluation calls final.
  if (stages.length > 1) put("rollout/final_at_least", [accuracy.final]);
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
  const cost = checkCost(metrics, stages);
  return cost === undefined ? metrics : { ...metrics, "rollout/check_cost": cost };
}

/** Mean tokens of an answer and its verdict over those of the stage that a No leads to. */
function checkCost(
  metrics: Readonly<Record<string, number>>,
  stages: readonly Pick<StageSpec, "name" | "judges">[],
): number | undefined {
  const at = stages.findIndex(({ judges }) => judges !== undefined), next = stages[at + 1];
  if (at < 0 || next === undefined) return;
  const { name, judges } = stages[at];
  const [answer, verdict, more] = [judges, name, next.name].map((stage) =>
    metrics[`length/${stage}`]
  );
  const cost = (answer + verdict) / more;
  return Number.isFinite(cost) ? cost : undefined;
}

/** What the advantages of a rollout's actions leave to learn, and how well the critic foresaw the returns. */
export function advantageMetrics(
  { advantages, critic }: {
    readonly advantages: Float32Array;
    /** Its values at rollout time, and the returns that it learns. */
    readonly critic?: { readonly values: Float32Array; readonly returns: Float32Array };
  },
): Record<string, number> {
  const zeros = advantages.reduce((count, each) => count + Number(each === 0), 0);
  const metrics: Record<string, number> = { "ppo/zero_advantages": zeros / advantages.length };
  if (!critic) return metrics;
  const { values, returns } = critic;
  const all = variance(returns), left = variance(returns.map((each, i) => each - values[i]));
  return all > 0 ? { ...metrics, "ppo/explained_variance": 1 - left / all } : metrics;
}

function variance(values: Float32Array): number {
  const n = values.length, centre = values.reduce((sum, each) => sum + each, 0) / n;
  return values.reduce((sum, each) => sum + (each - centre) ** 2, 0) / n;
}
