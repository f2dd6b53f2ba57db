/**
 * A task made ready for one tokenizer: templates, budgets and settings in their place, and everything
 * checked once.
 *
 * @module
 */
import * as z from "npm:zod@4.6.7";
import { check, clockKeys, isEvalCount, type Schema, UserError } from "../base/mod.ts";
import { Dialogue } from "./dialogue.ts";
import { ChatEncoder, checkTemplate, type Prompts } from "./prompts.ts";
import type { Codec, Episode, EpisodeOptions, Mode, StageSpec, TaskSpec } from "./types.ts";

/** How to set a {@linkcode Task} up. */
export interface TaskOptions {
  /** The model's tokenizer. */
  readonly codec: Codec;
  /** Ids that end a turn: `<|im_end|>` and the model's EOS. */
  readonly stop: readonly number[];
  /** Templates by stage, and perhaps `system`; a stage without one keeps its own. */
  readonly prompts?: Prompts;
  /** Most action tokens by stage; a stage without a number keeps its own. */
  readonly budgets?: Readonly<Record<string, number>>;
  /** The task's own settings; what is left out has its default. */
  readonly settings?: unknown;
}

/** A task that can open episodes. */
export class Task {
  /** What it was made of. */
  readonly spec: TaskSpec;
  /** The stages with the templates and budgets in force, in order; the first one opens an episode. */
  readonly stages: readonly StageSpec[];
  /** The task's own settings, complete. */
  readonly settings: unknown;
  readonly #options: TaskOptions;
  readonly #chat: ChatEncoder;

