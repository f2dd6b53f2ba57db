/** RoPE of GGUF files: Llama 3.1's divisors, YaRN's attention factors, and what is refused. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import type { GgufTensor, GgufValue } from "../../src/model/gguf.ts";
import { Metadata } from "../../src/model/gguf_metadata.ts";
import { ggufRopeScaling } from "../../src/model/gguf_rope.ts";
import {
  importGguf,
  loadModelConfig,
  ropeFrequencies,
  type RopeScaling,
} from "../../src/model/mod.ts";
import { seeded } from "../native.ts";
import { inFolder, smallFile } from "./gguf_models.ts";
import { ggufBytes } from "./gguf_writer.ts";

interface Rope {
  readonly headDim: number;
  readonly ropeTheta: number;
}

/** The scaling that a file with these keys (below `llama.rope.`) and divisors has. */
function scalingOf(
  keys: Readonly<Record<string, GgufValue>>,
  factors?: Float32Array<ArrayBuffer>,
  plain: Rope = { headDim: 64, ropeTheta: 10000 },
  name = "rope_freqs.weight",
): RopeScaling | undefined {
  const entries = Object.entries(keys).map(([key, value]) => [`llama.rope.${key}`, value] as const);
  const meta = new Metadata({ path: "m.gguf", metadata: new Map(entries) });
  const bytes = new Uint8Array(factors?.buffer ?? new ArrayBuffer(0));
  const tensor: GgufTensor = {
    name,
    type: "F32",
    shape: [bytes.length / 4],
    bytes: bytes.length,
    begin: 0,
  };
  const tensors = new Map(factors ? [[name, tensor]] : []);
  const file = { tensors, read: (_: GgufTensor, __: number, into: Uint8Array) => into.set(bytes) };
  return ggufRopeScaling(file, meta, "llama", plain, 131072);
}

