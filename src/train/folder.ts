/** The folder of one run: where its files stand, and how it is created, resumed and checkpointed. */

import * as z from "npm:zod@4.6.7";
import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  check,
  exists,
  type FolderLock,
  keepRows,
  lockFolder,
  type Metrics,
  namesIn,
  publish,
  readJson,
  readSealed,
  removeLeftovers,
  removeTree,
  sealJson,
  syncPath,
  TakenError,
  temporaryPath,
  UserError,
  writeAtomic,
  writeError,
  writing,
} from "../base/mod.ts";
import { parseTrainConfig, type TrainConfig } from "../setup/mod.ts";

/** A complete checkpoint on disk. */
export interface Checkpoint {
  /** The PPO step after which it was saved; 0 is the state before the first step. */
  step: number;
  /** Its folder. */
  path: string;
}

/** How many rows of each log a run goes on with. */
export interface LogRows {
  /** Of the warm start. */
  readonly warmstart: number;
  /** Of the PPO steps. */
  readonly metrics: number;
  /** Of the sampled dialogues. */
  readonly episodes: number;
  /** Whether the checkpoint's step waits for its evaluation, and so for its line. */
  readonly pending: boolean;
}

/** What a step did, while its evaluation is still to come. */
export interface PendingStep {
  /** Its number. */
  readonly step: number;
  /** Its line but for what the evaluation adds. */
  readonly metrics: Metrics;
  /** The dialogues that it logs. */
  readonly episodes: readonly object[];
}

const pendingSchema = z.strictObject({
  step: z.int().nonnegative(),
  /** JSON writes null for what is no number. */
  metrics: z.record(z.string(), z.number().nullable()),
  episodes: z.array(z.looseObject({})),
});

/** `runs/<name>/`: one run's configuration, logs, checkpoints and report. */
export class RunFolder implements Disposable {
  /** The folder itself. */
  readonly path: string;
  /** The resolved configuration; the first file of every run. */
  readonly config: string;
  /** What the run was begun with: settings, marks of its files, and the programs that took its steps. */
  readonly origin: string;
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
  /** What a step did whose evaluation is still to come; gone once its line is logged. */
  readonly pending: string;
  readonly #checkpoints: string;
  /** Missing where the folder is only looked at. */
  readonly #lock?: FolderLock;

  private constructor(path: string, lock?: FolderLock) {
    this.path = path;
    this.#lock = lock;
    this.config = join(path, "config.json");
    this.origin = join(path, "origin.json");
    this.warmstart = join(path, "warmstart.jsonl");
    this.metrics = join(path, "metrics.jsonl");
    this.episodes = join(path, "episodes.jsonl");
    this.report = join(path, "report.md");
    this.chart = join(path, "report.svg");
    this.page = join(path, "report.html");
    this.pending = join(path, "pending.json");
    this.#checkpoints = join(path, "checkpoints");
  }

  /**
   * Opens the folder of a run: a new one, or with `resume` one that already holds a run. It belongs to this
   * process until it is disposed of.
   *
   * @throws {TakenError} when a new run's folder is not empty, or another process has it.
   * @throws {UserError} when a resumed one holds no run, or the folder cannot be written.
   */
  static async create(path: string, options: { resume?: boolean } = {}): Promise<RunFolder> {
    // Before anything is made in it: it may be somebody's folder of something else.
    await expectUsable(path, options);
    const name = `the run folder ${path}`;
    const hint = options.resume
      ? "wait until that is done, or stop it"
      : "choose another folder with --out";
    try {
      using scope = new DisposableStack();
      const folder = new RunFolder(path, scope.use(await lockFolder(path, { name, hint })));
      await expectUsable(path, options); // another run may have come and gone
      await Deno.mkdir(folder.#checkpoints, { recursive: true });
      await removeLeftovers(path);
      await removeLeftovers(folder.#checkpoints);
      const probe = temporaryPath(join(path, "probe"));
      await Deno.writeTextFile(probe, "", { createNew: true });
      await Deno.remove(probe);
      scope.move();
      return folder;
    } catch (error) {
      throw cannotUse(path, "write", error);
    }
  }

  /**
   * Opens a folder for a new run that names none: `runs/<preset>-<task>-seed<seed>`, with `-2`, `-3`, …
   * behind it where that one is taken.
   *
   * @throws {UserError} when the folder cannot be written.
   */
  static async createNext(
    run: { preset: string; task: string; seed: number },
    root = "runs",
  ): Promise<RunFolder> {
    const base = join(root, `${run.preset}-${run.task}-seed${run.seed}`);
    for (let n = 1;; n++) {
      try {
        return await RunFolder.create(n === 1 ? base : `${base}-${n}`);
      } catch (error) {
        if (!(error instanceof TakenError)) throw error;
      }
    }
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
    await this.#publish(path, write);
    return { step, path };
  }

  /**
   * Saves a warm start after `step` updates as `checkpoints/warmstart-N`, as {@linkcode checkpoint} does.
   *
   * @throws {UserError} when the system refuses; nothing of it is left then.
   */
  async leaveWarmstart(step: number, write: (dir: string) => Promise<void>): Promise<void> {
    await this.#publish(join(this.#checkpoints, `warmstart-${step}`), write);
  }

  /** Where an interrupted warm start was left; null where there is none. */
  async leftWarmstart(): Promise<Checkpoint | null> {
    const [left] = await this.#saved("warmstart");
    return left ?? null;
  }

  /** Removes what {@linkcode leaveWarmstart} saved: the warm start is over. */
  async removeWarmstart(): Promise<void> {
    for (const { path } of await this.#saved("warmstart")) await removeTree(path);
  }

  async #publish(path: string, write: (dir: string) => Promise<void>): Promise<void> {
    const temporary = temporaryPath(path);
    try {
      await Deno.mkdir(temporary);
      await write(temporary);
      await syncTree(temporary);
      await this.#syncLogs();
      if (await exists(path)) await this.#remove(path, path);
      await publish(temporary, path);
    } catch (cause) {
      await removeTree(temporary);
      throw writeError(path, cause);
    }
  }

  /** Keeps what a step did, as the one that is pending now. */
  async hold(pending: PendingStep): Promise<void> {
    await writeAtomic(this.pending, sealJson(pending));
  }

  /** Forgets the pending step, once its line is durable. */
  async release(): Promise<void> {
    await this.#syncLogs();
    await removeTree(this.pending);
  }

  async #syncLogs(): Promise<void> {
    for (const log of [this.warmstart, this.metrics, this.episodes]) await syncLog(log);
  }

  /**
   * Removes a checkpoint, or a folder in it: at once by a rename, so that a kill leaves no half of one.
   *
   * @throws {UserError} when the system refuses.
   */
  async discard(step: number, inside = ""): Promise<void> {
    const path = this.checkpointPath(step);
    await this.#remove(join(path, inside), path);
  }

  /** Removes a folder, by way of a temporary one beside `place`. */
  async #remove(path: string, place: string): Promise<void> {
    const temporary = temporaryPath(place);
    await writing(path, async () => {
      await Deno.rename(path, temporary);
      await removeTree(temporary);
    });
  }

