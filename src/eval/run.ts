/**
 * An evaluation from model folder to report.
 *
 * @module
 */
import type { Backend } from "../../ffi/mod.ts";
import type { Problem } from "../data/mod.ts";
import { Engine } from "../engine/mod.ts";
import {
  type Hooks,
  JsonlWriter,
  type Metrics,
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
import { type Judge, judgeWith, playEpisodes } from "../rollout/mod.ts";
import { GradePool } from "../grade/mod.ts";
import { loadModel, type Model } from "../model/mod.ts";
import { BaselineTask, type Task, ThinkerTask, turnEnds } from "../task/mod.ts";
import { type EvalConfig, EvalFolder } from "./config.ts";
import type { EvalResults, EvalSet, KnownAnswers } from "./types.ts";
import { writeEvalReport } from "./report.ts";
import { generationCache } from "../setup/mod.ts";

/** How to run an evaluation. */
export interface EvalOptions extends Hooks {
  /** The folder for answers, scores and report; an evaluation that is there is continued. */
  readonly out: string;
  /** Sequences that decode at the same time. */
  readonly parallel: number;
  /** Folders of finished evaluations whose rows the report shows too. */
  readonly compare?: readonly string[];
  /** Aborting stops it; answers that are finished stay. */
  readonly signal?: AbortSignal;
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
 * @throws {UserError} for what a user can correct: files, folders, budgets, memory.
 */
export async function runEvaluation(
  wanted: EvalConfig,
  options: EvalOptions,
): Promise<EvalResults> {
  const { extent } = wanted;
  const compare = (options.compare ?? []).map(readResults);
  const rows: [string, Problem[]][] = [];
  for (const name of extent.sets) {
    rows.push([name, await loadBenchmark(extent.data, name, extent.limit ?? Infinity)]);
  }
  let fallback: string | undefined;
  using model = await loadModel(wanted.method.model, {
    backend: wanted.method.device,
    weights: wanted.method.precision ?? undefined,
    onBuild: (text) => options.onNote?.(text),
    onNote: (text) => fallback = text,
  });
  // What was taken, not what was asked for: `auto` may be another device the next time.
  const device = model.stream.device.info.backend as Backend, precision = model.decoder.weights;
  const method = { ...wanted.method, device, precision };
  const config: EvalConfig = { ...wanted, method };
  const { task, stop } = openTask(config, model);
  const positions = model.decoder.cosSin.shape[0];
  const lengthOf = (problem: Problem) => task.maxTokens(task.promptTokens(problem.question));
  const sets: EvalSet[] = rows.map(([name, all]) => {
    const problems = all.filter((problem) => lengthOf(problem) <= positions);
    return { name, problems, skipped: all.length - problems.length };
  });
  const asked = sets.flatMap((set) => set.problems);
  if (asked.length === 0) {
    throw new UserError(
      `no question fits: the model has ${positions} positions, the shortest question with all ` +
        `budgets takes ${Math.min(...rows.flatMap(([, all]) => all.map(lengthOf)))}`,
      { hint: "lower the token budgets with --budget" },
    );
  }
  const { parallel, signal } = options;
  const maxTokens = asked.reduce((most, problem) => Math.max(most, lengthOf(problem)), 0);
  const { memoryBytes: deviceBytes } = model.stream.device.info;
  const backend = device === "cpu" ? "cpu" as const : "cuda" as const;
  const limits = { maxTokens, stop, parallel, deviceBytes, backend, weights: precision };
  const cacheTokens = generationCache(model.decoder.config, limits);
  // Only now: lower budgets are another method, which a folder left here would refuse.
  const folder = await EvalFolder.open(options.out, config);
  if (fallback) options.onNote?.(fallback);
  const skipped = sets.reduce((sum, set) => sum + set.skipped, 0);
  if (skipped > 0) {
    const questions = skipped === 1 ? "question" : "questions";
    options.onNote?.(`${skipped} ${questions} left out: over the model's ${positions} positions`);
  }

  await using pool = new GradePool();
  const judge = judgeWith(pool);
  const known = await readKnown(folder, sets, extent.samples);
  const missing = missingSamples(sets, known, extent.samples);
  const total = asked.length * extent.samples;
  const open = missing.reduce((sum, { samples }) => sum + samples.length, 0);
  options.onPhase?.("eval", total, total - open);
  if (open > 0) {
    // If something that symbolic grading needs is missing, fail now and not at a question hours from here.
    await pool.ready();
    using engine = new Engine(model.stream, model.decoder, {
      maxSequences: parallel,
      cacheTokens,
      maxTokens,
      stop,
    });
    const progress = new RunningScores(total - open, options.onStep);
    using log = new JsonlWriter(folder.answers);
    for (const chunk of chunksOf(missing, Math.max(chunkEpisodes, 8 * parallel))) {
      await play(chunk, { engine, task, method, judge, signal, log, known, progress });
    }
  }

  const scores: SetScores[] = [];
  for (const { name, problems, skipped } of sets) {
    if (problems.length === 0) continue;
    const answers = new Map(
      problems.map(({ id }) => [id, known.get(name)!.get(id)!.toSorted(bySample)]),
    );
    scores.push(await scoreSet({ set: name, problems, skipped, answers, judge }));
  }
  const { undecided } = pool.counts;
  if (undecided > 0) options.onNote?.(`${undecided} comparisons could not be decided: not equal`);
  const results: EvalResults = { config, sets: scores, skipped };
  await writeAtomic(folder.results, JSON.stringify(results, null, 2) + "\n");
  await writeEvalReport(folder, results, { sets, known, compare });
  return results;
}

/**
 * The outcome of an evaluation that is done.
 *
 * @throws {UserError} when the folder holds none.
 */
function readResults(folder: string): EvalResults {
  const { results: path } = EvalFolder.at(folder);
  const hint = `${folder} holds no finished evaluation: run \`thinker eval --out ${folder}\` first`;
  const results = readJson(path, hint) as Partial<EvalResults> | null;
  if (!results?.config || !Array.isArray(results.sets)) {
    throw new UserError(`${path} is no result of an evaluation`, { hint });
  }
  return results as EvalResults;
}

/** How the method asks a question, and which tokens end a turn. */
function openTask({ method }: EvalConfig, model: Model): { task: Task; stop: number[] } {
  const { tokenizer: codec, decoder } = model;
  const stop = turnEnds(codec, decoder.config.eos);
  const { prompts, budgets, mode, summary } = method;
  const shared = { codec, prompts, stop };
  if (mode === "baseline") {
    return { task: new BaselineTask({ ...shared, budget: budgets.answer }), stop };
  }
  const only = mode === "fast" ? "fast" as const : undefined;
  const task = new ThinkerTask({
    ...shared,
    // A summary that is not asked for needs no room in cache and positions.
    budgets: summary ? budgets : { ...budgets, summary: 1 },
    only,
    summarizeAtInference: summary,
  });
  return { task, stop };
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
  readonly judge: Judge;
  readonly signal?: AbortSignal;
  readonly log: JsonlWriter;
  readonly known: KnownAnswers;
  readonly progress: RunningScores;
}

/** Plays a part of the samples and books each answer as it is finished. */
async function play(chunk: readonly Missing[], parts: PlayParts): Promise<void> {
  const { engine, task, method, judge, signal, log, known, progress } = parts;
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
    mode: "inference",
    seed: BigInt(method.seed),
    sampling: method.sampling,
    signal,
    grade: judge,
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
  readonly #tell: Hooks["onStep"];
  readonly #began = performance.now();
  #answers = 0;
  #tokens = 0;
  readonly #right: Record<string, { right: number; of: number }> = {};

  constructor(from: number, tell: Hooks["onStep"]) {
    this.#from = from;
    this.#tell = tell;
  }

  book(answer: AnswerFacts): void {
    this.#answers++;
    this.#tokens += tokensOf(answer);
    for (const turn of answer.turns) {
      if (turn.stage !== "verify") this.#count(turn.stage, turn.correct === true);
    }
    if (answer.turns[0].stage !== "answer") this.#count("final", isRight(answer));
    const metrics: Metrics = {};
    for (const [name, { right, of }] of Object.entries(this.#right)) {
      metrics[`accuracy/${name}`] = right / of;
    }
    metrics["length/all"] = this.#tokens / this.#answers;
    const seconds = (performance.now() - this.#began) / 1000;
    metrics.tokens_per_second = this.#tokens / seconds;
    this.#tell?.(this.#from + this.#answers, metrics);
  }

  #count(name: string, right: boolean): void {
    const counter = this.#right[name] ??= { right: 0, of: 0 };
    counter.of++;
    counter.right += Number(right);
  }
}
