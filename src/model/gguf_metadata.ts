/**
 * From GGUF metadata to the JSON files of a model folder: config.json, tokenizer.json and
 * tokenizer_config.json.
 *
 * @module
 */
import { UserError } from "../base/mod.ts";
import { type Architecture, architectureParts, type ModelConfig } from "./config.ts";
import type { GgufFile, GgufValue } from "./gguf.ts";
import { isPlain } from "./gguf_blocks.ts";
import type { RopeScaling } from "./rope.ts";
import { qwen2Pattern } from "./pretokenizer.ts";

const architectures: Readonly<Record<string, Architecture>> = {
  llama: "LlamaForCausalLM",
  qwen2: "Qwen2ForCausalLM",
  qwen3: "Qwen3ForCausalLM",
};

/** Metadata, read with the type that is expected there. */
class Metadata {
  readonly #path: string;
  readonly #values: ReadonlyMap<string, GgufValue>;

  constructor({ path, metadata }: GgufFile) {
    this.#path = path;
    this.#values = metadata;
  }

  refuse(message: string, hint: string): never {
    throw new UserError(`${this.#path}: ${message}`, { hint });
  }

  #read<T>(
    key: string,
    is: (value: GgufValue) => value is GgufValue & T,
    what: string,
  ): T | undefined {
    const value = this.#values.get(key);
    if (value === undefined || is(value)) return value;
    return this.refuse(`metadata ${key} is not ${what}`, "the file is damaged: get it again");
  }

  #need<T>(key: string, value: T | undefined): T {
    if (value !== undefined) return value;
    return this.refuse(`metadata ${key} is missing`, "the file holds no complete language model");
  }

  text(key: string): string | undefined {
    return this.#read(key, (value) => typeof value === "string", "text");
  }

  flag(key: string): boolean | undefined {
    return this.#read(key, (value) => typeof value === "boolean", "true or false");
  }

  /** A float32 as the shortest decimal that stands for it: 1e-5, not 9.999999747378752e-6. */
  real(key: string): number | undefined {
    const value = this.#read<number>(key, (value) => typeof value === "number", "a number");
    if (value === undefined || Number.isInteger(value)) return value;
    const short = Number(value.toPrecision(7));
    return Math.fround(short) === value ? short : value;
  }

  count(key: string): number | undefined {
    const value = this.#values.get(key);
    const number = typeof value === "bigint" ? Number(value) : value;
    if (number === undefined) return undefined;
    if (typeof number === "number" && Number.isSafeInteger(number) && number >= 0) return number;
    return this.refuse(`metadata ${key} is not a count`, "the file is damaged: get it again");
  }

  needText(key: string): string {
    return this.#need(key, this.text(key));
  }

  needReal(key: string): number {
    return this.#need(key, this.real(key));
  }

  needCount(key: string): number {
    return this.#need(key, this.count(key));
  }

  needTexts(key: string): readonly string[] {
    const isTexts = (value: GgufValue): value is readonly string[] =>
      Array.isArray(value) && value.every((item) => typeof item === "string");
    return this.#need(key, this.#read(key, isTexts, "a list of texts"));
  }

  numbers(key: string): ArrayLike<number> | undefined {
    const isNumbers = (value: GgufValue): value is ArrayLike<number> & GgufValue =>
      value instanceof Int32Array || value instanceof Uint32Array;
    return this.#read(key, isNumbers, "a list of whole numbers");
  }
}

/**
 * The config of the model in a file.
 *
 * @throws {UserError} for an architecture or a RoPE scaling that is not supported, or missing metadata.
 */
export function ggufModelConfig(file: GgufFile): ModelConfig {
  const meta = new Metadata(file);
  const name = meta.needText("general.architecture");
  if (!Object.hasOwn(architectures, name)) {
    const hint = `supported: ${Object.keys(architectures).join(", ")}`;
    return meta.refuse(`architecture ${JSON.stringify(name)} is not supported`, hint);
  }
  const architecture = architectures[name], at = (key: string) => `${name}.${key}`;
  const hidden = meta.needCount(at("embedding_length"));
  const heads = meta.needCount(at("attention.head_count"));
  const headDim = meta.count(at("attention.key_length")) ?? hidden / heads;
  const rotated = meta.count(at("rope.dimension_count")) ?? headDim;
  if (rotated !== headDim) {
    meta.refuse(
      `RoPE turns ${rotated} of ${headDim} elements of a head`,
      "only full rotation is supported",
    );
  }
  const embedding = file.tensors.get("token_embd.weight");
  if (!embedding) {
    return meta.refuse("has no tensor token_embd.weight", "it holds no language model");
  }
  const maxPositions = meta.needCount(at("context_length"));
  const ropeScaling = ggufRopeScaling(meta, name, maxPositions);
  const eos = [
    meta.count("tokenizer.ggml.eos_token_id"),
    meta.count("tokenizer.ggml.eot_token_id"),
  ];
  return {
    architecture,
    hidden,
    ffn: meta.needCount(at("feed_forward_length")),
    layers: meta.needCount(at("block_count")),
    heads,
    kvHeads: meta.count(at("attention.head_count_kv")) ?? heads,
    headDim,
    vocab: embedding.shape[0],
    maxPositions,
    ropeTheta: meta.real(at("rope.freq_base")) ?? 10000,
    ...(ropeScaling ? { ropeScaling } : {}),
    normEps: meta.needReal(at("attention.layer_norm_rms_epsilon")),
    tiedHead: !file.tensors.has("output.weight"),
    ...architectureParts(architecture),
    eos: [...new Set(eos.filter((id) => id !== undefined))],
    bos: meta.count("tokenizer.ggml.bos_token_id") ?? null,
    dtype: storageOf(file),
  };
}

