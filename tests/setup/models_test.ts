import { assertEquals } from "@std/assert";
import { Tokenizer } from "../../src/model/mod.ts";
import { checkpointFiles } from "../../src/setup/mod.ts";
import { tinyTokenizerJson } from "../../src/tiny/mod.ts";
import { tinyConfig } from "../model/models.ts";

const json = tinyTokenizerJson();
const tokenizer = Tokenizer.fromJson(json, "the tiny tokenizer");
const [endOfText, end] = ["<|endoftext|>", "<|im_end|>"].map((token) => tokenizer.id(token));
const use = { stop: [end, endOfText], temperature: 0.7 };

Deno.test("checkpointFiles: what is said of turns and sampling is training's, the rest stays", () => {
  const config = {
    tokenizer_class: "LlamaTokenizerFast",
    add_bos_token: true,
    eos_token: { content: "<|endoftext|>", lstrip: false },
    pad_token: { content: "<|endoftext|>", lstrip: false },
    chat_template: "{{ 'another' }}",
  };
  const model = tinyConfig({ bos: endOfText, vocab: 320 });
  const files = checkpointFiles({ tokenizer, json, config }, model, { ...use, system: "Think." });
  assertEquals(files.tokenizer, json);
  const { chat_template, ...others } = files.tokenizerConfig as Record<string, unknown>;
  const { chat_template: _, ...before } = config;
  assertEquals(others, { ...before, eos_token: "<|im_end|>" });
  assertEquals(`${chat_template}`.includes("<|im_start|>system\\nThink."), true);
  assertEquals(files.generationConfig, {
    bos_token_id: endOfText,
    eos_token_id: [end, endOfText],
    pad_token_id: endOfText,
    do_sample: true,
    temperature: 0.7,
    top_p: 1,
    top_k: 320,
  });
});

Deno.test("checkpointFiles: a folder without tokenizer_config.json gets one, and no ids from nowhere", () => {
  const files = checkpointFiles({ tokenizer, json, config: {} }, tinyConfig({ bos: null }), use);
  const written = files.tokenizerConfig as Record<string, unknown>;
  assertEquals(Object.keys(written), ["eos_token", "chat_template"]);
  assertEquals(written.eos_token, "<|im_end|>");
  assertEquals("pad_token_id" in files.generationConfig!, false);
  assertEquals("bos_token_id" in files.generationConfig!, false);
});
