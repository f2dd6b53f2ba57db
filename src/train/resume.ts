/**
 * Taking up a run that was stopped: only as the same run, and only from what is whole.
 *
 * @module
 */
import { UserError } from "../base/mod.ts";
import { checkWhole, hasWeights } from "../model/mod.ts";
import type { TrainConfig } from "../setup/mod.ts";
import { type Checkpoint, type LogRows, RunFolder } from "./folder.ts";
import { checkMarks } from "./log_marks.ts";
import { checkLogs } from "./logs.ts";
import { checkStart, checkTexts, type Origin, readOrigin } from "./origin.ts";
import { readState } from "./state.ts";
import { chooseCheckpoint } from "./whole.ts";

/** A run that can go on. */
export interface TakenUp {
  /** Null where the run was stopped before its first. */
  readonly checkpoint: Checkpoint | null;
  /** How many lines of the logs belong to it. */
  readonly rows: LogRows;
  /** With a KL term the folder of the policy before PPO, else null. */
  readonly start: string | null;
  /** Undefined where the run was stopped before it had one. */
  readonly origin?: Origin;
  /** What is wrong with newer checkpoints. */
  readonly notes: readonly string[];
}

/**
 * Takes up the run of a folder; nothing in it is changed.
 *
 * @param config With the settings that the run was started with.
 * @throws {UserError} when a file that it still depends on is another or gone, no checkpoint is whole, or
 *   lines are missing.
 */
export async function takeUp(folder: RunFolder, config: TrainConfig): Promise<TakenUp> {
  const saved = await RunFolder.savedConfig(folder.path);
  const origin = await readOrigin(folder, saved);
  if (origin) await checkTexts(origin, config);
  const { checkpoint, note } = await chooseCheckpoint(folder);
  const rows = await checkLogs(folder, config, checkpoint?.step ?? null);
  if (checkpoint) await checkMarks(folder, checkpoint, readState(checkpoint.path).logs);
  const start = checkpoint && startOf(config, folder), { model } = config;
  if (start !== null && model === null) await checkWhole(start);
  // A checkpoint needs nothing of what its run started from, so that may be gone.
  const needed = checkpoint === null || start !== null || model !== saved.model;
  if (origin && model !== null && needed) await checkStart(origin, model);
  return { checkpoint, rows, start, origin, notes: note === undefined ? [] : [note] };
}

/** @throws {UserError} when a KL term needs the policy before PPO, and it is gone. */
function startOf({ model, ppo }: TrainConfig, folder: RunFolder): string | null {
  if (ppo.klCoefficient === 0) return null;
  const dir = model ?? folder.checkpointPath(0);
  if (hasWeights(dir)) return dir;
  throw new UserError(
    `the run's KL term refers to the model that it started from, and ${dir} holds no weights now`,
    { hint: "put that folder back in its place" },
  );
}
