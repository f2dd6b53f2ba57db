/**
 * From GGUF metadata to a model's config.
 *
 * @module
 */
import { type Architecture, architectureParts, type ModelConfig } from "./config.ts";
import type { GgufFile } from "./gguf.ts";
import { isPlain } from "./gguf_blocks.ts";
import { Metadata } from "./gguf_metadata.ts";
import { ggufRopeScaling } from "./gguf_rope.ts";
import { spmIds } from "./gguf_tokenizer.ts";

const architectures: Readonly<Record<string, Architecture>> = {
  llama: "LlamaForCausalLM",
  qwen2: "Qwen2ForCausalLM",
  qwen3: "Qwen3ForCausalLM",
};

/**
 * The config of the model in a file.
 *
 * @throws {UserError} for an architecture or a RoPE scaling that is not supported, or missing metadata.
 */
export function ggufModelConfig(file: GgufFile): ModelConfig {
  const meta = new Metadata(file);
  const name = meta.needText("general.architecture");
  if (!Object.hasOwn(architectures, name)) {
    const hint = `take a model of one of these: ${Object.keys(architectures).join(", ")}`;
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
      "partial rotation is not supported: take a model that turns them all",
    );
  }
  const embedding = file.tensors.get("token_embd.weight");
  if (!embedding) {
    return meta.refuse("has no tensor token_embd.weight", "it holds no language model");
  }
  refuseOtherParts(meta, name, headDim);
  const maxPositions = meta.needCount(at("context_length"));
  const ropeTheta = meta.real(at("rope.freq_base")) ?? 10000;
  const ropeScaling = ggufRopeScaling(file, meta, name, { headDim, ropeTheta }, maxPositions);
  const usual = meta.text("tokenizer.ggml.model") === "llama" ? spmIds : undefined;
  const eos = [
    meta.count("tokenizer.ggml.eos_token_id") ?? usual?.eos,
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
    ropeTheta,
    ...(ropeScaling ? { ropeScaling } : {}),
    normEps: meta.needReal(at("attention.layer_norm_rms_epsilon")),
    tiedHead: !file.tensors.has("output.weight"),
    ...architectureParts(architecture),
    eos: [...new Set(eos.filter((id) => id !== undefined))],
    bos: meta.count("tokenizer.ggml.bos_token_id") ?? usual?.bos ?? null,
    dtype: storageOf(file),
  };
}

/** Metadata that changes the computation, and what it asks for; 0 is llama.cpp's way to leave it out. */
const otherParts: Readonly<Record<string, string>> = {
  "expert_count": "a mixture of experts",
  "attention.clamp_kqv": "clamping of queries, keys and values",
  "attention.scale": "another scale of attention",
  "attn_logit_softcapping": "soft-capped attention",
  "final_logit_softcapping": "soft-capped logits",
  "logit_scale": "a scale of the logits",
  "residual_scale": "a scale of the residual stream",
  "embedding_scale": "a scale of the embedding",
};

function refuseOtherParts(meta: Metadata, architecture: string, headDim: number): void {
  const refuse = (feature: string, key: string, value: number) =>
    meta.refuse(`${feature} (${key} ${value}) is not supported`, "take a model without it");
  for (const [key, feature] of Object.entries(otherParts)) {
    const value = meta.real(`${architecture}.${key}`) ?? 0;
    if (value !== 0) refuse(feature, key, value);
  }
  const window = meta.real(`${architecture}.attention.sliding_window`) ?? 0;
  const positions = meta.needCount(`${architecture}.context_length`);
  if (window !== 0 && window < positions) refuse("sliding-window attention", "window", window);
  const width = meta.count(`${architecture}.attention.value_length`) ?? headDim;
  if (width !== headDim) refuse("a width of values apart from that of keys", "value_length", width);
}

/** float16 or bfloat16 where all matrices are; what was quantised becomes float32. */
function storageOf(file: GgufFile): ModelConfig["dtype"] {
  const matrices = [...file.tensors.values()].filter(({ shape }) => shape.length === 2);
  const types = new Set(matrices.map(({ type }) => isPlain(type) ? type : "F32"));
  if (types.size !== 1) return "float32";
  return types.has("F16") ? "float16" : types.has("BF16") ? "bfloat16" : "float32";
}
