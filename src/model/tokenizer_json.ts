/**
 * The parts of a Hugging Face `tokenizer.json` that a BPE tokenizer needs.
 *
 * @module
 */
import { check, UserError } from "../base/mod.ts";
import type { AddedToken } from "./added_tokens.ts";
import type { BpeOptions } from "./bpe.ts";
import type { PieceRules } from "./pieces.ts";
import {
  compilePattern,
  digitsSplit,
  gpt2Split,
  metaspace,
  type WordStep,
} from "./pretokenizer.ts";
import {
  type DecoderStep,
  maxId,
  type PostProcessor,
  type PreTokenizer,
  type TextStep,
  tokenizerSchema,
} from "./tokenizer_schema.ts";

/** What to do about a file that asks for something else. */
const wayOut = "supported is BPE as Qwen, DeepSeek, Llama, Mistral and SmolLM2 have it: use the " +
  "tokenizer.json that was published with such a model";

/** A tokenizer.json, reduced to what decides the ids. */
export interface TokenizerSpec extends BpeOptions {
  /** Added tokens. */
  readonly added: readonly AddedToken[];
  /** What is done to text first, in order. */
  readonly normalizers: readonly TextStep[];
  /** How the pre-tokenizer cuts text into words, in order; none: all of it is one word. */
  readonly steps: readonly WordStep[];
  /** How tokens become text; null where they are spelled byte by byte. */
  readonly pieces: PieceRules | null;
  /**
   * Control tokens that the post-processor puts before a text, such as a begin-of-text token.
   *
   * @throws {UserError} when it puts tokens behind the text.
   */
  readonly prefix: () => number[];
}

/**
 * Check a tokenizer.json and reduce it to what decides the ids.
 *
 * @param where The file's name, for messages.
 * @throws {UserError} When the file is malformed or asks for what is not supported.
 */
export function parseTokenizerJson(json: unknown, where: string): TokenizerSpec {
  const { model, added_tokens, normalizer, pre_tokenizer, post_processor, decoder } = check(
    tokenizerSchema,
    json,
    where,
    wayOut,
  );
  const vocab = new Map<string, number>();
  for (const [token, id] of Object.entries(model.vocab)) {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id > maxId) {
      throw new UserError(`${where}: token ${JSON.stringify(token)} has no valid id`, {
        hint: `ids are whole numbers from 0 to ${maxId}`,
      });
    }
    vocab.set(token, id);
  }
  const byteLevel = pre_tokenizer.some(({ type }) => type === "ByteLevel");
  return {
    vocab,
    merges: model.merges,
    added: added_tokens,
    normalizers: normalizer,
    steps: wordSteps(pre_tokenizer, where),
    byteLevel,
    pieces: byteLevel ? null : pieceRules(decoder, where),
    unknown: model.unk_token ?? null,
    fuseUnknown: model.fuse_unk ?? false,
    byteFallback: model.byte_fallback ?? false,
    ignoreMerges: model.ignore_merges ?? false,
    control: new Set(added_tokens.filter(({ special }) => special).map(({ id }) => id)),
    prefix: () => prefixOf(post_processor, where),
  };
}

/** The steps that cut words; ByteLevel, which also spells bytes as characters, must be the last one. */
function wordSteps(steps: readonly PreTokenizer[], where: string): WordStep[] {
  const at = (type: string) => steps.findIndex((step) => step.type === type);
  if (at("ByteLevel") >= 0 && at("ByteLevel") < steps.length - 1) {
    throw new UserError(`${where}: pre_tokenizer goes on after ByteLevel`, { hint: wayOut });
  }
  if (at("Metaspace") > 0 || steps.filter(({ type }) => type === "Metaspace").length > 1) {
    throw new UserError(`${where}: pre_tokenizer has steps before Metaspace`, { hint: wayOut });
  }
  return steps.flatMap((step): WordStep[] => {
    if (step.type === "ByteLevel") return step.use_regex ? [gpt2Split] : [];
    if (step.type === "Digits") return [digitsSplit(step.individual_digits)];
    if (step.type === "Metaspace") {
      const { replacement, prepend_scheme, add_prefix_space, split } = step;
      const prepend = prepend_scheme ?? (add_prefix_space === false ? "never" : "always");
      return [metaspace(replacement, prepend, split ?? true)];
    }
    const { pattern, behavior, invert } = step;
    const source = "Regex" in pattern ? pattern.Regex : RegExp.escape(pattern.String);
    const keep = behavior === "Isolated" ? "all" : invert ? "matches" : "gaps";
    return [{ pattern: compilePattern(source, where), keep }];
  });
}

/** The order in which the steps of a decoder make sense; only Replace may stand there more than once. */
const decoderOrder = ["Replace", "ByteFallback", "Fuse", "Strip"];

/** How pieces become text; the steps must be those of a SentencePiece vocabulary, in their order. */
function pieceRules(steps: readonly DecoderStep[], where: string): PieceRules {
  const ranks = steps.map(({ type }) => decoderOrder.indexOf(type));
  const inOrder = ranks.every((rank, i) =>
    i === 0 || rank > ranks[i - 1] || rank + ranks[i - 1] === 0
  );
  const types = steps.map(({ type }) => type);
  const lonelyStrip = types.includes("Strip") && !types.includes("Fuse");
  if (steps.length === 0 || ranks.includes(-1) || !inOrder || lonelyStrip) {
    const found = types.length === 0 ? "none" : types.join(", ");
    throw new UserError(`${where}: decoder is ${found}, which is not supported`, {
      hint: `without ByteLevel it must be a sequence of ${decoderOrder.join(", ")}, in this order`,
    });
  }
  const strip = steps.find((step) => step.type === "Strip");
  return {
    replacements: steps.flatMap((step) =>
      step.type === "Replace" ? [[step.pattern.String, step.content] as const] : []
    ),
    byteFallback: types.includes("ByteFallback"),
    strip: strip ? { content: strip.content, count: strip.start } : null,
  };
}

/** Control tokens in front of a text; tokens behind it would end what a model is to go on with. */
function prefixOf(processors: readonly PostProcessor[], where: string): number[] {
  const prefix: number[] = [];
  for (const processor of processors) {
    if (processor.type === "ByteLevel") continue;
    const { single, special_tokens } = processor;
    const text = single.findIndex((piece) => "Sequence" in piece);
    if (text !== single.length - 1) {
      throw new UserError(`${where}: post_processor must end with the text itself`, {
        hint: "a model is to go on where a text ends: take the tokens behind it out of the file",
      });
    }
    for (const piece of single.slice(0, text)) {
      const { id } = (piece as { SpecialToken: { id: string } }).SpecialToken;
      const token = special_tokens[id];
      if (!token) {
        throw new UserError(
          `${where}: post_processor names ${JSON.stringify(id)} without its ids`,
          {
            hint: "the file is damaged: download it again",
          },
        );
      }
      prefix.push(...token.ids);
    }
  }
  return prefix;
}
