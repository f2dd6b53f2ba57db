/**
 * An evaluation from model folder to report.
 *
 * @module
 */
import type { Backend } from "../../ffi/mod.ts";
import type { Problem } from "../data/mod.ts";
import { Engine, type EngineOptions } from "../engine/mod.ts";
import {
  type Hooks,
  JsonlWriter,
  type Metrics,
  orderMetrics,
  readJson,
  truncateAfter,
  UserError,
  writeAtomic,
} from "../base/mod.ts";
import {
  type Answer,
  type AnswerFacts,
  answerOf,
  factsOf,
  problemKey,
  sequenceId,
} from "./answers.ts";
import { isRight, scoreSet, type SetScores, tokensOf } from "./scores.ts";
import { loadBenchmark } from "./benchmarks.ts";
import { noteOnTask, playEpisodes } from "../rollout/mod.ts";
import { GradePool, type Grader } from "../grade/mod.ts";
import { loadModel, type Model } from "../model/mod.ts";
import { builtinTasks, type Mode, Task, type TaskSpec, turnEnds } from "../task/mod.ts";
import { type EvalConfig, EvalFolder, type EvalMethod } from "./config.ts";
import type { EvalResults, EvalSet, KnownAnswers, TaskWords } from "./types.ts";
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

/** Samples of one problem that are still to be taken. */
interface Missing {
  readonly set: string;
  readonly problem: Problem;
  readonly samples: readonly number[];
}

/** At least so many episodes are played in one go: their tokens stay in memory until all are over. */
const chunkEpisodes = 1024;

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
  const folder = await EvalFolder.open(options.out, config);
  for (const note of [...notes, ...asked.notes]) options.onNote?.(note);

  await using pool = new GradePool();
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

