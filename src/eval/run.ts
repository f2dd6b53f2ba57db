/**
 * An evaluation from model folder to report.
 *
 * @module
 */
import type { Backend } from "../../ffi/mod.ts";
import type { Problem } from "../data/mod.ts";
import { type Hooks, readJson, UserError, writeAtomic } from "../base/mod.ts";
import type { AnswerFacts } from "./answers.ts";
import { readKnown } from "./known.ts";
import { scoreSet, type SetScores } from "./scores.ts";
import { loadBenchmark } from "./benchmarks.ts";
import { answerMissing, modeOf } from "./missing.ts";
import { noteOnTask } from "../rollout/mod.ts";
import { GradePool } from "../grade/mod.ts";
import { loadModel, type Model } from "../model/mod.ts";
import { builtinTasks, Task, type TaskSpec, turnEnds } from "../task/mod.ts";
import { type EvalConfig, EvalFolder, type EvalMethod } from "./config.ts";
import type { EvalResults, EvalSet, TaskWords } from "./types.ts";
import { writeEvalReport } from "./report.ts";
import { findTask, generationCache } from "../setup/mod.ts";

/** How to run an evaluation. */
export interface EvalOptions extends Hooks {
  /** The folder for answers, scores and report; an evaluation that is there is resumed. */
  readonly out: string;
  /** Sequences that decode at the same time. */
  readonly parallel: number;
  /** Folders of finished evaluations whose rows the report shows too. */
  readonly compare?: readonly string[];
  /** Aborting stops it; answers that are finished stay. */
  readonly signal?: AbortSignal;
  /** The tasks that `method.task` may name; default: the built-in ones. */
  readonly tasks?: readonly TaskSpec[];
}

/**
 * Asks a model every question of the sets, as often as asked for, and reports. Each finished answer is
 * appended to `answers.jsonl` at once; called again with the same method, only what is missing is
 * asked, and every answer is the one that an uninterrupted run would have got.
 *
 * @returns What stands in `results.json`, and what the report begins with, in Markdown.
 * @throws {UserError} for what a user can fix: files, folders, budgets, memory.
 */
export async function runEvaluation(
  wanted: EvalConfig,
  options: EvalOptions,
): Promise<{ results: EvalResults; summary: string }> {
  const compare = (options.compare ?? []).map(readResults);
  const spec = findTask(wanted.method.task, options.tasks ?? builtinTasks);
  const notes: string[] = [];
  const rows = await loadSets(wanted.extent, (text) => notes.push(text));
  using model = await loadModel(wanted.method.model, {
    backend: wanted.method.device,
    weights: wanted.method.weightDtype ?? undefined,
    onBuild: (text) => options.onNote?.(text),
    onNote: (text) => notes.push(text),
  });
  const { task, stop } = openTask(spec, wanted.method, model);
  const other = noteOnTask(model.trained, spec);
  if (other !== undefined) notes.push(other);
  const config: EvalConfig = { ...wanted, method: settle(wanted.method, task, model) };
  const asked = fittingProblems(rows, task, config.method, model);
  const { parallel } = options, { maxTokens, sets, skipped } = asked;
  const cacheTokens = generationCache(model.decoder.config, {
    maxTokens,
    stop,
    parallel,
    deviceBytes: model.stream.device.info.memoryBytes,
    backend: config.method.device === "cpu" ? "cpu" : "cuda",
    weights: model.decoder.weights,
  });
  // Only now: lower budgets are another method, which a folder left here would refuse.
  using folder = await EvalFolder.open(options.out, config);
  for (const note of [...notes, ...asked.notes]) options.onNote?.(note);

  await using pool = new GradePool();
  await pool.ready(); // where it cannot be loaded, better now than after hours of answers
  const known = await readKnown(folder, sets, config.extent.samples);
  const engine = { maxSequences: parallel, cacheTokens, maxTokens, stop };
  await answerMissing(model, { config, task, pool, folder, sets, known, engine }, options);

  const scores: SetScores[] = [];
  for (const { name, problems, skipped } of sets) {
    if (problems.length === 0) continue;
    const answers = new Map(
      problems.map(({ id }) => [id, known.get(name)!.get(id)!.toSorted(bySample)]),
    );
    const grade = pool.grader(), taskStages = task.stages;
    scores.push(await scoreSet({ set: name, problems, skipped, answers, grade, taskStages }));
  }
  const { undecided } = pool.counts;
  if (undecided > 0) options.onNote?.(`${undecided} comparisons could not be decided: not equal`);
  const results: EvalResults = { config, task: wordsOf(spec), sets: scores, skipped };
  await writeAtomic(folder.results, JSON.stringify(results, null, 2) + "\n");
  return {
    results,
    summary: await writeEvalReport(folder, results, { sets, known, compare, other }),
  };
}

