/**
 * Byte-level byte pair encoding: one word at a time, from UTF-8 bytes to token ids.
 *
 * @module
 */
import { UserError } from "../errors.ts";

/** Pair keys are `left * idLimit + right`; ids below it keep them exact in a double. */
const idLimit = 2 ** 21;
/** Heap keys are `rank * positionLimit + position`; both fit a double exactly. */
const positionLimit = 2 ** 31;
/** When the word cache holds this many words it starts afresh. */
const cacheWords = 1 << 16;
/**
 * Longer words are not cached. V8 stores substrings from 13 characters on as views of the text they
 * were cut from, and a cached view would keep that whole text alive.
 */
const cacheWordLength = 12;

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

/** The merge table of a byte-level BPE model, with a cache of the words it has seen. */
export class Bpe {
  /** Id of each of the 256 single-byte tokens. */
  readonly #byteIds = new Int32Array(256);
  /** Rank of the merge of a pair of ids. */
  readonly #ranks = new Map<number, number>();
  /** Id that the merge of each rank makes. */
  readonly #merged: Int32Array;
  readonly #cache = new Map<string, readonly number[]>();
  readonly #encoder = new TextEncoder();

  /**
   * Build the merge table.
   *
   * @param vocab Id of each token, tokens spelled with {@linkcode byteChars}.
   * @param merges Pairs of tokens, best first: `"a b"` or `["a", "b"]`.
   * @param where The file's name, for messages.
   * @throws {UserError} When a byte has no token, or a merge is malformed or names no token.
   */
  constructor(vocab: Map<string, number>, merges: readonly unknown[], where: string) {
    for (const [byte, char] of byteChars.entries()) {
      const id = vocab.get(char);
      if (id === undefined) {
        throw new UserError(`${where}: the vocabulary has no token for byte ${byte}`, {
          hint: "only byte-level BPE vocabularies are supported",
        });
      }
      this.#byteIds[byte] = id;
    }
    this.#merged = new Int32Array(merges.length);
    for (const [rank, merge] of merges.entries()) {
      const [left, right, ...rest] = typeof merge === "string"
        ? merge.split(" ")
        : Array.isArray(merge)
        ? merge
        : [];
      const ids = [vocab.get(left), vocab.get(right), vocab.get(left + right)];
      const [leftId, rightId, mergedId] = ids;
      if (
        rest.length > 0 || leftId === undefined || rightId === undefined || mergedId === undefined
      ) {
        throw new UserError(
          `${where}: merge ${rank} (${
            JSON.stringify(merge)
          }) does not join two tokens into a third`,
          { hint: "the file is damaged; download it again" },
        );
      }
      this.#merged[rank] = mergedId;
      this.#ranks.set(leftId * idLimit + rightId, rank);
    }
  }

  /**
   * Token ids of one word (a piece that the pre-tokenizer cut).
   *
   * @returns An array that the cache owns: do not change it.
   */
  encode(word: string): readonly number[] {
    const known = this.#cache.get(word);
    if (known !== undefined) return known;
    const ids = this.#merge(this.#encoder.encode(word));
    if (word.length <= cacheWordLength) {
      if (this.#cache.size >= cacheWords) this.#cache.clear();
      this.#cache.set(word, ids);
    }
    return ids;
  }

  /** Apply merges in order of rank, leftmost first, until none applies. O(n log n). */
  #merge(bytes: Uint8Array): number[] {
    const n = bytes.length;
    // A linked list of symbols over the positions of their first bytes; id -1 marks a merged-away one.
    const ids = Int32Array.from(bytes, (byte) => this.#byteIds[byte]);
    const next = Int32Array.from(bytes, (_, i) => i + 1);
    const previous = Int32Array.from(bytes, (_, i) => i - 1);
    const heap: number[] = [];
    const offer = (left: number) => {
      const right = next[left];
      if (right >= n) return;
      const rank = this.#ranks.get(ids[left] * idLimit + ids[right]);
      if (rank !== undefined) pushHeap(heap, rank * positionLimit + left);
    };
    for (let i = 0; i + 1 < n; i++) offer(i);
    while (heap.length > 0) {
      const entry = popHeap(heap);
      const rank = Math.floor(entry / positionLimit);
      const left = entry % positionLimit;
      const right = next[left];
      // An entry is stale when a later merge changed either of its two symbols: then the pair here
      // has another rank, or none because an id is -1 or lies past the end.
      if (this.#ranks.get(ids[left] * idLimit + ids[right]) !== rank) continue;
      ids[left] = this.#merged[rank];
      ids[right] = -1;
      next[left] = next[right];
      if (next[left] < n) previous[next[left]] = left;
      offer(left);
      if (previous[left] >= 0) offer(previous[left]);
    }
    const out: number[] = [];
    for (let i = 0; i < n; i = next[i]) out.push(ids[i]);
    return out;
  }
}

/** Insert a key into a binary min-heap. */
function pushHeap(heap: number[], key: number): void {
  let at = heap.push(key) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (heap[parent] <= key) break;
    heap[at] = heap[parent];
    at = parent;
  }
  heap[at] = key;
}

/** Remove and return the least key of a binary min-heap that is not empty. */
function popHeap(heap: number[]): number {
  const top = heap[0];
  const last = heap.pop()!;
  const size = heap.length;
  if (size === 0) return top;
  let at = 0;
  for (let child = 1; child < size; child = 2 * at + 1) {
    if (child + 1 < size && heap[child + 1] < heap[child]) child++;
    if (heap[child] >= last) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = last;
  return top;
}
