import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { temporaryPath, UserError } from "../../src/base/mod.ts";
import { dtypeBytes, type FloatDtype, toF32 } from "../../src/model/dtype.ts";
import {
  importGguf,
  loadIndex,
  loadModelConfig,
  type ModelConfig,
  Tokenizer,
} from "../../src/model/mod.ts";
import { seeded } from "../native.ts";
import {
  configOf,
  type Format,
  inFolder,
  metadata,
  shape,
  smallFile,
  tensors,
} from "./gguf_models.ts";
import { ggufBytes, type Value } from "./gguf_writer.ts";

/** All parameters of a folder in float32. */
function readFolder(dir: string): Map<string, number[]> {
  using weights = loadIndex(dir);
  return new Map(
    weights.names().map((name) => {
      const { dtype, bytes } = weights.info(name);
      const values: number[] = [];
      weights.read(name, (piece) => {
        const part = new Float32Array(piece.length / dtypeBytes[dtype]);
        toF32(piece, dtype as FloatDtype, part);
        values.push(...part);
      });
      assertEquals(values.length, bytes / dtypeBytes[dtype]);
      return [name, values];
    }),
  );
}

/** llama.cpp's order of a query or key matrix of heads: row 2i is row i, row 2i + 1 is row i + D/2. */
function interleave(values: number[], D: number, columns: number): number[] {
  const row = (r: number) => values.slice(r * columns, (r + 1) * columns);
  return Array.from({ length: values.length / columns }, (_, r) => {
    const head = Math.floor(r / D) * D, i = r % D;
    return row(head + Math.floor(i / 2) + (i % 2) * D / 2);
  }).flat();
}

const everyFormat: Format[] = ["F32", "F16", "BF16", "Q8_0", "Q4_1"];
const imports: [string, Partial<ModelConfig>, string, (name: string) => Format][] = [
  ["quantised Llama", {}, "llama", (name) => everyFormat[name.length % 5]],
  [
    "Qwen2 in F16",
    {
      architecture: "Qwen2ForCausalLM",
      qkvBias: true,
      dtype: "float16",
    },
    "qwen2",
    () => "F16",
  ],
  [
    "Qwen3 in BF16",
    {
      architecture: "Qwen3ForCausalLM",
      qkNorm: true,
      tiedHead: false,
      dtype: "bfloat16",
    },
    "qwen3",
    () => "BF16",
  ],
];
for (const [name, changes, architecture, format] of imports) {
  Deno.test(`import: ${name} becomes a model folder with the same numbers`, () =>
    inFolder((dir) =>
      seeded(async (rand) => {
        const config = configOf(changes);
        const { entries, expected } = tensors(rand, config, format);
        Deno.writeFileSync(
          `${dir}/m.gguf`,
          ggufBytes({ metadata: metadata(architecture), tensors: entries }),
        );
        const made = await importGguf(`${dir}/m.gguf`, `${dir}/deep/model`);
        assertEquals(made.config, config);
        assertEquals(loadModelConfig(`${dir}/deep/model`), config);
        assertEquals(Object.values(made.formats).reduce((a, b) => a + b), entries.length);
        const actual = readFolder(`${dir}/deep/model`);
        assertEquals([...actual.keys()].sort(), [...expected.keys()].sort());
        for (const [parameter, values] of expected) {
          const imported = actual.get(parameter)!;
          const turned = architecture === "llama" && /[qk]_proj/.test(parameter);
          const file = turned ? interleave(imported, shape.headDim, shape.hidden) : imported;
          assertEquals(file, values, parameter);
        }
        const tokenizer = Tokenizer.load(`${dir}/deep/model`);
        assertEquals(tokenizer.id("<|im_end|>"), 1);
        assertEquals([...tokenizer.specialIds], [0, 1]);
        const ids = tokenizer.encode("cab12 <think> é");
        assertEquals(tokenizer.decode(ids), "cab12 <think> é");
        assert(ids.includes(tokenizer.id("ab")) && ids.includes(tokenizer.id("<think>")));
        const settings = JSON.parse(
          Deno.readTextFileSync(`${dir}/deep/model/tokenizer_config.json`),
        );
        assertEquals(
          [settings.chat_template, settings.eos_token, settings.bos_token],
          ["{{ messages }}\n", "<|im_end|>", null],
        );
        assertEquals([...Deno.readDirSync(`${dir}/deep`)].length, 1, "no rubbish is left");
        await assertRejects(
          () => importGguf(`${dir}/m.gguf`, `${dir}/deep/model`),
          UserError,
          "is not empty",
        );
      })
    ));
}

