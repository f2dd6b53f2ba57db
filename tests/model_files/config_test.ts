import { assert, assertEquals, assertThrows } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import {
  loadModelConfig,
  paramCount,
  parseModelConfig,
  toHfConfig,
} from "../../src/model/config.ts";
import { ropeFrequencies } from "../../src/model/rope.ts";

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

Deno.test("RoPE: which of several entries counts is transformers' choice", () => {
  const { rope_theta: _, ...bare } = qwen15b;
  const read = (fields: Record<string, unknown>) => parseModelConfig({ ...bare, ...fields }, "c");
  const yarn = { rope_type: "yarn", factor: 4 }, linear = { rope_type: "linear", factor: 3 };
  const original = (fields: Record<string, unknown>) => {
    const { ropeScaling } = read(fields);
    return ropeScaling && "originalPositions" in ropeScaling ? ropeScaling.originalPositions : null;
  };
  // The original length: beside the scaling, in it, or the longest sequence.
  const beside = { original_max_position_embeddings: 64 };
  assertEquals(original({ rope_parameters: yarn, ...beside }), 64);
  assertEquals(original({ rope_scaling: yarn, ...beside }), 64);
  const inside = { ...yarn, original_max_position_embeddings: 32 };
  assertEquals(original({ rope_scaling: inside, ...beside }), 64);
  assertEquals(original({ rope_scaling: inside }), 32);
  assertEquals(original({ rope_scaling: yarn }), 131072);
  assertEquals(original({ rope_scaling: linear, ...beside }), null);
  // The older style goes first, with its own base or the one beside it, unless it is empty.
  const newer = { rope_parameters: { ...yarn, rope_theta: 5 }, rope_theta: 7 };
  assertEquals(read({ ...newer, rope_scaling: linear }).ropeTheta, 7);
  assertEquals(read({ ...newer, rope_scaling: linear }).ropeScaling?.type, "linear");
  assertEquals(read({ ...newer, rope_scaling: { ...linear, rope_theta: 9 } }).ropeTheta, 9);
  assertEquals(read({ ...newer, rope_scaling: {} }).ropeTheta, 5);
  assertEquals([read({}).ropeTheta, read({}).ropeScaling], [10000, undefined]);
});

Deno.test("YaRN's factor of attention from mscale, and a ramp between fractions of pairs", () => {
  const read = (more: Record<string, unknown>) => {
    const rope_scaling = { type: "yarn", factor: 4, original_max_position_embeddings: 64, ...more };
    const config = parseModelConfig({ ...qwen15b, rope_scaling }, "c");
    assertEquals(parseModelConfig(toHfConfig(config), "again"), config);
    return config;
  };
  const factor = (more: Record<string, unknown>) => {
    const { ropeScaling } = read(more);
    return ropeScaling?.type === "yarn" ? ropeScaling.attentionFactor : NaN;
  };
  const grown = (scale: number) => 0.1 * scale * Math.log(4) + 1;
  assertEquals(factor({ mscale: 2, mscale_all_dim: 0.5 }), grown(2) / grown(0.5));
  assertEquals(factor({ mscale: 2 }), grown(1));
  assertEquals(factor({ mscale: 2, mscale_all_dim: 0.5, attention_factor: 1.5 }), 1.5);
  const [whole, fractional] = [read({}), read({ truncate: false })].map(ropeFrequencies);
  assertEquals(read({ truncate: true }), read({}));
  assert(whole.some((frequency, i) => frequency !== fractional[i]));
});

Deno.test("a window as long as every sequence hides nothing", () => {
  const read = (fields: Record<string, unknown>) =>
    parseModelConfig({ ...qwen15b, ...fields }, "c");
  const plain = read({});
  const used = { use_sliding_window: true, max_window_layers: 21 };
  assertEquals(read({ ...used, sliding_window: 131072 }), plain);
  assertEquals(read({ ...used, sliding_window: 8, max_window_layers: 28 }), plain);
  assertEquals(read({ ...used, sliding_window: null }), plain);
  assertEquals(read({ use_sliding_window: false, sliding_window: 8 }), plain);
  const types = Array(28).fill("full_attention");
  assertEquals(read({ ...used, sliding_window: 8, layer_types: types }), plain);
});

Deno.test("Mistral is Llama's decoder, where it has no window", () => {
  const mistral = { ...llama32, architectures: ["MistralForCausalLM"], model_type: "mistral" };
  const config = parseModelConfig({ ...mistral, sliding_window: null }, "c");
  const { architecture: _, ...rest } = config;
  const { architecture: __, ...llama } = parseModelConfig(llama32, "c");
  assertEquals(rest, llama);
  assertEquals(parseModelConfig(toHfConfig(config), "again"), config);
  const short = { ...mistral, max_position_embeddings: 4096 }; // the usual window
  assertEquals(parseModelConfig(short, "c").maxPositions, 4096);
});

Deno.test("a base model, or one that names no class, is what its type says", () => {
  const plain = parseModelConfig(qwen15b, "c");
  for (const architectures of [["Qwen2Model"], null, undefined]) {
    assertEquals(parseModelConfig({ ...qwen15b, architectures }, "c"), plain);
  }
});

