/**
 * What a config.json of each supported architecture may say, and what the format takes for granted where
 * it says nothing.
 *
 * @module
 */
import * as z from "npm:zod@4.6.7";
import { UserError } from "../base/mod.ts";

const count = z.int().positive();
const tokenId = z.int().nonnegative();
const positive = z.number().positive();
const fullRotation = z.literal(1, { error: "only full rotation is supported" }).nullish();
/** `rope_scaling` (older files) and `rope_parameters` (newer ones); rope_config.ts checks the rest. */
const ropeSettings = z.looseObject({
  rope_theta: positive.nullish(),
  rope_type: z.string().nullish(),
  type: z.string().nullish(),
  partial_rotary_factor: fullRotation,
}).nullish();
const storage = z.enum(["float32", "float16", "bfloat16"]);
const off = (what: string) => z.literal(false, { error: `${what} is not supported` }).nullish();

/** Ids that end a generation, in config.json and in generation_config.json. */
export const eosField = z.union([tokenId, z.array(tokenId)]).nullish();

/** The fields of a config.json that change the computation; defaults are the format's. */
const decoderFields = {
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  vocab_size: count,
  rms_norm_eps: positive.default(1e-6),
  rope_theta: positive.nullish(),
  rope_scaling: ropeSettings,
  rope_parameters: ropeSettings,
  partial_rotary_factor: fullRotation,
  original_max_position_embeddings: count.nullish(),
  tie_word_embeddings: z.boolean().default(false),
  hidden_act: z.literal("silu").default("silu"),
  eos_token_id: eosField,
  bos_token_id: tokenId.nullish(),
  torch_dtype: storage.nullish(),
  dtype: storage.nullish(),
  quantization_config: z.null({ error: "quantised weights are not supported" }).optional(),
};
const windowFields = {
  sliding_window: count.nullish(),
  layer_types: z.array(z.string()).nullish(),
};
const qwenFields = {
  ...decoderFields,
  ...windowFields,
  use_sliding_window: z.boolean().nullish(),
  max_window_layers: z.int().nonnegative().default(28),
  max_position_embeddings: count.default(32768),
};
const noBiases = { attention_bias: off("a bias of the attention") };

/** What tells the architectures apart: their schema, their defaults, and the parts that a decoder has. */
const families = {
  Qwen2ForCausalLM: {
    schema: z.looseObject({ ...qwenFields, model_type: z.literal("qwen2") }),
    modelType: "qwen2",
    parts: { qkvBias: true, qkNorm: false },
    usual: { headDim: null, kvHeads: 32, bos: null, eos: [] },
  },
  Qwen3ForCausalLM: {
    schema: z.looseObject({ ...qwenFields, ...noBiases, model_type: z.literal("qwen3") }),
    modelType: "qwen3",
    parts: { qkvBias: false, qkNorm: true },
    usual: { headDim: 128, kvHeads: 32, bos: null, eos: [] },
  },
  LlamaForCausalLM: {
    schema: z.looseObject({
      ...decoderFields,
      ...noBiases,
      mlp_bias: off("a bias of the feed-forward"),
      model_type: z.literal("llama"),
      max_position_embeddings: count.default(2048),
    }),
    modelType: "llama",
    parts: { qkvBias: false, qkNorm: false },
    usual: { headDim: null, kvHeads: null, bos: 1, eos: [2] },
  },
  MistralForCausalLM: {
    schema: z.looseObject({
      ...decoderFields,
      ...windowFields,
      ...noBiases,
      model_type: z.literal("mistral"),
      max_position_embeddings: count.default(131072),
    }),
    modelType: "mistral",
    parts: { qkvBias: false, qkNorm: false },
    usual: { headDim: null, kvHeads: 8, bos: 1, eos: [2] },
  },
} as const satisfies Record<Architecture, unknown>;

/** Name of a supported architecture, as `architectures[0]` of config.json spells it. */
export type Architecture =
  | "Qwen2ForCausalLM"
  | "Qwen3ForCausalLM"
  | "LlamaForCausalLM"
  | "MistralForCausalLM";

/** The content of a config.json that its family's schema has passed. */
export type FamilyFields = z.output<(typeof families)[Architecture]["schema"]>;

const supported = Object.keys(families) as Architecture[];
/** The architectures, in words. */
export const supportedArchitectures: string = supported.join(", ");

/**
 * The architecture of a config.json, by the class that it names or, without one, by its type. A model that was
 * saved without its head (`Qwen2Model`) is read as one with a head, as by transformers' AutoModelForCausalLM.
 */
export function architectureOf(named: string | undefined, type?: string): Architecture | undefined {
  return supported.find((name) =>
    named === undefined
      ? families[name].modelType === type
      : named === name || named === name.replace("ForCausalLM", "Model")
  );
}

/** What tells an architecture from the others. */
export function familyOf(architecture: Architecture): (typeof families)[Architecture] {
  return families[architecture];
}

/** The window of Qwen2, Qwen3 and Mistral where a config.json names none. */
const usualWindow = 4096;
/** A layer with a window, in `layer_types`. */
const sliding = "sliding_attention";

/**
 * Refuses a config whose attention does not reach back to the first token. A window as long as the longest
 * sequence hides nothing.
 *
 * @throws {UserError} naming the field.
 */
export function checkWindow(raw: FamilyFields, where: string): void {
  if (raw.model_type === "llama") return; // the architecture knows no windows
  const { num_hidden_layers: layers, layer_types: types, max_position_embeddings: positions } = raw;
  const all = raw.model_type === "mistral",
    refuse = (message: string, hint: string) => {
      throw new UserError(`${where}: ${message}`, { hint });
    };
  const other = types?.findIndex((type) => type !== "full_attention" && type !== sliding) ?? -1;
  if (types && other >= 0) {
    refuse(
      `layer_types.${other}: ${types[other]} is not supported`,
      "every layer must attend to all",
    );
  }
  if (types && types.length !== layers) {
    refuse(
      `layer_types has ${types.length} entries for ${layers} layers`,
      "correct one of the two",
    );
  }
  const named = types?.includes(sliding);
  const window = all || raw.use_sliding_window
    ? raw.sliding_window === undefined ? usualWindow : raw.sliding_window
    : null;
  if (named && window === null) {
    refuse("layer_types names sliding layers, but no window is set", "set sliding_window");
  }
  const slides = all || (named ?? raw.max_window_layers < layers);
  if (!slides || window === null || window >= positions) return;
  refuse(
    `attention over a window of ${window} positions is not supported (sliding_window)`,
    `it hides nothing in shorter sequences: set max_position_embeddings, now ${positions}, to ` +
      `${window} to use the model so far`,
  );
}
