/** A small tokenizer.json for tests, and what a refused one must say. */
import { assert, assertStringIncludes, assertThrows } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import { byteChars } from "../../src/model/alphabet.ts";
import { Tokenizer } from "../../src/model/tokenizer.ts";

/** The 256 bytes, each with itself as id. */
export const bytesVocab = Object.fromEntries(byteChars.map((char, byte) => [char, byte]));

/** A tokenizer.json of the 256 bytes, two words and GPT-2's own split, with changes laid over it. */
export function small(change: Record<string, unknown> = {}, model: Record<string, unknown> = {}) {
  return {
    added_tokens: [{ id: 300, content: "<é>", normalized: true, special: true }],
    normalizer: { type: "NFC" },
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false },
    model: {
      type: "BPE",
      vocab: { ...bytesVocab, in: 256, ing: 257 },
      merges: [["i", "n"], "in g"],
      ...model,
    },
    ...change,
  };
}

/** Asserts that these files are refused in one line with a way out. */
export function refuses(json: unknown, message: string, config?: unknown): void {
  const error = assertThrows(() => Tokenizer.fromJson(json, "tokenizer.json", config), UserError);
  assertStringIncludes(error.message, message);
  assert(/^tokenizer(_config)?\.json: [^\n]+$/.test(error.message), error.message);
  assert(error.hint, message);
}
