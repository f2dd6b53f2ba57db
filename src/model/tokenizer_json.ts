/**
 * The parts of a Hugging Face `tokenizer.json` that a byte-level BPE tokenizer needs, checked.
 *
 * @module
 */
import * as z from "npm:zod@^4";
import { reason, UserError } from "../errors.ts";
import { check } from "./json_file.ts";

/** Ids must stay below this so that a pair of them fits one exact number. */
const maxId = 2 ** 21 - 1;

/** A token outside the BPE vocabulary that is matched as a whole in the text. */
export interface AddedToken {
  /** Token id. */
  readonly id: number;
  /** The text it matches. */
  readonly content: string;
  /** A control token: skipped by `decode(ids, { skipSpecial: true })`. */
  readonly special: boolean;
  /** Matched after normalisation of the text instead of before. */
  readonly normalized: boolean;
}

/** A tokenizer.json, reduced to what decides the ids. */
export interface TokenizerSpec {
  /** Id of each BPE token. */
  readonly vocab: Map<string, number>;
  /** Merges as the file has them, best first. */
  readonly merges: readonly unknown[];
  /** Added tokens. */
  readonly added: readonly AddedToken[];
  /** Whether text is brought to Unicode normal form C first. */
  readonly nfc: boolean;
  /** What the pre-tokenizer cuts into words; global, so it can be scanned with `lastIndex`. */
  readonly pattern: RegExp;
}

/** The pattern that a `ByteLevel` pre-tokenizer with `use_regex` stands for (GPT-2's). */
const gpt2Pattern =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const off = z.literal(false).nullish();
const none = z.null().optional();

const normalizerSchema = z.union([
  z.null(),
  z.looseObject({ type: z.literal("NFC") }),
  z.looseObject({
    type: z.literal("Sequence"),
    normalizers: z.array(z.looseObject({ type: z.literal("NFC") })),
  }),
], { error: "only the NFC normalizer is supported" });

const byteLevel = z.looseObject({
  type: z.literal("ByteLevel"),
  add_prefix_space: z.literal(false).default(false),
  use_regex: z.boolean().default(true),
});

const preTokenizerSchema = z.union([
  byteLevel.transform((level) => [level] as const),
  z.looseObject({
    type: z.literal("Sequence"),
    pretokenizers: z.tuple([
      z.looseObject({
        type: z.literal("Split"),
        pattern: z.object({ Regex: z.string() }),
        behavior: z.literal("Isolated"),
        invert: z.literal(false).default(false),
      }),
      byteLevel,
    ]),
  }).transform((sequence) => sequence.pretokenizers),
], { error: "only ByteLevel, or one isolated regex Split and ByteLevel, are supported" });

const addedTokenSchema = z.looseObject({
  id: z.int().min(0).max(maxId),
  content: z.string().min(1),
  special: z.boolean().default(false),
  normalized: z.boolean().default(false),
  single_word: z.literal(false).default(false),
  lstrip: z.literal(false).default(false),
  rstrip: z.literal(false).default(false),
});

// The vocabulary and the merges have 150,000 entries: only their kind is checked here, their
// entries where they are used.
const schema = z.looseObject({
  added_tokens: z.array(addedTokenSchema).default([]),
  normalizer: normalizerSchema.default(null),
  pre_tokenizer: preTokenizerSchema,
  decoder: z.looseObject({ type: z.literal("ByteLevel") }).nullish(),
  model: z.looseObject({
    type: z.literal("BPE"),
    vocab: z.custom<Record<string, unknown>>((v) => v !== null && typeof v === "object", {
      error: "expected an object of tokens and ids",
    }),
    merges: z.custom<unknown[]>(Array.isArray, { error: "expected an array of merges" }),
    dropout: none,
    unk_token: none,
    continuing_subword_prefix: z.literal("").nullish(),
    end_of_word_suffix: z.literal("").nullish(),
    byte_fallback: off,
    ignore_merges: off,
  }),
});

/**
 * Check a tokenizer.json and reduce it to what decides the ids.
 *
 * @param where The file's name, for messages.
 * @throws {UserError} When the file is malformed or asks for anything but byte-level BPE.
 */
export function parseTokenizerJson(json: unknown, where: string): TokenizerSpec {
  const { model, added_tokens, normalizer, pre_tokenizer } = check(schema, json, where);
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
    nfc: normalizer !== null && (normalizer.type === "NFC" || normalizer.normalizers.length > 0),
    pattern: compilePattern(splitPattern(pre_tokenizer, where), where),
  };
}

/** The one regular expression that the pre-tokenizer splits with. */
function splitPattern(steps: z.infer<typeof preTokenizerSchema>, where: string): string {
  if (steps.length === 2 && !steps[1].use_regex) return steps[0].pattern.Regex;
  if (steps.length === 1 && steps[0].use_regex) return gpt2Pattern;
  throw new UserError(`${where}: pre_tokenizer must split with exactly one regular expression`, {
    hint: "use a Split with ByteLevel use_regex false, or ByteLevel use_regex true alone",
  });
}

/**
 * Translate the regular expression of a tokenizer.json. `\s` means Unicode White_Space there, while
 * JavaScript's adds U+FEFF and lacks U+0085; `(?i:…)` and `\p{…}` mean the same in both.
 */
function compilePattern(source: string, where: string): RegExp {
  const translated = source.replaceAll(/\\(.)/gs, (escape, char) => {
    if (char === "s") return "\\p{White_Space}";
    return char === "S" ? "\\P{White_Space}" : escape;
  });
  try {
    return new RegExp(translated, "gu");
  } catch (cause) {
    throw new UserError(`${where}: cannot use its split pattern: ${reason(cause)}`, {
      hint: "only patterns that JavaScript understands are supported",
      cause,
    });
  }
}
