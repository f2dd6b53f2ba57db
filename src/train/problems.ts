/**
 * Where a run's problems come from: generated sums, or the rows of a file.
 *
 * @module
 */
import { heldOut, trainProblem } from "../tiny/mod.ts";
import { dataName, dataNotes, loadProblems, type Problem } from "../data/mod.ts";
import { Random, UserError } from "../base/mod.ts";
import type { Task } from "../task/mod.ts";
import type { TrainConfig } from "../setup/mod.ts";

/** Problems to train on and problems to measure with; no problem is in both. */
export interface ProblemSource {
  /** Name of the set, for reports. */
  readonly name: string;
  /** The problems of PPO step `step`, from 1: a function of seed and step alone. */
  batch(step: number, count: number): Problem[];
  /** Fixed held-out problems. */
  readonly held: readonly Problem[];
  /** Rows left out: of no use, or with a prompt longer than the limit. */
  readonly skipped: number;
  /** What users should know of the rows, each on one line. */
  readonly notes: readonly string[];
}

/** Share of a file's rows that is kept out of training, at most. */
const heldShare = 0.1;

/**
 * Opens the source that the config names.
 *
 * @param tasks Every task whose runs are to be compared: a row is used if it fits the prompt limit in
 * all of them, so that they train and are measured on the same problems.
 * @param named The path whose name stands in ids and reports: the file's first place, where it has moved.
 * @throws {UserError} when the file cannot be read or no row fits the prompt limit.
 */
export async function openProblems(
  config: TrainConfig,
  tasks: readonly Task[],
  named: string | null = config.data,
): Promise<ProblemSource> {
  const random = new Random(config.seed);
  if (config.data === null) {
    return {
      name: "arithmetic",
      batch: (step, n) => {
        const draws = random.fork(`problems/${step}`);
        return Array.from({ length: n }, () => trainProblem(draws));
      },
      // The same problems whatever the seed: runs can be compared.
      held: heldOut(config.evalProblems, 0),
      skipped: 0,
      notes: [],
    };
  }
  const { columns, stripInstructions, promptLimit } = config;
  const stem = dataName(named ?? config.data);
  const loaded = await loadProblems(config.data, { columns, stripInstructions, stem });
  const rows = loaded.problems;
  const promptTokens = (row: Problem) =>
    Math.max(...tasks.map((task) => task.promptTokens(row.question)));
  const fitting = rows.filter((row) => promptTokens(row) <= promptLimit);
  const long = rows.length - fitting.length;
  const shuffled = new Random(0).fork("held out").shuffle(fitting);
  const held = shuffled.slice(
    0,
    Math.min(config.evalProblems, Math.floor(shuffled.length * heldShare)),
  );
  // Published files repeat some questions: none may be trained on that is measured.
  const measured = new Set(held.map((row) => row.question));
  const train = shuffled.slice(held.length).filter((row) => !measured.has(row.question));
  if (train.length === 0) {
    throw new UserError(
      `${config.data}: no row has a prompt of at most ${promptLimit} tokens`,
      { hint: "raise promptLimit" },
    );
  }
  const epochs = new Map<number, Problem[]>();
  const epoch = (e: number) => {
    const known = epochs.get(e);
    if (known) return known;
    epochs.clear(); // at most two are needed in a row
    const order = random.fork(`epoch/${e}`).shuffle(train);
    epochs.set(e, order);
    return order;
  };
  return {
    name: stem,
    batch: (step, n) =>
      Array.from({ length: n }, (_, i) => {
        const index = (step - 1) * n + i;
        return epoch(Math.floor(index / train.length))[index % train.length];
      }),
    held,
    skipped: long + loaded.skipped.length,
    notes: [
      ...dataNotes(config.data, loaded),
      ...(long > 0 ? [`${long} rows left out: their prompt is over ${promptLimit} tokens`] : []),
    ],
  };
}
