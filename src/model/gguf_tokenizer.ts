/**
 * From a GGUF file's metadata to tokenizer.json and tokenizer_config.json.
 *
 * @module
 */
import type { GgufFile } from "./gguf.ts";
import { Metadata } from "./gguf_metadata.ts";
import { qwen2Pattern } from "./pretokenizer.ts";
import { spmMerges } from "./spm_merges.ts";

/** Kinds of tokens in `tokenizer.ggml.token_type`. */
const normalToken = 1, unknownToken = 2, controlToken = 3, userToken = 4, unusedToken = 5;
/** What SentencePiece has in the place of a space. */
const mark = "▁";
/** Ids of SentencePiece's control tokens where the file does not say: llama.cpp takes these. */
export const spmIds: Readonly<Record<"bos" | "eos" | "unknown", number>> = {
  bos: 1,
  eos: 2,
  unknown: 0,
};
/** What to do about a tokenizer that cannot be made from the file. */
const wayOut = "download the model's safetensors folder instead: it has a tokenizer.json";

interface Token {
  readonly id: number;
  readonly content: string;
  readonly type: number;
}

/** The content of a tokenizer.json, or a part of it. */
type Json = Record<string, unknown>;

/** How llama.cpp reads text that a pre-tokenizer of a certain name is made for. */
interface PreTokenizer {
  readonly nfc?: boolean;
  readonly steps: Json;
  /** Whether a word that is a token becomes that token, whatever the merges would make of it. */
  readonly ignoreMerges?: boolean;
  /** Whether a begin-of-text token goes in front where the file does not say. */
  readonly addBos?: boolean;
}

const byteLevel = (use_regex: boolean) => ({
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex,
});
const splitBy = (Regex: string) => ({
  type: "Sequence",
  pretokenizers: [
    { type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false },
    byteLevel(false),
  ],
});

const qwen2: PreTokenizer = { nfc: true, steps: splitBy(qwen2Pattern) };
// Llama 3 cuts as Qwen2 does, but takes up to three digits together.
const llama3Steps = splitBy(qwen2Pattern.replace("\\p{N}|", "\\p{N}{1,3}|"));
const llama3: PreTokenizer = { steps: llama3Steps, ignoreMerges: true, addBos: true };
/** Mistral's: words end where small letters meet a capital. */
const tekkenPattern = [
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+",
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*",
  "\\p{N}",
  " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*",
  "\\s*[\\r\\n]+",
  "\\s+(?!\\S)",
  "\\s+",
].join("|");

/** Pre-tokenizers by llama.cpp's name. */
const preTokenizers: Readonly<Record<string, PreTokenizer>> = {
  "gpt-2": { steps: byteLevel(true) },
  smollm: {
    steps: {
      type: "Sequence",
      pretokenizers: [{ type: "Digits", individual_digits: true }, byteLevel(true)],
    },
  },
  qwen2,
  "deepseek-r1-qwen": qwen2,
  "llama-bpe": llama3,
  llama3,
  "llama-v3": llama3,
  "smaug-bpe": { steps: llama3Steps },
  tekken: { steps: splitBy(tekkenPattern), ignoreMerges: true, addBos: true },
};

/**
 * tokenizer.json and tokenizer_config.json of the tokenizer in a file.
 *
 * @throws {UserError} when it is not one of those supported, cannot be written as a tokenizer.json that
 *   gives the same ids, or its metadata is incomplete.
 */
export function ggufTokenizer(
  file: Pick<GgufFile, "path" | "metadata">,
): { tokenizer: Json; tokenizerConfig: Json } {
  const meta = new Metadata(file);
  const model = meta.needText("tokenizer.ggml.model");
  if (model !== "gpt2" && model !== "llama") {
    meta.refuse(`tokenizer ${JSON.stringify(model)} is not supported, only gpt2 and llama`, wayOut);
  }
  const isSpm = model === "llama", pre = isSpm ? null : preTokenizerOf(meta);
  const tokens = readTokens(meta);
  const named = (kind: keyof typeof spmIds | "padding") => {
    const usual = isSpm && kind !== "padding" ? spmIds[kind] : undefined;
    const id = meta.count(`tokenizer.ggml.${kind}_token_id`) ?? usual;
    return id === undefined ? null : tokens[id] ?? null;
  };
  const addBos = meta.flag("tokenizer.ggml.add_bos_token") ?? (isSpm || (pre?.addBos ?? false));
  const bos = named("bos"), used = tokens.filter(({ type }) => type !== unusedToken);
  if (addBos && bos === null) {
    meta.refuse("asks for a begin-of-text token, but bos_token_id names none", wayOut);
  }
  if (meta.flag("tokenizer.ggml.add_eos_token")) {
    meta.refuse(
      "add_eos_token asks for a token behind a text, where a model is to go on",
      "convert the model again with add_eos_token false in its tokenizer_config.json",
    );
  }
  const template = addBos && bos ? beginWith(bos) : null;
  const unknown = named("unknown")?.content ?? null;
  const parts = pre === null
    ? sentencePieceParts(meta, used, unknown, template)
    : byteLevelParts(meta, used, pre, template);
  const chatTemplate = meta.text("tokenizer.chat_template");
  return {
    tokenizer: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: used.filter(isAdded).map(addedToken),
      ...parts,
    },
    tokenizerConfig: {
      // The class whose post-processor is that of tokenizer.json.
      tokenizer_class: "PreTrainedTokenizerFast",
      add_bos_token: addBos,
      bos_token: bos?.content ?? null,
      eos_token: named("eos")?.content ?? null,
      unk_token: unknown,
      pad_token: named("padding")?.content ?? null,
      clean_up_tokenization_spaces: false,
      model_max_length: meta.needCount(`${meta.needText("general.architecture")}.context_length`),
      ...(chatTemplate === undefined ? {} : { chat_template: chatTemplate }),
    },
  };
}

