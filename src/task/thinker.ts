/** The four-stage Thinker task (arXiv 2505.21097): its transition table and its final answer. */

import { DialogueTask, type Next } from "./dialogue.ts";
import { ChatEncoder, type ThinkerPrompts } from "./prompts.ts";
import type { Codec, Episode, Mode, Segment } from "./types.ts";

/** Action tokens that each stage may spend. */
export interface ThinkerBudgets {
  /** A short first answer. */
  readonly fast: number;
  /** Yes or No on the fast answer. */
  readonly verify: number;
  /** The long second try. */
  readonly slow: number;
  /** The short form of the slow answer. */
  readonly summary: number;
}

/**
 * Budgets for real models: Fast and Verification as reported for Thinker; Slow and Summarization,
 * which no source states, mirror them.
 */
export const defaultBudgets: ThinkerBudgets = {
  fast: 1000,
  verify: 6000,
  slow: 6000,
  summary: 1000,
};

/** How to set up a {@linkcode ThinkerTask}. */
export interface ThinkerOptions {
  /** The model's tokenizer. */
  readonly codec: Codec;
  /** Templates of the user turns. */
  readonly prompts: ThinkerPrompts;
  /** Action tokens per stage. */
  readonly budgets: ThinkerBudgets;
  /** Ids that end a turn: `<|im_end|>` and the model's EOS. */
  readonly stop: readonly number[];
  /** Whether inference adds a summary to a slow answer (default false: scores do not need it). */
  readonly summarizeAtInference?: boolean;
  /** `"fast"` gives Thinker-Fast: the episode ends after the first stage. */
  readonly only?: "fast";
}

/**
 * Fast Thinking, Verification, Slow Thinking, Summarization as one dialogue. In training the truth
 * decides what follows; at inference the model's own verdict does.
 */
export class ThinkerTask extends DialogueTask {
  /**
   * Sets the task up; see {@linkcode ThinkerOptions}.
   *
   * @throws UserError for a budget that is not a positive integer.
   */
  constructor(options: ThinkerOptions) {
    const { codec, prompts, budgets, stop, summarizeAtInference = false, only } = options;
    super(only === "fast" ? "thinker-fast" : "thinker", {
      codec,
      chat: new ChatEncoder(codec, prompts),
      stages: only === "fast" ? ["fast"] : ["fast", "verify", "slow", "summary"],
      budgets,
      stop: new Set(stop),
      transition: only === "fast"
        ? () => "end"
        : (segments, mode) => nextStage(segments, mode, summarizeAtInference),
    });
  }
}

/**
 * The transition table. Fast is always verified, even without an answer (which counts as wrong).
 * An invalid verdict counts as No at inference and changes nothing in training. Only a right slow
 * answer is worth a summary in training, only an existing one at inference.
 */
function nextStage(segments: readonly Segment[], mode: Mode, summarizeAtInference: boolean): Next {
  const last = segments[segments.length - 1];
  if (last.stage === "fast") return "verify";
  if (last.stage === "verify") {
    if (mode === "inference") return last.verdict === "yes" ? "end" : "slow";
    return byTruth(segments[0], { right: "end", wrong: "slow" });
  }
  if (last.stage === "slow") {
    if (mode === "train") return byTruth(last, { right: "summary", wrong: "end" });
    return summarizeAtInference && last.answer !== undefined ? "summary" : "end";
  }
  return "end";
}

function byTruth(segment: Segment, next: { right: Next; wrong: Next }): Next {
  if (segment.correct === undefined) return "await verdict";
  return segment.correct ? next.right : next.wrong;
}

/**
 * The turn whose answer counts, by the model's own verdict: the fast one after a Yes, otherwise the
 * slow one; the only one where there is no verification. Its `answer` may be missing. In training
 * the truth may have ended the episode before the turn that counts: then undefined, so that
 * `finalAnswer(e)?.correct === true` is a lower bound of the accuracy at inference.
 */
export function finalAnswer(episode: Episode): Segment | undefined {
  const [first, verify, slow] = episode.segments;
  return verify === undefined || verify.verdict === "yes" ? first : slow;
}
