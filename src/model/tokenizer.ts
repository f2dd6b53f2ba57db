/**
 * Text to token ids and back, exactly as the model's own tokenizer.json says.
 *
 * @module
 */
import { readJson, UserError } from "../base/mod.ts";
import { AddedTokens } from "./added_tokens.ts";
import { Bpe, bytesOfToken } from "./bpe.ts";
import { type Split, splitWords } from "./pretokenizer.ts";
import { type NormalForm, parseTokenizerJson, type TokenizerSpec } from "./tokenizer_json.ts";

/** Options of {@linkcode Tokenizer.encode}. */
export interface EncodeOptions {
  /**
   * Whether control tokens written in the text become their ids. Off by default, so that a question
   * that spells `<|im_end|>` cannot end its turn; prompt templates switch it on.
   */
  readonly special?: boolean;
}

/** Options of {@linkcode Tokenizer.decode} and {@linkcode Tokenizer.streamDecoder}. */
export interface DecodeOptions {
  /** Whether control tokens are left out of the text. */
  readonly skipSpecial?: boolean;
}

/** Turns ids into text one by one. */
export interface StreamDecoder {
  /** The text that is complete with this id; never half a character, so possibly empty. */
  push(id: number): string;
  /** What is left at the end: a replacement character if the last one is incomplete. */
  end(): string;
}

/** A byte-level BPE tokenizer. */
export class Tokenizer {
  /** Number of ids the tokenizer names (largest id + 1). */
  readonly vocabSize: number;
  /** Ids of the control tokens. */
  readonly specialIds: ReadonlySet<number>;
  /**
   * Control tokens that the model expects where a sequence begins, such as a begin-of-text token;
   * often none. `encode` does not add them.
   */
  readonly prefix: readonly number[];
  readonly #bpe: Bpe;
  readonly #normalForms: readonly NormalForm[];
  readonly #splits: readonly Split[];
  readonly #ids: ReadonlyMap<string, number>;
  /** Spelling of each id; a hole for ids without a token. */
  readonly #spellings: string[] = [];
  /** UTF-8 bytes of ids, as far as they have been asked for. */
  readonly #bytes: Uint8Array[] = [];
  /** Ids of added tokens: their spelling is plain text. */
  readonly #addedIds: ReadonlySet<number>;
  /** Added tokens that are looked for in the raw text. */
  readonly #rawTokens: AddedTokens;
  /** Added tokens that are looked for in the normalised text. */
  readonly #normalizedTokens: AddedTokens;

  private constructor(spec: TokenizerSpec, where: string) {
    this.#bpe = new Bpe(spec, where);
    this.#normalForms = spec.normalForms;
    this.#splits = spec.splits;
    this.prefix = spec.prefix;
    const ids = new Map(spec.vocab);
    for (const [token, id] of spec.vocab) this.#spellings[id] = token;
    for (const { content, id } of spec.added) {
      ids.set(content, id);
      this.#spellings[id] = content;
    }
    this.#ids = ids;
    this.#addedIds = new Set(spec.added.map(({ id }) => id));
    const raw = spec.added.filter((token) => !token.normalized);
    const normalized = spec.added.filter((token) => token.normalized);
    this.#rawTokens = new AddedTokens(raw, (content) => content);
    this.#normalizedTokens = new AddedTokens(normalized, (content) => this.#normalize(content));
    this.vocabSize = this.#spellings.length;
    this.specialIds = new Set(spec.added.filter((t) => t.special).map((t) => t.id));
  }

  /**
   * Build a tokenizer from the content of a tokenizer.json.
   *
   * @param where The file's name, for messages.
   * @throws {UserError} When the content is malformed or is not byte-level BPE.
   */
  static fromJson(json: unknown, where: string): Tokenizer {
    return new Tokenizer(parseTokenizerJson(json, where), where);
  }

  /**
   * Read `tokenizer.json` of a model folder.
   *
   * @throws {UserError} When the file is missing or {@linkcode Tokenizer.fromJson} refuses it.
   */
  static load(dir: string): Tokenizer {
    const path = `${dir}/tokenizer.json`;
    const hint = `${dir} must be a model folder as Hugging Face writes it`;
    return Tokenizer.fromJson(readJson(path, hint), path);
  }

  /**
   * Token ids of a text. No token is put before or after it, and lone surrogates count as U+FFFD.
   *
   * Added tokens that are not control tokens (`<think>`, `<tool_call>`) always become their ids.
   */
  encode(text: string, { special = false }: EncodeOptions = {}): number[] {
    const ids: number[] = [];
    const add = (id: number) => ids.push(id);
    const words = (part: string) => {
      for (const word of splitWords(part, this.#splits)) {
        for (const id of this.#bpe.encode(word)) ids.push(id);
      }
    };
    const rest = (part: string) =>
      this.#normalizedTokens.split(this.#normalize(part), special, add, words);
    this.#rawTokens.split(text, special, add, rest);
    return ids;
  }

  /**
   * Text of token ids. Bytes that are not UTF-8 become U+FFFD; ids without a token, such as the
   * padding rows of an embedding, are left out.
   */
  decode(ids: Iterable<number>, { skipSpecial = false }: DecodeOptions = {}): string {
    const parts: Uint8Array[] = [];
    let length = 0;
    for (const id of ids) {
      if (skipSpecial && this.specialIds.has(id)) continue;
      const bytes = this.#bytesOf(id);
      parts.push(bytes);
      length += bytes.length;
    }
    const joined = new Uint8Array(length);
    let at = 0;
    for (const bytes of parts) {
      joined.set(bytes, at);
      at += bytes.length;
    }
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(joined);
  }

  /** Decode ids as they are sampled; all pieces together are what {@linkcode Tokenizer.decode} gives. */
  streamDecoder({ skipSpecial = false }: DecodeOptions = {}): StreamDecoder {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return {
      push: (id) => {
        if (skipSpecial && this.specialIds.has(id)) return "";
        return decoder.decode(this.#bytesOf(id), { stream: true });
      },
      end: () => decoder.decode(),
    };
  }

  /**
   * Id of a token, written as in tokenizer.json.
   *
   * @throws {UserError} When there is no such token.
   */
  id(token: string): number {
    const id = this.find(token);
    if (id === undefined) {
      throw new UserError(`the tokenizer has no token ${JSON.stringify(token)}`, {
        hint: "add it to the model with `thinker model add-tokens`",
      });
    }
    return id;
  }

  /** Id of a token, written as in tokenizer.json; undefined where there is no such token. */
  find(token: string): number | undefined {
    return this.#ids.get(token);
  }

  #normalize(text: string): string {
    return this.#normalForms.reduce((normal, form) => normal.normalize(form), text);
  }

  /** UTF-8 bytes of an id; none for an id without a token. */
  #bytesOf(id: number): Uint8Array {
    const known = this.#bytes[id];
    if (known !== undefined) return known;
    const spelling = this.#spellings[id] ?? "";
    const bytes = this.#addedIds.has(id) ? undefined : bytesOfToken(spelling);
    return this.#bytes[id] = bytes ?? new TextEncoder().encode(spelling);
  }
}