/** float16 or bfloat16 where all matrices are; what was quantised becomes float32. */
function storageOf(file: GgufFile): ModelConfig["dtype"] {
  const matrices = [...file.tensors.values()].filter(({ shape }) => shape.length === 2);
  const types = new Set(matrices.map(({ type }) => isPlain(type) ? type : "F32"));
  if (types.size !== 1) return "float32";
  return types.has("F16") ? "float16" : types.has("BF16") ? "bfloat16" : "float32";
}

function ggufRopeScaling(
  meta: Metadata,
  architecture: string,
  maxPositions: number,
): RopeScaling | undefined {
  const at = (key: string) => `${architecture}.rope.scaling.${key}`;
  const type = meta.text(at("type")) ?? "none";
  if (type === "none") return undefined;
  const factor = meta.needReal(at("factor"));
  if (type === "linear") return { type, factor };
  if (type !== "yarn") {
    return meta.refuse(
      `RoPE scaling ${JSON.stringify(type)} is not supported`,
      "supported: linear, yarn",
    );
  }
  return {
    type,
    factor,
    originalPositions: meta.count(at("original_context_length")) ?? maxPositions,
    betaFast: meta.real(at("yarn_beta_fast")) ?? 32,
    betaSlow: meta.real(at("yarn_beta_slow")) ?? 1,
    attentionFactor: (meta.real(at("attn_factor")) ?? 1) * (0.1 * Math.log(factor) + 1),
  };
}

/** Kinds of tokens in `tokenizer.ggml.token_type`. */
const controlToken = 3, userToken = 4, unusedToken = 5;

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

/** Normalizer and pre-tokenizer that llama.cpp's names of pre-tokenizers stand for. */
const preTokenizers: Readonly<Record<string, { nfc: boolean; steps: Record<string, unknown> }>> = {
  "gpt-2": { nfc: false, steps: byteLevel(true) },
  smollm: {
    nfc: false,
    steps: {
      type: "Sequence",
      pretokenizers: [{ type: "Digits", individual_digits: true }, byteLevel(true)],
    },
  },
  qwen2: { nfc: true, steps: splitBy(qwen2Pattern) },
  "deepseek-r1-qwen": { nfc: true, steps: splitBy(qwen2Pattern) },
  // Llama 3 cuts as Qwen2 does, but takes up to three digits together.
  "llama-bpe": { nfc: false, steps: splitBy(qwen2Pattern.replace("\\p{N}|", "\\p{N}{1,3}|")) },
};

/**
 * tokenizer.json and tokenizer_config.json of the tokenizer in a file.
 *
 * @throws {UserError} when it is not byte-level BPE, or its metadata is incomplete.
 */
export function ggufTokenizer(
  file: GgufFile,
): { tokenizer: Record<string, unknown>; tokenizerConfig: Record<string, unknown> } {
  const meta = new Metadata(file);
  const model = meta.needText("tokenizer.ggml.model"), pre = meta.needText("tokenizer.ggml.pre");
  if (model !== "gpt2" || !Object.hasOwn(preTokenizers, pre)) {
    const hint = `supported: gpt2 with ${Object.keys(preTokenizers).join(", ")}`;
    const name = `${JSON.stringify(model)} with pre-tokenizer ${JSON.stringify(pre)}`;
    return meta.refuse(`tokenizer ${name} is not supported`, hint);
  }
  const { nfc, steps } = preTokenizers[pre];
  const tokens = meta.needTexts("tokenizer.ggml.tokens");
  const merges = meta.needTexts("tokenizer.ggml.merges");
  const types = meta.numbers("tokenizer.ggml.token_type");
  if (types && types.length !== tokens.length) {
    meta.refuse(
      `has ${tokens.length} tokens but ${types.length} token types`,
      "the file is damaged: get it again",
    );
  }
  const typeOf = (id: number) => types?.[id] ?? 1;
  const used = tokens.map((content, id) => ({ content, id, type: typeOf(id) }))
    .filter(({ type }) => type !== unusedToken);
  const added = used.filter(({ type }) => type === controlToken || type === userToken);
  const tokenizer = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added.map(({ id, content, type }) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: type === controlToken,
    })),
    normalizer: nfc ? { type: "NFC" } : null,
    pre_tokenizer: steps,
    post_processor: byteLevel(false),
    decoder: byteLevel(true),
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: "",
      end_of_word_suffix: "",
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(used.map(({ content, id }) => [content, id])),
      merges,
    },
  };
  const named = (kind: string) => {
    const id = meta.count(`tokenizer.ggml.${kind}_token_id`);
    return id === undefined ? null : tokens[id] ?? null;
  };
  const tokenizerConfig = {
    tokenizer_class: "PreTrainedTokenizerFast",
    add_bos_token: meta.flag("tokenizer.ggml.add_bos_token") ?? false,
    bos_token: named("bos"),
    eos_token: named("eos"),
    unk_token: named("unknown"),
    pad_token: named("padding"),
    clean_up_tokenization_spaces: false,
    model_max_length: meta.needCount(`${meta.needText("general.architecture")}.context_length`),
    ...(meta.text("tokenizer.chat_template") === undefined
      ? {}
      : { chat_template: meta.text("tokenizer.chat_template") }),
  };
  return { tokenizer, tokenizerConfig };
}
