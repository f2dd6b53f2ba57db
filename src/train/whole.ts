/**
 * From which of its checkpoints a run goes on: the newest whose files are those that were written.
 *
 * @module
 */
import { existsSync } from "node:fs";
import * as z from "npm:zod@4.6.7";
import { readJson, UserError } from "../base/mod.ts";
import { damagedFile, stateFile, trainerFolder } from "../model/mod.ts";
import type { Checkpoint, RunFolder } from "./folder.ts";
import { readState } from "./state.ts";

/** What is wrong with a checkpoint that `keepWeights` left, or a KL term. */
const modelAlone = "holds a model and no training state";

/** The checkpoint that a run goes on from. */
export interface Choice {
  /** Null where a run has none yet. */
  readonly checkpoint: Checkpoint | null;
  /** What is wrong with newer ones, on one line. */
  readonly note?: string;
}

/**
 * Chooses the newest checkpoint that is whole. Nothing is changed: what is damaged stays where it is until
 * its step is saved again.
 *
 * @throws {UserError} when there are checkpoints, and none is whole or an older version wrote the newest.
 */
export async function chooseCheckpoint(folder: RunFolder): Promise<Choice> {
  const faults: string[] = [], models: string[] = [];
  for (const checkpoint of (await folder.checkpoints()).reverse()) {
    const fault = await faultOf(checkpoint), name = `step-${checkpoint.step}`;
    if (fault !== undefined) {
      faults.push(`${name} ${fault}`);
      if (fault === modelAlone) models.push(checkpoint.path);
      continue;
    }
    if (faults.length === 0) return { checkpoint };
    return { checkpoint, note: `checkpoint ${faults.join(", ")}: going on from ${name}` };
  }
  if (faults.length === 0) return { checkpoint: null };
  const hint = models.length > 0
    ? `begin another run from its weights with --model ${models[0]}`
    : "put a copy of one in its place, or begin another run with --out";
  throw new UserError(`${folder.path} has no whole checkpoint: ${faults.join(", ")}`, { hint });
}

/**
 * Why a run cannot go on from a checkpoint; undefined where it can.
 *
 * @throws {UserError} when an older version wrote it.
 */
async function faultOf({ path, step }: Checkpoint): Promise<string | undefined> {
  const older = existsSync(`${path}/state.json`), old = older || hasOldState(path);
  if (old) {
    throw new UserError(`${path} was written by an older version: its run cannot go on`, {
      hint:
        `${older ? "" : "remove its trainer folder, then "}begin another run from its weights ` +
        `with --model ${path}`,
    });
  }
  if (!existsSync(trainerFolder(path))) return modelAlone;
  const damaged = await damagedFile(path);
  if (damaged !== undefined) return `is damaged (${damaged})`;
  try {
    const found = readState(path);
    return found.step === step ? undefined : `is damaged (its state is that of step ${found.step})`;
  } catch (error) {
    if (error instanceof UserError) return "is damaged (trainer/state.json)";
    throw error;
  }
}

/**
 * Whether an older version wrote a folder's trainer/state.json, which kept no marks. What is damaged is not
 * taken for it: both keys that are new would have to be gone.
 */
function hasOldState(dir: string): boolean {
  const path = stateFile(dir), none = z.never().optional();
  if (!existsSync(path)) return false;
  try {
    return z.looseObject({ files: none, digest: none }).safeParse(readJson(path, "")).success;
  } catch {
    return false;
  }
}
