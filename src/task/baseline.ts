/** The baseline that Thinker is compared with: the plain question, one answer. */

import { DialogueTask } from "./dialogue.ts";
import { ChatEncoder, type ThinkerPrompts } from "./prompts.ts";
import type { Codec } from "./types.ts";

/** How to set up a {@linkcode BaselineTask}. */
export interface BaselineOptions {
  /** The model's tokenizer. */
  readonly codec: Codec;
  /** Templates of the user turns. */
  readonly prompts: ThinkerPrompts;
  /** Action tokens of the answer; 8000 in Open-Reasoner-Zero. */
  readonly budget: number;
  /** Ids that end a turn: `<|im_end|>` and the model's EOS. */
  readonly stop: readonly number[];
}

/** One stage, `answer`; the same in training and at inference. */
export class BaselineTask extends DialogueTask {
  /**
   * Sets the task up; see {@linkcode BaselineOptions}.
   *
   * @throws UserError for a budget that is not a positive integer.
   */
  constructor({ codec, prompts, budget, stop }: BaselineOptions) {
    super("baseline", {
      codec,
      chat: new ChatEncoder(codec, prompts),
      stages: ["answer"],
      budgets: { answer: budget },
      stop: new Set(stop),
      transition: () => "end",
    });
  }
}
