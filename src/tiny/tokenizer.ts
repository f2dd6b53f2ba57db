/**
 * A byte-level tokenizer small enough for a model that trains on a laptop's CPU.
 *
 * Every byte is a token, so any text round-trips; the few words that the prompts and answers of the
 * tiny task are made of are single tokens, so its dialogues stay short. It is written as an ordinary
 * tokenizer.json with Qwen2's pre-tokenizer, and runs on the same code as a real model's.
 *
 * @module
 */
import { byteChars, qwen2Pattern } from "../model/mod.ts";

/**
 * The words that are single tokens.
 *
 * Order matters: " fast" must be joined from its left end before "assistant" may claim the "as"
 * inside it. `\boxed` is one token where a text or line begins and after a letter or digit; after a
 * space or another mark, the split puts its backslash with that.
 */
const words = [
  " fast",
  "assistant",
  "user",
  "check",
  "think",
  "brief",
  "\\boxed",
  "Yes",
  "No",
] as const;

const endOfText = "<|endoftext|>";
const imStart = "<|im_start|>";
const imEnd = "<|im_end|>";

/** Each word grown from its left end, one character a merge; ids follow the 256 bytes. */
function buildModel(): { vocab: Record<string, number>; merges: [string, string][] } {
  const vocab: Record<string, number> = {};
  for (const [byte, char] of byteChars.entries()) vocab[char] = byte;
  const merges: [string, string][] = [];
  for (const word of words) {
    const chars = [...new TextEncoder().encode(word)].map((byte) => byteChars[byte]);
    chars.reduce((left, right) => {
      const joined = left + right;
      if (!(joined in vocab)) {
        vocab[joined] = 256 + merges.length;
        merges.push([left, right]);
      }
      return joined;
    });
  }
  return { vocab, merges };
}

const model = buildModel();
const controlTokens = [endOfText, imStart, imEnd];
const bpeSize = 256 + model.merges.length;

/** Rows of the tiny model's embedding: the tokenizer's ids, rounded up to a multiple of 32. */
export const tinyVocabSize: number = Math.ceil((bpeSize + controlTokens.length) / 32) * 32;

/** The tiny tokenizer's `tokenizer.json`. A byte's token id is the byte. */
export function tinyTokenizerJson(): Record<string, unknown> {
  const byteLevel = {
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: false,
    use_regex: false,
  };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: controlTokens.map((content, i) => ({
      id: bpeSize + i,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    // No NFC: text must come back exactly as it went in.
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: qwen2Pattern }, behavior: "Isolated", invert: false },
        byteLevel,
      ],
    },
    post_processor: byteLevel,
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: "",
      end_of_word_suffix: "",
      fuse_unk: false,
      byte_fallback: false,
      vocab: { ...model.vocab },
      merges: model.merges.map((pair) => [...pair]),
    },
  };
}

/** The `tokenizer_config.json` beside it, with ChatML as its chat template. */
export function tinyTokenizerConfig(): Record<string, unknown> {
  return {
    tokenizer_class: "PreTrainedTokenizerFast",
    eos_token: imEnd,
    pad_token: endOfText,
    clean_up_tokenization_spaces: false,
    chat_template: "{% for message in messages %}" +
      `{{ '${imStart}' + message.role + '\\n' + message.content + '${imEnd}' + '\\n' }}` +
      "{% endfor %}" +
      `{% if add_generation_prompt %}{{ '${imStart}assistant\\n' }}{% endif %}`,
  };
}
