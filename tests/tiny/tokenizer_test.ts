import { assertEquals, assertNotEquals } from "@std/assert";
import { Template } from "npm:@huggingface/jinja@0.5.11";
import { Tokenizer as Reference } from "npm:@huggingface/tokenizers@0.2.0";
import fc from "npm:fast-check@4.10.2";
import { tinyTokenizerConfig, tinyTokenizerJson, tinyVocabSize } from "../../src/tiny/tokenizer.ts";
import { Tokenizer } from "../../src/model/tokenizer.ts";

const json = JSON.parse(JSON.stringify(tinyTokenizerJson()));
const tiny = Tokenizer.fromJson(json, "tiny");
const reference = new Reference(json, JSON.parse(JSON.stringify(tinyTokenizerConfig())));

Deno.test("the words of the tiny task are single tokens, where they occur", () => {
  const words = ["user", "assistant", "\\boxed", "Yes", "No", " fast", "check", "think", "brief"];
  assertEquals(new Set(words.map((word) => tiny.encode(word).join())).size, words.length);
  for (const word of words) {
    assertEquals(tiny.encode(word).length, 1, word);
    assertEquals(tiny.encode(`\n${word}\n`).length, 3, word);
  }
  assertEquals(tiny.encode("is fast").map((id) => tiny.decode([id])), ["i", "s", " fast"]);
  assertEquals(tiny.encode("<|im_start|>assistant\n", { special: true }).length, 3);
});

Deno.test("answers are spelled one character a token", () => {
  const pieces = tiny.encode("\\boxed{12+34=46}").map((id) => tiny.decode([id]));
  assertEquals(pieces, ["\\boxed", ..."{12+34=46}"]);
});

Deno.test("a byte's id is the byte", () => {
  assertEquals(tiny.encode("7 é\n"), [0x37, 0x20, 0xc3, 0xa9, 0x0a]);
});

Deno.test("any text makes the round trip, with the reference implementation's ids", () => {
  const word = fc.constantFrom(
    "user",
    " fast",
    "assistant",
    "Yes",
    "as",
    "th",
    "\\b",
    "e\u0301",
    "7",
  );
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(fc.oneof(word, fc.string()), { maxLength: 12 }).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (s) => {
      assertEquals(tiny.decode(tiny.encode(s)), s);
      assertEquals(tiny.encode(s), reference.encode(s).ids);
    }),
    { numRuns: 500 },
  );
});

Deno.test("control tokens are single ids after the words; the embedding has room for all", () => {
  const ids = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"].map((token) => tiny.id(token));
  assertEquals(new Set(ids), tiny.specialIds);
  assertEquals(Math.max(...ids) + 1, tiny.vocabSize);
  assertEquals(tinyVocabSize % 32, 0);
  assertEquals(tinyVocabSize >= tiny.vocabSize && tinyVocabSize < tiny.vocabSize + 32, true);
  assertNotEquals(tiny.encode("<|im_end|>"), tiny.encode("<|im_end|>", { special: true }));
});

Deno.test("the chat template writes ChatML", () => {
  const template = new Template(String(tinyTokenizerConfig().chat_template));
  const messages = [{ role: "user", content: "1+1=?" }, { role: "assistant", content: "2" }];
  const text = template.render({ messages, add_generation_prompt: true });
  assertEquals(
    text,
    "<|im_start|>user\n1+1=?<|im_end|>\n<|im_start|>assistant\n2<|im_end|>\n<|im_start|>assistant\n",
  );
  assertEquals(tiny.encode(text, { special: true }).length, 19);
});
