/**
 * How well the policy of a run answers the held-out problems.
 *
 * @module
 */
import { meanOf, type Metrics } from "../base/mod.ts";
import { accuraciesAfter, type Episode, type Task } from "../task/mod.ts";
import { evaluate, type Evaluation, passAtK, powersUpTo } from "../rollout/mod.ts";
import type { OpenRun } from "./open.ts";

/**
 * Asks the held-out problems, sampled as in training and greedily: metrics `eval/*`, `greedy/*`, and from
 * several samples of each problem `pass@k/*`. Nothing where no problem is held out.
 */
export async function measure(
  run: OpenRun,
  task: Task,
  { samples, signal }: { samples: number; signal?: AbortSignal },
): Promise<Metrics> {
  const { held: problems } = run.problems;
  if (problems.length === 0) return {};
  const seed = BigInt(run.config.seed), grade = run.pool.grader();
  const ask = { task, problems, grade, seed, signal };
  const sampled = await evaluate(run.engine, { ...ask, samples });
  const greedy = await evaluate(run.engine, {
    ...ask,
    sampling: { temperature: 0, topP: 1, topK: 0 },
  });
  return evalMetrics(task, { sampled, greedy, samples });
}

/** Metrics of one evaluation: `eval/*`, `greedy/*`, `pass@k/*`. */
export function evalMetrics(
  { stages }: Pick<Task, "stages">,
  { sampled, greedy, samples }: {
    readonly sampled: Evaluation;
    readonly greedy: Evaluation;
    /** Of each problem, in a row. */
    readonly samples: number;
  },
): Metrics {
  const [{ name: first }, ...later] = stages, single = later.length === 0;
  const metrics: Metrics = { [`eval/${first}_tokens`]: sampled.firstTokens };
  const put = (group: string, accuracy: Evaluation["accuracy"]) => {
    for (const [name, value] of Object.entries(accuracy)) {
      if (!single || name === first) metrics[`${group}/${name}`] = value;
    }
  };
  put("eval", { ...sampled.accuracy, ...accuraciesAfter(sampled.episodes, stages) });
  put("greedy", greedy.accuracy);
  if (!single) metrics["eval/tokens"] = sampled.tokens;
  for (const k of powersUpTo(samples).slice(1)) {
    const passAt = (isRight: (episode: Episode) => boolean) =>
      meanOf(countsOf(sampled.episodes, samples, isRight).map((c) => passAtK(samples, c, k)))!;
    metrics[`pass@${k}/${first}`] = passAt(({ segments }) => segments[0].correct === true);
    if (!single) metrics[`pass@${k}/final`] = passAt(({ final }) => final?.correct === true);
  }
  return metrics;
}

/** Of each problem, how many of its samples are right. */
function countsOf(
  episodes: readonly Episode[],
  samples: number,
  isRight: (episode: Episode) => boolean,
): number[] {
  const counts: number[] = Array(episodes.length / samples).fill(0);
  episodes.forEach((episode, i) => counts[Math.floor(i / samples)] += Number(isRight(episode)));
  return counts;
}
