/** SentencePiece-like tokenizers (Llama 2, Mistral), id for id against the Rust library's records. */
import { assert, assertEquals } from "@std/assert";
import { Tokenizer } from "../../src/model/tokenizer.ts";

interface Head {
  readonly texts: string[];
  readonly ids: number[][];
  readonly vocab: Record<string, number>;
  readonly merges: [string, string][];
}

interface Recorded {
  readonly name: string;
  /** Tokens that go by another name in this one. */
  readonly lacking: string[];
  readonly json: { readonly model: Record<string, unknown> };
  /** Ids of the texts, control tokens found, and left alone. */
  readonly special: number[][];
  readonly plain: number[][];
  /** Texts of the lists of ids, with control tokens and without; and of `special`. */
  readonly decoded: string[];
  readonly skipped: string[];
  readonly back: string[];
}

async function recorded(): Promise<{ head: Head; variants: Recorded[] }> {
  const path = new URL("../fixtures/byte_fallback.jsonl.gz", import.meta.url);
  using file = await Deno.open(path);
  const text = await new Response(
    file.readable.pipeThrough(new DecompressionStream("gzip")),
  ).text();
  const [head, ...variants] = text.trim().split("\n").map((line) => JSON.parse(line));
  return { head, variants };
}

const { head, variants } = await recorded();

function tokenizerOf({ name, lacking, json }: Recorded): Tokenizer {
  const vocab = Object.fromEntries(
    Object.entries(head.vocab).map((
      [token, id],
    ) => [lacking.includes(token) ? `${token}~` : token, id]),
  );
  return Tokenizer.fromJson(
    { ...json, model: { ...json.model, vocab, merges: head.merges } },
    name,
  );
}

Deno.test("byte fallback: as many texts and tokenizers were recorded as are meant to be", () => {
  assert(head.texts.length >= 700 && head.ids.length >= 150 && variants.length >= 15);
});

for (const variant of variants) {
  Deno.test(`byte fallback: ${variant.name}`, () => {
    const tokenizer = tokenizerOf(variant);
    for (const [i, text] of head.texts.entries()) {
      const label = JSON.stringify(text);
      assertEquals(tokenizer.encode(text, { special: true }), variant.special[i], label);
      assertEquals(tokenizer.encode(text), variant.plain[i], label);
      assertEquals(tokenizer.decode(variant.special[i]), variant.back[i], label);
    }
    for (const [i, ids] of head.ids.entries()) {
      const label = ids.join();
      assertEquals(tokenizer.decode(ids), variant.decoded[i], label);
      assertEquals(tokenizer.decode(ids, { skipSpecial: true }), variant.skipped[i], label);
      const stream = tokenizer.streamDecoder();
      const pushed = ids.map((id) => stream.push(id)).join("") + stream.end();
      assertEquals(pushed, variant.decoded[i], label);
    }
  });
}
