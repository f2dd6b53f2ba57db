/**
 * Finding earlier runs.
 *
 * @module
 */
import type { Precision } from "../../ffi/mod.ts";
import { readJson, UserError } from "../base/mod.ts";
import { builtinTasks, type Prompts, type TaskSpec } from "../task/mod.ts";
import { findTask, openPrompts, trainConfigSchema } from "../setup/mod.ts";
import { RunFolder } from "./folder.ts";

/**
 * The newest checkpoint of any run under `root`.
 *
 * @throws {UserError} when there is none.
 */
export async function latestCheckpoint(root: string): Promise<string> {
  let newest: { path: string; time: number } | undefined;
  try {
    for await (const entry of Deno.readDir(root)) {
      if (!entry.isDirectory) continue;
      const checkpoint = await RunFolder.at(`${root}/${entry.name}`).latestCheckpoint();
      if (!checkpoint) continue;
      const time = (await Deno.stat(checkpoint.path)).mtime?.getTime() ?? 0;
      if (!newest || time > newest.time) newest = { path: checkpoint.path, time };
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  if (!newest) {
    throw new UserError(`no checkpoint under ${root}/`, {
      hint: "train one with `deno task train`, or name a model folder with --model",
    });
  }
  return newest.path;
}

/** How a run asks its questions, and with which precision it answers them. */
export interface RunSettings {
  /** The run's task. */
  readonly task: TaskSpec;
  /** The wording of its stages. */
  readonly prompts: Prompts;
  /** Most action tokens of its stages. */
  readonly budgets: Readonly<Record<string, number>>;
  /** What the matrix products read; undefined: what suits the device. */
  readonly weightDtype?: Precision;
}

/**
 * The settings of the run that a checkpoint lies in; undefined for other model folders.
 *
 * @param tasks The tasks that a run may be on.
 */
export function runSettings(
  checkpoint: string,
  tasks: readonly TaskSpec[] = builtinTasks,
): RunSettings | undefined {
  let content: unknown;
  try {
    content = readJson(`${checkpoint}/../../config.json`, "");
  } catch {
    return undefined;
  }
  const config = trainConfigSchema.safeParse(content);
  if (!config.success) return undefined;
  const { prompts, budgets, weightDtype } = config.data;
  const task = findTask(config.data.task, tasks);
  const played = task.reference ? [task, task.reference] : [task];
  return {
    task,
    prompts: openPrompts(prompts, played),
    budgets,
    weightDtype: weightDtype ?? undefined,
  };
}
