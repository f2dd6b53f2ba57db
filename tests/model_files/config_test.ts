import { assertEquals, assertThrows } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import {
  loadModelConfig,
  paramCount,
  parseModelConfig,
  toHfConfig,
} from "../../src/model/config.ts";

/** The published shape of Qwen2.5-1.5B. */
const qwen15b = {
  architectures: ["Qwen2ForCausalLM"],
  attention_dropout: 0.0,
  bos_token_id: 151643,
  eos_token_id: 151643,
  hidden_act: "silu",
  hidden_size: 1536,
  initializer_range: 0.02,
  intermediate_size: 8960,
  max_position_embeddings: 131072,
  max_window_layers: 28,
  model_type: "qwen2",
  num_attention_heads: 12,
  num_hidden_layers: 28,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-6,
  rope_theta: 1000000.0,
  sliding_window: 131072,
  tie_word_embeddings: true,
  torch_dtype: "bfloat16",
  use_sliding_window: false,
  vocab_size: 151936,
};
/** The published shapes of Qwen2.5-0.5B and of DeepSeek-R1-Distill-Qwen-7B. */
const qwen05b = {
  ...qwen15b,
  hidden_size: 896,
  intermediate_size: 4864,
  num_attention_heads: 14,
  num_hidden_layers: 24,
};
const r7b = {
  ...qwen15b,
  hidden_size: 3584,
  intermediate_size: 18944,
  num_attention_heads: 28,
  num_key_value_heads: 4,
  tie_word_embeddings: false,
  vocab_size: 152064,
};

Deno.test("Qwen2.5-1.5B's config.json is understood", () => {
  assertEquals(parseModelConfig(qwen15b, "config.json"), {
    architecture: "Qwen2ForCausalLM",
    hidden: 1536,
    ffn: 8960,
    layers: 28,
    heads: 12,
    kvHeads: 2,
    headDim: 128,
    vocab: 151936,
    maxPositions: 131072,
    ropeTheta: 1e6,
    normEps: 1e-6,
    tiedHead: true,
    qkvBias: true,
    qkNorm: false,
    eos: [151643],
    bos: 151643,
    dtype: "bfloat16",
  });
});

Deno.test("parameter counts are the published ones", () => {
  assertEquals(paramCount(parseModelConfig(qwen05b, "a")), 494_032_768);
  assertEquals(paramCount(parseModelConfig(qwen15b, "b")), 1_543_714_304);
  assertEquals(paramCount(parseModelConfig(r7b, "c")), 7_615_616_512);
});

Deno.test("a config survives being written and read", () => {
  for (const raw of [qwen05b, qwen15b, r7b, { ...qwen15b, head_dim: 64, eos_token_id: [1, 2] }]) {
    const config = parseModelConfig(raw, "first");
    assertEquals(parseModelConfig(JSON.parse(JSON.stringify(toHfConfig(config))), "again"), config);
  }
});

/** The published shapes of Qwen3-0.6B, Llama-3.2-1B and SmolLM2-135M. */
const qwen3 = {
  architectures: ["Qwen3ForCausalLM"],
  model_type: "qwen3",
  attention_bias: false,
  head_dim: 128,
  hidden_size: 1024,
  intermediate_size: 3072,
  max_position_embeddings: 40960,
  num_attention_heads: 16,
  num_hidden_layers: 28,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-6,
  rope_scaling: null,
  rope_theta: 1000000,
  tie_word_embeddings: true,
  use_sliding_window: false,
  vocab_size: 151936,
};
const llama32 = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  attention_bias: false,
  bos_token_id: 128000,
  eos_token_id: [128001, 128008, 128009],
  head_dim: 64,
  hidden_size: 2048,
  intermediate_size: 8192,
  max_position_embeddings: 131072,
  mlp_bias: false,
  num_attention_heads: 32,
  num_hidden_layers: 16,
  num_key_value_heads: 8,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_scaling: {
    factor: 32,
    high_freq_factor: 4,
    low_freq_factor: 1,
    original_max_position_embeddings: 8192,
    rope_type: "llama3",
  },
  rope_theta: 500000,
  tie_word_embeddings: true,
  vocab_size: 128256,
};
const smollm2 = {
  ...llama32,
  eos_token_id: 2,
  head_dim: undefined,
  hidden_size: 576,
  intermediate_size: 1536,
  max_position_embeddings: 8192,
  num_attention_heads: 9,
  num_hidden_layers: 30,
  num_key_value_heads: 3,
  rope_interleaved: false,
  rope_scaling: null,
  rope_theta: 100000,
  vocab_size: 49152,
};

Deno.test("Qwen3 and Llama are configurations of the same decoder", () => {
  const [small, large] = [parseModelConfig(qwen3, "a"), parseModelConfig(llama32, "b")];
  assertEquals([small.qkvBias, small.qkNorm, small.headDim], [false, true, 128]);
  assertEquals(paramCount(small), 596_049_920);
  assertEquals([large.qkvBias, large.qkNorm, large.eos], [false, false, [128001, 128008, 128009]]);
  assertEquals(paramCount(large), 1_235_814_400);
  assertEquals(large.ropeScaling, {
    type: "llama3",
    factor: 32,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalPositions: 8192,
  });
  assertEquals(paramCount(parseModelConfig(smollm2, "c")), 134_515_008);
  for (const raw of [qwen3, llama32, smollm2]) {
    const config = parseModelConfig(raw, "first");
    assertEquals(parseModelConfig(JSON.parse(JSON.stringify(toHfConfig(config))), "again"), config);
  }
});

