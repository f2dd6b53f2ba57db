/**
 * The shape of a decoder: read from and written to Hugging Face's `config.json`.
 *
 * Supported: Qwen2 (Qwen2, Qwen2.5 and the DeepSeek-R1 distillations of it), Qwen3 (dense) and Llama
 * (Llama 2 and 3, SmolLM2): one decoder, whose parts a config switches on or off.
 *
 * @module
 */
import * as z from "npm:zod@^4";
import { check, readJson, UserError } from "../base/mod.ts";
import { parseRopeScaling, type RopeScaling, toHfRopeScaling } from "./rope.ts";

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
  /** Width of one head (D); even, because RoPE rotates pairs. */
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

const count = z.int().positive();
const tokenId = z.int().nonnegative();
const storage = z.enum(["float32", "float16", "bfloat16"]);
const off = (what: string) => z.literal(false, { error: `${what} is not supported` }).nullish();

/** `rope_scaling` (older files) and `rope_parameters` (newer ones); rope.ts checks the rest. */
const ropeSettings = z.looseObject({
  rope_theta: z.number().positive().nullish(),
  rope_type: z.string().nullish(),
  type: z.string().nullish(),
}).nullish();

/** The fields of a config.json that change the computation; defaults are the format's. */
const decoderFields = {
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  vocab_size: count,
  rms_norm_eps: z.number().positive().default(1e-6),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: ropeSettings,
  rope_parameters: ropeSettings,
  partial_rotary_factor: z.literal(1, { error: "only full rotation is supported" }).nullish(),
  tie_word_embeddings: z.boolean().default(false),
  hidden_act: z.literal("silu").default("silu"),
  eos_token_id: z.union([tokenId, z.array(tokenId)]).nullish(),
  bos_token_id: tokenId.nullish(),
  torch_dtype: storage.nullish(),
  dtype: storage.nullish(),
  quantization_config: z.null({ error: "quantised weights are not supported" }).optional(),
};
const qwenFields = {
  ...decoderFields,
  use_sliding_window: off("sliding-window attention"),
  layer_types: z.array(
    z.literal("full_attention", { error: "only full attention is supported" }),
  ).nullish(),
  max_position_embeddings: count.default(32768),
};

/** What tells the architectures apart: their schema, and the parts that a decoder has or lacks. */
const families = {
  Qwen2ForCausalLM: {
    schema: z.looseObject({ ...qwenFields, model_type: z.literal("qwen2") }),
    modelType: "qwen2",
    parts: { qkvBias: true, qkNorm: false },
    headDim: null,
  },
  Qwen3ForCausalLM: {
    schema: z.looseObject({
      ...qwenFields,
      model_type: z.literal("qwen3"),
      attention_bias: off("a bias of the attention"),
    }),
    modelType: "qwen3",
    parts: { qkvBias: false, qkNorm: true },
    headDim: 128,
  },
  LlamaForCausalLM: {
    schema: z.looseObject({
      ...decoderFields,
      model_type: z.literal("llama"),
      attention_bias: off("a bias of the attention"),
      mlp_bias: off("a bias of the feed-forward"),
      max_position_embeddings: count.default(2048),
    }),
    modelType: "llama",
    parts: { qkvBias: false, qkNorm: false },
    headDim: null,
  },
} as const;

/** Name of a supported architecture, as `architectures[0]` of config.json spells it. */
export type Architecture = "Qwen2ForCausalLM" | "Qwen3ForCausalLM" | "LlamaForCausalLM";

/** The parts that a decoder of the architecture has or lacks. */
export function architectureParts(
  architecture: Architecture,
): Pick<ModelConfig, "qkvBias" | "qkNorm"> {
  return families[architecture].parts;
}

function isSupported(name: string): name is Architecture {
  return Object.hasOwn(families, name);
}

/** For a config.json that does not fit. */
const hint =
  "take a checkpoint in Hugging Face's layout of an architecture and features that are supported here";
const identitySchema = z.looseObject({ architectures: z.array(z.string()).min(1) });

/**
 * Parse the content of a config.json.
 *
 * @param json The parsed JSON.
 * @param where The file's name, for messages.
 * @throws {UserError} When the architecture is not supported, a field is missing or malformed, or
 *   the file asks for something that is not implemented (sliding windows, other RoPE scalings).
 */
export function parseModelConfig(json: unknown, where: string): ModelConfig {
  const [architecture] = check(identitySchema, json, where, hint).architectures;
  if (!isSupported(architecture)) {
    throw new UserError(`${where}: architecture ${architecture} is not supported`, {
      hint: `supported: ${Object.keys(families).join(", ")}`,
    });
  }
  const { schema, parts, headDim: usualHeadDim } = families[architecture];
  const raw = check<z.infer<(typeof families)[Architecture]["schema"]>>(schema, json, where, hint);
  const heads = raw.num_attention_heads;
  const kvHeads = raw.num_key_value_heads ?? heads;
  const headDim = raw.head_dim ?? usualHeadDim ?? raw.hidden_size / heads;
  const refuse = (message: string, hint: string): never => {
    throw new UserError(`${where}: ${message}`, { hint });
  };
  if (!Number.isInteger(headDim)) {
    refuse(
      `hidden_size ${raw.hidden_size} is not a multiple of num_attention_heads ${heads}`,
      "give head_dim, or correct one of the two",
    );
  }
  if (headDim % 2 !== 0) refuse(`head_dim ${headDim} is odd`, "RoPE needs an even head_dim");
  if (heads % kvHeads !== 0) {
    refuse(
      `num_attention_heads ${heads} is not a multiple of num_key_value_heads ${kvHeads}`,
      "every key/value head must serve the same number of query heads",
    );
  }
  const maxPositions = raw.max_position_embeddings;
  const rope = raw.rope_scaling ?? raw.rope_parameters;
  const field = raw.rope_scaling ? "rope_scaling" : "rope_parameters";
  const ropeScaling = parseRopeScaling(rope, maxPositions, `${where}: ${field}`);
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
    maxPositions,
    ropeTheta: raw.rope_parameters?.rope_theta ?? raw.rope_scaling?.rope_theta ?? raw.rope_theta ??
      10000,
    ...(ropeScaling ? { ropeScaling } : {}),
    normEps: raw.rms_norm_eps,
    tiedHead: raw.tie_word_embeddings,
    ...parts,
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
  const { architecture, eos, ropeScaling } = config;
  const { modelType, parts } = families[architecture];
  // Qwen2's biases are part of its architecture, not a field; Llama knows no sliding window.
  const fields = modelType === "qwen2" ? {} : { attention_bias: parts.qkvBias };
  const window = modelType === "llama" ? {} : { use_sliding_window: false };
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
    ...fields,
    ...window,
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
