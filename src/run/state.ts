/**
 * What a checkpoint holds: the policy as a Hugging Face model folder, beside it the critic, both
 * optimizers, and the numbers that the next step depends on. Problems and random numbers are functions
 * of seed and step, so they need no state of their own.
 *
 * @module
 */
import type { Stream, Tensor } from "../../ffi/mod.ts";
import * as z from "npm:zod@^4";
import {
  type Decoder,
  openSafetensors,
  saveDecoder,
  type TokenizerFiles,
  writeSafetensors,
} from "../model/mod.ts";
import type { PpoTrainer } from "../ppo/mod.ts";
import { UserError } from "../errors.ts";

const stateSchema = z.strictObject({
  step: z.int().nonnegative(),
  /** Action tokens that went through the policy loss. */
  tokens: z.int().nonnegative(),
  /** Fast accuracy of the last rollout. */
  trailing: z.number().min(0).max(1),
  /** Optimizer steps taken. */
  actorUpdates: z.int().nonnegative(),
  criticUpdates: z.int().nonnegative(),
});

/** The numbers of a checkpoint. */
export type RunState = z.output<typeof stateSchema>;

/** The models and optimizers of a run. */
export interface TrainingModels {
  readonly stream: Stream;
  readonly actor: Decoder;
  readonly critic: Decoder;
  readonly trainer: PpoTrainer;
  readonly files: TokenizerFiles;
}

function moments({ trainer }: TrainingModels): [string, Tensor][] {
  return [
    ["actor.m", trainer.actorOptimizer.m],
    ["actor.v", trainer.actorOptimizer.v],
    ["critic.m", trainer.criticOptimizer.m],
    ["critic.v", trainer.criticOptimizer.v],
  ];
}

/** Writes a checkpoint into an existing folder. */
export async function saveState(
  dir: string,
  models: TrainingModels,
  state: RunState,
): Promise<void> {
  const { stream, actor, critic, files } = models;
  await saveDecoder(stream, actor, dir, files);
  await Deno.mkdir(`${dir}/critic`);
  await saveDecoder(stream, critic, `${dir}/critic`, files);
  const tensors = moments(models).map(([name, tensor]) => ({
    name,
    dtype: "F32" as const,
    shape: tensor.shape,
    async *chunks() {
      const values = await stream.download(tensor, new Float32Array(tensor.size));
      yield new Uint8Array(values.buffer);
    },
  }));
  await writeSafetensors(`${dir}/optimizer.safetensors`, tensors);
  await Deno.writeTextFile(`${dir}/state.json`, JSON.stringify(state, null, 2) + "\n");
}

/**
 * Reads optimizers and numbers of a checkpoint; the models are loaded from its folders beforehand.
 *
 * @throws {UserError} when the checkpoint is damaged or belongs to another model.
 */
export async function loadState(dir: string, models: TrainingModels): Promise<RunState> {
  const path = `${dir}/state.json`;
  const parsed = stateSchema.safeParse(JSON.parse(await Deno.readTextFile(path)));
  if (!parsed.success) throw new UserError(`${path} is not a checkpoint's state`);
  const state = parsed.data;
  using source = openSafetensors(`${dir}/optimizer.safetensors`);
  for (const [name, tensor] of moments(models)) {
    if (source.info(name).shape.join() !== tensor.shape.join()) {
      throw new UserError(`${dir}: the optimizer state belongs to another model`);
    }
    source.read(name, (bytes, offset) => {
      const values = new Float32Array(bytes.slice().buffer);
      models.stream.upload(tensor.view(offset / 4, [values.length]), values);
    });
  }
  models.trainer.actorOptimizer.t = state.actorUpdates;
  models.trainer.criticOptimizer.t = state.criticUpdates;
  await models.stream.sync();
  return state;
}
