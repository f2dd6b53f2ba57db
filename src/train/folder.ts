/** The folder of one run: where its files stand, and how it is created, resumed and checkpointed. */

import { join } from "node:path";
import {
  exists,
  isTemporaryName,
  namesIn,
  publish,
  readJson,
  removeTree,
  syncPath,
  temporaryPath,
  truncateAfter,
  UserError,
  writeAtomic,
  writeError,
} from "../base/mod.ts";
import { parseTrainConfig, type TrainConfig } from "../setup/mod.ts";

/** A complete checkpoint on disk. */
export interface Checkpoint {
  /** The PPO step after which it was saved; 0 is the state before the first step. */
  step: number;
  /** Its folder. */
  path: string;
}

/** `runs/<name>/`: one run's configuration, logs, checkpoints and report. */
export class RunFolder {
  /** The folder itself. */
  readonly path: string;
  /** The resolved configuration; the first file of every run. */
  readonly config: string;
  /** One object per supervised step of the warm start. */
  readonly warmstart: string;
  /** One object per PPO step; step 0 is the evaluation before training. */
  readonly metrics: string;
  /** Samples of full dialogues with their rewards. */
  readonly episodes: string;
  /** The report in Markdown. */
  readonly report: string;
  /** The report's curves. */
  readonly chart: string;
  /** The report as a page. */
  readonly page: string;
  readonly #checkpoints: string;

  private constructor(path: string) {
    this.path = path;
    this.config = join(path, "config.json");
    this.warmstart = join(path, "warmstart.jsonl");
    this.metrics = join(path, "metrics.jsonl");
    this.episodes = join(path, "episodes.jsonl");
    this.report = join(path, "report.md");
    this.chart = join(path, "report.svg");
    this.page = join(path, "report.html");
    this.#checkpoints = join(path, "checkpoints");
  }