function preTokenizerOf(meta: Metadata): PreTokenizer {
  const pre = meta.text("tokenizer.ggml.pre");
  if (pre === undefined) {
    return meta.refuse(
      "metadata tokenizer.ggml.pre is missing: the file does not say how text is cut into words",
      "take a file that was converted since May 2024, or download the model's safetensors folder",
    );
  }
  if (Object.hasOwn(preTokenizers, pre)) return preTokenizers[pre];
  const known = Object.keys(preTokenizers).join(", ");
  return meta.refuse(
    `pre-tokenizer ${JSON.stringify(pre)} is not supported, only ${known}`,
    wayOut,
  );
}

function readTokens(meta: Metadata): Token[] {
  const contents = meta.needTexts("tokenizer.ggml.tokens");
  const types = meta.numbers("tokenizer.ggml.token_type");
  if (types && types.length !== contents.length) {
    meta.refuse(
      `has ${contents.length} tokens but ${types.length} token types`,
      "the file is damaged: get it again",
    );
  }
  return contents.map((content, id) => ({ id, content, type: types?.[id] ?? normalToken }));
}

/** Tokens that are found in text as a whole. */
function isAdded({ type }: Token): boolean {
  return type === controlToken || type === userToken || type === unknownToken;
}

function addedToken({ id, content, type }: Token): Json {
  return {
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: type !== userToken,
  };
}

/** The post-processor that puts a token in front of a text. */
function beginWith({ content, id }: Token): Json {
  const token = { SpecialToken: { id: content, type_id: 0 } };
  const text = (name: string) => ({ Sequence: { id: name, type_id: 0 } });
  return {
    type: "TemplateProcessing",
    single: [token, text("A")],
    pair: [token, text("A"), text("B")],
    special_tokens: { [content]: { id: content, ids: [id], tokens: [content] } },
  };
}

function bpeModel(used: readonly Token[], merges: readonly unknown[], changes: Json): Json {
  return {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: "",
    end_of_word_suffix: "",
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    ...changes,
    vocab: Object.fromEntries(used.map(({ content, id }) => [content, id])),
    merges,
  };
}

function byteLevelParts(
  meta: Metadata,
  used: readonly Token[],
  { nfc = false, steps, ignoreMerges = false }: PreTokenizer,
  template: Json | null,
): Json {
  const merges = meta.needTexts("tokenizer.ggml.merges");
  return {
    normalizer: nfc ? { type: "NFC" } : null,
    pre_tokenizer: steps,
    post_processor: template === null
      ? byteLevel(false)
      : { type: "Sequence", processors: [byteLevel(false), template] },
    decoder: byteLevel(true),
    model: bpeModel(used, merges, { ignore_merges: ignoreMerges }),
  };
}

/** SentencePiece's BPE as Llama 2's tokenizer.json has it: its scores become the order of merges. */
function sentencePieceParts(
  meta: Metadata,
  used: readonly Token[],
  unknown: string | null,
  template: Json | null,
): Json {
  const refuse = (what: string) => meta.refuse(`its tokenizer has ${what}`, wayOut);
  const scores = meta.numbers("tokenizer.ggml.scores");
  if (!scores) return refuse("no scores, which order its merges");
  const pieces = new Map(
    used.filter(({ type }) => type === normalToken)
      .map(({ content, id }) => [content, scores[id] ?? NaN]),
  );
  const merges = spmMerges(pieces, refuse);
  const prefixed = meta.flag("tokenizer.ggml.add_space_prefix") ?? true;
  const replace = (from: string, content: string) => ({
    type: "Replace",
    pattern: { String: from },
    content,
  });
  const prepend = { type: "Prepend", prepend: mark };
  const strip = { type: "Strip", content: " ", start: 1, stop: 0 };
  return {
    normalizer: {
      type: "Sequence",
      normalizers: [...(prefixed ? [prepend] : []), replace(" ", mark)],
    },
    pre_tokenizer: null,
    post_processor: template,
    decoder: {
      type: "Sequence",
      decoders: [
        replace(mark, " "),
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...(prefixed ? [strip] : []),
      ],
    },
    model: bpeModel(used, merges, { unk_token: unknown, fuse_unk: true, byte_fallback: true }),
  };
}
