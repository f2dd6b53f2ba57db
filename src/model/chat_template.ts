/**
 * Chat templates: how a model's own format writes a conversation as text. The stages of the Thinker
 * task do not go through them (their turns are ChatML, token by token); they are for talking to a model as
 * its makers meant it, and for seeing whether that is ChatML too.
 *
 * @module
 */
import { existsSync } from "node:fs";
import * as z from "npm:zod@4.6.7";
import { check, reason, refuseSpecial, UserError } from "../base/mod.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { readTokenizerConfig, tokenText } from "./tokenizer_config.ts";

/** One turn of a conversation. */
export interface ChatMessage {
  /** Who speaks: `system`, `user`, `assistant`, or another role that the template knows. */
  readonly role: string;
  /** What is said, as plain text. */
  readonly content: string;
}

/** How to render a conversation. */
export interface RenderOptions {
  /** Whether the text ends where the assistant's next turn begins; default true. */
  readonly addGenerationPrompt?: boolean;
  /** Further variables that the template reads, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** The files that a chat template comes from, as far as they matter. */
export interface ChatTemplateFiles {
  /** Content of tokenizer_config.json. */
  readonly tokenizerConfig?: unknown;
  /** Content of chat_template.jinja, which goes before the template in tokenizer_config.json. */
  readonly chatTemplate?: string;
}

const configSchema = z.looseObject({
  bos_token: tokenText.nullish(),
  eos_token: tokenText.nullish(),
  pad_token: tokenText.nullish(),
  unk_token: tokenText.nullish(),
  chat_template: z.union([
    z.string(),
    z.array(z.looseObject({ name: z.string(), template: z.string() })),
  ]).nullish(),
});

/** A model's chat template. */
export class ChatTemplate {
  /** The template's text (Jinja). */
  readonly source: string;
  readonly #render: (variables: Record<string, unknown>) => string;
  readonly #tokens: Record<string, string>;
  readonly #where: string;

  private constructor(
    source: string,
    tokens: Record<string, string>,
    where: string,
    render: (variables: Record<string, unknown>) => string,
  ) {
    this.source = source;
    this.#tokens = tokens;
    this.#where = where;
    this.#render = render;
  }

  /**
   * Compiles the template of a model's files; undefined where they have none. Of several named ones it is
   * the one called `default`.
   *
   * @param where The folder, for messages.
   * @throws {UserError} when a file is malformed or the template cannot be compiled.
   */
  static async compile(
    files: ChatTemplateFiles,
    where: string,
  ): Promise<ChatTemplate | undefined> {
    const path = `${where}/tokenizer_config.json`;
    const { chat_template, ...config } = check(
      configSchema,
      files.tokenizerConfig ?? {},
      path,
      "compare with the model's published tokenizer_config.json",
    );
    const listed = typeof chat_template === "string"
      ? chat_template
      : chat_template?.find(({ name }) => name === "default")?.template;
    const source = files.chatTemplate ?? listed;
    if (source === undefined) return undefined;
    const names = ["bos_token", "eos_token", "pad_token", "unk_token"] as const;
    const tokens = Object.fromEntries(
      names.flatMap((name) => typeof config[name] === "string" ? [[name, config[name]]] : []),
    );
    const { Template } = await import("npm:@huggingface/jinja@0.5.11");
    try {
      const template = new Template(source);
      return new ChatTemplate(source, tokens, where, (variables) => template.render(variables));
    } catch (cause) {
      throw new UserError(`${where}: the chat template cannot be read: ${reason(cause)}`, {
        cause,
      });
    }
  }

  /**
   * Reads and compiles the template of a model folder; undefined where it has none.
   *
   * @throws {UserError} when a file cannot be read or is malformed.
   */
  static async load(dir: string): Promise<ChatTemplate | undefined> {
    return await ChatTemplate.compile(readChatFiles(dir), dir);
  }

  /**
   * A conversation as text, control tokens spelled out.
   *
   * @throws {UserError} when the template refuses the conversation.
   */
  render(messages: readonly ChatMessage[], options: RenderOptions = {}): string {
    const { addGenerationPrompt = true, variables } = options;
    try {
      return this.#render({
        ...this.#tokens,
        ...variables,
        messages: messages.map((message) => ({ ...message })),
        add_generation_prompt: addGenerationPrompt,
      });
    } catch (cause) {
      throw new UserError(`${this.#where}: the chat template refuses: ${reason(cause)}`, { cause });
    }
  }

  /**
   * A conversation as token ids. Control tokens count wherever they stand, as in every implementation of
   * chat templates: do not pass text from strangers through it that may spell them.
   *
   * @throws {UserError} when the template refuses the conversation.
   */
  encode(
    tokenizer: Pick<Tokenizer, "encode">,
    messages: readonly ChatMessage[],
    options: RenderOptions = {},
  ): number[] {
    return tokenizer.encode(this.render(messages, options), { special: true });
  }

  /** Whether its turns are ChatML, as those of the Thinker task are. */
  isChatML(): boolean {
    const messages = [{ role: "user", content: "a" }, { role: "assistant", content: "b" }];
    const turns = "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n";
    try {
      return this.render(messages, { addGenerationPrompt: false }).endsWith(turns);
    } catch {
      return false;
    }
  }
}

/**
 * The files of a model folder that decide its chat template.
 *
 * @throws {UserError} when one of them cannot be read.
 */
function readChatFiles(dir: string): ChatTemplateFiles {
  const jinja = `${dir}/chat_template.jinja`;
  const tokenizerConfig = readTokenizerConfig(dir);
  if (!existsSync(jinja)) return { tokenizerConfig };
  refuseSpecial(jinja);
  try {
    return { tokenizerConfig, chatTemplate: Deno.readTextFileSync(jinja) };
  } catch (cause) {
    const hint = `${dir} must be a model folder as Hugging Face writes it`;
    throw new UserError(`cannot read ${jinja}: ${reason(cause)}`, { hint, cause });
  }
}
