/**
 * The parts of a Hugging Face `tokenizer.json` that a byte-level BPE tokenizer needs, checked.
 *
 * @module
 */
import * as z from "npm:zod@^4";
import { check, UserError } from "../base/mod.ts";
import type { AddedToken } from "./added_tokens.ts";
import { compilePattern, digitsSplit, gpt2Split, type Split } from "./pretokenizer.ts";

/** No vocabulary comes near; a file that claims a larger id is damaged. */
const maxId = 2 ** 24 - 1;

/** A tokenizer.json, reduced to what decides the ids. */
export interface TokenizerSpec {
  /** Id of each BPE token. */
  readonly vocab: Map<string, number>;
  /** Merges as the file has them, best first. */
  readonly merges: readonly unknown[];
  /** Added tokens. */
  readonly added: readonly AddedToken[];
  /** Unicode normal forms that text is brought to first, in order. */
  readonly normalForms: readonly NormalForm[];
  /** How the pre-tokenizer cuts text into words, in order; at least one. */
  readonly splits: readonly Split[];
  /** The token that stands for bytes without a token of their own; null: they are dropped. */
  readonly unknown: string | null;
  /** Whether a word that is a token becomes that token, whatever the merges would make of it. */
  readonly ignoreMerges: boolean;
  /** Control tokens that the model expects before a text, such as a begin-of-text token. */
  readonly prefix: readonly number[];
}

/** A Unicode normal form, as `String.normalize` names it. */
export type NormalForm = "NFC" | "NFD" | "NFKC" | "NFKD";

const off = z.literal(false).nullish();
const none = z.null().optional();

const normalForm = z.looseObject({ type: z.enum(["NFC", "NFD", "NFKC", "NFKD"]) });
const normalizerSchema = z.union([
  z.null().transform(() => []),
  normalForm.transform(({ type }) => [type]),
  z.looseObject({ type: z.literal("Sequence"), normalizers: z.array(normalForm) })
    .transform(({ normalizers }) => normalizers.map(({ type }) => type)),
], { error: "only the normalizers NFC, NFD, NFKC and NFKD are supported" });

const step = z.discriminatedUnion("type", [
  z.looseObject({
    type: z.literal("Split"),
    pattern: z.union([
      z.strictObject({ Regex: z.string() }),
      z.strictObject({ String: z.string().min(1) }),
    ]),
    behavior: z.enum(["Isolated", "Removed"]),
    invert: z.boolean().default(false),
  }),
  z.looseObject({ type: z.literal("Digits"), individual_digits: z.boolean().default(false) }),
  z.looseObject({
    type: z.literal("ByteLevel"),
    add_prefix_space: z.literal(false).default(false),
    use_regex: z.boolean().default(true),
  }),
]);
const supportedSteps =
  "only Split (Isolated or Removed), Digits and ByteLevel without a prefix space are supported";
const preTokenizerSchema = z.union([
  step.transform((only) => [only]),
  z.looseObject({ type: z.literal("Sequence"), pretokenizers: z.array(step) })
    .transform(({ pretokenizers }) => pretokenizers),
], { error: supportedSteps });

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
const processor = z.union([z.looseObject({ type: z.literal("ByteLevel") }), template]);
const postProcessorSchema = z.union([
  z.null().transform(() => []),
  processor.transform((only) => [only]),
  z.looseObject({ type: z.literal("Sequence"), processors: z.array(processor) })
    .transform(({ processors }) => processors),
], { error: "only the post-processors ByteLevel and TemplateProcessing are supported" });

// The vocabulary and the merges have 150,000 entries: only their kind is checked here, their
// entries where they are used.
const schema = z.looseObject({
  added_tokens: z.array(addedTokenSchema).default([]),
  normalizer: normalizerSchema.default([]),
  pre_tokenizer: preTokenizerSchema,
  post_processor: postProcessorSchema.default([]),
  decoder: z.looseObject({ type: z.literal("ByteLevel") }).nullish(),
  model: z.looseObject({
    type: z.literal("BPE"),
    vocab: z.custom<Record<string, unknown>>((v) => v !== null && typeof v === "object", {
      error: "expected an object of tokens and ids",
    }),
    merges: z.custom<unknown[]>(Array.isArray, { error: "expected an array of merges" }),
    dropout: none,
    unk_token: z.string().nullish(),
    continuing_subword_prefix: z.literal("").nullish(),
    end_of_word_suffix: z.literal("").nullish(),
    byte_fallback: off,
    fuse_unk: off,
    ignore_merges: z.boolean().nullish(),
  }),
});

/**
 * Check a tokenizer.json and reduce it to what decides the ids.
 *
 * @param where The file's name, for messages.
 * @throws {UserError} When the file is malformed or asks for anything but byte-level BPE.
 */
export function parseTokenizerJson(json: unknown, where: string): TokenizerSpec {
  const { model, added_tokens, normalizer, pre_tokenizer, post_processor } = check(
    schema,
    json,
    where,
    "only byte-level BPE as in Qwen, DeepSeek, Llama 3 and SmolLM2 is supported",
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
  return {
    vocab,
    merges: model.merges,
    added: added_tokens,
    normalForms: normalizer,
    splits: splitsOf(pre_tokenizer, where),
    unknown: model.unk_token ?? null,
    ignoreMerges: model.ignore_merges ?? false,
    prefix: prefixOf(post_processor, where),
  };
}

/** The splits of all steps; ByteLevel, which also spells bytes as characters, must be the last one. */
function splitsOf(steps: z.infer<typeof preTokenizerSchema>, where: string): Split[] {
  if (steps.findIndex(({ type }) => type === "ByteLevel") !== steps.length - 1) {
    throw new UserError(`${where}: pre_tokenizer must end with its only ByteLevel step`, {
      hint: "only byte-level BPE is supported",
    });
  }
  const splits = steps.flatMap((step): Split[] => {
    if (step.type === "ByteLevel") return step.use_regex ? [gpt2Split] : [];
    if (step.type === "Digits") return [digitsSplit(step.individual_digits)];
    const { pattern, behavior, invert } = step;
    const source = "Regex" in pattern ? pattern.Regex : RegExp.escape(pattern.String);
    const keep = behavior === "Isolated" ? "all" : invert ? "matches" : "gaps";
    return [{ pattern: compilePattern(source, where), keep }];
  });
  if (splits.length > 0) return splits;
  throw new UserError(`${where}: pre_tokenizer does not cut text into words`, {
    hint: "needed is a Split, or ByteLevel with use_regex",
  });
}

/** Control tokens in front of a text; tokens behind it would end what a model is to go on with. */
function prefixOf(processors: z.infer<typeof postProcessorSchema>, where: string): number[] {
  const prefix: number[] = [];
  for (const processor of processors) {
    if (!("single" in processor)) continue;
    const { single, special_tokens } = processor as z.infer<typeof template>;
    const text = single.findIndex((piece) => "Sequence" in piece);
    if (text !== single.length - 1) {
      throw new UserError(`${where}: post_processor must end with the text itself`, {
        hint: "tokens behind a text are not supported",
      });
    }
    for (const piece of single.slice(0, text)) {
      const { id } = (piece as { SpecialToken: { id: string } }).SpecialToken;
      const token = special_tokens[id];
      if (!token) {
        throw new UserError(`${where}: post_processor names ${JSON.stringify(id)} without its ids`);
      }
      prefix.push(...token.ids);
    }
  }
  return prefix;
}