Deno.test("what a config.json leaves out is what its architecture means by that", () => {
  const of = (raw: Record<string, unknown>, ...left: string[]) =>
    parseModelConfig({ ...raw, ...Object.fromEntries(left.map((name) => [name, undefined])) }, "c");
  const llama = of(llama32, "bos_token_id", "eos_token_id", "num_key_value_heads", "head_dim");
  assertEquals([llama.bos, llama.eos, llama.kvHeads, llama.headDim], [1, [2], 32, 64]);
  const qwen = of({ ...qwen3, num_attention_heads: 64 }, "num_key_value_heads", "head_dim");
  assertEquals([qwen.bos, qwen.eos, qwen.kvHeads, qwen.headDim], [null, [], 32, 128]);
  for (const raw of [qwen15b, qwen3, llama32]) {
    assertEquals(of(raw, "tie_word_embeddings").tiedHead, false);
  }
  const nothing = parseModelConfig({ ...llama32, bos_token_id: null, eos_token_id: null }, "c");
  assertEquals([nothing.bos, nothing.eos], [null, []]);
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
  refuses({ architectures: [] }, "architectures");
  refuses({ architectures: ["Qwen2ForSequenceClassification"] }, "architecture Qwen2ForSequence");
  refuses({ architectures: null, model_type: "qwen2_moe" }, "architecture qwen2_moe");
  refuses({ architectures: undefined, model_type: undefined }, "model_type");
  refuses({ model_type: "qwen3" }, "model_type");
  refuses({ hidden_size: "1536" }, "hidden_size");
  refuses({ hidden_size: undefined }, "hidden_size");
  refuses({ num_hidden_layers: 0 }, "num_hidden_layers");
  refuses({ num_attention_heads: 13 }, "num_attention_heads 13");
  refuses({ num_key_value_heads: 5 }, "num_key_value_heads 5");
  refuses({ head_dim: 127 }, "head_dim 127 is not a multiple of 16");
  refuses({ head_dim: 8 }, "head_dim 8 is not a multiple of 16");
  refuses({ head_dim: 272 }, "head_dim 272");
  refuses({ hidden_size: 16400, head_dim: 64 }, "hidden_size 16400 is more than 16384");
  refuses({ vocab_size: 600_000 }, "vocab_size 600000 is more than 524288");
  refuses({ num_key_value_heads: undefined }, "num_key_value_heads 32, which is what no entry");
  const windowed = { use_sliding_window: true, sliding_window: 4096, max_window_layers: 27 };
  refuses(windowed, "a window of 4096 positions");
  refuses({ ...windowed, sliding_window: undefined }, "a window of 4096 positions");
  const layers = (type: string) => [...Array(27).fill("full_attention"), type];
  refuses({ layer_types: layers("linear_attention") }, "layer_types.27");
  refuses({ layer_types: layers("sliding_attention") }, "no window is set");
  refuses({ ...windowed, layer_types: layers("sliding_attention") }, "a window of 4096");
  refuses({ layer_types: ["full_attention"] }, "1 entries for 28 layers");
  refuses({ quantization_config: { quant_method: "gptq" } }, "quantised weights");
  refuses({ partial_rotary_factor: 0.5 }, "partial_rotary_factor");
  const rope = (rope_scaling: Record<string, unknown>, message: string) =>
    refuses({ rope_scaling }, message);
  rope({ type: "dynamic", factor: 2 }, "rope_scaling: RoPE of type dynamic is not supported");
  rope({ rope_type: "linear" }, "rope_scaling: factor");
  rope({ type: "yarn", factor: 0.5 }, "factor");
  rope({ type: "yarn", factor: 4, rope_percent: 0.7 }, "rope_percent");
  rope({ type: "longrope", short_factor: [1] }, "longrope is not supported");
  rope({ full_attention: { type: "yarn", factor: 4 } }, "settings for full_attention alone");
  rope({ type: "default", partial_rotary_factor: 0.5 }, "only full rotation");
  rope({ rope_type: "llama3", factor: 8, low_freq_factor: 1 }, "high_freq_factor");
  rope({ rope_type: "llama3", factor: 8, low_freq_factor: 4, high_freq_factor: 4 }, "not below");
  const llama = { architectures: ["LlamaForCausalLM"], model_type: "llama" };
  refuses({ ...llama, attention_bias: true }, "attention_bias");
  refuses({ ...llama, mlp_bias: true }, "mlp_bias");
  const mistral = { architectures: ["MistralForCausalLM"], model_type: "mistral" };
  refuses({ ...mistral, sliding_window: 4096 }, "a window of 4096");
  refuses({ ...mistral, sliding_window: undefined }, "a window of 4096");
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
  assertEquals([loadModelConfig(dir).layers, loadModelConfig(dir).eos], [28, [151643]]);
  const generation = (content: string) =>
    Deno.writeTextFileSync(`${dir}/generation_config.json`, content);
  generation('{"eos_token_id": [7, 8], "temperature": 0.6}');
  assertEquals(loadModelConfig(dir).eos, [7, 8]);
  generation('{"do_sample": true}');
  assertEquals(loadModelConfig(dir).eos, [151643]);
  generation('{"eos_token_id": "end"}');
  assertThrows(() => loadModelConfig(dir), UserError, "generation_config.json: eos_token_id");
  Deno.removeSync(dir, { recursive: true });
});
