/**
 * What may stand in a Hugging Face `tokenizer.json`: every feature that decides the ids is known here, or
 * refused by its name.
 *
 * @module
 */
import * as z from "npm:zod@4.6.7";

/** No vocabulary comes near; a file that claims a larger id is damaged. */
export const maxId = 2 ** 24 - 1;

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
    const name = typeof type === "string" ? JSON.stringify(type) : "a step without a type";
    return `${name} is not supported, only ${supported}`;
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
/** A step of a pre-tokenizer. */
export type PreTokenizer = z.infer<typeof preTokenizer>;

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
/** A step of a decoder. */
export type DecoderStep = z.infer<typeof decoder>;

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
/** A post-processor. */
export type PostProcessor = z.infer<typeof processor>;

const emptyText = z.literal("", { error: "not supported, only an empty one" }).nullish();

// The vocabulary and the merges have 150,000 entries: only their kind is checked here, their
// entries where they are used.
/** A tokenizer.json. */
export const tokenizerSchema = z.looseObject({
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
