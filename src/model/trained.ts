/**
 * What a checkpoint says of its training: names, texts and numbers that this room only carries. Whoever asks
 * the model needs them, and they lie in its folder, so that a copy of it has them too.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import * as z from "npm:zod@4.6.7";
import { type Precision, precisions } from "../../ffi/mod.ts";
import { check, type Fields, readJson, type Schema, UserError } from "../base/mod.ts";
import { stateFile } from "./whole.ts";

/** How a model was trained, and so how it is to be asked: `thinker.json` of its folder. */
export interface Trained {
  /** Name of the task. */
  readonly task: string;
  /** Its stages, in order. */
  readonly stages: readonly string[];
  /** The task's own settings. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** The wording in force of every stage of the run, and `system` where there was such a turn. */
  readonly prompts: Readonly<Record<string, string>>;
  /** Most action tokens of every stage of the run. */
  readonly budgets: Readonly<Record<string, number>>;
  /** What the matrix products read. */
  readonly weightDtype: Precision;
}

const trainedSchema: Schema<Trained> = z.strictObject<Fields<Trained>>({
  task: z.string(),
  stages: z.array(z.string()).min(1),
  settings: z.record(z.string(), z.unknown()),
  prompts: z.record(z.string(), z.string()),
  budgets: z.record(z.string(), z.int().positive()),
  weightDtype: z.enum(precisions),
});

/** The file's place in a model folder. */
export function trainedFile(dir: string): string {
  return join(dir, "thinker.json");
}

/**
 * How the model in a folder was trained; undefined where it was not trained here.
 *
 * @throws {UserError} when the file does not fit, or a checkpoint lacks it (an older version wrote none): its
 * wording must not be replaced by another in silence.
 */
export function readTrained(dir: string): Trained | undefined {
  const path = trainedFile(dir),
    hint = "it is a part of the checkpoint: copy it again from its run";
  if (existsSync(path)) {
    return check(trainedSchema, readJson(path, hint), path, hint);
  }
  if (existsSync(stateFile(dir))) {
    throw new UserError(`${dir} has no thinker.json, which says how to ask it`, { hint });
  }
  if (!existsSync(join(dir, "state.json"))) return undefined;
  throw new UserError(
    `${dir} is a checkpoint of an older version, which does not say how to ask it`,
    {
      hint:
        "train from it with --model, or remove its state.json to ask it as a model from elsewhere",
    },
  );
}
