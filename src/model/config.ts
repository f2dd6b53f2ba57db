/**
 * The shape of a decoder: read from and written to Hugging Face's `config.json`.
 *
 * Supported today: Qwen2 (Qwen2, Qwen2.5 and the DeepSeek-R1 distillations of it).
 *
 * @module
 */
import * as z from "npm:zod@^4";
import { UserError } from "../errors.ts";
import { check, readJson } from "./json_file.ts";

/** What the layer graphs, the memory planner and the checkpoints need to know about a model. */
export interface ModelConfig {
  /** Architecture name, as `architectures[0]` of config.json spells it. */
  readonly architecture: "Qwen2ForCausalLM";
  /** Width of the residual stream (C). */
  readonly hidden: number;
  /** Inner width of the SwiGLU feed-forward (F). */
  readonly ffn: number;
  /** Number of decoder layers (L). */
  readonly layers: number;
  /** Number of query heads (H). */
  readonly heads: number;
  /** Number of key/value heads (G); divides `heads`. */
  readonly kvHeads: number;
  /** Width of one head (D); even, because RoPE rotates pairs. */
  readonly headDim: number;
  /** Rows of the embedding (V); may exceed the tokenizer's ids, the rest is padding. */
  readonly vocab: number;
  /** Longest sequence the model was made for, in tokens. */
  readonly maxPositions: number;
  /** Base of the RoPE frequencies. */
  readonly ropeTheta: number;
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

const count = z.int().positive();
const tokenId = z.int().nonnegative();
const storage = z.enum(["float32", "float16", "bfloat16"]);

/** `rope_scaling` (older files) and `rope_parameters` (newer ones); only plain RoPE is run. */
const ropeSettings = z.looseObject({
  rope_theta: z.number().positive().optional(),
  rope_type: z.string().optional(),
  type: z.string().optional(),
}).nullish();

/** The fields of a Qwen2 config.json that change the computation; defaults are the format's. */
const qwen2Schema = z.looseObject({
  model_type: z.literal("qwen2"),
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  vocab_size: count,
  max_position_embeddings: count.default(32768),
  rms_norm_eps: z.number().positive().default(1e-6),
  rope_theta: z.number().positive().optional(),
  rope_scaling: ropeSettings,
  rope_parameters: ropeSettings,
  tie_word_embeddings: z.boolean().default(false),
  hidden_act: z.literal("silu").default("silu"),
  eos_token_id: z.union([tokenId, z.array(tokenId)]).nullish(),
  bos_token_id: tokenId.nullish(),
  torch_dtype: storage.nullish(),
  dtype: storage.nullish(),
  use_sliding_window: z.boolean().default(false),
});

const supported = ["Qwen2ForCausalLM"] as const;
const identitySchema = z.looseObject({ architectures: z.array(z.string()).min(1) });

/**
 * Parse the content of a config.json.
 *
 * @param json The parsed JSON.
 * @param where The file's name, for messages.
 * @throws {UserError} When the architecture is not supported, a field is missing or malformed, or
 *   the file asks for something that is not implemented (sliding windows, scaled RoPE).
 */
export function parseModelConfig(json: unknown, where: string): ModelConfig {
  const [architecture] = check(identitySchema, json, where).architectures;
  if (architecture !== "Qwen2ForCausalLM") {
    throw new UserError(`${where}: architecture ${architecture} is not supported`, {
      hint: `supported: ${supported.join(", ")}`,
    });
  }
  const raw = check(qwen2Schema, json, where);
  const heads = raw.num_attention_heads;
  const kvHeads = raw.num_key_value_heads ?? heads;
  const headDim = raw.head_dim ?? raw.hidden_size / heads;
  const refuse = (message: string, hint: string): never => {
    throw new UserError(`${where}: ${message}`, { hint });
  };
  if (!Number.isInteger(headDim)) {
    refuse(
      `hidden_size ${raw.hidden_size} is not a multiple of num_attention_heads ${heads}`,
      "give head_dim, or mend one of the two",
    );
  }
  if (headDim % 2 !== 0) refuse(`head_dim ${headDim} is odd`, "RoPE needs an even head_dim");
  if (heads % kvHeads !== 0) {
    refuse(
      `num_attention_heads ${heads} is not a multiple of num_key_value_heads ${kvHeads}`,
      "every key/value head must serve the same number of query heads",
    );
  }
  if (raw.use_sliding_window) {
    refuse("use_sliding_window is true", "sliding-window attention is not supported");
  }
  for (const rope of [raw.rope_scaling, raw.rope_parameters]) {
    const kind = rope?.rope_type ?? rope?.type ?? "default";
    if (kind !== "default") refuse(`RoPE of type ${kind}`, "only plain RoPE is supported");
  }
  const eos = raw.eos_token_id ?? [];
  return {
    architecture,
    hidden: raw.hidden_size,
    ffn: raw.intermediate_size,
    layers: raw.num_hidden_layers,
    heads,
    kvHeads,
    headDim,
    vocab: raw.vocab_size,
    maxPositions: raw.max_position_embeddings,
    ropeTheta: raw.rope_parameters?.rope_theta ?? raw.rope_theta ?? 10000,
    normEps: raw.rms_norm_eps,
    tiedHead: raw.tie_word_embeddings,
    qkvBias: true,
    qkNorm: false,
    eos: typeof eos === "number" ? [eos] : eos,
    bos: raw.bos_token_id ?? null,
    dtype: raw.dtype ?? raw.torch_dtype ?? "float32",
  };
}

/**
 * Read `config.json` of a model folder.
 *
 * @throws {UserError} When the file is missing or {@linkcode parseModelConfig} refuses it.
 */
export function loadModelConfig(dir: string): ModelConfig {
  const path = `${dir}/config.json`;
  const hint = `${dir} must be a model folder as Hugging Face writes it`;
  return parseModelConfig(readJson(path, hint), path);
}

/** The config.json object of a model, in the layout that transformers loads. */
export function toHfConfig(config: ModelConfig): Record<string, unknown> {
  const { eos } = config;
  return {
    architectures: [config.architecture],
    model_type: "qwen2",
    hidden_size: config.hidden,
    intermediate_size: config.ffn,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    vocab_size: config.vocab,
    max_position_embeddings: config.maxPositions,
    rope_theta: config.ropeTheta,
    rms_norm_eps: config.normEps,
    tie_word_embeddings: config.tiedHead,
    hidden_act: "silu",
    attention_dropout: 0,
    use_sliding_window: false,
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
