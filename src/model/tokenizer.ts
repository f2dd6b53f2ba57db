/**
 * Text to token ids and back, exactly as the model's own tokenizer.json says.
 *
 * @module
 */
import { UserError } from "../base/mod.ts";
import { AddedTokens } from "./added_tokens.ts";
import { bytesOfToken } from "./alphabet.ts";
import { Bpe } from "./bpe.ts";
import { PieceJoiner, type PieceRules } from "./pieces.ts";
import { splitWords, type WordStep } from "./pretokenizer.ts";
import { prefixOf, readTokenizerConfig, readTokenizerJson } from "./tokenizer_config.ts";
import { parseTokenizerJson, type TokenizerSpec } from "./tokenizer_json.ts";
import type { TextStep } from "./tokenizer_schema.ts";

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

/** A BPE tokenizer: byte-level, or of characters with byte fallback. */
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
  readonly #normalizers: readonly TextStep[];
  readonly #steps: readonly WordStep[];
  /** How tokens become text where they are not spelled byte by byte. */
  readonly #pieces: PieceRules | null;
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

  private constructor(spec: TokenizerSpec, config: unknown, where: string) {
    this.#bpe = new Bpe(spec, where);
    this.#normalizers = spec.normalizers;
    this.#steps = spec.steps;
    this.#pieces = spec.pieces;
    const ids = new Map(spec.vocab);
    for (const [token, id] of spec.vocab) this.#spellings[id] = token;
    for (const { content, id, normalized } of spec.added) {
      ids.set(content, id);
      this.#spellings[id] = normalized ? this.#normalize(content) : content;
    }
    this.#ids = ids;
    this.#addedIds = new Set(spec.added.map(({ id }) => id));
    const raw = spec.added.filter((token) => !token.normalized);
    const normalized = spec.added.filter((token) => token.normalized);
    this.#rawTokens = new AddedTokens(raw, (content) => content);
    this.#normalizedTokens = new AddedTokens(normalized, (content) => this.#normalize(content));
    this.vocabSize = this.#spellings.length;
    this.specialIds = spec.control;
    const configFile = where.replace(/tokenizer\.json$/, "tokenizer_config.json");
    this.prefix = prefixOf(config, spec.prefix, (token) => ids.get(token), configFile);
  }

  /**
   * Build a tokenizer from the content of a tokenizer.json.
   *
   * @param where The file's name, for messages.
   * @param config Content of the tokenizer_config.json beside it: it may name a begin-of-text token.
   * @throws {UserError} When the content is malformed or asks for what is not supported.
   */
  static fromJson(json: unknown, where: string, config?: unknown): Tokenizer {
    return new Tokenizer(parseTokenizerJson(json, where), config, where);
  }

  /**
   * Read `tokenizer.json` of a model folder, and `tokenizer_config.json` where it has one.
   *
   * @throws {UserError} When the file is missing or {@linkcode Tokenizer.fromJson} refuses it.
   */
  static load(dir: string): Tokenizer {
    const json = readTokenizerJson(dir);
    return Tokenizer.fromJson(json, `${dir}/tokenizer.json`, readTokenizerConfig(dir));
  }

  /**
   * Token ids of a text. No token is put before or after it, and lone surrogates count as U+FFFD.
   *
   * Added tokens that are not control tokens (`<think>`, `<tool_call>`) always become their ids.
   */
  encode(text: string, { special = false }: EncodeOptions = {}): number[] {
    const ids: number[] = [];
    const add = (id: number) => ids.push(id);
    const rest = (part: string, begin: number) => {
      const words = (part: string, at: number) => {
        for (const word of splitWords(part, this.#steps, begin === 0 && at === 0)) {
          for (const id of this.#bpe.encode(word)) ids.push(id);
        }
      };
      this.#normalizedTokens.split(this.#normalize(part), special, add, words);
    };
    this.#rawTokens.split(text.toWellFormed(), special, add, rest);
    return ids;
  }

  /**
   * Text of token ids. Bytes that are not UTF-8 become U+FFFD; ids without a token, such as the
   * padding rows of an embedding, are left out.
   */
  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    if (this.#pieces !== null) {
      const stream = this.#joinPieces(this.#pieces, options);
      return Array.from(ids, (id) => stream.push(id)).join("") + stream.end();
    }
    const { skipSpecial = false } = options;
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
  streamDecoder(options: DecodeOptions = {}): StreamDecoder {
    if (this.#pieces !== null) return this.#joinPieces(this.#pieces, options);
    const { skipSpecial = false } = options;
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

  #joinPieces(rules: PieceRules, { skipSpecial = false }: DecodeOptions): StreamDecoder {
    const joiner = new PieceJoiner(rules);
    return {
      push: (id) => {
        const piece = this.#spellings[id];
        if (piece === undefined || (skipSpecial && this.specialIds.has(id))) return "";
        return joiner.push(piece);
      },
      end: () => joiner.end(),
    };
  }

  #normalize(text: string): string {
    return this.#normalizers.reduce((normal, step) => step(normal), text);
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