function modeOf({ complete }: EvalMethod): Mode {
  return complete ? "complete" : "inference";
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

/** Takes every sample that the folder does not have. */
async function answerMissing(
  model: Model,
  { config, task, pool, folder, sets, known, engine: engineOptions }: {
    readonly config: EvalConfig;
    readonly task: Task;
    readonly pool: GradePool;
    readonly folder: EvalFolder;
    readonly sets: readonly EvalSet[];
    readonly known: KnownAnswers;
    readonly engine: EngineOptions;
  },
  { onPhase, onStep, parallel, signal }: EvalOptions,
): Promise<void> {
  const { samples } = config.extent, missing = missingSamples(sets, known, samples);
  const total = samples * sets.reduce((sum, { problems }) => sum + problems.length, 0);
  const open = missing.reduce((sum, { samples }) => sum + samples.length, 0);
  onPhase?.("eval", total, total - open);
  if (open === 0) return;
  // What symbolic grading needs should be missing now rather than at a question hours from here.
  await pool.ready();
  using engine = new Engine(model.stream, model.decoder, engineOptions);
  const progress = new RunningScores(total - open, task, onStep), grade = pool.grader();
  using log = new JsonlWriter(folder.answers);
  for (const chunk of chunksOf(missing, Math.max(chunkEpisodes, 8 * parallel))) {
    const { method } = config;
    await play(chunk, { engine, task, method, grade, signal, log, known, progress });
  }
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

/** The answers that the folder has to the questions that are asked; a torn last line is cut off. */
async function readKnown(
  folder: EvalFolder,
  sets: readonly EvalSet[],
  samples: number,
): Promise<KnownAnswers> {
  const known: KnownAnswers = new Map(
    sets.map(({ name, problems }) => [name, new Map(problems.map(({ id }) => [id, []]))]),
  );
  const keys = new Map(
    sets.map(({ name, problems }) => [name, new Map(problems.map((p) => [p.id, problemKey(p)]))]),
  );
  await truncateAfter<Answer>(folder.answers, (answer) => {
    if (keys.get(answer.set)?.get(answer.id) !== answer.problem) return true;
    const list = known.get(answer.set)!.get(answer.id)!;
    const twice = list.some((each) => each.sample === answer.sample);
    if (answer.sample < samples && !twice) list.push(factsOf(answer));
    return true;
  });
  return known;
}

/** What has no answer yet, problem by problem. */
function missingSamples(
  sets: readonly EvalSet[],
  known: KnownAnswers,
  samples: number,
): Missing[] {
  return sets.flatMap(({ name, problems }) =>
    problems.flatMap((problem) => {
      const there = new Set(known.get(name)!.get(problem.id)!.map((answer) => answer.sample));
      const open = Array.from({ length: samples }, (_, i) => i).filter((i) => !there.has(i));
      return open.length > 0 ? [{ set: name, problem, samples: open }] : [];
    })
  );
}

/** Neighbouring problems together, about `episodes` samples in each part. */
function* chunksOf(missing: readonly Missing[], episodes: number): Generator<Missing[]> {
  let chunk: Missing[] = [], size = 0;
  for (const each of missing) {
    chunk.push(each);
    size += each.samples.length;
    if (size < episodes) continue;
    yield chunk;
    chunk = [];
    size = 0;
  }
  if (chunk.length > 0) yield chunk;
}

/** What playing needs besides what is played. */
interface PlayParts {
  readonly engine: Engine;
  readonly task: Task;
  readonly method: EvalConfig["method"];
  readonly grade: Grader;
  readonly signal?: AbortSignal;
  readonly log: JsonlWriter;
  readonly known: KnownAnswers;
  readonly progress: RunningScores;
}

/** Plays a part of the samples and books each answer as it is finished. */
async function play(chunk: readonly Missing[], parts: PlayParts): Promise<void> {
  const { engine, task, method, grade, signal, log, known, progress } = parts;
  const places = new Map<bigint, { set: string; problem: Problem; sample: number }>();
  const groups = chunk.map(({ set, problem, samples }) => ({
    problem,
    ids: samples.map((sample) => {
      const id = sequenceId(set, problem.id, sample);
      places.set(id, { set, problem, sample });
      return id;
    }),
  }));
  await playEpisodes(engine, groups, {
    task,
    mode: modeOf(method),
    seed: BigInt(method.seed),
    sampling: method.sampling,
    signal,
    grade,
    onEpisode: (episode) => {
      const { set, problem, sample } = places.get(episode.id)!;
      const answer = answerOf(episode, {
        set,
        id: problem.id,
        sample,
        problem: problemKey(problem),
      });
      log.write(answer);
      const facts = factsOf(answer);
      known.get(set)!.get(problem.id)!.push(facts);
      progress.book(facts);
    },
  });
}

/** Scores of what this process has done, for the progress display. */
class RunningScores {
  readonly #from: number;
  readonly #task: Task;
  readonly #tell: Hooks["onStep"];
  readonly #began = performance.now();
  #answers = 0;
  #tokens = 0;
  readonly #right: Record<string, { right: number; of: number }> = {};

  constructor(from: number, task: Task, tell: Hooks["onStep"]) {
    this.#from = from;
    this.#task = task;
    this.#tell = tell;
  }

  book(answer: AnswerFacts): void {
    this.#answers++;
    this.#tokens += tokensOf(answer);
    for (const { stage, correct } of answer.turns) {
      if (correct !== undefined) this.#count(stage, correct);
    }
    this.#count("final", isRight(answer));
    const metrics: Metrics = {};
    for (const [name, { right, of }] of Object.entries(this.#right)) {
      metrics[`accuracy/${name}`] = right / of;
    }
    metrics["length/all"] = this.#tokens / this.#answers;
    const seconds = (performance.now() - this.#began) / 1000;
    metrics.tokens_per_second = this.#tokens / seconds;
    const stages = this.#task.stages.map(({ name }) => name);
    this.#tell?.(this.#from + this.#answers, orderMetrics(metrics, stages));
  }

  #count(name: string, right: boolean): void {
    const counter = this.#right[name] ??= { right: 0, of: 0 };
    counter.of++;
    counter.right += Number(right);
  }
}