/** The divisors that llama.cpp's conversion makes, in float32 as there. */
function divisors(plain: Rope, factor: number, low: number, high: number, original: number) {
  const f = Math.fround;
  return Float32Array.from({ length: plain.headDim / 2 }, (_, i) => {
    const wavelength = f(2 * Math.PI / f(1 / f(plain.ropeTheta ** f(2 * i / plain.headDim))));
    if (wavelength < original / high) return 1;
    if (wavelength > original / low) return factor;
    const smooth = f((original / wavelength - low) / (high - low));
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

const largeHead = { headDim: 128, ropeTheta: 500000 },
  smallHead = { headDim: 64, ropeTheta: 500000 };

Deno.test("GGUF: Llama 3.1's divisors become its rule, in its own numbers", () => {
  for (const [plain, factor] of [[largeHead, 8], [smallHead, 32]] as const) {
    assertEquals(scalingOf({}, divisors(plain, factor, 1, 4, 8192), plain), {
      type: "llama3",
      factor,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalPositions: 8192,
    });
  }
});

Deno.test("GGUF: divisors of any such rule give the frequencies that they divide", () => {
  const heads = [largeHead, smallHead, { headDim: 16, ropeTheta: 500000 }, {
    headDim: 32,
    ropeTheta: 100,
  }];
  const ends = new Set<string>();
  for (const plain of heads) {
    for (
      const [factor, low, high, original] of [
        [8, 1, 4, 64],
        [8, 1, 4, 8192],
        [4, 2, 8, 4096],
        [2.5, 1, 32, 2048],
        [16, 1, 1.01, 500],
        [8, 1, 4, 1_000_000],
        [32, 3, 5, 30],
      ]
    ) {
      const factors = divisors(plain, factor, low, high, original);
      const ropeScaling = scalingOf({}, factors, plain);
      const frequencies = ropeFrequencies({ ...plain, ropeScaling }), all = ropeFrequencies(plain);
      for (const [i, frequency] of frequencies.entries()) {
        const ratio = frequency * factors[i] / all[i];
        assert(
          Math.abs(ratio - 1) < 1e-5,
          `${[plain.headDim, factor, low, high, original, i, ratio]}`,
        );
      }
      const ramp = factors.filter((each) => each > 1 && each < factor).length;
      ends.add(ropeScaling === undefined ? "none" : `${Math.min(ramp, 2)}`);
    }
  }
  // Lines through two points and more, through one, and between the ends.
  assertEquals([...ends].sort(), ["0", "1", "2", "none"]);
});

Deno.test("GGUF: scaling by type and factor, as llama.cpp reads it", () => {
  const none: Readonly<Record<string, GgufValue>>[] = [
    {},
    { "scaling.type": "none", "scaling.factor": 4 },
    { "scaling.type": "linear" },
    { "scaling.factor": 1 },
    { "scale_linear": 0 },
    { "scaling.attn_factor": 1 },
  ];
  for (const keys of none) assertEquals(scalingOf(keys), undefined, JSON.stringify(keys));
  const linear = { type: "linear", factor: 4 } as const;
  assertEquals(scalingOf({ "scaling.type": "linear", "scaling.factor": 4 }), linear);
  assertEquals(scalingOf({ "scaling.factor": 4 }), linear);
  assertEquals(scalingOf({ "scale_linear": 4 }), linear);
  const yarn = { "scaling.type": "yarn", "scaling.factor": 4 };
  const scaling = {
    type: "yarn",
    factor: 4,
    originalPositions: 131072,
    betaFast: 32,
    betaSlow: 1,
    attentionFactor: 0.1 * Math.log(4) + 1,
  } as const;
  assertEquals(scalingOf(yarn), scaling);
  assertEquals(scalingOf({ ...yarn, "scaling.yarn_attn_factor": 1.25 }), {
    ...scaling,
    attentionFactor: 1.25,
  });
  assertEquals(scalingOf({ ...yarn, "scaling.attn_factor": 0.5 }), {
    ...scaling,
    attentionFactor: (0.1 * Math.log(4) + 1) / 2,
  });
  const numbers = { "original_context_length": 4096, "yarn_beta_fast": 16, "yarn_beta_slow": 2 };
  const keys = Object.entries(numbers).map(([key, value]) => [`scaling.${key}`, value]);
  assertEquals(scalingOf({ ...yarn, ...Object.fromEntries(keys) }), {
    ...scaling,
    originalPositions: 4096,
    betaFast: 16,
    betaSlow: 2,
  });
});

Deno.test("GGUF: RoPE that is not supported is one line with a way out", () => {
  const refuses = (message: string, ...given: Parameters<typeof scalingOf>) => {
    const error = assertThrows(() => scalingOf(...given), UserError);
    assertStringIncludes(error.message, message);
    assert(/^m\.gguf: [^\n]+$/.test(error.message) && error.hint, error.message);
  };
  const ones = new Float32Array(32).fill(1), yarn = { "scaling.type": "yarn", "scaling.factor": 4 };
  refuses('"longrope" is not supported', { "scaling.type": "longrope" });
  refuses('"longrope" is not supported', {}, ones, undefined, "rope_factors_long.weight");
  refuses('"dynamic" is not supported', { "scaling.type": "dynamic" });
  refuses("scales attention by 1.5 without YaRN", { "scaling.attn_factor": 1.5 });
  refuses("scales attention by 1.5 without YaRN", {
    "scaling.factor": 4,
    "scaling.attn_factor": 1.5,
  });
  refuses("yarn_log_multiplier 0.5", { ...yarn, "scaling.yarn_log_multiplier": 0.5 });
  refuses("yarn_ext_factor 0.5", { ...yarn, "scaling.yarn_ext_factor": 0.5 });
  refuses("scaling.factor is missing", { "scaling.type": "yarn" });
  refuses("both yarn scaling and rope_freqs", yarn, ones);
  refuses("has 8 factors for 32 frequencies", {}, ones.slice(0, 8));
  const odd = Float32Array.from(ones, (_, i) => 1 + i % 3);
  refuses("follows no known rule", {}, odd);
  refuses("has factors below 1", {}, ones.map((_, i) => i < 20 ? 1 : NaN));
  refuses("has factors below 1", {}, ones.map((_, i) => i < 20 ? 1 : 0.5));
});

Deno.test("GGUF: the divisors' tensor is used, and config.json has the rule", () =>
  inFolder((dir) =>
    seeded(async (rand) => {
      const { metadata, tensors } = smallFile(rand);
      const factors = divisors({ headDim: 32, ropeTheta: 50000 }, 8, 1, 4, 128);
      const data = new Uint8Array(factors.buffer);
      const divisor = { name: "rope_freqs.weight", type: 0, shape: [16], data };
      Deno.writeFileSync(`${dir}/m.gguf`, ggufBytes({ metadata, tensors: [divisor, ...tensors] }));
      await importGguf(`${dir}/m.gguf`, `${dir}/model`);
      const { ropeScaling } = loadModelConfig(`${dir}/model`);
      assert(ropeScaling?.type === "llama3");
      assertEquals([ropeScaling.factor, ropeScaling.originalPositions], [8, 128]);
    })
  ));
