/**
 * Asking what an evaluation has no answers to yet.
 *
 * @module
 */
import type { Problem } from "../data/mod.ts";
import { Engine, type EngineOptions } from "../engine/mod.ts";
import { type Hooks, JsonlWriter, memoryFor, type Metrics, orderMetrics } from "../base/mod.ts";
import { type AnswerFacts, answerOf, factsOf, lineOf, problemKey, sequenceId } from "./answers.ts";
import { isRight, tokensOf } from "./scores.ts";
import { playEpisodes } from "../rollout/mod.ts";
import type { GradePool, Grader } from "../grade/mod.ts";
import type { Model } from "../model/mod.ts";
import type { Mode, Task } from "../task/mod.ts";
import type { EvalConfig, EvalFolder, EvalMethod } from "./config.ts";
import type { EvalSet, KnownAnswers } from "./types.ts";

/** Samples of one problem that are still to be taken. */
interface Missing {
  readonly set: string;
  readonly problem: Problem;
  readonly samples: readonly number[];
}

/** At least so many episodes are played in one go: their tokens stay in memory until all are over. */
const chunkEpisodes = 1024;

/** Who decides what follows in an episode: the model, with or without the stages that change no answer. */
export function modeOf({ complete }: EvalMethod): Mode {
  return complete ? "complete" : "inference";
}

/**
 * Takes every sample that the folder does not have, and appends each answer to its log as it is finished.
 *
 * @param known The answers that are there; what comes is added.
 */
export async function answerMissing(
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
  { onPhase, onStep, parallel, signal }: Hooks & {
    readonly parallel: number;
    readonly signal?: AbortSignal;
  },
): Promise<void> {
  const { samples } = config.extent, missing = missingSamples(sets, known, samples);
  const total = samples * sets.reduce((sum, { problems }) => sum + problems.length, 0);
  const open = missing.reduce((sum, { samples }) => sum + samples.length, 0);
  onPhase?.("eval", total, total - open);
  if (open === 0) return;
  // What symbolic grading needs should be missing now rather than at a question hours from here.
  await pool.ready();
  using engine = memoryFor(
    "KV cache and buffers of the engine",
    "lower --parallel or the token budgets",
    () => new Engine(model.stream, model.decoder, engineOptions),
  );
  const progress = new RunningScores(total - open, task, onStep), grade = pool.grader();
  using log = new JsonlWriter(folder.answers);
  for (const chunk of chunksOf(missing, Math.max(chunkEpisodes, 8 * parallel))) {
    const { method } = config;
    await play(chunk, { engine, task, method, grade, signal, log, known, progress });
  }
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
      log.write(lineOf(answer));
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
