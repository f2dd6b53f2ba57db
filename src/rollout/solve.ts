/**
 * One question through all stages.
 *
 * @module
 */
import { Engine, type SamplingOptions } from "../engine/mod.ts";
import type { Model, StreamDecoder } from "../model/mod.ts";
import { type Episode, type Segment, Task, turnEnds } from "../task/mod.ts";
import { memoryFor, UserError } from "../base/mod.ts";
import { type AskChoices, howToAsk, noteOnTask } from "./ask.ts";
import { playEpisodes } from "./play.ts";

/**
 * How to solve. Task, prompts and budgets are by default those that the model was trained with; another task
 * than its run played has its own. A task's own budgets are shortened in proportion where the model has too
 * few positions for them.
 */
export interface SolveOptions extends AskChoices {
  /** Default: temperature 1, nothing truncated. */
  readonly sampling?: SamplingOptions;
  /** Key of the sampler; default 0. */
  readonly seed?: bigint;
  /** Aborting makes `solve` reject with its reason. */
  readonly signal?: AbortSignal;
  /** Told where the model is asked in another way than it was trained. */
  readonly onNote?: (text: string) => void;
  /** Called with each piece of text as it is generated: the turn's role, the text, the turn's number from 0. */
  readonly onText?: (stage: string, text: string, turn: number) => void;
}

/** What came out. */
export interface Solution {
  /** Everything that was said, stage by stage. */
  readonly episode: Episode;
  /** The turn whose answer counts, by the model's own verdict. */
  readonly final: Segment | undefined;
}

/** The turn that is being generated. */
interface Speech {
  readonly index: number;
  readonly stage: string;
  readonly text: StreamDecoder;
}

/**
 * The task with budgets that the model has the positions for. Given ones stay as they are; a task's own are
 * cut in proportion, none below one token.
 *
 * @param taskWith Makes the task with such budgets.
 * @throws {UserError} when that is not possible.
 */
function fitting(
  taskWith: (budgets?: Readonly<Record<string, number>>) => Task,
  { question, positions, budgets }: {
    readonly question: string;
    readonly positions: number;
    readonly budgets?: Readonly<Record<string, number>>;
  },
): Task {
  const task = taskWith(budgets), promptTokens = task.promptTokens(question);
  const needed = task.maxTokens(promptTokens);
  if (needed <= positions) return task;
  const turns = task.turns();
  const each = (budgetOf: (budget: number) => number) =>
    Object.fromEntries(turns.map(({ stage: { name, budget } }) => [name, budgetOf(budget)]));
  // What a token for every turn takes: beyond it there is room for budgets.
  const least = taskWith(each(() => 1)).maxTokens(promptTokens);
  if (least > positions) {
    throw new UserError(
      `question and prompts alone take ${least} tokens; the model has ${positions} positions`,
      { hint: "shorten the question or the prompts, or ask a model with more positions" },
    );
  }
  if (budgets) {
    throw new UserError(
      `question, prompts and budgets take ${needed} tokens; the model has ${positions} positions`,
      { hint: "shorten the question, or ask as another task; a program may pass lower budgets" },
    );
  }
  const share = (positions - least) / (needed - least);
  return taskWith(each((budget) => 1 + Math.floor((budget - 1) * share)));
}

/**
 * Plays one question under the inference transitions, with the stages that change no answer (a summary).
 *
 * @throws {UserError} when the question with the given budgets exceeds the model's positions, or the task that
 * the model was trained on is not known here.
 */
export async function solve(
  model: Model,
  question: string,
  options: SolveOptions = {},
): Promise<Solution> {
  const { stream, decoder, tokenizer } = model;
  const { task: spec, prompts, budgets } = howToAsk(model.trained, options);
  const note = noteOnTask(model.trained, spec);
  if (note !== undefined) options.onNote?.(note);
  const stop = turnEnds(tokenizer, decoder.config.eos);
  const taskWith = (budgets?: Readonly<Record<string, number>>) =>
    new Task(spec, { codec: tokenizer, prompts, budgets, stop });
  const [positions] = decoder.cosSin.shape;
  const task = fitting(taskWith, { question, positions, budgets });
  const maxTokens = task.maxTokens(task.promptTokens(question));
  const sizes = { maxTokens, cacheTokens: maxTokens + stream.device.info.kvTile, stop };
  using engine = memoryFor(
    "KV cache and buffers of the engine",
    "ask with lower budgets, or take a smaller model",
    () => new Engine(stream, decoder, { maxSequences: 1, ...sizes }),
  );
  let turn: Speech | undefined;
  const say = ({ stage, index }: Speech, text: string) =>
    text && options.onText?.(stage, text, index);
  const finish = () => turn && say(turn, turn.text.end());
  const problem = { id: "question", question };
  const { episodes: [episode] } = await playEpisodes(engine, [{ problem, ids: [0n] }], {
    task,
    mode: "complete",
    grade: () => {
      throw new Error("a question without a gold answer is not graded");
    },
    seed: options.seed ?? 0n,
    sampling: options.sampling ?? { temperature: 1, topP: 1, topK: 0 },
    signal: options.signal,
    onTokens: ({ segments: { length: index } }, stage, ids) => {
      if (turn?.index !== index) {
        finish();
        turn = { index, stage, text: tokenizer.streamDecoder({ skipSpecial: true }) };
      }
      for (const id of ids) say(turn, turn.text.push(id));
    },
  });
  finish();
  return { episode, final: episode.final };
}
