/**
 * What a run has done so far, on disk: its lines and its checkpoints never contradict each other.
 *
 * @module
 */
import { JsonlWriter, type Metrics, orderMetrics } from "../base/mod.ts";
import type { TrainConfig } from "../setup/mod.ts";
import type { RunFolder } from "./folder.ts";
import { keepNewest } from "./keep.ts";
import { type RunState, saveState, type TrainingModels } from "./state.ts";

/** Logs steps and saves checkpoints of one run. */
export class RunLog implements Disposable {
  readonly #folder: RunFolder;
  readonly #models: TrainingModels;
  readonly #config: TrainConfig;
  /** The order of stages in a line. */
  readonly #stages: readonly string[];
  readonly #metrics: JsonlWriter;
  readonly #episodes: JsonlWriter;
  /** The last step whose lines stand in the logs while the models are as it left them. */
  #whole: RunState;
  #saved: number;

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

  /** Saves the last whole step, unless that is done; then older checkpoints go as the config says. */
  async save(): Promise<void> {
    const state = this.#whole;
    if (state.step === this.#saved) return;
    await this.#folder.checkpoint(state.step, (dir) => saveState(dir, this.#models, state));
    this.#saved = state.step;
    await keepNewest(this.#folder, state.step, this.#config);
  }

  /** Takes the models as they are for step 0, before it has a line. */
  begin(state: RunState): void {
    this.#whole = state;
  }

  /** Closes the logs. */
  [Symbol.dispose](): void {
    this.#metrics[Symbol.dispose]();
    this.#episodes[Symbol.dispose]();
  }
}
