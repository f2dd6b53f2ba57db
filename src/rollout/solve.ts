/**
 * One question through all stages.
 *
 * @module
 */
import { Engine, type SamplingOptions } from "../engine/mod.ts";
import type { Model } from "../model/mod.ts";
import { playEpisodes } from "./play.ts";
import {
  defaultBudgets,
  defaultPrompts,
  type Episode,
  finalAnswer,
  type Segment,
  type Stage,
  type ThinkerBudgets,
  type ThinkerPrompts,
  ThinkerTask,
  turnEnds,
} from "../task/mod.ts";

/** How to solve. */
export interface SolveOptions {
  /** Wording of the stages; default `defaultPrompts`. Use those of the training. */
  readonly prompts?: ThinkerPrompts;
  /**
   * Most tokens of each stage; default `defaultBudgets`, shortened in proportion where the model has
   * too few positions for them.
   */
  readonly budgets?: ThinkerBudgets;
  /** Default: temperature 1, nothing truncated. */
  readonly sampling?: SamplingOptions;
  /** Key of the sampler; default 0. */
  readonly seed?: bigint;
  /** Aborting makes `solve` reject with its reason. */
  readonly signal?: AbortSignal;
  /** Called with each piece of text as it is generated. */
  readonly onText?: (stage: Stage, text: string) => void;
}

/** What came out. */
export interface Solution {
  /** Everything that was said, stage by stage. */
  readonly episode: Episode;
  /** The stage whose answer counts, by the model's own verdict. */
  readonly final: Segment | undefined;
}

/** Budgets cut by at least `excess` tokens in all, each in proportion, none below one token. */
function shortened(budgets: ThinkerBudgets, excess: number): ThinkerBudgets {
  const total = Object.values(budgets).reduce((a, b) => a + b, 0);
  const cut = (budget: number) => Math.max(1, Math.floor(budget * (total - excess) / total));
  const { fast, verify, slow, summary } = budgets;
  return { fast: cut(fast), verify: cut(verify), slow: cut(slow), summary: cut(summary) };
}

/**
 * Plays one question under the inference transitions, the summary included.
 *
 * @throws {UserError} when the question with the given budgets exceeds the model's positions.
 */
export async function solve(
  model: Model,
  question: string,
  options: SolveOptions = {},
): Promise<Solution> {
  const { stream, decoder, tokenizer } = model;
  const stop = turnEnds(tokenizer, decoder.config.eos);
  const taskWith = (budgets: ThinkerBudgets) =>
    new ThinkerTask({
      codec: tokenizer,
      prompts: options.prompts ?? defaultPrompts,
      budgets,
      stop,
      summarizeAtInference: true,
    });
  let task = taskWith(options.budgets ?? defaultBudgets);
  const promptTokens = task.promptTokens(question), [positions] = decoder.cosSin.shape;
  const excess = task.maxTokens(promptTokens) - positions;
  if (excess > 0 && !options.budgets) task = taskWith(shortened(defaultBudgets, excess));
  const maxTokens = task.maxTokens(promptTokens);
  using engine = new Engine(stream, decoder, {
    maxSequences: 1,
    cacheTokens: maxTokens + stream.device.info.kvTile,
    maxTokens,
    stop,
  });
  let decoding: { stage: Stage; text: ReturnType<typeof tokenizer.streamDecoder> } | undefined;
  const say = (stage: Stage, text: string) => text && options.onText?.(stage, text);
  const finish = () => decoding && say(decoding.stage, decoding.text.end());
  const problem = { id: "question", question };
  const { episodes: [episode] } = await playEpisodes(engine, [{ problem, ids: [0n] }], {
    task,
    mode: "inference",
    grade: () => {
      throw new Error("a question without a gold answer is not graded");
    },
    seed: options.seed ?? 0n,
    sampling: options.sampling ?? { temperature: 1, topP: 1, topK: 0 },
    signal: options.signal,
    onTokens: (_episode, stage, ids) => {
      if (decoding?.stage !== stage) {
        finish();
        decoding = { stage, text: tokenizer.streamDecoder({ skipSpecial: true }) };
      }
      for (const id of ids) say(stage, decoding.text.push(id));
    },
  });
  finish();
  return { episode, final: finalAnswer(episode) };
}
