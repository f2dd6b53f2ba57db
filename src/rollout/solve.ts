/**
 * One question through all stages.
 *
 * @module
 */
import { Engine, type SamplingOptions } from "../engine/mod.ts";
import type { Model, StreamDecoder } from "../model/mod.ts";
import { type Episode, type Segment, Task, turnEnds } from "../task/mod.ts";
import { type AskChoices, howToAsk } from "./ask.ts";
import { playEpisodes } from "./play.ts";

/**
 * How to solve. Task, prompts and budgets are by default those that the model was trained with. Of a model
 * from elsewhere budgets are shortened in proportion where it has too few positions for the task's own.
 */
export interface SolveOptions extends AskChoices {
  /** Default: temperature 1, nothing truncated. */
  readonly sampling?: SamplingOptions;
  /** Key of the sampler; default 0. */
  readonly seed?: bigint;
  /** Aborting makes `solve` reject with its reason. */
  readonly signal?: AbortSignal;
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

/** A task's own budgets, cut by at least `excess` tokens in all, each in proportion, none below one token. */
function shortened(task: Task, excess: number): Record<string, number> {
  const turns = task.turns();
  const total = turns.reduce((sum, { stage, most }) => sum + most * stage.budget, 0);
  return Object.fromEntries(turns.map(({ stage: { name, budget } }) => [
    name,
    Math.max(1, Math.floor(budget * (total - excess) / total)),
  ]));
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
  const stop = turnEnds(tokenizer, decoder.config.eos);
  const taskWith = (budgets?: Readonly<Record<string, number>>) =>
    new Task(spec, { codec: tokenizer, prompts, budgets, stop });
  let task = taskWith(budgets);
  const promptTokens = task.promptTokens(question), [positions] = decoder.cosSin.shape;
  const excess = task.maxTokens(promptTokens) - positions;
  if (excess > 0 && !budgets) task = taskWith(shortened(task, excess));
  const maxTokens = task.maxTokens(promptTokens);
  using engine = new Engine(stream, decoder, {
    maxSequences: 1,
    cacheTokens: maxTokens + stream.device.info.kvTile,
    maxTokens,
    stop,
  });
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
