/**
 * A training run from config to report.
 *
 * @module
 */
import { Device } from "../../ffi/mod.ts";
import { Random } from "../data/mod.ts";
import { Engine } from "../engine/mod.ts";
import { evaluate, type Evaluation, standardError } from "../eval/mod.ts";
import { grade } from "../grade/mod.ts";
import type { Tokenizer } from "../model/mod.ts";
import { actionsOf, PpoTrainer, type ScoredEpisode } from "../ppo/mod.ts";
import { type Task, TrailingAccuracy } from "../task/mod.ts";
import type { TrainConfig } from "./config.ts";
import type { EpisodeSample } from "./episodes.ts";
import { RunFolder } from "./folder.ts";
import { JsonlWriter } from "./jsonl.ts";
import { type Metrics, orderMetrics } from "./metrics.ts";
import { openActor, openCritic, openTasks, openTokenizer, warmstartTiny } from "./models.ts";
import { openProblems, type ProblemSource } from "./problems.ts";
import { type ReportRow, writeReport } from "./report.ts";
import { saveState } from "./state.ts";

/** What a run tells while it works. */
export interface TrainHooks {
  /** A phase of `total` steps begins. */
  onPhase?(name: string, total: number): void;
  /** A step of the phase is done. */
  onStep?(step: number, metrics: Metrics): void;
  /** Something worth a line. */
  onNote?(text: string): void;
}

/** How to run. */
export interface TrainOptions extends TrainHooks {
  /** The run folder. */
  readonly out: string;
  /** Aborting stops the run between steps. */
  readonly signal?: AbortSignal;
}

/**
 * Trains as the config says and leaves the run folder: config, logs, checkpoints, report.
 *
 * @throws {UserError} for what a user can mend: files, folders, budgets, compiler.
 */
export async function train(config: TrainConfig, options: TrainOptions): Promise<void> {
  const { signal } = options;
  const folder = await RunFolder.create(options.out);
  const { tokenizer, files } = openTokenizer(config);
  using device = await Device.open("cpu", { onBuild: (text) => options.onNote?.(text) });
  using stream = device.stream();
  using actor = openActor(device, stream, config, tokenizer);
  const { thinker, baseline, stop } = openTasks(config, tokenizer, actor.config.eos);
  const task: Task = config.task === "thinker" ? thinker : baseline;
  const problems = await openProblems(config, task);
  await folder.writeJson(folder.config, config);
  if (problems.skipped > 0) {
    options.onNote?.(
      `${problems.skipped} rows left out: no answer, or over ${config.promptLimit} tokens`,
    );
  }

  if (config.model === null) {
    options.onPhase?.("warm start", config.warmstart.steps);
    using log = new JsonlWriter(folder.warmstart);
    await warmstartTiny({ device, stream, decoder: actor }, config, tokenizer, {
      signal,
      onStep: (step) => {
        log.write({ ...step });
        options.onStep?.(step.step, { loss: step.loss });
      },
    });
  }

  using critic = openCritic(device, stream, actor, config.seed);
  const longest = Math.max(...[thinker, baseline].map((t) => t.maxTokens(config.promptLimit)));
  using engine = new Engine(device, stream, actor, {
    ...config.engine,
    maxTokens: Math.min(longest, actor.config.maxPositions),
    stop,
  });
  const trailing = new TrailingAccuracy();
  const seed = BigInt(config.seed);
  const random = new Random(config.seed);
  const judge = (answer: string, gold: string) => grade(answer, gold).equal;
  const parts = { device, stream, actor, critic, engine, task, grade: judge, trailing };
  using trainer = new PpoTrainer(parts, config.ppo);
  using log = new JsonlWriter(folder.metrics);
  using dialogues = new JsonlWriter(folder.episodes);
  const measure = (on: Task) =>
    evaluate(engine, { task: on, problems: problems.held, grade: judge, seed, signal });
  const models = { stream, actor, critic, trainer, files };
  let tokens = 0;
  const save = (step: number) =>
    folder.checkpoint(step, (dir) =>
      saveState(dir, models, {
        step,
        tokens,
        trailing: trailing.toJSON(),
        actorUpdates: trainer.actorOptimizer.t,
        criticUpdates: trainer.criticOptimizer.t,
      }));

  options.onPhase?.("train", config.steps);
  const measurable = problems.held.length > 0;
  let metrics: Metrics = { step: 0, "tokens/trained": 0 };
  if (measurable) {
    if (task !== baseline) Object.assign(metrics, evalMetrics(await measure(baseline)));
    Object.assign(metrics, evalMetrics(await measure(task)));
  }
  log.write(orderMetrics(metrics));
  options.onStep?.(0, metrics);
  await save(0);
  const first = metrics;

  for (let step = 1; step <= config.steps; step++) {
    signal?.throwIfAborted();
    const batch = problems.batch(step, config.ppo.prompts);
    const result = await trainer.step({ step, problems: batch, seed, random, signal });
    tokens += result.samples.reduce((total, sample) => total + actionsOf(sample), 0);
    const last = step === config.steps || (config.tokens !== null && tokens >= config.tokens);
    metrics = { ...result.metrics, "tokens/trained": tokens };
    if (measurable && (last || step % config.evalEvery === 0)) {
      const began = performance.now();
      Object.assign(metrics, evalMetrics(await measure(task)));
      metrics["time/eval"] = (performance.now() - began) / 1000;
    }
    for (const sample of result.samples.slice(0, config.keepEpisodes)) {
      dialogues.write({ ...episodeSample(step, sample, tokenizer) });
    }
    log.write(orderMetrics(metrics));
    options.onStep?.(step, metrics);
    if (last || step % config.saveEvery === 0) await save(step);
    if (last) break;
  }

  options.onPhase?.("report", 1);
  await writeReport(folder, {
    title: `${config.task === "thinker" ? "Thinker" : "Baseline"} on ${problems.name}`,
    rows: reportRows(config, problems, first, metrics),
    notes: reportNotes(config, problems),
  });
  options.onStep?.(1, {});
}