Deno.test("YaRN as Qwen's model cards write it", () => {
  const rope_scaling = { factor: 4, original_max_position_embeddings: 32768, type: "yarn" };
  const expected = {
    type: "yarn",
    factor: 4,
    originalPositions: 32768,
    betaFast: 32,
    betaSlow: 1,
    attentionFactor: 0.1 * Math.log(4) + 1,
  } as const;
  assertEquals(parseModelConfig({ ...qwen15b, rope_scaling }, "c").ropeScaling, expected);
  const newer = { rope_parameters: { ...rope_scaling, rope_theta: 1e6 }, rope_theta: undefined };
  const config = parseModelConfig({ ...qwen15b, ...newer }, "c");
  assertEquals([config.ropeTheta, config.ropeScaling], [1e6, expected]);
});

Deno.test("the field names of newer files are read too", () => {
  const { rope_theta: _theta, torch_dtype: _dtype, ...rest } = qwen15b;
  const config = parseModelConfig({
    ...rest,
    dtype: "float16",
    rope_parameters: { rope_type: "default", rope_theta: 5e5 },
    head_dim: null,
    eos_token_id: null,
    bos_token_id: null,
  }, "new");
  assertEquals(
    [config.dtype, config.ropeTheta, config.headDim, config.eos, config.bos],
    ["float16", 5e5, 128, [], null],
  );
});

Deno.test("what is not supported or malformed is refused with file and field", () => {
  const refuses = (change: Record<string, unknown>, message: string) => {
    const error = assertThrows(
      () => parseModelConfig({ ...qwen15b, ...change }, "c.json"),
      UserError,
    );
    assertEquals(error.message.startsWith("c.json: ") && error.message.includes(message), true);
    assertEquals(error.message.includes("\n"), false);
  };
  refuses({ architectures: ["GemmaForCausalLM"] }, "GemmaForCausalLM");
  refuses({ architectures: undefined }, "architectures");
  refuses({ model_type: "qwen3" }, "model_type");
  refuses({ hidden_size: "1536" }, "hidden_size");
  refuses({ hidden_size: undefined }, "hidden_size");
  refuses({ num_hidden_layers: 0 }, "num_hidden_layers");
  refuses({ num_attention_heads: 13 }, "num_attention_heads 13");
  refuses({ num_key_value_heads: 5 }, "num_key_value_heads 5");
  refuses({ head_dim: 127 }, "head_dim 127");
  refuses({ use_sliding_window: true }, "use_sliding_window");
  refuses({ layer_types: ["full_attention", "sliding_attention"] }, "layer_types.1");
  refuses({ quantization_config: { quant_method: "gptq" } }, "quantised weights");
  refuses({ partial_rotary_factor: 0.5 }, "partial_rotary_factor");
  const rope = (rope_scaling: Record<string, unknown>, message: string) =>
    refuses({ rope_scaling }, message);
  rope({ type: "dynamic", factor: 2 }, "rope_scaling: RoPE of type dynamic is not supported");
  rope({ rope_type: "linear" }, "rope_scaling: factor");
  rope({ type: "yarn", factor: 0.5 }, "factor");
  rope({ type: "yarn", factor: 4, mscale: 0.7 }, "mscale");
  rope({ rope_type: "llama3", factor: 8, low_freq_factor: 1 }, "high_freq_factor");
  rope({ rope_type: "llama3", factor: 8, low_freq_factor: 4, high_freq_factor: 4 }, "not below");
  const llama = { architectures: ["LlamaForCausalLM"], model_type: "llama" };
  refuses({ ...llama, attention_bias: true }, "attention_bias");
  refuses({ ...llama, mlp_bias: true }, "mlp_bias");
  const qwen3 = { architectures: ["Qwen3ForCausalLM"], model_type: "qwen3" };
  refuses({ ...qwen3, attention_bias: true }, "attention_bias");
  refuses({ hidden_act: "gelu" }, "hidden_act");
  refuses({ torch_dtype: "int8" }, "torch_dtype");
});

Deno.test("a model folder without a readable config.json is one clear line", () => {
  const dir = Deno.makeTempDirSync();
  assertThrows(() => loadModelConfig(dir), UserError, `cannot read ${dir}/config.json`);
  Deno.writeTextFileSync(`${dir}/config.json`, "{");
  assertThrows(() => loadModelConfig(dir), UserError, "is not valid JSON");
  Deno.writeTextFileSync(`${dir}/config.json`, JSON.stringify(qwen15b));
  assertEquals(loadModelConfig(dir).layers, 28);
  Deno.removeSync(dir, { recursive: true });
});
