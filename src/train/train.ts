/**
 * A training run from config to report.
 *
 * @module
 */
import { openDevice } from "../../ffi/mod.ts";
import {
  type Hooks,
  JsonlWriter,
  type Metrics,
  orderMetrics,
  Random,
  readMetrics,
  UserError,
} from "../base/mod.ts";
import { Engine, measureBandwidth } from "../engine/mod.ts";
import { evaluate, judgeWith } from "../rollout/mod.ts";
import { GradePool } from "../grade/mod.ts";
import { tinyVocabSize } from "../tiny/mod.ts";
import { actionsOf, PpoTrainer } from "../ppo/mod.ts";
import { type Task, TrailingAccuracy } from "../task/mod.ts";
import {
  checkMemory,
  checkResumed,
  checkRunnable,
  keepChoices,
  openActor,
  openCritic,
  openModelConfig,
  openReference,
  openTasks,
  openTokenizer,
  type TrainConfig,
  warmstartTiny,
} from "../setup/mod.ts";
import { RunFolder } from "./folder.ts";
import { openProblems } from "./problems.ts";
import { writeReport } from "./report.ts";
import { episodeSample, evalMetrics, gradeMetrics, reportNotes, reportRows } from "./results.ts";
import { loadState, type RunState, saveState } from "./state.ts";

/** How to run. */
export interface TrainOptions extends Hooks {
  /** The run folder. */
  readonly out: string;
  /** Go on from the folder's latest checkpoint. */
  readonly resume?: boolean;
  /** Aborting stops the run; what was learned up to the last whole step is saved first. */
  readonly signal?: AbortSignal;
}

/**
 * Trains as the config says and leaves the run folder: config, logs, checkpoints, report.
 *
 * @throws {UserError} for what a user can correct: files, folders, budgets, compiler.
 */
