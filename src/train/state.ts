/**
 * What a checkpoint holds: the policy as a Hugging Face model folder with what tells how to ask it, and in a
 * folder of its own what only a resumed run needs: critic, optimizers, and the numbers that the next step
 * depends on. Programs that load every `*.safetensors` of a model folder look into no folder below it.
 * Problems and random numbers are functions of seed and step, so they need no state of their own.
 *
 * @module
 */
import type { Stream, Tensor } from "../../ffi/mod.ts";
import * as z from "npm:zod@4.6.7";
import { join } from "node:path";
import {
  type Decoder,
  digestsFile,
  type ModelFiles,
  saveDecoder,
  stateFile,
  type Trained,
  trainedFile,
  trainerFolder,
} from "../model/mod.ts";
import type { AdamW, PpoTrainer } from "../ppo/mod.ts";
import type { TrailingAccuracy } from "../task/mod.ts";
import {
  check,
  fileMarkSchema,
  firstDifference,
  markFolder,
  readSealed,
  sealJson,
  writeAtomic,
} from "../base/mod.ts";
import { type LogMarks, logMarksSchema } from "./log_marks.ts";
import { loadTensors, saveTensors } from "./tensors.ts";

/** Optimizer steps taken, and those skipped in a row because the gradient was not finite. */
const updatesSchema = z.strictObject({
  taken: z.int().nonnegative(),
  skipped: z.int().nonnegative(),
});

const stateSchema = z.strictObject({
  step: z.int().nonnegative(),
  tokens: z.int().nonnegative(),
  /** Fast accuracy of the last rollout. */
  trailing: z.number().min(0).max(1),
  actor: updatesSchema,
  /** Without a critic null. */
  critic: updatesSchema.nullable(),
  logs: logMarksSchema,
  /** What the checkpoint's other files are, by their paths in it. */
  files: z.record(z.string(), fileMarkSchema),
});

/** How far a run is. */
export interface RunState {
  /** PPO steps done; -1 before the evaluation of step 0. */
  readonly step: number;
  /** Action tokens that went through the policy loss. */
  readonly tokens: number;
}

/** The models and optimizers of a run. */
export interface TrainingModels {
  readonly stream: Stream;
  readonly actor: Decoder;
  readonly critic?: Decoder;
  readonly trainer: PpoTrainer;
  readonly trailing: TrailingAccuracy;
  /** What stands beside the policy's weights. */
  readonly files: ModelFiles;
  /** How the policy is asked. */
  readonly trained: Trained;
}

/** The folder of a checkpoint's critic. */
export function criticFolder(dir: string): string {
  return join(trainerFolder(dir), "critic");
}

/** The moments of the optimizers that have taken a step: before that they are zeros, and not worth a file. */
function moments({ trainer }: TrainingModels): [string, Tensor][] {
  const { actorOptimizer: actor, criticOptimizer: critic } = trainer;
  return Object.entries({ actor, critic }).flatMap(([name, optimizer]): [string, Tensor][] =>
    optimizer && optimizer.t > 0 ? [[`${name}.m`, optimizer.m], [`${name}.v`, optimizer.v]] : []
  );
}

function updatesOf({ t, skipped }: AdamW): z.output<typeof updatesSchema> {
  return { taken: t, skipped };
}

function restoreUpdates(optimizer: AdamW, updates: z.output<typeof updatesSchema>): void {
  optimizer.t = updates.taken;
  optimizer.skipped = updates.skipped;
}

/**
 * Writes a checkpoint into an existing folder. Its files are marked by what can be read back of them, all
 * that lie there, so that none is forgotten, whoever wrote it.
 */
export async function saveState(
  dir: string,
  models: TrainingModels,
  state: RunState,
  logs: LogMarks,
): Promise<void> {
  const { stream, actor, critic, files, trained } = models, folder = trainerFolder(dir);
  await saveDecoder(stream, actor, dir, files);
  await writeJson(trainedFile(dir), trained);
  const model = await markFolder(dir);
  await Deno.writeTextFile(digestsFile(dir), sealJson({ files: model }));
  await Deno.mkdir(folder);
  if (critic) {
    await Deno.mkdir(criticFolder(dir));
    await saveDecoder(stream, critic, criticFolder(dir));
  }
  await saveTensors(`${folder}/optimizer.safetensors`, stream, moments(models));
  const { trailing, trainer } = models;
  const numbers: z.output<typeof stateSchema> = {
    ...state,
    trailing: trailing.toJSON(),
    actor: updatesOf(trainer.actorOptimizer),
    critic: trainer.criticOptimizer ? updatesOf(trainer.criticOptimizer) : null,
    logs,
    files: await markFolder(dir, model),
  };
  await Deno.writeTextFile(stateFile(dir), sealJson(numbers));
}

async function writeJson(path: string, content: unknown): Promise<void> {
  await Deno.writeTextFile(path, JSON.stringify(content, null, 2) + "\n");
}

const hint = "remove that checkpoint folder and use an older one";

/**
 * The numbers of a checkpoint.
 *
 * @throws {UserError} when they are missing or not as they were written.
 */
export function readState(dir: string): z.output<typeof stateSchema> {
  const path = stateFile(dir);
  return check(stateSchema, readSealed(path, hint), path, hint);
}

/** Marks anew what the logs of a checkpoint's run hold: it may have been saved before its step had a line. */
export async function markAgain(dir: string, logs: LogMarks): Promise<void> {
  const { files, ...numbers } = readState(dir);
  if (firstDifference(numbers.logs, logs) === undefined) return;
  await writeAtomic(stateFile(dir), sealJson({ ...numbers, logs, files }));
}

/**
 * Reads optimizers and numbers of a checkpoint; the models are loaded from its folders beforehand.
 *
 * @throws {UserError} when the checkpoint is damaged or belongs to another model.
 */
export async function loadState(dir: string, models: TrainingModels): Promise<RunState> {
  const { trailing, actor, critic, step, tokens } = readState(dir);
  const { actorOptimizer, criticOptimizer } = models.trainer;
  restoreUpdates(actorOptimizer, actor);
  if (criticOptimizer && critic) restoreUpdates(criticOptimizer, critic);
  loadTensors(`${trainerFolder(dir)}/optimizer.safetensors`, models.stream, moments(models));
  models.trailing.restore(trailing);
  await models.stream.sync();
  return { step, tokens };
}
