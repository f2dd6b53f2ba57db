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
  /** How many these are of how many, and how they were drawn: a sentence or two for the report. */
  readonly split: string;
  /** Rows left out: of no use, or with a prompt longer than the limit. */
  readonly skipped: number;
  /** What users should know of the rows, each on one line. */
  readonly notes: readonly string[];
}

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
      split:
        `Held out: ${config.evalProblems} sums, drawn by a fixed seed from the fifth of all sums ` +
        "that a hash keeps out of training questions and the steps of worked solutions; facts such " +
        "as 7+5, which every solution needs, are not among them.",
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
  const { held, train, split } = splitRows(fitting, config);
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
    split,
    skipped: long + loaded.skipped.length,
    notes: [
      ...dataNotes(config.data, loaded),
      ...(long > 0 ? [`${long} rows left out: their prompt is over ${promptLimit} tokens`] : []),
    ],
  };
}

/**
 * Rows to measure with and rows to train on, in an order that no seed changes. Published files repeat
 * questions, some with other white space or capitals: a question is on one side with all its rows, and
 * measured once.
 */
function splitRows(
  rows: readonly Problem[],
  { evalProblems, evalShare }: Pick<TrainConfig, "evalProblems" | "evalShare">,
): { held: Problem[]; train: Problem[]; split: string } {
  const shuffled = new Random(0).fork("held out").shuffle(rows);
  const questions = Map.groupBy(shuffled, ({ question }) => questionKey(question));
  const count = Math.min(evalProblems, Math.floor(questions.size * evalShare));
  const measured = new Set([...questions.keys()].slice(0, count));
  const held = [...measured].map((key) => questions.get(key)![0]);
  const train = shuffled.filter(({ question }) => !measured.has(questionKey(question)));
  const repeated = rows.length - train.length - held.length;
  const split = count === 0
    ? `No problem is held out of ${questions.size}: accuracy was not measured.`
    : `Held out: ${count} of ${questions.size} problems, drawn by a fixed shuffle of the rows that no ` +
      `seed changes${
        repeated > 0 ? `; ${repeated} more rows that ask the same are not trained on` : ""
      }.`;
  return { held, train, split };
}

/** Questions that differ in white space, capitals or compatible characters are one. */
function questionKey(question: string): string {
  return question.normalize("NFKC").toLowerCase().replace(/\s+/g, "");
}
