/**
 * A training run from config to report.
 *
 * @module
 */
import { type Metrics, Random, readMetrics } from "../base/mod.ts";
import { PpoTrainer } from "../ppo/mod.ts";
import { checkpointFiles, openCritic, openReference, type TrainConfig } from "../setup/mod.ts";
import { TrailingAccuracy } from "../task/mod.ts";
import { RunLog } from "./log.ts";
import { type OpenRun, openRun, type TrainOptions } from "./open.ts";
import { type ReportRow, writeReport } from "./report.ts";
import { measure } from "./measure.ts";
import { episodeSample, gradeMetrics, nothingLearned, reportNotes, reportRows } from "./results.ts";
import { criticFolder, loadState, type RunState } from "./state.ts";
import { warmStart } from "./warm.ts";
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
      learning.state = { step: 0, tokens: 0 };
      await log.hold(learning.state, { step: 0, "tokens/trained": 0 });
      // At once, so that the warm start is never repeated.
      await log.save();
      await run.folder.removeWarmstart();
    }
    if (log.pending) await evaluateStep(run, learning, options);
    while (!isDone(run.config, learning.state)) await trainStep(run, learning, options);
  } catch (error) {
    // Interrupted inside a step: the models are as the step before left them unless it got to update.
    // What failed of itself, an update for one, may have left them anyhow.
    const interrupted = error === options.signal?.reason;
    if (interrupted && log.isWhole(learning.state)) await log.save();
    throw error;
  }
  return await report(run);
}

/** Whether the last step has been taken. */
function isDone({ steps, tokens }: TrainConfig, state: RunState): boolean {
  return state.step >= steps || (tokens !== null && state.tokens >= tokens);
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
  await log.settle();
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

/**
 * Evaluates the pending step and logs its line; step 0, the model before training, as the reference, too.
 * Interrupted it is evaluated anew on resume.
 */
async function evaluateStep(
  run: OpenRun,
  learning: Learning,
  options: TrainOptions,
): Promise<void> {
  const { tasks: { task, reference }, config } = run,
    { state, log } = learning,
    { signal } = options;
  const began = performance.now(), isFirst = state.step === 0;
  const samples = isFirst || isDone(config, state) ? config.evalSamples : 1;
  const measured: Metrics = {
    ...(isFirst && reference !== task && await measure(run, reference, { samples, signal })),
    ...await measure(run, task, { samples, signal }),
  };
  if (!isFirst) measured["time/eval"] = (performance.now() - began) / 1000;
  tell(learning, await log.release(state, measured), options);
}

/** Shows a step's line, and what is odd about it. */
function tell(learning: Learning, line: Metrics, { onStep, onNote }: TrainOptions): void {
  const { state: { step }, watch } = learning;
  // The evaluation before training is no step.
  const idle = step > 0 && nothingLearned(line);
  // Of many in a row the first is told; the report counts them.
  if (idle && !learning.idle) onNote?.(`step ${step}: all advantages are 0, nothing was learned`);
  learning.idle = idle;
  onStep?.(step, line);
  for (const each of watch.see(line)) onNote?.(sightingLine(each));
}

/** Rollout, update, log, checkpoint, and evaluation where it is due. */
async function trainStep(run: OpenRun, learning: Learning, options: TrainOptions): Promise<void> {
  const { signal } = options;
  signal?.throwIfAborted();
  const { config, problems, pool, tokenizer } = run, { trainer, log, random, watch } = learning;
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
  const samples = episodes.slice(0, config.keepEpisodes)
    .map((episode) => episodeSample(step, episode, tokenizer.tokenizer));
  const isMeasured = problems.held.length > 0 && (last || step % config.evalEvery === 0);
  if (isMeasured) await log.hold(state, line, samples);
  else tell(learning, log.finish(state, line, samples), options);
  // Before the evaluation: that can take longer than a signal leaves time for.
  if (last || step % config.saveEvery === 0) await log.save();
  if (isMeasured) await evaluateStep(run, learning, options);
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