Deno.test("import: what a killed one left goes, what is not ours stays, two at a time make one model", () =>
  inFolder((dir) =>
    seeded(async (rand) => {
      const out = `${dir}/model`, killed = temporaryPath(out), foreign = `${dir}/.model.tmp`;
      Deno.writeFileSync(`${dir}/m.gguf`, ggufBytes(smallFile(rand)));
      for (const path of [killed, foreign]) Deno.mkdirSync(path);
      const two = await Promise.allSettled([1, 2].map(() => importGguf(`${dir}/m.gguf`, out)));
      const [refused] = two.filter((each) => each.status === "rejected");
      // Another process: in the moment between taking the lock and signing it.
      const busy = /model is in use by (process \d+|another process)$|model is not empty$/;
      assertMatch(refused.reason.message, busy);
      assertEquals(two.filter(({ status }) => status === "fulfilled").length, 1);
      const names = [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
      assertEquals(names, [".model.tmp", "m.gguf", "model"]);
    })
  ));

Deno.test("import: what is not supported is one line, and leaves nothing", () =>
  inFolder((dir) =>
    seeded(async (rand) => {
      const file = smallFile(rand);
      const change = (extra: Record<string, Value | undefined>, tensors = file.tensors) => {
        const all = Object.entries({ ...file.metadata, ...extra });
        const metadata = Object.fromEntries(all.filter(([, v]) => v !== undefined));
        const bytes = ggufBytes({ metadata: metadata as Record<string, Value>, tensors });
        Deno.writeFileSync(`${dir}/m.gguf`, bytes);
      };
      const refuses = async (
        message: string,
        extra: Record<string, Value | undefined>,
        tensors = file.tensors,
      ) => {
        change(extra, tensors);
        const error = await assertRejects(
          () => importGguf(`${dir}/m.gguf`, `${dir}/no`),
          UserError,
        );
        assertStringIncludes(error.message, message);
        assertStringIncludes(error.message, `${dir}/m.gguf`);
        assert(!error.message.includes("\n") && error.hint, error.message);
        assertThrows(() => Deno.statSync(`${dir}/no`), Deno.errors.NotFound);
      };
      await refuses('architecture "gemma" is not', { "general.architecture": { text: "gemma" } });
      await refuses("general.architecture is missing", { "general.architecture": undefined });
      await refuses("context_length is missing", { "llama.context_length": undefined });
      await refuses("context_length is not a count", { "llama.context_length": { f32: 1.5 } });
      await refuses("pre is not text", { "tokenizer.ggml.pre": { u32: 1 } });
      await refuses("260 tokens but 1 token types", { "tokenizer.ggml.token_type": { i32s: [1] } });
      await refuses("no tensor blk.2.", { "llama.block_count": { u32: 3 } });
      await refuses("layers cannot be made", { "llama.block_count": { u64: 2n ** 40n } });
      await refuses("asks for [300,33]", { "llama.embedding_length": { u32: 33 } });
      await refuses("turns 16 of 32", { "llama.rope.dimension_count": { u32: 16 } });
      await refuses("num_attention_heads", { "llama.attention.head_count": { u32: 0 } });
      const extra = { name: "blk.0.x.weight", type: 0, shape: [8], data: new Uint8Array(32) };
      await refuses("blk.0.x.weight belongs to no part", {}, [...file.tensors, extra]);
      await refuses("is one of 3 parts", { "split.count": { u32: 3 } });
      await refuses("a mixture of experts (expert_count 8)", { "llama.expert_count": { u32: 8 } });
      await refuses("sliding-window", { "llama.attention.sliding_window": { u32: 100 } });
      await refuses("scale of the logits", { "llama.logit_scale": { f32: 2 } });
      await refuses("(value_length 64)", { "llama.attention.value_length": { u32: 64 } });
      const [first, ...rest] = file.tensors;
      await refuses("no tensor token_embd.weight", {}, rest);
      await refuses("stored as IQ2_XXS", {}, [{ ...first, type: 16 }, ...rest]);
      await refuses("stored as type 77", {}, [{ ...first, type: 77 }, ...rest]);
    })
  ));

Deno.test("import: a number that is none is refused by its place in the file, in every format", () =>
  inFolder((dir) =>
    seeded(async (rand) => {
      const config = configOf({});
      // In rows of 32: row 5, column 3. Quantised, the scale of a block is every element of it.
      const damages: [Format, place: number, bits: number[], said: string][] = [
        ["F32", 4 * (5 * 32 + 3), [0, 0, 0x80, 0xff], "[5, 3] is -Infinity"],
        ["F16", 2 * (5 * 32 + 3), [0, 0x7e], "[5, 3] is NaN"],
        ["BF16", 2 * (5 * 32 + 3), [0x80, 0x7f], "[5, 3] is Infinity"],
        ["Q8_0", 34 * 5, [0, 0x7e], "[5, 0] is NaN"],
        ["Q4_1", 20 * 5 + 2, [0, 0x7c], "[5, 0] is Infinity"],
      ];
      for (const [format, place, bits, said] of damages) {
        const { entries } = tensors(rand, config, () => format);
        // The rows of attn_q are put in another order on the way, those of ffn_gate are not.
        for (const name of ["blk.1.attn_q.weight", "blk.0.ffn_gate.weight"]) {
          const damaged = entries.map((entry) => {
            if (entry.name !== name) return entry;
            const data = entry.data.slice();
            data.set(bits, place);
            return { ...entry, data };
          });
          const parts = { metadata: metadata("llama"), tensors: damaged };
          Deno.writeFileSync(`${dir}/m.gguf`, ggufBytes(parts));
          const importing = () => importGguf(`${dir}/m.gguf`, `${dir}/no`);
          const error = await assertRejects(importing, UserError);
          assertEquals(error.message, `${dir}/m.gguf: ${name}${said}`);
          assertThrows(() => Deno.statSync(`${dir}/no`), Deno.errors.NotFound);
        }
      }
    })
  ));