export async function train(asked: TrainConfig, options: TrainOptions): Promise<void> {
  const { signal, resume = false } = options;
  const before = resume ? await RunFolder.savedConfig(options.out) : undefined;
  const wanted = before ? keepChoices(asked, before) : asked;
  if (before) checkResumed(before, wanted);
  checkRunnable(wanted);
  const { tokenizer, files } = openTokenizer(wanted);
  let fallback: string | undefined;
  using device = await openDevice(wanted.device, {
    onBuild: (text) => options.onNote?.(text),
    onNote: (text) => fallback = text,
  });
  const backend = device.info.backend === "cpu" ? "cpu" : "cuda";
  const config: TrainConfig = {
    ...wanted,
    device: wanted.device === "auto" ? backend : wanted.device,
    weights: wanted.weights ?? device.precision,
  };
  using stream = device.stream();
  const latest = resume ? await RunFolder.at(options.out).latestCheckpoint() : null;
  const source = { ...config, model: latest?.path ?? config.model };
  const model = openModelConfig(source, tokenizer);
  const { thinker, baseline, stop, maxTokens } = openTasks(config, tokenizer, model.eos);
  checkMemory(config, model, { maxTokens, stop, backend, deviceBytes: device.info.memoryBytes });
  // Before the models: what it takes is free again by then, and no part of the plan.
  const bandwidth = await measureBandwidth(stream);
  using actor = openActor(stream, source, tokenizer);
  const task: Task = config.task === "thinker" ? thinker : baseline;
  const problems = await openProblems(config, [thinker, baseline]);
  using engine = new Engine(stream, actor, { ...config.engine, maxTokens, stop });
  if (maxTokens > config.ppo.packTokens) {
    throw new UserError(
      `episodes of up to ${maxTokens} tokens do not fit into packs of ${config.ppo.packTokens}`,
      { hint: `set ppo.packTokens to at least ${maxTokens}, or lower promptLimit or the budgets` },
    );
  }
  // Nearly every verdict is there at once; a worker starts when one needs symbolic mathematics, which
  // sums never do. On other problems, fail before the run and not in the middle of it.
  await using pool = new GradePool();
  if (config.data !== null) await pool.ready();
  // Only now, so that a run that cannot start leaves no folder in the way of the next one.
  const folder = await RunFolder.create(options.out, { resume });
  if (resume) await folder.rewind();
  await folder.writeJson(folder.config, config);
  if (fallback) options.onNote?.(fallback);
  if (config.prompts === "tiny" && model.vocab !== tinyVocabSize) {
    options.onNote?.(
      "prompts and learning rates are those of the tiny preset: for a pretrained model take " +
        "--preset q1.5b, or a --config of your own",
    );
  }
  if (problems.skipped > 0) {
    options.onNote?.(
      `${problems.skipped} rows left out: no answer, or over ${config.promptLimit} tokens`,
    );
  }

  if (source.model === null) {
    options.onPhase?.("warm start", config.warmstart.steps, 0);
    using log = new JsonlWriter(folder.warmstart);
    await warmstartTiny({ stream, decoder: actor }, config, tokenizer, {
      signal,
      onStep: (step) => {
        log.write({ ...step });
        options.onStep?.(step.step, { loss: step.loss });
      },
    });
  }

  const criticDir = latest && `${latest.path}/critic`;
  using critic = config.ppo.estimator === "gae"
    ? openCritic(stream, actor, { seed: config.seed, dir: criticDir })
    : undefined;
  // The policy before PPO: on resume it is no longer the actor.
  const startDir = latest && (config.model ?? folder.checkpointPath(0));
  using reference = config.ppo.klCoefficient > 0
    ? openReference(stream, actor, startDir)
    : undefined;
  const seed = BigInt(config.seed);
  const random = new Random(config.seed);
  const judge = judgeWith(pool);
  const trailing = new TrailingAccuracy();
  const policies = { actor, critic, reference };
  const rules = { task, grade: judge, trailing };
  using trainer = new PpoTrainer(
    { stream, ...policies, engine, ...rules, bandwidth },
    config.ppo,
  );
  const models = { stream, actor, critic, trainer, trailing, files };
  let state: RunState = { step: -1, tokens: 0 };
  if (latest) state = await loadState(latest.path, models);
  using log = new JsonlWriter(folder.metrics);
  using dialogues = new JsonlWriter(folder.episodes);
  const measure = (on: Task, signal?: AbortSignal) =>
    evaluate(engine, { task: on, problems: problems.held, grade: judge, seed, signal });
  const measurable = problems.held.length > 0;
  /** The last step whose lines stand in the logs while the models are as it left them. */
  let whole = state, saved = state.step;
  const save = async () => {
    if (whole.step === saved) return;
    await folder.checkpoint(whole.step, (dir) => saveState(dir, models, whole));
    saved = whole.step;
  };
  const finishStep = (metrics: Metrics) => {
    log.write(orderMetrics(metrics));
    options.onStep?.(state.step, metrics);
    whole = state;
  };
  const spent = () => config.tokens !== null && state.tokens >= config.tokens;

  options.onPhase?.("train", config.steps, Math.max(0, state.step));
  try {
    if (state.step < 0) {
      // At once, so that the warm start is never repeated; its evaluation is, when it was cut short.
      whole = state = { step: 0, tokens: 0 };
      await save();
    }
    if (state.step === 0 && (await readMetrics(folder.metrics)).length === 0) {
      const metrics: Metrics = { step: 0, "tokens/trained": 0 };
      if (measurable) {
        if (task !== baseline) Object.assign(metrics, evalMetrics(await measure(baseline, signal)));
        Object.assign(metrics, evalMetrics(await measure(task, signal)));
      }
      finishStep(metrics);
    }
    while (state.step < config.steps && !spent()) {
      signal?.throwIfAborted();
      const step = state.step + 1;
      const batch = problems.batch(step, config.ppo.prompts);
      const graded = pool.counts;
      const result = await trainer.step({ step, problems: batch, seed, random, signal });
      const actions = result.samples.reduce((total, sample) => total + actionsOf(sample), 0);
      state = { step, tokens: state.tokens + actions };
      const last = step === config.steps || spent();
      const metrics: Metrics = {
        ...result.metrics,
        ...gradeMetrics(graded, pool.counts),
        "tokens/trained": state.tokens,
      };
      if (measurable && (last || step % config.evalEvery === 0)) {
        const began = performance.now();
        // Not to be interrupted: until its line is logged, the models are ahead of the logs.
        Object.assign(metrics, evalMetrics(await measure(task)));
        metrics["time/eval"] = (performance.now() - began) / 1000;
      }
      for (const sample of result.samples.slice(0, config.keepEpisodes)) {
        dialogues.write({ ...episodeSample(step, sample, tokenizer) });
      }
      finishStep(metrics);
      if (last || step % config.saveEvery === 0) await save();
    }
  } catch (error) {
    // Interrupted inside a step: the models are as the step before left them unless it got to update.
    if (signal?.aborted && whole.step >= 0 && whole === state) await save();
    throw error;
  }

  const lines = await readMetrics(folder.metrics);
  const measured = lines.findLast((line) => "eval/final" in line || "eval/answer" in line);
  await writeReport(folder, {
    title: `${config.task === "thinker" ? "Thinker" : "Baseline"} on ${problems.name}`,
    rows: reportRows(config, problems, lines[0], measured ?? lines[0]),
    notes: reportNotes(config, problems),
  });
}
