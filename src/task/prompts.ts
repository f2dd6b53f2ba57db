/**
 * Prompts are data: templates by stage, which the user may replace, and the code that turns them into
 * ChatML token ids.
 *
 * @module
 */
import * as z from "npm:zod@4.6.7";
import { check } from "../base/mod.ts";
import type { Codec, TaskSpec } from "./types.ts";

/**
 * Templates of the user turns by stage, and `system`: text of a system turn before the question, which most
 * tasks do without.
 */
export type Prompts = Readonly<Record<string, string>>;

const question = "{question}", result = "{result}";

/** Why a template does not fit its stage; undefined where it does. */
export function checkTemplate(
  text: string,
  { opens, tool }: { opens: boolean; tool: boolean },
): string | undefined {
  if (text === "") return "must not be empty";
  const count = (placeholder: string) => text.split(placeholder).length - 1;
  if (opens && count(question) !== 1) return `must contain ${question} exactly once`;
  if (!opens && count(question) > 0) {
    return `must not contain ${question}: the question stands in the first turn already`;
  }
  if (tool && count(result) !== 1) return `must contain ${result} exactly once`;
  // It would be cut out without a word: there is nothing to put in its place.
  if (!tool && count(result) > 0) return `must not contain ${result}: its stage has no tool`;
}

/**
 * Checks the content of a prompt file.
 *
 * @param value The parsed JSON.
 * @param where The file's name, for the error message.
 * @param tasks The tasks that will use it: it must hold a text for each of their stages.
 * @param known Stages of other tasks, which it may hold too.
 * @throws {UserError} that names the first wrong key and what to do about it.
 */
export function parsePrompts(
  value: unknown,
  where: string,
  tasks: readonly TaskSpec[],
  known: readonly string[] = [],
): Prompts {
  const fields: Record<string, z.ZodType<string | undefined>> = {
    system: z.string().min(1).optional(),
  };
  for (const name of known) fields[name] = z.string().optional();
  for (const { stages } of tasks) {
    stages.forEach(({ name, tool }, i) => {
      const place = { opens: i === 0, tool: tool !== undefined };
      fields[name] = z.string().superRefine((text, context) => {
        const message = checkTemplate(text, place);
        if (message) context.addIssue({ code: "custom", message });
      });
    });
  }
  const needed = tasks.flatMap(({ stages }) => stages.map(({ name }) => name));
  const hint = `needed are the texts ${needed.join(", ")}`;
  const prompts = check(z.strictObject(fields), value, `prompt file ${where}`, hint);
  return Object.fromEntries(
    Object.entries(prompts).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** The tokens that end a turn: ChatML's, and those that the model itself ends with. */
export function turnEnds(codec: Pick<Codec, "id">, eos: readonly number[]): number[] {
  return [...new Set([codec.id("<|im_end|>"), ...eos])];
}

/**
 * Renders templates as ChatML token ids. Only the wrap is encoded with control tokens; templates,
 * questions and what tools say are plain text, so a question that spells `<|im_end|>` cannot end its turn.
 */
export class ChatEncoder {
  readonly #codec: Codec;
  /** What precedes the question: control tokens of the model, then the system turn. */
  readonly #begin: readonly number[];
  readonly #userOpen: readonly number[];
  readonly #userClose: readonly number[];
  readonly #newline: readonly number[];
  /** The `<|im_end|>` token. */
  readonly endOfTurn: number;

  /** Encodes the parts that never change once. */
  constructor(codec: Codec, system?: string) {
    const control = (text: string) => codec.encode(text, { special: true });
    this.#codec = codec;
    this.endOfTurn = codec.id("<|im_end|>");
    this.#newline = control("\n");
    this.#userOpen = control("<|im_start|>user\n");
    this.#userClose = control("<|im_end|>\n<|im_start|>assistant\n");
    const systemTurn = system === undefined ? [] : [
      ...control("<|im_start|>system\n"),
      ...codec.encode(system),
      ...control("<|im_end|>\n"),
    ];
    this.#begin = [...codec.prefix ?? [], ...systemTurn];
  }

  /** The prompt that opens a dialogue. */
  opening(template: string, text: string): number[] {
    // A function as replacement: "$&" and its kin are ordinary characters in a math question.
    const asked = template.replace(question, () => text);
    return [...this.#begin, ...this.#userTurn(this.#codec.encode(asked))];
  }

  /**
   * The environment tokens between a turn and the next.
   *
   * @param closed Whether a sampled stop token ended the turn; if not, `<|im_end|>` comes first.
   * @param said What takes the place of `{result}`: tokens, so that their number is known beforehand.
   */
  followUp(template: string, closed: boolean, said: readonly number[] = []): number[] {
    const parts = template.split(result).map((part) => this.#codec.encode(part));
    return [
      ...(closed ? [] : [this.endOfTurn]),
      ...this.#newline,
      ...this.#userTurn(parts.flatMap((part, i) => i === 0 ? part : [...said, ...part])),
    ];
  }

  #userTurn(text: readonly number[]): number[] {
    return [...this.#userOpen, ...text, ...this.#userClose];
  }
}
