/**
 * The tasks of a run: found by name, worded and budgeted as the config says.
 *
 * @module
 */
import { readJson, UserError } from "../base/mod.ts";
import type { Decoder, Tokenizer, Trained } from "../model/mod.ts";
import {
  builtinTasks,
  comparedTasks,
  parsePrompts,
  type Prompts,
  settingsOf,
  type StageSpec,
  Task,
  type TaskSpec,
  turnEnds,
} from "../task/mod.ts";
import { tinyPrompts } from "../tiny/mod.ts";
import { findTask, fitStages, type TrainConfig } from "./config.ts";

/** The tasks that a run plays, each once. */
interface PlayedTasks {
  /** What is trained. */
  readonly spec: TaskSpec;
  /** How the model before training is measured. */
  readonly reference: TaskSpec;
  /** Those whose runs are compared with this one. */
  readonly compared: readonly TaskSpec[];
  /** All of these, by name. */
  readonly all: readonly TaskSpec[];
}

function playedTasks(
  config: Pick<TrainConfig, "task">,
  tasks: readonly TaskSpec[],
  where: string,
): PlayedTasks {
  const spec = findTask(config.task, tasks, where), reference = spec.reference ?? spec;
  const compared = comparedTasks(spec);
  const all = [...new Set([spec, reference, ...compared])];
  checkDistinct([...tasks, ...all], all);
  if (reference !== spec && reference.stages.length > 1) {
    throw new UserError(
      `task "${spec.name}": its reference "${reference.name}" has ${reference.stages.length} stages`,
      {
        hint: "a reference is the plain question in one stage: its metrics stand beside the task's",
      },
    );
  }
  return { spec, reference, compared, all };
}

/** Configs and metrics speak of tasks and stages by name: a name must mean one thing in a run. */
function checkDistinct(tasks: readonly TaskSpec[], played: readonly TaskSpec[]): void {
  const specs = new Map<string, TaskSpec>();
  for (const task of tasks) {
    if ((specs.get(task.name) ?? task) !== task) {
      throw new UserError(`two tasks are named "${task.name}"`, {
        hint: "give yours another name",
      });
    }
    specs.set(task.name, task);
  }
  const owners = new Map<string, { task: TaskSpec; stage: StageSpec }>();
  for (const task of played) {
    for (const stage of task.stages) {
      const owner = owners.get(stage.name) ?? { task, stage };
      if (owner.stage !== stage) {
        throw new UserError(
          `tasks "${owner.task.name}" and "${task.name}" are played in one run and both have a stage ` +
            `"${stage.name}"`,
          { hint: `give the stage of "${owner.task.name}" another name` },
        );
      }
      owners.set(stage.name, owner);
    }
  }
}

/**
 * The config with every budget and skill of the stages that its run plays, and all settings of its task.
 *
 * @param where What the config came from, for messages.
 * @throws {UserError} for a task or a stage that there is not.
 */
export function fitConfig(
  config: TrainConfig,
  tasks: readonly TaskSpec[] = builtinTasks,
  where = "config",
): TrainConfig {
  const { spec, all: played } = playedTasks(config, tasks, where);
  const taskSettings = settingsOf(spec, config.taskSettings, `${where}: taskSettings`);
  return fitStages({ ...config, taskSettings }, {
    played,
    known: [...tasks, ...builtinTasks],
    where,
  });
}

/** A run's tasks, ready for its tokenizer. */
export interface RunTasks {
  /** What is trained. */
  readonly task: Task;
  /** How the model before training is measured; the same as `task` where it has no reference. */
  readonly reference: Task;
  /** Those whose runs are compared with this one: the warm start of a model made here mixes them. */
  readonly compared: readonly Task[];
  /** All of these, each once. */
  readonly all: readonly Task[];
  /** The wording that the config names; a stage without one has its own. */
  readonly prompts: Prompts;
  /** Tokens that end a turn. */
  readonly stop: number[];
  /** Tokens of the longest episode. */
  readonly maxTokens: number;
}

/**
 * Opens the tasks of a run.
 *
 * @param config As {@linkcode fitConfig} returns it.
 * @throws {UserError} for prompts that cannot be read, or settings that do not fit.
 */
export function openTasks(
  config: TrainConfig,
  tokenizer: Tokenizer,
  eos: readonly number[],
  tasks: readonly TaskSpec[] = builtinTasks,
): RunTasks {
  const stop = turnEnds(tokenizer, eos),
    { spec, reference, compared, all } = playedTasks(config, tasks, "config");
  const { budgets, taskSettings } = config;
  const prompts = openPrompts(config.prompts, all);
  const opened = new Map(all.map((each) => {
    const settings = each === spec ? taskSettings : {};
    return [each, new Task(each, { codec: tokenizer, stop, prompts, budgets, settings })];
  }));
  return {
    task: opened.get(spec)!,
    reference: opened.get(reference)!,
    compared: compared.map((each) => opened.get(each)!),
    all: [...opened.values()],
    prompts,
    stop,
    maxTokens: Math.max(...[...opened.values()].map((t) => t.maxTokens(config.promptLimit))),
  };
}

/** What a checkpoint says of the run: how its model was asked. */
export function trainedAs(
  { task, all, prompts: { system } }: RunTasks,
  { weights }: Pick<Decoder, "weights">,
): Trained {
  const stages = all.flatMap((each) => each.stages);
  return {
    task: task.name,
    stages: task.stages.map(({ name }) => name),
    settings: task.settings as Record<string, unknown>,
    prompts: {
      ...(system !== undefined && { system }),
      ...Object.fromEntries(stages.map(({ name, prompt }) => [name, prompt])),
    },
    budgets: Object.fromEntries(stages.map(({ name, budget }) => [name, budget])),
    weightDtype: weights,
  };
}

/**
 * Stage prompts by name: `tiny`, `default` (each task's own), or a JSON file.
 *
 * @param tasks The tasks that will use them.
 * @throws {UserError} when the file cannot be read or does not fit.
 */
export function openPrompts(name: string, tasks: readonly TaskSpec[]): Prompts {
  if (name === "tiny") return tinyPrompts;
  if (name === "default") return {};
  const hint = 'name an existing JSON file, or one of the built-in sets "tiny" and "default"';
  const others = builtinTasks.flatMap(({ stages }) => stages.map((stage) => stage.name));
  return parsePrompts(readJson(name, hint), name, tasks, others);
}