/** Metrics `eval/*` of one evaluation. */
function evalMetrics({ accuracy, tokens, firstTokens, episodes }: Evaluation): Metrics {
  const plain = episodes[0].segments[0].stage === "answer";
  if (plain) return { "eval/answer": accuracy.answer ?? 0, "eval/answer_tokens": tokens };
  const metrics: Metrics = { "eval/tokens": tokens, "eval/fast_tokens": firstTokens };
  for (const [name, value] of Object.entries(accuracy)) metrics[`eval/${name}`] = value;
  return metrics;
}

function reportRows(
  config: TrainConfig,
  problems: ProblemSource,
  first: Metrics,
  last: Metrics,
): ReportRow[] {
  const n = problems.held.length;
  const rows: ReportRow[] = [];
  const add = (name: string, accuracy: number | undefined, tokens: number | undefined) => {
    if (accuracy === undefined || tokens === undefined) return;
    const set = problems.name;
    rows.push({ name, set, accuracy, standardError: standardError(accuracy, n), tokens });
  };
  add("Pretrained", first["eval/answer"], first["eval/answer_tokens"]);
  if (config.task === "baseline") {
    add("Baseline", last["eval/answer"], last["eval/answer_tokens"]);
  } else {
    add("Thinker", last["eval/final"], last["eval/tokens"]);
    add("Thinker-Fast", last["eval/fast"], last["eval/fast_tokens"]);
  }
  return rows;
}

function reportNotes(config: TrainConfig, problems: ProblemSource): string[] {
  const notes = [
    `Accuracy is measured on ${problems.held.length} held-out problems, one sample each at ` +
    `temperature 1, under the model's own verdicts.`,
  ];
  if (config.model === null) {
    notes.push(
      "Pretrained is the model after its supervised warm start, asked the plain question; both tasks " +
        "start from it.",
    );
  }
  if (config.model === null && config.data !== null) {
    notes.push(
      "This model has under a million parameters and has only ever seen sums: on real problems an " +
        "accuracy near zero is expected. The run shows that the machine works on them.",
    );
  }
  if (problems.skipped > 0) {
    notes.push(`${problems.skipped} rows were left out: no answer, or a prompt over the limit.`);
  }
  return notes;
}

/** A dialogue as text, for people. */
function episodeSample(
  step: number,
  { episode, rewards }: ScoredEpisode,
  tokenizer: Tokenizer,
): EpisodeSample {
  let at = 0;
  return {
    step,
    id: episode.problem.id,
    question: episode.problem.question,
    answer: episode.problem.answer ?? "",
    turns: episode.segments.map((segment, i) => {
      const prompt = tokenizer.decode(episode.ids.slice(at, segment.start));
      at = segment.start + segment.length;
      return {
        stage: segment.stage,
        prompt,
        response: segment.text,
        reward: rewards[i],
        tokens: segment.length,
        truncated: segment.truncated,
      };
    }),
  };
}
