/**
 * The shape of a decoder: read from and written to Hugging Face's `config.json`.
 *
 * Supported: Qwen2 (Qwen2, Qwen2.5 and the DeepSeek-R1 distillations of it), Qwen3 (dense), Llama
 * (Llama 2 and 3, SmolLM2) and Mistral without a window: one decoder, whose parts a config switches on
 * or off (families.ts).
 *
 * @module
 */
import { existsSync } from "node:fs";
import * as z from "npm:zod@4.6.7";
import { check, readJson, UserError } from "../base/mod.ts";
import {
  type Architecture,
  architectureOf,
  checkWindow,
  eosField,
  type FamilyFields,
  familyOf,
  supportedArchitectures,
} from "./families.ts";
import type { RopeScaling } from "./rope.ts";
import { parseRope, toHfRopeScaling } from "./rope_config.ts";

export type { Architecture } from "./families.ts";

/** What the layer graphs, the memory planner and the checkpoints need to know about a model. */
export interface ModelConfig {
  /** Architecture name, as `architectures[0]` of config.json spells it. */
  readonly architecture: Architecture;
  /** Width of the residual stream (C). */
  readonly hidden: number;
  /** Inner width of the SwiGLU feed-forward (F). */
  readonly ffn: number;
  /** Number of decoder layers (L). */
  readonly layers: number;
  /** Number of query heads (H). */
  readonly heads: number;
  /** Number of key/value heads (Hk); divides `heads`. */
  readonly kvHeads: number;
  /** Width of one head (D); a multiple of 16. */
  readonly headDim: number;
  /** Rows of the embedding (V); may exceed the tokenizer's ids, the rest is padding. */
  readonly vocab: number;
  /** Longest sequence the model was made for, in tokens. */
  readonly maxPositions: number;
  /** Base of the RoPE frequencies. */
  readonly ropeTheta: number;
  /** How RoPE is scaled for longer contexts; absent where it is not. */
  readonly ropeScaling?: RopeScaling;
  /** Epsilon of every RMSNorm. */
  readonly normEps: number;
  /** Whether the LM head is the embedding matrix. */
  readonly tiedHead: boolean;
  /** Whether the q, k and v projections have a bias. */
  readonly qkvBias: boolean;
  /** Whether q and k are RMS-normalised per head before RoPE. */
  readonly qkNorm: boolean;
  /** Token ids that end a generation. */
  readonly eos: readonly number[];
  /** Token id that begins a sequence, if the model names one. */
  readonly bos: number | null;
  /** Element type the weights are stored in. */
  readonly dtype: "float32" | "float16" | "bfloat16";
}

/** The parts that a decoder of the architecture has or lacks. */
export function architectureParts(
  architecture: Architecture,
): Pick<ModelConfig, "qkvBias" | "qkNorm"> {
  return familyOf(architecture).parts;
}

/** For a config.json that does not fit. */
const hint =
  "take a checkpoint in Hugging Face's layout of an architecture and features that are supported here";
/** Widest head, widest residual stream and largest vocabulary that the kernels take. */
const mostHeadDim = 256, mostHidden = 16384, mostVocab = 2 ** 19;
const identitySchema = z.looseObject({
  architectures: z.array(z.string()).min(1).nullish(),
  model_type: z.string(),
});

/**
 * Parse the content of a config.json.
 *
 * @param json The parsed JSON.
 * @param where The file's name, for messages.
 * @throws {UserError} When the architecture is not supported, a field is missing or malformed, or
 *   the file asks for something that is not implemented (sliding windows, other RoPE scalings) or that
 *   the kernels cannot hold.
 */
export function parseModelConfig(json: unknown, where: string): ModelConfig {
  const { architectures, model_type } = check(identitySchema, json, where, hint);
  const [named] = architectures ?? [], architecture = architectureOf(named, model_type);
  if (architecture === undefined) {
    throw new UserError(`${where}: architecture ${named ?? model_type} is not supported`, {
      hint: `supported: ${supportedArchitectures}`,
    });
  }
  const { schema, parts, usual } = familyOf(architecture);
  const raw = check<FamilyFields>(schema, json, where, hint);
  checkWindow(raw, where);
  const maxPositions = raw.max_position_embeddings;
  const { eos_token_id: eos, bos_token_id: bos } = raw;
  const config: ModelConfig = {
    architecture,
    hidden: raw.hidden_size,
    ffn: raw.intermediate_size,
    layers: raw.num_hidden_layers,
    ...headCounts(raw, usual, where),
    vocab: raw.vocab_size,
    maxPositions,
    ...parseRope(raw, maxPositions, where),
    normEps: raw.rms_norm_eps,
    tiedHead: raw.tie_word_embeddings,
    ...parts,
    eos: eos === undefined ? usual.eos : listOf(eos),
    bos: bos === undefined ? usual.bos : bos,
    dtype: raw.dtype ?? raw.torch_dtype ?? "float32",
  };
  checkLimits(config, where);
  return config;
}

