/**
 * What a word is made of before BPE joins anything: the ids that its bytes or characters begin as.
 *
 * @module
 */
import { UserError } from "../base/mod.ts";

/**
 * The character that stands for each byte in a byte-level vocabulary: printable Latin-1 characters
 * stand for themselves, the 68 others for the code points from U+0100 on, in order.
 */
export const byteChars: readonly string[] = (() => {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
    return String.fromCharCode(printable ? byte : next++);
  });
})();

const byteOfChar = new Map(byteChars.map((char, byte) => [char, byte]));

/** The bytes that a token of a byte-level vocabulary stands for; undefined for another spelling. */
export function bytesOfToken(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfChar.get(token[i]);
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}

/** How a vocabulary spells text, and what it does with what it cannot spell. */
export interface AlphabetOptions {
  /** Id of each token. */
  readonly vocab: ReadonlyMap<string, number>;
  /** Whether tokens are spelled with {@linkcode byteChars}; if not, with the text's own characters. */
  readonly byteLevel: boolean;
  /** The token that stands for what has no token; null: that is dropped. */
  readonly unknown: string | null;
  /** Whether a run of what has no token becomes one unknown token. */
  readonly fuseUnknown: boolean;
  /** Whether a character without a token becomes the tokens of its bytes, `<0xE2>` and so on. */
  readonly byteFallback: boolean;
}

/** The smallest pieces of words. */
export interface Alphabet {
  /** A word as a token that stands for all of it would be written in the vocabulary. */
  spell(word: string): string;
  /** The ids that a word begins as, which merges then join; the caller may change them. */
  symbols(word: string): Int32Array;
}

/**
 * The alphabet of a vocabulary.
 *
 * @param where The file's name, for messages.
 * @throws {UserError} when the unknown token is not in the vocabulary, or a byte-level vocabulary lacks
 *   a printable byte.
 */
export function createAlphabet(options: AlphabetOptions, where: string): Alphabet {
  const { vocab, byteLevel, unknown } = options;
  const unknownId = unknown === null ? null : vocab.get(unknown);
  if (unknownId === undefined) {
    throw new UserError(`${where}: unk_token ${JSON.stringify(unknown)} is not in the vocabulary`, {
      hint: "the file is damaged: download it again",
    });
  }
  const characters = characterSymbols(options, unknownId);
  if (!byteLevel) return { spell: (word) => word, symbols: characters };
  // Some vocabularies lack a few control bytes, but none that is byte-level lacks a letter.
  const missing = byteChars.findIndex((char, byte) =>
    byte >= 0x20 && byte < 0x7f && !vocab.has(char)
  );
  if (missing >= 0) {
    throw new UserError(`${where}: the vocabulary has no token for byte ${missing}`, {
      hint: "its pre_tokenizer is ByteLevel, so every printable byte needs a token",
    });
  }
  const encoder = new TextEncoder();
  const spell = (word: string) => {
    let spelled = "";
    for (const byte of encoder.encode(word)) spelled += byteChars[byte];
    return spelled;
  };
  const byteIds = byteChars.map((char) => vocab.get(char));
  if (byteIds.includes(undefined)) return { spell, symbols: (word) => characters(spell(word)) };
  // Vocabularies with all bytes, as almost all have, do without a look-up for each.
  const ids = Int32Array.from(byteIds as number[]);
  return { spell, symbols: (word) => Int32Array.from(encoder.encode(word), (byte) => ids[byte]) };
}

/** The ids of a word's characters, as the Rust library `tokenizers` finds them. */
function characterSymbols(
  { vocab, fuseUnknown, byteFallback }: AlphabetOptions,
  unknown: number | null,
): (word: string) => Int32Array {
  const encoder = new TextEncoder();
  const byteTokens = Array.from({ length: 256 }, (_, byte) => vocab.get(byteToken(byte)));
  return (word) => {
    const ids: number[] = [];
    // An unknown token waits for the next character with a token of its own, so that a run can fuse.
    let waiting = false;
    for (const character of word) {
      const id = vocab.get(character);
      if (id !== undefined) {
        if (waiting) ids.push(unknown!);
        waiting = false;
        ids.push(id);
        continue;
      }
      if (byteFallback) {
        const bytes = Array.from(encoder.encode(character), (byte) => byteTokens[byte]);
        if (!bytes.includes(undefined)) {
          // Those bytes go ahead of an unknown token that waits: that library has it so.
          ids.push(...bytes as number[]);
          continue;
        }
      }
      if (unknown === null) continue;
      if (waiting && !fuseUnknown) ids.push(unknown);
      waiting = true;
    }
    if (waiting) ids.push(unknown!);
    return Int32Array.from(ids);
  };
}

/** The token of a byte in a vocabulary with byte fallback. */
function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}
