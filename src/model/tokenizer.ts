/**
 * Text to token ids and back, exactly as the model's own tokenizer.json says.
 *
 * @module
 */
import { UserError } from "../errors.ts";
import { Bpe, bytesOfToken } from "./bpe.ts";
import { readJson } from "./json_file.ts";
import { type AddedToken, parseTokenizerJson, type TokenizerSpec } from "./tokenizer_json.ts";

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
  readonly #bpe: Bpe;
  readonly #nfc: boolean;
  readonly #pattern: RegExp;
  readonly #ids: Map<string, number>;
  /** UTF-8 bytes of each id; a hole for ids without a token. */
  readonly #bytes: Uint8Array[] = [];
  readonly #added = new Map<string, AddedToken>();
  /** Matches added tokens in the raw text. */
  readonly #rawTokens: RegExp | null;
  /** Matches added tokens in the normalised text. */
  readonly #normalizedTokens: RegExp | null;

  private constructor(spec: TokenizerSpec, where: string) {
    this.#bpe = new Bpe(spec.vocab, spec.merges, where);
    this.#nfc = spec.nfc;
    this.#pattern = spec.pattern;
    this.#ids = new Map(spec.vocab);
    const encoder = new TextEncoder();
    for (const [token, id] of spec.vocab) {
      this.#bytes[id] = bytesOfToken(token) ?? encoder.encode(token);
    }
    for (const token of spec.added) {
      this.#added.set(token.content, token);
      this.#ids.set(token.content, token.id);
      this.#bytes[token.id] = encoder.encode(token.content);
    }
    this.#rawTokens = alternatives(spec.added.filter((token) => !token.normalized));
    this.#normalizedTokens = alternatives(spec.added.filter((token) => token.normalized));
    this.vocabSize = this.#bytes.length;
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
    const plain = (part: string) => this.#encodeWords(part, ids);
    const normalized = (part: string) =>
      this.#split(
        this.#nfc ? part.normalize("NFC") : part,
        this.#normalizedTokens,
        special,
        plain,
        ids,
      );
    this.#split(text, this.#rawTokens, special, normalized, ids);
    return ids;
  }

  /**
   * Text of token ids. Bytes that are not UTF-8 become U+FFFD; ids without a token, such as the
   * padding rows of an embedding, are left out.
   */
  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const decoder = this.streamDecoder(options);
    let text = "";
    for (const id of ids) text += decoder.push(id);
    return text + decoder.end();
  }

  /** Decode ids as they are sampled. */
  streamDecoder({ skipSpecial = false }: DecodeOptions = {}): StreamDecoder {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return {
      push: (id) => {
        const bytes = this.#bytes[id];
        if (bytes === undefined || (skipSpecial && this.specialIds.has(id))) return "";
        return decoder.decode(bytes, { stream: true });
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
    const id = this.#ids.get(token);
    if (id === undefined) {
      throw new UserError(`the tokenizer has no token ${JSON.stringify(token)}`, {
        hint: "add it to the model with `thinker model add-tokens`",
      });
    }
    return id;
  }

  /** Cut added tokens out of the text; what lies between them goes to `rest`. */
  #split(
    text: string,
    tokens: RegExp | null,
    special: boolean,
    rest: (part: string) => void,
    ids: number[],
  ): void {
    let from = 0;
    for (const match of tokens === null ? [] : text.matchAll(tokens)) {
      const token = this.#added.get(match[0])!;
      if (token.special && !special) continue;
      if (match.index > from) rest(text.slice(from, match.index));
      ids.push(token.id);
      from = match.index + match[0].length;
    }
    if (from < text.length) rest(from === 0 ? text : text.slice(from));
  }

  /** Cut text into words and encode each; text that the pattern skips makes words of its own. */
  #encodeWords(text: string, ids: number[]): void {
    const add = (word: string) => {
      for (const id of this.#bpe.encode(word)) ids.push(id);
    };
    let from = 0;
    for (const match of text.matchAll(this.#pattern)) {
      if (match.index > from) add(text.slice(from, match.index));
      add(match[0]);
      from = match.index + match[0].length;
    }
    if (from < text.length) add(text.slice(from));
  }
}

/** A pattern that finds any of the tokens, the longest where several begin; null for none. */
function alternatives(tokens: readonly AddedToken[]): RegExp | null {
  if (tokens.length === 0) return null;
  const longestFirst = tokens.map((token) => token.content).sort((a, b) => b.length - a.length);
  return new RegExp(longestFirst.map((text) => RegExp.escape(text)).join("|"), "gu");
}