  /**
   * Opens the folder of a run: a new one, or with `resume` one that already holds a run.
   *
   * @throws {UserError} when a new run's folder is not empty, a resumed one holds no run, or the
   * folder cannot be written.
   */
  static async create(path: string, options: { resume?: boolean } = {}): Promise<RunFolder> {
    const folder = new RunFolder(path);
    const names = await folderNames(path);
    if (options.resume) {
      if (!names.includes("config.json")) throw nothingToResume(path);
    } else if (!await isEmpty(folder, names)) {
      throw new UserError(`the run folder ${path} is not empty`, {
        hint: "continue that run with --resume, or choose another folder with --out",
      });
    }
    try {
      await Deno.mkdir(folder.#checkpoints, { recursive: true });
      await removeTemporaries(path);
      await removeTemporaries(folder.#checkpoints);
      const probe = temporaryPath(join(path, "probe"));
      await Deno.writeTextFile(probe, "");
      await Deno.remove(probe);
    } catch (error) {
      throw cannotUse(path, "write", error);
    }
    return folder;
  }

  /**
   * The configuration that a run was started with.
   *
   * @throws {UserError} when the folder holds no run, or one of another version.
   */
  static async savedConfig(path: string): Promise<TrainConfig> {
    const file = new RunFolder(path).config;
    if (!(await folderNames(path)).includes("config.json")) throw nothingToResume(path);
    return parseTrainConfig(readJson(file, "start another run with --out"), file);
  }

  /** An existing run's folder, to look at; nothing is checked or changed. */
  static at(path: string): RunFolder {
    return new RunFolder(path);
  }

  /**
   * The folder of a run that names none: `runs/<preset>-<task>-seed<seed>`, with `-2`, `-3`, …
   * behind it where that one is taken.
   */
  static async defaultPath(
    run: { preset: string; task: string; seed: number },
    root = "runs",
  ): Promise<string> {
    const base = join(root, `${run.preset}-${run.task}-seed${run.seed}`);
    let path = base;
    for (let n = 2; (await folderNames(path)).length > 0; n++) path = `${base}-${n}`;
    return path;
  }

  /** Writes `value` as JSON to one of the folder's files, whole or not at all. */
  async writeJson(path: string, value: unknown): Promise<void> {
    await writeAtomic(path, JSON.stringify(value, null, 2) + "\n");
  }

  /** Where the checkpoint of a step stands (whether it exists or not). */
  checkpointPath(step: number): string {
    return join(this.#checkpoints, `step-${step}`);
  }

  /**
   * Saves a checkpoint: `write` fills a temporary folder, which becomes `checkpoints/step-N` once
   * everything in it is on disk. Log the step before: on resume the lines up to N are kept, and
   * they are made durable here together with the checkpoint.
   *
   * @throws {UserError} when the system refuses; nothing of the new checkpoint is left then.
   */
  async checkpoint(step: number, write: (dir: string) => Promise<void>): Promise<Checkpoint> {
    const path = this.checkpointPath(step);
    const temporary = temporaryPath(path);
    await removeTree(temporary);
    try {
      await Deno.mkdir(temporary);
      await write(temporary);
      await syncTree(temporary);
      for (const log of [this.warmstart, this.metrics, this.episodes]) await syncLog(log);
      await removeTree(path);
      await publish(temporary, path);
    } catch (cause) {
      await removeTree(temporary);
      throw writeError(path, cause);
    }
    return { step, path };
  }

  /** All complete checkpoints, oldest first. */
  async checkpoints(): Promise<Checkpoint[]> {
    const steps = (await folderNames(this.#checkpoints))
      .map((name) => /^step-(\d+)$/.exec(name)?.[1])
      .filter((digits) => digits !== undefined)
      .map(Number)
      .sort((a, b) => a - b);
    return steps.map((step) => ({ step, path: this.checkpointPath(step) }));
  }

  /** The complete checkpoint with the highest step, or null before the first one. */
  async latestCheckpoint(): Promise<Checkpoint | null> {
    return (await this.checkpoints()).at(-1) ?? null;
  }

  /**
   * Takes the logs back to the latest checkpoint, so that a resumed run writes the lines that a run
   * never killed would have written. Without a checkpoint all logs are emptied, the warm start's too.
   *
   * @returns The checkpoint to load, or null to start over.
   */
  async rewind(): Promise<Checkpoint | null> {
    const latest = await this.latestCheckpoint();
    const last = latest?.step ?? -1;
    const upToLast = (row: { step: number }) => row.step <= last;
    await truncateAfter(this.metrics, upToLast);
    await truncateAfter(this.episodes, upToLast);
    // The warm start counts its own steps and is over once the first checkpoint exists.
    await truncateAfter(this.warmstart, () => latest !== null);
    return latest;
  }
}

/** True if nothing of a run is in the folder, or only what one leaves that is killed as it starts. */
async function isEmpty(folder: RunFolder, names: readonly string[]): Promise<boolean> {
  return names.every((name) => isTemporaryName(name) || name === "checkpoints") &&
    (await folder.checkpoints()).length === 0;
}

/** The names in a folder; none where there is no folder. */
async function folderNames(path: string): Promise<string[]> {
  try {
    return await namesIn(path);
  } catch (error) {
    throw cannotUse(path, "read", error);
  }
}

function nothingToResume(path: string): UserError {
  return new UserError(`no run to resume in ${path}`, {
    hint: "name the folder of an earlier run with --out, or leave --resume out",
  });
}

function cannotUse(path: string, action: "read" | "write", cause: unknown): UserError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new UserError(`cannot ${action} the run folder ${path}: ${reason}`, {
    hint: cause instanceof Deno.errors.NotCapable
      ? `choose a folder under runs/, or run deno with --allow-read=${path} --allow-write=${path}`
      : "choose a folder that you can write with --out",
    cause,
  });
}

async function removeTemporaries(path: string): Promise<void> {
  for (const name of (await folderNames(path)).filter(isTemporaryName)) {
    await removeTree(join(path, name));
  }
}

async function syncTree(path: string): Promise<void> {
  for await (const entry of Deno.readDir(path)) {
    const child = join(path, entry.name);
    await (entry.isDirectory ? syncTree(child) : syncPath(child));
  }
  await syncPath(path);
}

async function syncLog(path: string): Promise<void> {
  if (await exists(path)) await syncPath(path);
}
