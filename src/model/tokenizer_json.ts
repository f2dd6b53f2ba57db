/**
 * The parts of a Hugging Face `tokenizer.json` that a BPE tokenizer needs, checked.
 *
 * @module
 */
import * as z from "npm:zod@^4";
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

/** No vocabulary comes near; a file that claims a larger id is damaged. */
const maxId = 2 ** 24 - 1;

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

/** A change of text. */
export type TextStep = (text: string) => string;

/** A list of steps: each of its own, or in (nested) sequences. */
function stepsOf<T extends z.core.SomeType>(step: T) {
  const flat = (value: unknown): unknown[] => {
    if (typeof value !== "object" || value === null) return value ? [value] : [];
    const { type, normalizers, pretokenizers, processors, decoders } = value as Parts;
    const parts = normalizers ?? pretokenizers ?? processors ?? decoders;
    return type === "Sequence" && Array.isArray(parts) ? parts.flatMap(flat) : [value];
  };
  return z.preprocess(flat, z.array(step));
}
type Parts = Record<"type" | "normalizers" | "pretokenizers" | "processors" | "decoders", unknown>;

/** Names the kind of step that is not supported. */
const only = (supported: string) => ({
  error: ({ input }: { input?: unknown }) => {
    const { type } = typeof input === "object" && input !== null ? input as Parts : { type: input };
    return `${JSON.stringify(type) ?? "a step without a type"} is not supported, only ${supported}`;
  },
});

const replace = z.looseObject({
  type: z.literal("Replace"),
  pattern: z.looseObject({
    String: z.string({ error: "only a pattern that is a String is supported" }).min(1),
  }),
  content: z.string(),
});
const normalForm = (type: "NFC" | "NFD" | "NFKC" | "NFKD") =>
  z.looseObject({ type: z.literal(type) })
    .transform((): TextStep => (text) => text.normalize(type));
const normalizer = z.discriminatedUnion("type", [
  normalForm("NFC"),
  normalForm("NFD"),
  normalForm("NFKC"),
  normalForm("NFKD"),
  z.looseObject({ type: z.literal("Prepend"), prepend: z.string() })
    .transform(({ prepend }): TextStep => (text) => text === "" ? "" : prepend + text),
  replace.transform(({ pattern, content }): TextStep => (text) =>
    text.replaceAll(pattern.String, () => content)
  ),
], only("NFC, NFD, NFKC, NFKD, Prepend, and Replace of a String"));

const preTokenizer = z.discriminatedUnion("type", [
  z.looseObject({
    type: z.literal("Split"),
    pattern: z.union([
      z.strictObject({ Regex: z.string() }),
      z.strictObject({ String: z.string().min(1) }),
    ]),
    behavior: z.enum(["Isolated", "Removed"], only("Isolated and Removed")),
    invert: z.boolean().default(false),
  }),
  z.looseObject({ type: z.literal("Digits"), individual_digits: z.boolean().default(false) }),
  z.looseObject({
    type: z.literal("ByteLevel"),
    add_prefix_space: z.literal(false, {
      error: "a space before the text is not supported, only false",
    }).default(false),
    use_regex: z.boolean().default(true),
  }),
  z.looseObject({
    type: z.literal("Metaspace"),
    replacement: z.string().refine((mark) => [...mark].length === 1, {
      error: "expected one character",
    }),
    prepend_scheme: z.enum(["always", "first", "never"]).optional(),
    // What files of older versions have in its place.
    add_prefix_space: z.boolean().nullish(),
    split: z.boolean().nullish(),
  }),
], only("Split (Isolated or Removed), Digits, ByteLevel and Metaspace"));
type PreTokenizer = z.infer<typeof preTokenizer>;

const decoder = z.discriminatedUnion("type", [
  z.looseObject({ type: z.literal("ByteLevel") }),
  replace,
  z.looseObject({ type: z.literal("ByteFallback") }),
  z.looseObject({ type: z.literal("Fuse") }),
  z.looseObject({
    type: z.literal("Strip"),
    content: z.string().refine((content) => [...content].length === 1, {
      error: "expected one character",
    }),
    start: z.int().min(0),
    stop: z.literal(0, { error: "stripping the end of a text is not supported" }),
  }),
], only("ByteLevel, Replace, ByteFallback, Fuse and Strip"));

const addedTokenSchema = z.looseObject({
  id: z.int().min(0).max(maxId),
  content: z.string().min(1),
  special: z.boolean().default(false),
  normalized: z.boolean().default(false),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
});

/** A piece of a `TemplateProcessing` template: a control token, or the text itself. */
const templatePiece = z.union([
  z.looseObject({ SpecialToken: z.looseObject({ id: z.string() }) }),
  z.looseObject({ Sequence: z.looseObject({ id: z.string() }) }),
]);
const template = z.looseObject({
  type: z.literal("TemplateProcessing"),
  single: z.array(templatePiece),
  special_tokens: z.record(z.string(), z.looseObject({ ids: z.array(z.int().min(0).max(maxId)) })),
});
const processor = z.discriminatedUnion(
  "type",
  [z.looseObject({ type: z.literal("ByteLevel") }), template],
  only("ByteLevel and TemplateProcessing"),
);

const emptyText = z.literal("", { error: "not supported, only an empty one" }).nullish();

// The vocabulary and the merges have 150,000 entries: only their kind is checked here, their
// entries where they are used.
const schema = z.looseObject({
  added_tokens: z.array(addedTokenSchema).default([]),
  normalizer: stepsOf(normalizer),
  pre_tokenizer: stepsOf(preTokenizer),
  post_processor: stepsOf(processor),
  decoder: stepsOf(decoder),
  model: z.looseObject({
    type: z.literal("BPE", only("BPE")),
    vocab: z.custom<Record<string, unknown>>((v) => v !== null && typeof v === "object", {
      error: "expected an object of tokens and ids",
    }),
    merges: z.custom<unknown[]>(Array.isArray, { error: "expected an array of merges" }),
    dropout: z.null({ error: "dropping merges at random is not supported, only null" }).optional(),
    unk_token: z.string().nullish(),
    continuing_subword_prefix: emptyText,
    end_of_word_suffix: emptyText,
    byte_fallback: z.boolean().nullish(),
    fuse_unk: z.boolean().nullish(),
    ignore_merges: z.boolean().nullish(),
  }),
});

/**
 * Check a tokenizer.json and reduce it to what decides the ids.
 *
 * @param where The file's name, for messages.
 * @throws {UserError} When the file is malformed or asks for what is not supported.
 */
export function parseTokenizerJson(json: unknown, where: string): TokenizerSpec {
  const { model, added_tokens, normalizer, pre_tokenizer, post_processor, decoder } = check(
    schema,
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
function pieceRules(steps: readonly z.infer<typeof decoder>[], where: string): PieceRules {
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
function prefixOf(processors: readonly z.infer<typeof processor>[], where: string): number[] {
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