/** A set's name with all its problems that are asked for. */
type LoadedSet = readonly [name: string, problems: readonly Problem[]];

async function loadSets(
  { sets, data, limit }: EvalConfig["extent"],
  onNote: (text: string) => void,
): Promise<LoadedSet[]> {
  const rows: LoadedSet[] = [];
  for (const name of sets) {
    rows.push([name, await loadBenchmark(data, name, limit ?? Infinity, onNote)]);
  }
  return rows;
}

/** How the method asks a question, and which tokens end a turn. */
function openTask(spec: TaskSpec, { prompts, budgets }: EvalMethod, { tokenizer, decoder }: Model) {
  const stop = turnEnds(tokenizer, decoder.config.eos);
  return { task: new Task(spec, { codec: tokenizer, prompts, budgets, stop }), stop };
}

/**
 * The method as it runs: the wording and budgets of the stages that are played, and what was taken, not
 * what was asked for: `auto` may be another device the next time.
 */
function settle(method: EvalMethod, task: Task, { stream, decoder }: Model): EvalMethod {
  const { system } = method.prompts;
  const stages = task.turns(modeOf(method)).map(({ stage }) => stage);
  return {
    ...method,
    prompts: {
      ...(system !== undefined && { system }),
      ...Object.fromEntries(stages.map(({ name, prompt }) => [name, prompt])),
    },
    budgets: Object.fromEntries(stages.map(({ name, budget }) => [name, budget])),
    device: stream.device.info.backend as Backend,
    weightDtype: decoder.weights,
  };
}

function wordsOf({ name, title, firstTitle, stages }: TaskSpec): TaskWords {
  return {
    name,
    title,
    firstTitle,
    stages: stages.map(({ name, title, judges }) => ({ name, title, judges })),
  };
}

/**
 * The problems that the model has the positions for.
 *
 * @throws {UserError} when there is none.
 */
function fittingProblems(
  rows: readonly LoadedSet[],
  task: Task,
  method: EvalMethod,
  { decoder }: Model,
): { sets: EvalSet[]; maxTokens: number; skipped: number; notes: string[] } {
  const [positions] = decoder.cosSin.shape;
  const lengthOf = ({ question }: Problem) =>
    task.maxTokens(task.promptTokens(question), modeOf(method));
  const sets = rows.map(([name, all]) => {
    const problems = all.filter((problem) => lengthOf(problem) <= positions);
    return { name, problems, skipped: all.length - problems.length };
  });
  const lengths = sets.flatMap(({ problems }) => problems.map(lengthOf));
  if (lengths.length === 0) {
    throw new UserError(
      `no question fits: the model has ${positions} positions, the shortest question with all ` +
        `budgets takes ${Math.min(...rows.flatMap(([, all]) => all.map(lengthOf)))}`,
      { hint: "lower the token budgets with --budget" },
    );
  }
  const skipped = sets.reduce((sum, set) => sum + set.skipped, 0);
  const questions = skipped === 1 ? "question" : "questions";
  return {
    sets,
    maxTokens: lengths.reduce((most, length) => Math.max(most, length), 0),
    skipped,
    notes: skipped === 0
      ? []
      : [`${skipped} ${questions} left out: over the model's ${positions} positions`],
  };
}

/**
 * The outcome of an evaluation that is done.
 *
 * @throws {UserError} when the folder holds none.
 */
export function readResults(folder: string): EvalResults {
  const { results: path } = EvalFolder.at(folder);
  const hint = `${folder} holds no finished evaluation: run \`thinker eval --out ${folder}\` first`;
  const results = readJson(path, hint) as Partial<EvalResults> | null;
  if (!results?.config || !results.task || !Array.isArray(results.sets)) {
    throw new UserError(`${path} is of an older version`, {
      hint: "evaluate anew into another folder with --out, or leave it out of --compare",
    });
  }
  return results as EvalResults;
}

const bySample = (a: AnswerFacts, b: AnswerFacts) => a.sample - b.sample;
