/** Small models as GGUF files, with the numbers that they stand for. */
import { byteChars } from "../../src/model/alphabet.ts";
import { type ModelConfig, parameterLayout } from "../../src/model/mod.ts";
import type { Rand } from "../native.ts";
import type { Entry, Parts, Value } from "./gguf_writer.ts";

const codes = { F32: 0, F16: 1, Q4_1: 3, Q8_0: 8, BF16: 30 } as const;
/** How a tensor can be stored. */
export type Format = keyof typeof codes;

/** Random elements in a format, and what they stand for. */
function randomTensor(
  rand: Rand,
  format: Format,
  n: number,
): { data: Uint8Array; values: number[] } {
  if (format === "F32") {
    const values = rand.normal(n);
    return { data: new Uint8Array(values.buffer), values: [...values] };
  }
  if (format === "F16") {
    const values = new Float16Array(rand.normal(n));
    return { data: new Uint8Array(values.buffer), values: [...values] };
  }
  if (format === "BF16") {
    const high = Uint16Array.from({ length: n }, () => rand.int(0x3c00, 0x4000));
    const values = new Float32Array(Uint32Array.from(high, (h) => h * 65536).buffer);
    return { data: new Uint8Array(high.buffer), values: [...values] };
  }
  const blocks = n / 32, size = format === "Q8_0" ? 34 : 20;
  const data = new Uint8Array(blocks * size), view = new DataView(data.buffer);
  const values: number[] = [];
  for (let b = 0; b < blocks; b++) {
    const [scale, minimum] = new Float16Array(rand.normal(2, 0.1));
    view.setFloat16(b * size, scale, true);
    if (format === "Q8_0") {
      for (let i = 0; i < 32; i++) {
        const q = rand.int(-128, 128);
        view.setInt8(b * size + 2 + i, q);
        values.push(Math.fround(scale * q));
      }
    } else {
      view.setFloat16(b * size + 2, minimum, true);
      const q = [...rand.ints(32, 0, 16)];
      for (let i = 0; i < 16; i++) view.setUint8(b * size + 4 + i, q[i] + 16 * q[i + 16]);
      values.push(...q.map((q) => Math.fround(Math.fround(scale * q) + minimum)));
    }
  }
  return { data, values };
}

/** Sizes of the small model. */
export const shape = {
  hidden: 32,
  ffn: 64,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 32,
  vocab: 300,
};

/** Metadata of a small model whose tokenizer has all bytes, one merge and two control tokens. */
export function metadata(architecture: string): Record<string, Value> {
  const at = (key: string) => `${architecture}.${key}`;
  const tokens = ["<|im_start|>", "<|im_end|>", ...byteChars, "ab", "<think>"];
  return {
    "general.architecture": { text: architecture },
    [at("embedding_length")]: { u32: shape.hidden },
    [at("feed_forward_length")]: { u32: shape.ffn },
    [at("block_count")]: { u64: BigInt(shape.layers) },
    [at("attention.head_count")]: { u32: shape.heads },
    [at("attention.head_count_kv")]: { u32: shape.kvHeads },
    [at("attention.key_length")]: { u32: shape.headDim },
    [at("attention.layer_norm_rms_epsilon")]: { f32: 1e-5 },
    [at("context_length")]: { u32: 512 },
    [at("rope.freq_base")]: { f32: 50000 },
    "tokenizer.ggml.model": { text: "gpt2" },
    "tokenizer.ggml.pre": { text: architecture === "llama" ? "smollm" : "qwen2" },
    "tokenizer.ggml.tokens": { texts: tokens },
    "tokenizer.ggml.token_type": {
      i32s: tokens.map((t) => t.length < 4 ? 1 : t[1] === "t" ? 4 : 3),
    },
    "tokenizer.ggml.merges": { texts: ["a b"] },
    "tokenizer.ggml.eos_token_id": { u32: 1 },
    "tokenizer.ggml.add_bos_token": { bool: false },
    "tokenizer.chat_template": { text: "{{ messages }}\n" },
  };
}

const partNames: Record<string, string> = {
  input_layernorm: "attn_norm",
  post_attention_layernorm: "ffn_norm",
  q_proj: "attn_q",
  k_proj: "attn_k",
  v_proj: "attn_v",
  o_proj: "attn_output",
  q_norm: "attn_q_norm",
  k_norm: "attn_k_norm",
  gate_proj: "ffn_gate",
  up_proj: "ffn_up",
  down_proj: "ffn_down",
};

/** A file's tensors in the formats that `format` names, and the values that each parameter must get. */
export function tensors(rand: Rand, config: ModelConfig, format: (name: string) => Format) {
  const expected = new Map<string, number[]>();
  const entries = [...parameterLayout(config, "lm").slots.values()].map(
    ({ name, shape }): Entry => {
      const type = shape.length === 1 ? "F32" : format(name);
      const { data, values } = randomTensor(rand, type, shape.reduce((a, b) => a * b));
      expected.set(name, values);
      const part = name.split(".");
      const renamed = part[1] === "layers"
        ? `blk.${part[2]}.${partNames[part.at(-2)!]}.${part.at(-1)}`
        : { embed_tokens: "token_embd.weight", norm: "output_norm.weight" }[part[1]] ??
          "output.weight";
      return { name: renamed, type: codes[type], shape, data };
    },
  );
  return { entries, expected };
}

/** The config of the small model. */
export function configOf(changes: Partial<ModelConfig>): ModelConfig {
  return {
    architecture: "LlamaForCausalLM",
    ...shape,
    maxPositions: 512,
    ropeTheta: 50000,
    normEps: 1e-5,
    tiedHead: true,
    qkvBias: false,
    qkNorm: false,
    eos: [1],
    bos: null,
    dtype: "float32",
    ...changes,
  };
}

/** Runs with a fresh folder that is removed afterwards. */
export async function inFolder(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = Deno.makeTempDirSync();
  try {
    await body(dir);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

/** A whole small file, to be changed. */
export function smallFile(rand: Rand): Parts {
  const { entries } = tensors(rand, configOf({}), () => "Q4_1");
  return { metadata: metadata("llama"), tensors: entries };
}
