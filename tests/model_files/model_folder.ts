/** Model folders of a few kilobytes. */
import { byteChars } from "../../src/model/alphabet.ts";
import { fromF32 } from "../../src/model/dtype.ts";
import { writeSafetensors } from "../../src/model/safetensors.ts";

/** What a folder is like. */
export interface FolderOptions {
  /** Rows of the embedding; the tokenizer has 257 ids. */
  readonly rows: number;
  readonly tied: boolean;
  /** The weights lie in three files with an index. */
  readonly sharded?: boolean;
  readonly dtype?: "F32" | "BF16";
  /** The type of single tensors; those of integers hold zeros. */
  readonly dtypeOf?: (name: string) => "F32" | "BF16" | "I32";
  /** More tokens, from id 257 on. */
  readonly added?: readonly Record<string, unknown>[];
  readonly tokenizerConfig?: Record<string, unknown>;
  /** Fields of config.json besides those of the model that is stored. */
  readonly config?: Record<string, unknown>;
  /** Changes what is stored, by name: shapes, or one more tensor. */
  readonly change?: (shapes: Record<string, number[]>) => Record<string, number[]>;
  /** Element `i` of a tensor; default: `element(i)`. */
  readonly values?: (name: string, i: number) => number;
}

export const hidden = 8;
/** Width of a head; the model has two. */
export const headDim = 16;

/** Element `i` of a matrix: whole numbers, so that every type holds them. */
export function element(i: number): number {
  return (i * 7) % 61 - 30;
}

/** The names and shapes of a Qwen2 model of one layer. */
function shapes(rows: number, tied: boolean): Record<string, number[]> {
  const C = hidden, wide = 2 * headDim, layer = "model.layers.0";
  const attention = ["q_proj", "k_proj", "v_proj"];
  return {
    "model.embed_tokens.weight": [rows, C],
    ...tied ? {} : { "lm_head.weight": [rows, C] },
    ...Object.fromEntries(
      attention.map((name) => [`${layer}.self_attn.${name}.weight`, [wide, C]]),
    ),
    ...Object.fromEntries(attention.map((name) => [`${layer}.self_attn.${name}.bias`, [wide]])),
    [`${layer}.self_attn.o_proj.weight`]: [C, wide],
    [`${layer}.mlp.gate_proj.weight`]: [2 * C, C],
    [`${layer}.mlp.up_proj.weight`]: [2 * C, C],
    [`${layer}.mlp.down_proj.weight`]: [C, 2 * C],
    [`${layer}.input_layernorm.weight`]: [C],
    [`${layer}.post_attention_layernorm.weight`]: [C],
    "model.norm.weight": [C],
  };
}

/** Writes a model into an existing folder. */
export async function writeModel(dir: string, options: FolderOptions): Promise<void> {
  const { rows, tied, sharded = false, dtype = "F32", added = [] } = options;
  const {
    dtypeOf = () => dtype,
    change = (stored) => stored,
    values: valueOf = (_, i) => element(i),
  } = options;
  const write = (name: string, content: unknown) =>
    Deno.writeTextFile(`${dir}/${name}`, JSON.stringify(content));
  await write("config.json", {
    architectures: ["Qwen2ForCausalLM"],
    model_type: "qwen2",
    hidden_size: hidden,
    intermediate_size: 2 * hidden,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    num_key_value_heads: 2,
    head_dim: headDim,
    vocab_size: rows,
    tie_word_embeddings: tied,
    custom_field: "kept",
    ...options.config,
  });
  const end = { id: 256, content: "<|endoftext|>", special: true };
  await write("tokenizer.json", {
    added_tokens: [end, ...added],
    normalizer: null,
    post_processor: null,
    decoder: { type: "ByteLevel" },
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
    model: {
      type: "BPE",
      vocab: Object.fromEntries(byteChars.map((char, byte) => [char, byte])),
      merges: [],
    },
  });
  if (options.tokenizerConfig) await write("tokenizer_config.json", options.tokenizerConfig);
  const tensors = Object.entries(change(shapes(rows, tied))).map(([name, shape]) => {
    const size = shape.reduce((a, b) => a * b), stored = dtypeOf(name);
    const values = Float32Array.from({ length: size }, (_, i) => valueOf(name, i));
    const chunks = () => [stored === "I32" ? new Uint8Array(4 * size) : fromF32(values, stored)];
    return { name, dtype: stored, shape, chunks };
  });
  if (!sharded) {
    return await writeSafetensors(`${dir}/model.safetensors`, tensors, { made: "here" });
  }
  const place = (name: string) => name.includes("embed") ? 1 : name.includes("lm_head") ? 3 : 2;
  const file = (n: number) => `model-0000${n}-of-00003.safetensors`;
  for (const n of [1, 2, 3]) {
    await writeSafetensors(`${dir}/${file(n)}`, tensors.filter(({ name }) => place(name) === n));
  }
  const elements = tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b), 0);
  await write("model.safetensors.index.json", {
    metadata: { total_size: elements * (dtype === "F32" ? 4 : 2) },
    weight_map: Object.fromEntries(tensors.map(({ name }) => [name, file(place(name))])),
  });
}
