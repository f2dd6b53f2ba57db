/**
 * What a run has done so far, on disk: its lines and its checkpoints never contradict each other.
 *
 * @module
 */
import { JsonlWriter, type Metrics, orderMetrics } from "../base/mod.ts";
import type { TrainConfig } from "../setup/mod.ts";
import type { PendingStep, RunFolder } from "./folder.ts";
import { keepNewest } from "./keep.ts";
import { markLogs } from "./log_marks.ts";
import { markAgain, type RunState, saveState, type TrainingModels } from "./state.ts";

/** Logs steps and saves checkpoints of one run. */
export class RunLog implements Disposable {
  readonly #folder: RunFolder;
  readonly #models: TrainingModels;
  readonly #config: TrainConfig;
  /** The order of stages in a line. */
  readonly #stages: readonly string[];
  readonly #metrics: JsonlWriter;
  readonly #episodes: JsonlWriter;
  /** The last step that is logged or pending while the models are as it left them. */
  #whole: RunState;
  #saved: number;
  #pending: PendingStep | null;

  /** @param state Of the checkpoint that was loaded; step -1 before the first one. */
  constructor(
    folder: RunFolder,
    models: TrainingModels,
    config: TrainConfig,
    state: RunState,
    stages: readonly string[],
  ) {
    this.#folder = folder;
    this.#models = models;
    this.#config = config;
    this.#stages = stages;
    this.#metrics = new JsonlWriter(folder.metrics);
    this.#episodes = new JsonlWriter(folder.episodes);
    this.#whole = state;
    this.#saved = state.step;
    this.#pending = folder.readPending();
  }

  /** The last step, while it waits for its evaluation. */
  get pending(): PendingStep | null {
    return this.#pending;
  }

  /** Whether the models are as the last logged step left them, so that a checkpoint would be true. */
  isWhole({ step }: RunState): boolean {
    return this.#whole.step === step && step >= 0;
  }

  /** Files what a step did: the models are as it left them. Returns the line, in the order of the log. */
  finish(state: RunState, metrics: Metrics, episodes: readonly object[] = []): Metrics {
    for (const episode of episodes) this.#episodes.write(episode);
    const line = orderMetrics(metrics, this.#stages);
    this.#metrics.write(line);
    this.#whole = state;
    return line;
  }

  /**
   * Keeps what a step did until it is evaluated: the models are as it left them, and from now on a
   * checkpoint is true although the step has no line.
   */
  async hold(state: RunState, metrics: Metrics, episodes: readonly object[] = []): Promise<void> {
    this.#pending = { step: state.step, metrics, episodes };
    await this.#folder.hold(this.#pending);
    this.#whole = state;
  }

  /** Files the pending step with what its evaluation measured. Returns the line. */
  async release(state: RunState, measured: Metrics): Promise<Metrics> {
    const { metrics, episodes } = this.#pending!;
    const line = this.finish(state, { ...metrics, ...measured }, episodes);
    await this.#folder.release();
    this.#pending = null;
    await this.settle();
    return line;
  }

  /** Marks the lines of the last saved step in its checkpoint, which may be older than they are. */
  async settle(): Promise<void> {
    const { step } = this.#whole;
    if (this.#pending || step < 0 || step !== this.#saved) return;
    await markAgain(this.#folder.checkpointPath(step), await markLogs(this.#folder));
  }

  /** Saves the last whole step, unless that is done; then older checkpoints go as the config says. */
  async save(): Promise<void> {
    const state = this.#whole;
    if (state.step === this.#saved) return;
    const marks = await markLogs(this.#folder);
    await this.#folder.checkpoint(state.step, (dir) => saveState(dir, this.#models, state, marks));
    this.#saved = state.step;
    await keepNewest(this.#folder, state.step, this.#config);
  }

  /** Closes the logs. */
  [Symbol.dispose](): void {
    this.#metrics[Symbol.dispose]();
    this.#episodes[Symbol.dispose]();
  }
}
