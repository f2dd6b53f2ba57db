/**
 * How a model is asked: as it was trained, unless the caller says otherwise.
 *
 * @module
 */
import { UserError } from "../base/mod.ts";
import type { Trained } from "../model/mod.ts";
import { builtinTasks, comparedTasks, type Prompts, type TaskSpec, thinker } from "../task/mod.ts";

/** How a model is asked. */
export interface Asking {
  /** The course of a question. */
  readonly task: TaskSpec;
  /** The wording of its stages; what is missing is the task's own. */
  readonly prompts: Prompts;
  /** Most action tokens of its stages; undefined: the task's own. */
  readonly budgets?: Readonly<Record<string, number>>;
}

/** What a caller says itself. */
export interface AskChoices extends Partial<Asking> {
  /** The tasks that the model may have been trained on; default: the built-in ones. */
  readonly tasks?: readonly TaskSpec[];
}

/**
 * How to ask a model: as chosen, and what is left open as in its training. A task that its run did not play is
 * asked in that task's own words and budgets, and so is a model from elsewhere, as `thinker` by default.
 *
 * @param trained What the model's folder says of its training.
 * @throws {UserError} when its task is needed and not known here, or has other stages now.
 */
export function howToAsk(trained: Trained | undefined, chosen: AskChoices = {}): Asking {
  const { tasks = builtinTasks } = chosen;
  const task = chosen.task ?? (trained ? taskOf(trained, tasks) : thinker);
  const said = trained && isPlayed(trained, task, tasks) ? trained : undefined;
  const isOwn = ([name]: [string, number]) => task.stages.some((stage) => stage.name === name);
  const own = Object.entries(said?.budgets ?? {}).filter(isOwn);
  return {
    task,
    prompts: chosen.prompts ?? said?.prompts ?? {},
    budgets: chosen.budgets ?? (own.length > 0 ? Object.fromEntries(own) : undefined),
  };
}

/**
 * Whether what a model's run said of stages is about this task. Their names alone do not tell: a task of one's
 * own may have an `answer` too.
 */
function isPlayed(
  { task, stages, prompts }: Trained,
  asked: TaskSpec,
  tasks: readonly TaskSpec[],
): boolean {
  const named = (list: readonly (TaskSpec | undefined)[], name: string) =>
    list.some((each) => each?.name === name);
  if (asked.name === task) return true;
  // The built-in ones are made of the same stages.
  if (named(builtinTasks, task)) return named(builtinTasks, asked.name);
  const home = tasks.find(({ name }) => name === task);
  if (home) return named([home.reference, ...comparedTasks(home)], asked.name);
  // Of a task that is not known here, what it was compared with: a built-in one beside its own stages.
  return named(builtinTasks, asked.name) &&
    asked.stages.every(({ name }) => name in prompts && !stages.includes(name));
}

function taskOf({ task, stages }: Trained, tasks: readonly TaskSpec[]): TaskSpec {
  const found = tasks.find(({ name }) => name === task);
  const names = tasks.map(({ name }) => name).join(", ");
  const hint = "a task of one's own is a TypeScript module: ask from a program that imports it, " +
    `with solve(model, question, { task }), or in another way with --task (${names})`;
  if (!found) {
    throw new UserError(`the model was trained on the task "${task}", which is not known here`, {
      hint,
    });
  }
  const now = found.stages.map(({ name }) => name);
  if (now.join() === stages.join()) return found;
  throw new UserError(
    `the model was trained on a task "${task}" with the stages ${stages.join(", ")}; ` +
      `the one known here has ${now.join(", ")}`,
    { hint },
  );
}

/** One line where a model is asked in another way than it was trained; undefined where it is not. */
export function noteOnTask(trained: Trained | undefined, task: TaskSpec): string | undefined {
  if (!trained || trained.task === task.name) return undefined;
  return `the model was trained on the task ${trained.task} and is asked as ${task.name}`;
}