  /**
   * Sets a task up.
   *
   * @throws {UserError} for a budget that is not a positive integer, a template without its place holder,
   * settings that do not fit, or a task that contradicts itself.
   * @throws {Error} when `<|im_end|>` is not among the stop tokens.
   */
  constructor(spec: TaskSpec, options: TaskOptions) {
    checkSpec(spec);
    const { prompts = {}, budgets = {}, codec, stop } = options;
    this.spec = spec;
    this.settings = settingsOf(spec, options.settings ?? {}, `settings of task ${spec.name}`);
    this.#options = options;
    this.stages = spec.stages.map((stage, i) => {
      const budget = budgets[stage.name] ?? stage.budget;
      if (!Number.isSafeInteger(budget) || budget < 1) {
        throw new UserError(`token budget of stage "${stage.name}" is ${budget}`, {
          hint: "set it to a whole number of at least 1",
        });
      }
      const prompt = prompts[stage.name] ?? stage.prompt;
      const problem = checkTemplate(prompt, { opens: i === 0, tool: stage.tool !== undefined });
      if (problem) {
        throw new UserError(`the prompt of stage "${stage.name}" ${problem}`, {
          hint: "change the text in the prompt file or in the task",
        });
      }
      return { ...stage, budget, prompt };
    });
    this.#chat = new ChatEncoder(codec, prompts.system);
    if (!stop.includes(this.#chat.endOfTurn)) {
      throw new Error("the stop tokens of a task must include <|im_end|>");
    }
  }

  /** What the task is called in configs and run folders. */
  get name(): string {
    return this.spec.name;
  }

  /**
   * A new episode about one problem.
   *
   * @throws {UserError} when training is asked for a problem without a gold answer.
   */
  episode(options: EpisodeOptions): Episode {
    const { codec, stop } = this.#options, { spec, stages } = this;
    const rules = { codec, stop: new Set(stop), chat: this.#chat, spec, stages };
    return new Dialogue(rules, options);
  }

  /** Tokens of the first prompt, ChatML wrap included. */
  promptTokens(question: string): number {
    return this.#chat.opening(this.stages[0].prompt, question).length;
  }

  /** Stages with the turns that an episode may have of each at most. */
  turns(mode: Mode = "complete"): { stage: StageSpec; most: number }[] {
    return this.stages.filter(({ extra }) => !extra || mode !== "inference")
      .map((stage) => ({ stage, most: stage.turns ?? 1 }));
  }

  /**
   * Upper bound on an episode's tokens (prompt, budgets, environment), for planning the KV cache; each
   * follow-up may have to close a truncated turn.
   */
  maxTokens(promptTokens: number, mode: Mode = "complete"): number {
    const [{ stage: first }, ...later] = this.turns(mode);
    let total = promptTokens + first.budget;
    for (const { stage, most } of later) {
      const asked = this.#chat.followUp(stage.prompt, false).length + (stage.tool?.tokens ?? 0);
      total += most * (stage.budget + asked);
    }
    return total;
  }
}

/**
 * A task's own settings, with defaults for what is left out.
 *
 * @param where What they came from, for messages.
 * @throws {UserError} for settings that do not fit.
 */
export function settingsOf(
  { name, settings }: TaskSpec,
  value: unknown,
  where: string,
): Record<string, unknown> {
  const schema: Schema<Record<string, unknown>> = settings ?? z.strictObject({});
  return check(schema, value, where, `see the task ${name}: these are settings of its own`);
}

/** Names that keys of logs have beside those of stages. */
const takenNames = ["system", "final", "episode", "reward"];

/** Most seconds that a timer can wait: 2^31 - 1 milliseconds. */
const longestWait = 2147483;

/** @throws {UserError} for what contradicts itself: a mistake of the task's author. */
function checkSpec({ name, stages }: TaskSpec): void {
  const wrong = (what: string, hint: string) => new UserError(`task ${name}: ${what}`, { hint });
  if (!stages?.length) {
    throw wrong("it has no stages", "give it at least one: it opens the episode");
  }
  const known = new Map(stages.map((stage) => [stage.name, stage]));
  for (const [i, stage] of stages.entries()) {
    if (!isStageName(stage.name)) {
      throw wrong(
        `"${stage.name}" is no name for a stage`,
        "use letters, digits, - and _, and no word that logs have a use for, such as tokens",
      );
    }
    if (stages.findIndex((each) => each.name === stage.name) !== i) {
      throw wrong(`two stages are called "${stage.name}"`, "give each stage a name of its own");
    }
    const problem = stageProblem(stage, known);
    if (problem) throw wrong(`stage "${stage.name}" ${problem[0]}`, problem[1]);
  }
  const [{ judges, tool, turns = 1 }] = stages;
  if (judges !== undefined || tool || turns > 1) {
    throw wrong(
      "the first stage opens the episode: it judges nothing, has no tool and comes once",
      "put a stage before it that asks the question",
    );
  }
}

/**
 * Whether records and metrics can be keyed by it: `eval/<stage>` must not pass for a count or a time, nor a
 * record find a property of every object there.
 */
function isStageName(name: string): boolean {
  return /^[\w-]+$/.test(name) && !takenNames.includes(name) && !(name in {}) &&
    !isEvalCount(name) && !clockKeys(name);
}

/** What is wrong with a stage, and what to do about it. */
function stageProblem(
  { judges, turns = 1, tool }: StageSpec,
  known: ReadonlyMap<string, StageSpec>,
): [string, string] | undefined {
  const isCount = (value: number) => Number.isSafeInteger(value) && value >= 1;
  if (judges !== undefined) {
    const judged = known.get(judges);
    if (!judged) return [`judges "${judges}", which is no stage`, "name a stage that answers"];
    if (judged.judges !== undefined) {
      return [
        `judges "${judges}", which judges too and gives no answer`,
        "name one that answers",
      ];
    }
  }
  if (!isCount(turns)) return [`has ${turns} turns`, "set a whole number of at least 1"];
  if (!tool) return;
  const { tokens, seconds = 10 } = tool;
  if (!isCount(tokens)) {
    return [`has a tool of ${tokens} tokens`, "set a whole number of at least 1"];
  }
  if (!(seconds > 0 && seconds <= longestWait)) {
    return [`has a tool of ${seconds} seconds`, `set a number above 0, ${longestWait} at most`];
  }
}
