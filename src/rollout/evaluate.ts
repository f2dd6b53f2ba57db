/**
 * Evaluation of a policy on fixed problems under the inference transitions.
 *
 * @module
 */
import type { Engine, RunStats, SamplingOptions } from "../engine/mod.ts";
import type { Grader } from "../grade/mod.ts";
import { accuracies, type Episode, type Task, type TaskProblem } from "../task/mod.ts";
import { meanOf } from "../base/mod.ts";
import { playEpisodes } from "./play.ts";

/** Sequences of evaluations are numbered from 2^62: they share no random number with training. */
export const firstId: bigint = 1n << 62n;

/** What to evaluate. */
export interface EvaluateOptions {
  /** How a question is asked. */
  readonly task: Task;
  /** What to ask; without a gold answer a problem counts as wrong. */
  readonly problems: readonly TaskProblem[];
  /** Compares answers with gold answers. */
  readonly grade: Grader;
  /** Key of the sampler. */
  readonly seed: bigint;
  /** Default: temperature 1, nothing truncated, as in training. */
  readonly sampling?: SamplingOptions;
  /** Episodes per problem; default 1. */
  readonly samples?: number;
  /** Aborting makes `evaluate` reject with its reason. */
  readonly signal?: AbortSignal;
  /** Called when an episode is over, grades included. */
  readonly onEpisode?: (episode: Episode) => void;
}

/** The outcome of an evaluation. */
export interface Evaluation {
  /** Every episode, in the order of the problems. */
  readonly episodes: readonly Episode[];
  /** `final`, and per stage reached its accuracy; of one that judges, balanced over right and wrong. */
  readonly accuracy: Readonly<Record<string, number>>;
  /** Mean number of sampled tokens per episode. */
  readonly tokens: number;
  /** The same of the first stage alone. */
  readonly firstTokens: number;
  /** What the engine did: tokens, steps, seconds. */
  readonly stats: RunStats;
}

/** Plays every problem and measures what came out. */
export async function evaluate(engine: Engine, options: EvaluateOptions): Promise<Evaluation> {
  const { problems, samples = 1, task } = options;
  const sampling = options.sampling ?? { temperature: 1, topP: 1, topK: 0 };
  const groups = problems.map((problem, i) => ({
    problem,
    ids: Array.from({ length: samples }, (_, k) => firstId + BigInt(i * samples + k)),
  }));
  const { episodes, stats } = await playEpisodes(engine, groups, {
    ...options,
    sampling,
    mode: "inference",
  });
  const lengths = episodes.map((e) => e.segments.reduce((total, s) => total + s.length, 0));
  return {
    episodes,
    accuracy: accuracies(episodes, task.stages),
    tokens: meanOf(lengths) ?? 0,
    firstTokens: meanOf(episodes.map((e) => e.segments[0].length)) ?? 0,
    stats,
  };
}
