/**
 * Finding earlier runs.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Precision } from "../../ffi/mod.ts";
import { readJson, UserError } from "../base/mod.ts";
import { builtinTasks, type Prompts, type TaskSpec, thinker } from "../task/mod.ts";
import { findTask, openPrompts, parseTrainConfig, type TrainConfig } from "../setup/mod.ts";
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

/** How a model is asked, and with which precision it answers. */
export interface AskSettings {
  /** How a question is asked. */
  readonly task: TaskSpec;
  /** The wording of its stages; what is missing is the task's own. */
  readonly prompts: Prompts;
  /** Most action tokens of its stages, as in the model's run; undefined for a model without one. */
  readonly budgets?: Readonly<Record<string, number>>;
  /** What the matrix products read; undefined: what suits the device. */
  readonly weightDtype?: Precision;
}

/** What a caller says itself. */
export interface AskChoices {
  /** Name of a task; default: that of the model's run, `thinker` for a model without one. */
  readonly task?: string;
  /** Name or file of a wording; default: that of the model's run. */
  readonly prompts?: string;
  /** The tasks that there are; default: the built-in ones. */
  readonly tasks?: readonly TaskSpec[];
}

/**
 * How to ask a model: as chosen, and what is left open as in the run that it is a checkpoint of. Only what
 * is left open is looked up: the run's task may be unknown here, its prompts file gone.
 *
 * @throws {UserError} when the run's config does not fit, or something that is needed does not exist.
 */
export function askSettings(model: string, chosen: AskChoices = {}): AskSettings {
  const { tasks = builtinTasks } = chosen, run = runOf(model);
  const task = chosen.task !== undefined
    ? findTask(chosen.task, tasks)
    : run
    ? taskOf(run, tasks)
    : thinker;
  return {
    task,
    prompts: chosen.prompts !== undefined
      ? openPrompts(chosen.prompts, [task])
      : run
      ? promptsOf(run, task, tasks)
      : {},
    budgets: run?.config.budgets,
    weightDtype: run?.config.weightDtype ?? undefined,
  };
}

/** The settings of a run, and the file that they are from. */
interface SavedRun {
  readonly file: string;
  readonly config: TrainConfig;
}

/**
 * The run whose checkpoint a model folder is; undefined for other model folders.
 *
 * @throws {UserError} when its config does not fit: its prompts and budgets must not be lost in silence.
 */
function runOf(model: string): SavedRun | undefined {
  let folder: string;
  try {
    // A link to a checkpoint is one too.
    folder = Deno.realPathSync(model);
  } catch (error) {
    const { NotFound, NotADirectory } = Deno.errors;
    // Loading the model says it better.
    if (error instanceof NotFound || error instanceof NotADirectory) return undefined;
    throw error;
  }
  // Elsewhere a config.json two folders up may be anything.
  if (basename(dirname(folder)) !== "checkpoints") return undefined;
  const file = join(dirname(dirname(folder)), "config.json");
  if (!existsSync(file)) return undefined;
  return { file, config: parseTrainConfig(readJson(file, "it is the config of a run"), file) };
}

function taskOf({ file, config }: SavedRun, tasks: readonly TaskSpec[]): TaskSpec {
  const found = tasks.find(({ name }) => name === config.task);
  if (found) return found;
  throw new UserError(`${file}: the run's task "${config.task}" is none of those known here`, {
    hint: `ask in another way with --task (${tasks.map(({ name }) => name).join(", ")}), ` +
      "or name another model with --model",
  });
}

/**
 * The run's wording, checked against the run's own task where that is known.
 *
 * @throws {UserError} when its file is gone, or words stages that are not known here.
 */
function promptsOf({ config }: SavedRun, task: TaskSpec, tasks: readonly TaskSpec[]): Prompts {
  const own = tasks.find(({ name }) => name === config.task) ?? task;
  try {
    return openPrompts(config.prompts, own.reference ? [own, own.reference] : [own]);
  } catch (cause) {
    if (!(cause instanceof UserError)) throw cause;
    const hint = "the run has its prompts from there: name others with --prompts";
    throw new UserError(cause.message, { hint, cause });
  }
}
