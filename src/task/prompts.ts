/**
 * Prompts are data: one JSON file of templates, which the user may replace, and the code that
 * turns them into ChatML token ids.
 */

import { z } from "npm:zod@^4";
import { check } from "../base/mod.ts";
import defaultTemplates from "./prompts/default.json" with { type: "json" };
import tinyTemplates from "./prompts/tiny.json" with { type: "json" };
import type { Codec } from "./types.ts";

/** The user turns of all stages. `fast` and `answer` open a dialogue and hold `{question}`. */
export interface ThinkerPrompts {
  /** Text of a system turn before the question; none by default. */
  system?: string;
  /** Asks for a quick boxed answer to `{question}`. */
  fast: string;
  /** Asks for a boxed Yes or No on that answer. */
  verify: string;
  /** Says that the answer was wrong and asks to think again. */
  slow: string;
  /** Asks for the slow reasoning in short. */
  summary: string;
  /** The baseline's only turn: `{question}`, any length. */
  answer: string;
}

/** Stages whose turn opens the dialogue with the question. */
export type OpeningStage = "fast" | "answer";
/** Stages whose turn follows an earlier one. */
export type FollowUpStage = "verify" | "slow" | "summary";

/** Templates for pretrained language models. */
export const defaultPrompts: ThinkerPrompts = defaultTemplates;
/** One-word templates for the tiny preset, whose context is a few dozen tokens. */
export const tinyPrompts: ThinkerPrompts = tinyTemplates;

const PLACEHOLDER = "{question}";

const opening = z.string().refine((text) => text.split(PLACEHOLDER).length === 2, {
  error: `must contain ${PLACEHOLDER} exactly once`,
});
const other = z.string().min(1, { error: "must not be empty" }).refine(
  (text) => !text.includes(PLACEHOLDER),
  { error: `must not contain ${PLACEHOLDER}: the question stands in the first turn already` },
);

/** What a prompt file may hold. */
const schema = z.strictObject({
  system: other.optional(),
  fast: opening,
  verify: other,
  slow: other,
  summary: other,
  answer: opening,
});

/**
 * Checks the content of a prompt file.
 *
 * @param value The parsed JSON.
 * @param where The file's name, for the error message.
 * @throws UserError that names the first wrong key and what to do about it.
 */
export function parsePrompts(value: unknown, where: string): ThinkerPrompts {
  const needed = `needed are the texts ${Object.keys(schema.shape).slice(1).join(", ")}`;
  return check(schema, value, `prompt file ${where}`, needed);
}

/** The tokens that end a turn: ChatML's, and those that the model itself ends with. */
export function turnEnds(codec: Pick<Codec, "id">, eos: readonly number[]): number[] {
  return [...new Set([codec.id("<|im_end|>"), ...eos])];
}

/**
 * Renders templates as ChatML token ids. Only the wrap is encoded with control tokens; templates
 * and questions are plain text, so a question that spells `<|im_end|>` cannot end its turn.
 */
export class ChatEncoder {
  readonly #codec: Codec;
  readonly #prompts: ThinkerPrompts;
  /** What precedes the question: control tokens of the model, then the system turn. */
  readonly #begin: readonly number[];
  readonly #userOpen: readonly number[];
  readonly #userClose: readonly number[];
  readonly #newline: readonly number[];
  /** The `<|im_end|>` token. */
  readonly endOfTurn: number;

  /** Encodes the parts that never change once. */
  constructor(codec: Codec, prompts: ThinkerPrompts) {
    const control = (text: string) => codec.encode(text, { special: true });
    this.#codec = codec;
    this.#prompts = prompts;
    this.endOfTurn = codec.id("<|im_end|>");
    this.#newline = control("\n");
    this.#userOpen = control("<|im_start|>user\n");
    this.#userClose = control("<|im_end|>\n<|im_start|>assistant\n");
    const system = prompts.system === undefined ? [] : [
      ...control("<|im_start|>system\n"),
      ...codec.encode(prompts.system),
      ...control("<|im_end|>\n"),
    ];
    this.#begin = [...codec.prefix ?? [], ...system];
  }

  /** The prompt that opens a dialogue. */
  opening(stage: OpeningStage, question: string): number[] {
    // A function as replacement: "$&" and its kin are ordinary characters in a math question.
    const text = this.#prompts[stage].replace(PLACEHOLDER, () => question);
    return [...this.#begin, ...this.#userTurn(text)];
  }

  /**
   * The environment tokens between a turn and the next.
   *
   * @param closed Whether a sampled stop token ended the turn; if not, `<|im_end|>` comes first.
   */
  followUp(stage: FollowUpStage, closed: boolean): number[] {
    return [
      ...(closed ? [] : [this.endOfTurn]),
      ...this.#newline,
      ...this.#userTurn(this.#prompts[stage]),
    ];
  }

  #userTurn(text: string): number[] {
    return [...this.#userOpen, ...this.#codec.encode(text), ...this.#userClose];
  }
}