/** Number and width of the heads. A count that is null is that of the query heads; one left out is the format's. */
function headCounts(
  raw: FamilyFields,
  usual: { readonly headDim: number | null; readonly kvHeads: number | null },
  where: string,
): Pick<ModelConfig, "heads" | "kvHeads" | "headDim"> {
  const heads = raw.num_attention_heads;
  const left = raw.num_key_value_heads === undefined ? usual.kvHeads : raw.num_key_value_heads;
  const kvHeads = left ?? heads, headDim = raw.head_dim ?? usual.headDim ?? raw.hidden_size / heads;
  if (!Number.isInteger(headDim)) {
    throw new UserError(
      `${where}: hidden_size ${raw.hidden_size} is not a multiple of num_attention_heads ${heads}`,
      { hint: "give head_dim, or correct one of the two" },
    );
  }
  if (heads % kvHeads !== 0) {
    const unsaid = raw.num_key_value_heads === undefined ? ", which is what no entry means" : "";
    throw new UserError(
      `${where}: num_attention_heads ${heads} is not a multiple of num_key_value_heads ${kvHeads}` +
        unsaid,
      { hint: "every key/value head must serve the same number of query heads" },
    );
  }
  return { heads, kvHeads, headDim };
}

/** Ids that a file gives as one, as several, or as none. */
function listOf(ids: number | readonly number[] | null): readonly number[] {
  return ids === null ? [] : typeof ids === "number" ? [ids] : ids;
}

/** The kernels' limits, told here so that nothing has run when one is met. */
function checkLimits({ headDim, hidden, vocab }: ModelConfig, where: string): void {
  const refuse = (message: string) => {
    throw new UserError(`${where}: ${message}`, { hint: "no kernel here computes such a model" });
  };
  if (headDim % 16 !== 0 || headDim > mostHeadDim) {
    refuse(`head_dim ${headDim} is not a multiple of 16 up to ${mostHeadDim}`);
  }
  if (hidden > mostHidden) refuse(`hidden_size ${hidden} is more than ${mostHidden}`);
  if (vocab > mostVocab) refuse(`vocab_size ${vocab} is more than ${mostVocab}`);
}

/** `generation_config.json`, as far as it matters. */
const generationSchema = z.looseObject({ eos_token_id: eosField });

/**
 * Read `config.json` of a model folder; the ids that end a generation are those of
 * `generation_config.json` where it names some, as in transformers.
 *
 * @throws {UserError} When the file is missing or {@linkcode parseModelConfig} refuses it.
 */
export function loadModelConfig(dir: string): ModelConfig {
  const path = `${dir}/config.json`, beside = `${dir}/generation_config.json`;
  const hint = `${dir} must be a model folder as Hugging Face writes it`;
  const config = parseModelConfig(readJson(path, hint), path);
  if (!existsSync(beside)) return config;
  const { eos_token_id: eos } = check(generationSchema, readJson(beside, hint), beside, hint);
  return eos === undefined || eos === null ? config : { ...config, eos: listOf(eos) };
}

/** What config.json says of biases, which are part of Qwen2 and Mistral, and of windows, which Llama lacks. */
const attentionFields = {
  qwen2: { use_sliding_window: false },
  qwen3: { attention_bias: false, use_sliding_window: false },
  llama: { attention_bias: false },
  mistral: { sliding_window: null },
} as const;

/** The config.json object of a model, in the layout that transformers loads. */
export function toHfConfig(config: ModelConfig): Record<string, unknown> {
  const { architecture, eos, ropeScaling } = config;
  const { modelType } = familyOf(architecture);
  return {
    architectures: [architecture],
    model_type: modelType,
    hidden_size: config.hidden,
    intermediate_size: config.ffn,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    vocab_size: config.vocab,
    max_position_embeddings: config.maxPositions,
    rope_theta: config.ropeTheta,
    rope_scaling: ropeScaling ? toHfRopeScaling(ropeScaling) : null,
    rms_norm_eps: config.normEps,
    tie_word_embeddings: config.tiedHead,
    hidden_act: "silu",
    attention_dropout: 0,
    ...attentionFields[modelType],
    eos_token_id: eos.length > 1 ? [...eos] : eos[0] ?? null,
    bos_token_id: config.bos,
    torch_dtype: config.dtype,
    use_cache: true,
  };
}

/** Number of trainable parameters of the policy (no value head); a tied head counts once. */
export function paramCount(config: ModelConfig): number {
  const { hidden, ffn, layers, vocab, headDim } = config;
  const q = config.heads * headDim;
  const kv = config.kvHeads * headDim;
  const attention = hidden * (q + 2 * kv) + q * hidden +
    (config.qkvBias ? q + 2 * kv : 0) + (config.qkNorm ? 2 * headDim : 0);
  const perLayer = attention + 3 * hidden * ffn + 2 * hidden;
  return vocab * hidden * (config.tiedHead ? 1 : 2) + layers * perLayer + hidden;
}
