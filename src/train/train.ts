/**
 * A training run from config to report.
 *
 * @module
 */
import { JsonlWriter, type Metrics, Random, readMetrics } from "../base/mod.ts";
import { PpoTrainer, warmstart } from "../ppo/mod.ts";
import { checkpointFiles, openCritic, openReference, type TrainConfig } from "../setup/mod.ts";
import { TrailingAccuracy } from "../task/mod.ts";
import { scriptedBatch } from "../tiny/mod.ts";
import { RunLog } from "./log.ts";
import { type OpenRun, openRun, type TrainOptions } from "./open.ts";
import { type ReportRow, writeReport } from "./report.ts";
import { measure } from "./measure.ts";
import { episodeSample, gradeMetrics, nothingLearned, reportNotes, reportRows } from "./results.ts";
import { criticFolder, loadState, type RunState } from "./state.ts";
import { sightingLine, Watch, watchNotes } from "./watch.ts";

/** What came of a run. */
export interface TrainResults {
  /** The run folder. */
  readonly out: string;
  /** What was trained on what. */
  readonly title: string;
  /** The model before training, and after it. */
  readonly rows: readonly ReportRow[];
  /** Both, with what to know of them, as Markdown: what the report begins with. */
  readonly summary: string;
}

/**
 * Trains as the config says and leaves the run folder: config, logs, checkpoints, report.
 *
 * @throws {UserError} for what a user can fix: files, folders, budgets, compiler.
 */
export async function train(config: TrainConfig, options: TrainOptions): Promise<TrainResults> {
  await using run = await openRun(config, options);
  if (run.latest === null && run.config.model === null) await warmStart(run, options);
  await using learning = await startLearning(run);
  const { log } = learning;
  options.onPhase?.("train", run.config.steps, Math.max(0, learning.state.step));
  try {
    if (learning.state.step < 0) {
      // At once, so that the warm start is never repeated; its evaluation is, when it was cut short.
      log.begin(learning.state = { step: 0, tokens: 0 });
      await log.save();
    }
    if (learning.state.step === 0) await firstEvaluation(run, learning, options);
    while (!isDone(run.config, learning.state)) await trainStep(run, learning, options);
  } catch (error) {
    // Interrupted inside a step: the models are as the step before left them unless it got to update.
    if (options.signal?.aborted && log.isWhole(learning.state)) await log.save();
    throw error;
  }
  return await report(run);
}

/** Whether the last step has been taken. */
function isDone({ steps, tokens }: TrainConfig, state: RunState): boolean {
  return state.step >= steps || (tokens !== null && state.tokens >= tokens);
}

/** Warm-starts a model that was made here on scripted dialogues. */
async function warmStart(run: OpenRun, options: TrainOptions): Promise<void> {
  const { config, stream, actor: decoder, folder, tasks, tokenizer } = run;
  const { seed, warmstart: { skill, batch: count, steps } } = config;
  options.onPhase?.("warm start", steps, 0);
  using log = new JsonlWriter(folder.warmstart);
  const codec = tokenizer.tokenizer, watch = new Watch("warm start", config.ppo.spikeFactor);
  await warmstart({ stream, decoder }, config.warmstart, {
    signal: options.signal,
    packTokens: config.ppo.packTokens,
    nextBatch: (step) => scriptedBatch(tasks.compared, { seed, step, count, codec, skill }),
    onStep: (step) => {
      log.write({ ...step });
      options.onStep?.(step.step, { loss: step.loss });
      for (const each of watch.see({ ...step })) options.onNote?.(sightingLine(each));
    },
  });
}

/** What changes from step to step. */
interface Learning extends AsyncDisposable {
  state: RunState;
  /** Whether the last step had nothing to learn from. */
  idle: boolean;
  readonly trainer: PpoTrainer;
  readonly log: RunLog;
  readonly random: Random;
  readonly watch: Watch;
}

