/**
 * How a model is asked, for the commands that ask one.
 *
 * @module
 */
import { readTrained } from "../src/model/mod.ts";
import { type Asking, howToAsk } from "../src/rollout/mod.ts";
import { findTask, openPrompts } from "../src/setup/mod.ts";
import { builtinTasks } from "../src/task/mod.ts";

/**
 * As the options say, and what they leave open as the model was trained.
 *
 * @param model The model's folder.
 * @throws {UserError} when what is named does not exist, or the model's own task is not known here.
 */
export function askedAs(
  model: string,
  { task: name, prompts: set }: { readonly task?: string; readonly prompts?: string },
): Asking {
  const task = name === undefined ? undefined : findTask(name, builtinTasks);
  const asking = howToAsk(readTrained(model), { task });
  return set === undefined ? asking : { ...asking, prompts: openPrompts(set, [asking.task]) };
}