  /** All complete checkpoints, oldest first. */
  async checkpoints(): Promise<Checkpoint[]> {
    return (await this.#saved("step")).reverse();
  }

  /** Folders `<kind>-N` among the checkpoints, the highest N first. */
  async #saved(kind: "step" | "warmstart"): Promise<Checkpoint[]> {
    return (await folderNames(this.#checkpoints))
      .map((name) => ({ step: name.match(`^${kind}-(\\d+)$`)?.[1], path: name }))
      .filter(({ step }) => step !== undefined)
      .map(({ step, path }) => ({ step: Number(step), path: join(this.#checkpoints, path) }))
      .sort((a, b) => b.step - a.step);
  }

  /** The complete checkpoint with the highest step, or null before the first one. */
  async latestCheckpoint(): Promise<Checkpoint | null> {
    return (await this.checkpoints()).at(-1) ?? null;
  }

  /**
   * Takes the logs back to a checkpoint, so that a resumed run writes the lines that a run never killed
   * would have written.
   *
   * @param rows What belongs to the checkpoint.
   */
  async rewind(rows: LogRows): Promise<void> {
    await keepRows(this.metrics, rows.metrics);
    await keepRows(this.episodes, rows.episodes);
    await keepRows(this.warmstart, rows.warmstart);
    if (!rows.pending) await removeTree(this.pending);
  }

  /**
   * What the step of the latest checkpoint did, where that was saved before its evaluation; after
   * {@linkcode rewind} null where its line is logged.
   *
   * @throws {UserError} when the file is damaged.
   */
  readPending(): PendingStep | null {
    if (!existsSync(this.pending)) return null;
    const hint = "remove that file and the latest checkpoint: its step is taken again then";
    const sealed = readSealed(this.pending, hint);
    const { metrics, ...pending } = check(pendingSchema, sealed, this.pending, hint);
    const numbers = Object.entries(metrics).map(([key, value]) => [key, value ?? NaN]);
    return { ...pending, metrics: Object.fromEntries(numbers) };
  }

  /** Gives the folder back. */
  [Symbol.dispose](): void {
    this.#lock?.[Symbol.dispose]();
  }
}

/**
 * @throws {TakenError} when a new run would begin in a folder of something else; hidden files do not count.
 * @throws {UserError} when no run is there to take up.
 */
async function expectUsable(path: string, { resume }: { resume?: boolean }): Promise<void> {
  const names = (await folderNames(path)).filter((name) => !name.startsWith("."));
  if (resume) {
    if (!names.includes("config.json")) throw nothingToResume(path);
    return;
  }
  // A run that is killed as it starts leaves the folder of its checkpoints.
  const [first] = await RunFolder.at(path).checkpoints();
  if (first === undefined && names.every((name) => name === "checkpoints")) return;
  throw new TakenError(`the run folder ${path} is not empty`, {
    hint: "continue that run with --resume, or choose another folder with --out",
  });
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

function cannotUse(path: string, action: "read" | "write", thrown: unknown): UserError {
  // A lock that was refused has said all; one that could not be written has not named the permission.
  const cause = thrown instanceof UserError ? thrown.cause : thrown;
  if (thrown instanceof UserError && cause === undefined) return thrown;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new UserError(`cannot ${action} the run folder ${path}: ${reason}`, {
    hint: cause instanceof Deno.errors.NotCapable
      ? `choose a folder under runs/, or run deno with --allow-read=${path} --allow-write=${path}`
      : "choose a folder that you can write with --out",
    cause,
  });
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