/** Opens critic, reference and trainer beside the policy, as the latest checkpoint has them. */
async function startLearning(run: OpenRun): Promise<Learning> {
  await using scope = new AsyncDisposableStack();
  const { config, latest, stream, actor, engine, folder, bandwidth, pool, tasks } = run;
  const { seed, ppo } = config, dir = latest && criticFolder(latest.path);
  const critic = ppo.estimator === "gae"
    ? scope.use(openCritic(stream, actor, { seed, dir }))
    : undefined;
  // The policy before PPO: on resume it is no longer the actor.
  const reference = ppo.klCoefficient > 0
    ? scope.use(openReference(stream, actor, run.start))
    : undefined;
  const trailing = new TrailingAccuracy();
  const rules = { task: tasks.task, grade: pool.grader(), trailing };
  const trainer = scope.use(
    new PpoTrainer({ stream, actor, critic, reference, engine, ...rules, bandwidth }, ppo),
  );
  const { stop, prompts: { system } } = tasks, { temperature } = ppo;
  const files = checkpointFiles(run.tokenizer, actor.config, { stop, system, temperature });
  const models = { stream, actor, critic, trainer, trailing, files, trained: run.trained };
  const state = latest ? await loadState(latest.path, models) : { step: -1, tokens: 0 };
  const stages = [...tasks.task.stages, ...tasks.reference.stages].map(({ name }) => name);
  const log = scope.use(new RunLog(folder, models, config, state, stages));
  const random = new Random(seed), watch = new Watch("run", ppo.spikeFactor);
  // What was said before a run was resumed is not said again.
  for (const line of await readMetrics(folder.metrics)) watch.see(line);
  const kept = scope.move();
  return {
    state,
    idle: false,
    trainer,
    log,
    random,
    watch,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Step 0: the model before training, unless its line is there. */
async function firstEvaluation(
  run: OpenRun,
  { state, log }: Learning,
  { signal, onStep }: TrainOptions,
): Promise<void> {
  if ((await readMetrics(run.folder.metrics)).length > 0) return;
  const { tasks: { task, reference }, config: { evalSamples: samples } } = run;
  const metrics: Metrics = {
    step: 0,
    "tokens/trained": 0,
    ...(reference !== task && await measure(run, reference, { samples, signal })),
    ...await measure(run, task, { samples, signal }),
  };
  const line = log.finish(state, metrics);
  onStep?.(0, line);
}

/** Rollout, update, evaluation where it is due, log, checkpoint. */
async function trainStep(
  run: OpenRun,
  learning: Learning,
  { signal, onStep, onNote }: TrainOptions,
): Promise<void> {
  signal?.throwIfAborted();
  const { config, problems, pool, tasks, tokenizer } = run;
  const { trainer, log, random, watch } = learning;
  const step = learning.state.step + 1, seed = BigInt(config.seed), graded = pool.counts;
  const batch = problems.batch(step, config.ppo.questions);
  const usual = {
    actor: watch.usual("ppo/grad_norm"),
    critic: watch.usual("ppo/critic_grad_norm"),
  };
  const { metrics, episodes, trained } = await trainer.step({
    step,
    problems: batch,
    seed,
    random,
    usual,
    signal,
  });
  const state = learning.state = { step, tokens: learning.state.tokens + trained };
  const last = isDone(config, state);
  const line: Metrics = {
    ...metrics,
    ...gradeMetrics(graded, pool.counts),
    "tokens/trained": state.tokens,
  };
  if (problems.held.length > 0 && (last || step % config.evalEvery === 0)) {
    const began = performance.now();
    // Not to be interrupted: until its line is logged, the models are ahead of the logs.
    Object.assign(line, await measure(run, tasks.task, { samples: last ? config.evalSamples : 1 }));
    line["time/eval"] = (performance.now() - began) / 1000;
  }
  const samples = episodes.slice(0, config.keepEpisodes)
    .map((episode) => episodeSample(step, episode, tokenizer.tokenizer));
  const logged = log.finish(state, line, samples);
  const idle = nothingLearned(logged);
  // Of many in a row the first is told; the report counts them.
  if (idle && !learning.idle) onNote?.(`step ${step}: all advantages are 0, nothing was learned`);
  learning.idle = idle;
  onStep?.(step, logged);
  for (const each of watch.see(logged)) onNote?.(sightingLine(each));
  if (last || step % config.saveEvery === 0) await log.save();
}

/** Writes the report. */
async function report({ config, folder, problems, tasks }: OpenRun): Promise<TrainResults> {
  const lines = await readMetrics(folder.metrics);
  const [first] = tasks.task.stages;
  const measured = lines.findLast((line) => `eval/${first.name}` in line) ?? lines[0];
  const title = `${tasks.task.spec.title} on ${problems.name}`;
  const rows = reportRows(config, { tasks, problems, first: lines[0], last: measured });
  const { spikeFactor } = config.ppo, warmed = await readMetrics(folder.warmstart);
  const notes = [
    ...reportNotes(config, { tasks, problems, lines }),
    ...watchNotes("warm start", warmed, spikeFactor),
    ...watchNotes("run", lines, spikeFactor),
  ];
  const summary = await writeReport(folder, { title, rows, notes });
  return { out: folder.path, title, rows, summary };
}
