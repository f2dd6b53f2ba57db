/**
 * What an evaluation passes from one of its files to the next.
 *
 * @module
 */
import type { Problem } from "../data/mod.ts";
import type { AnswerFacts } from "./answers.ts";
import type { EvalConfig } from "./config.ts";
import type { StageSpec, TaskSpec } from "../task/mod.ts";
import type { SetScores } from "./scores.ts";

/** What a report says of a task. */
export type TaskWords = Pick<TaskSpec, "name" | "title" | "firstTitle"> & {
  /** In order. */
  readonly stages: readonly Pick<StageSpec, "name" | "title" | "judges">[];
};

/** What came out of an evaluation: `results.json`. */
export interface EvalResults {
  /** What was asked, and how. */
  readonly config: EvalConfig;
  /** The words of the task: another program may not have it. */
  readonly task: TaskWords;
  /** One entry per set that had a problem short enough, in the order asked for. */
  readonly sets: readonly SetScores[];
  /** Problems of all sets that are longer than the model allows. */
  readonly skipped: number;
}

/** A set with the problems that fit the model. */
export interface EvalSet {
  /** Its name, as in `--bench`. */
  readonly name: string;
  /** The problems that are asked. */
  readonly problems: readonly Problem[];
  /** How many do not fit. */
  readonly skipped: number;
}

/** Answers by set and problem id. */
export type KnownAnswers = ReadonlyMap<string, Map<string, AnswerFacts[]>>;
