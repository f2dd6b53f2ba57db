import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import {
  Decoder,
  loadDecoder,
  loadModelConfig,
  type ModelConfig,
  openSafetensors,
  saveDecoder,
  valueHeadName,
  writeSafetensors,
} from "../../src/model/mod.ts";
import { assertSameBits, Lab, type Rand, seeded } from "../native.ts";
import { families, randomDecoder, tinyConfig } from "./models.ts";

const tokenizer = { version: "1.0", model: { type: "BPE", vocab: { "<eos>": 1 } } };

/** A fresh device, a folder that is removed afterwards, and a random source. */
async function inFolder(body: (lab: Lab, dir: string, rand: Rand) => Promise<void>): Promise<void> {
  const dir = Deno.makeTempDirSync();
  try {
    await seeded(async (rand) => {
      using lab = await Lab.open({ threads: 1 });
      await body(lab, dir, rand);
      assertEquals(lab.device.allocatedBytes, 0, "bytes left on the device");
    });
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

/** Master parameters of a decoder. */
const master = (lab: Lab, decoder: Decoder) => lab.f32(decoder.params.master.flat);

/** Saves a random decoder and returns its parameters. */
async function save(lab: Lab, dir: string, rand: Rand, config: ModelConfig, head: "lm" | "value") {
  using decoder = randomDecoder(lab, config, { head, train: false }, rand);
  await saveDecoder(lab.stream, decoder, dir, { tokenizer });
  return await master(lab, decoder);
}

/** Asserts that loading is refused with one clear line, and that nothing stays allocated. */
function assertRefused(lab: Lab, dir: string, ...parts: string[]): void {
  const load = () => loadDecoder(lab.stream, dir, { head: "lm", train: true });
  const { message } = assertThrows(load, UserError);
  for (const part of [dir, ...parts]) assertStringIncludes(message, part);
  assert(!message.includes("\n"), message);
  assertEquals(lab.device.allocatedBytes, 0);
}

for (const tiedHead of [true, false]) {
  for (const head of ["lm", "value"] as const) {
    Deno.test(`checkpoint: bit-equal round trip, ${head} head, tied ${tiedHead}`, () =>
      inFolder(async (lab, dir, rand) => {
        const config = tinyConfig({ tiedHead });
        const saved = await save(lab, dir, rand, config, head);
        assertEquals(
          [...Deno.readDirSync(dir)].map(({ name }) => name).sort(),
          ["config.json", "model.safetensors", "tokenizer.json"],
        );
        assertEquals(loadModelConfig(dir), config);
        assertEquals(JSON.parse(Deno.readTextFileSync(`${dir}/tokenizer.json`)), tokenizer);
        const options = { head, train: true } as const;
        using decoder = loadDecoder(lab.stream, dir, options);
        assertEquals(decoder.config, config);
        assertSameBits(await master(lab, decoder), saved);
      }));
  }
}

for (const [name, changes] of Object.entries(families)) {
  Deno.test(`checkpoint: bit-equal round trip, ${name}`, () =>
    inFolder(async (lab, dir, rand) => {
      const config = tinyConfig(changes);
      const saved = await save(lab, dir, rand, config, "lm");
      assertEquals(loadModelConfig(dir), config);
      using decoder = loadDecoder(lab.stream, dir, { head: "lm", train: false });
      assertSameBits(await master(lab, decoder), saved);
    }));
}

Deno.test("checkpoint: tensors larger than any buffer on the way", () =>
  inFolder(async (lab, dir) => {
    const config = tinyConfig({ vocab: 100_000, layers: 1 });
    const options = { head: "lm", train: false } as const;
    using decoder = new Decoder(lab.stream, config, options);
    const { flat } = decoder.params.master;
    const values = Float32Array.from({ length: flat.size }, (_, i) => (i * 7919) % 65_521);
    lab.stream.upload(flat, values);
    await saveDecoder(lab.stream, decoder, dir, { tokenizer });
    using loaded = loadDecoder(lab.stream, dir, options);
    assertSameBits(await master(lab, loaded), values);
  }));

Deno.test("checkpoint: a loaded decoder computes with the loaded weights", () =>
  inFolder(async (lab, dir, rand) => {
    const options = { head: "lm", train: false } as const;
    using decoder = randomDecoder(lab, tinyConfig(), options, rand);
    await saveDecoder(lab.stream, decoder, dir, { tokenizer });
    using loaded = loadDecoder(lab.stream, dir, options);
    const packed = async (d: Decoder) => {
      const { data } = d.params.layers[1].gateUp;
      return await lab.stream.download(data, new Uint8Array(data.size));
    };
    assertEquals(await packed(loaded), await packed(decoder));
  }));

Deno.test("checkpoint: float16 and bfloat16 storage rounds once, to nearest even", () =>
  inFolder(async (lab, dir, rand) => {
    const bf16 = (x: number) => {
      const bits = new Uint32Array(Float32Array.of(x).buffer);
      const low = bits[0] % 65536, high = bits[0] - low;
      const up = low > 32768 || (low === 32768 && (high / 65536) % 2 === 1);
      bits[0] = up ? high + 65536 : high;
      return new Float32Array(bits.buffer)[0];
    };
    for (const [dtype, round] of [["float16", Math.f16round], ["bfloat16", bf16]] as const) {
      const saved = await save(lab, dir, rand, tinyConfig({ dtype }), "lm");
      const options = { head: "lm", train: false } as const;
      using decoder = loadDecoder(lab.stream, dir, options);
      assertEquals(decoder.config.dtype, dtype);
      assertSameBits(await master(lab, decoder), saved.map((x) => round(x)), dtype);
    }
    using file = openSafetensors(`${dir}/model.safetensors`);
    assertEquals(new Set(file.names().map((name) => file.info(name).dtype)), new Set(["BF16"]));
  }));

Deno.test("checkpoint: what stands beside the weights, and one word on what ends a turn", () =>
  inFolder(async (lab, dir, rand) => {
    const config = tinyConfig({ eos: [3] });
    using decoder = randomDecoder(lab, config, { head: "lm", train: false }, rand);
    const tokenizerConfig = { chat_template: "{{ messages }}" };
    const generationConfig = { eos_token_id: [5, 3], temperature: 0.5 };
    const written = (name: string) => JSON.parse(Deno.readTextFileSync(`${dir}/${name}`));
    await saveDecoder(lab.stream, decoder, dir, { tokenizer, tokenizerConfig, generationConfig });
    assertEquals(written("tokenizer.json"), tokenizer);
    assertEquals(written("tokenizer_config.json"), tokenizerConfig);
    assertEquals(written("generation_config.json"), generationConfig);
    assertEquals(written("config.json").eos_token_id, [5, 3]);
    assertEquals(loadModelConfig(dir), { ...config, eos: [5, 3] });
  }));

Deno.test("checkpoint: a critic starts from a policy, its value head from zero", () =>
  inFolder(async (lab, dir, rand) => {
    const config = tinyConfig();
    const policy = await save(lab, dir, rand, config, "lm");
    {
      using rubbish = lab.device.alloc("f32", [policy.length + config.hidden]);
      lab.stream.fill(rubbish.tensor, NaN); // the critic is likely to get this memory
      await lab.stream.sync();
    }
    const options = { head: "value", train: false } as const;
    using critic = loadDecoder(lab.stream, dir, options);
    const values = await master(lab, critic);
    const { offset } = critic.params.layout.slots.get(valueHeadName)!;
    assertSameBits(values.subarray(0, offset), policy.subarray(0, offset), "embedding");
    const after = offset + config.hidden;
    assertSameBits(values.subarray(offset, after), new Float32Array(config.hidden), "value head");
    assertSameBits(values.subarray(after), policy.subarray(offset), "the rest");
  }));

Deno.test("checkpoint: what is missing or has another shape is one clear line", () =>
  inFolder(async (lab, dir, rand) => {
    const saved = await save(lab, dir, rand, tinyConfig(), "lm");
    assert(saved.length > 0);
    const config = Deno.readTextFileSync(`${dir}/config.json`);
    const change = (fields: Record<string, unknown>) => {
      const json = { ...JSON.parse(config), ...fields };
      Deno.writeTextFileSync(`${dir}/config.json`, JSON.stringify(json));
    };
    change({ intermediate_size: 38 });
    assertRefused(lab, dir, "gate_proj.weight has shape [37,24]", "asks for [38,24]");
    change({ num_hidden_layers: 3 });
    assertRefused(lab, dir, "no tensor model.layers.2");
    change({ tie_word_embeddings: false });
    assertRefused(lab, dir, "no tensor lm_head.weight");
    change({ architectures: ["GemmaForCausalLM"] });
    assertRefused(lab, dir, "GemmaForCausalLM is not supported");
    Deno.removeSync(`${dir}/config.json`);
    assertRefused(lab, dir, "config.json");
    change({});
    using decoder = loadDecoder(lab.stream, dir, { head: "lm", train: false });
    assertSameBits(await master(lab, decoder), saved, "the repaired folder");
  }));

Deno.test("checkpoint: weights of integers and damaged weights are one clear line", () =>
  inFolder(async (lab, dir, rand) => {
    await save(lab, dir, rand, tinyConfig({ layers: 1 }), "lm");
    const path = `${dir}/model.safetensors`;
    {
      using file = openSafetensors(path);
      const tensors = file.names().map((name) => {
        const { dtype, shape, bytes } = file.info(name);
        const integer = name === "model.norm.weight" && dtype === "F32";
        const chunks = () => [new Uint8Array(bytes)];
        return { name, dtype: integer ? "I32" as const : dtype, shape, chunks };
      });
      await writeSafetensors(path, tensors);
    }
    assertRefused(lab, dir, "model.norm.weight has dtype I32");
    Deno.truncateSync(path, Deno.statSync(path).size - 1);
    assertRefused(lab, dir, "model.safetensors");
    Deno.removeSync(path);
    assertRefused(lab, dir, "model.safetensors");
  }));
