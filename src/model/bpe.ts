/**
 * Byte pair encoding: one word at a time, from its bytes or characters to token ids.
 *
 * @module
 */
import { UserError } from "../base/mod.ts";
import { type Alphabet, type AlphabetOptions, createAlphabet } from "./alphabet.ts";

/** Heap keys are `rank * positionLimit + position`; both fit a double exactly. */
const positionLimit = 2 ** 31;
/** When the word cache holds this many words it starts afresh. */
const cacheWords = 1 << 16;
/**
 * Longer words are not cached. V8 stores substrings from 13 characters on as views of the text they
 * were cut from, and a cached view would keep that whole text alive.
 */
const cacheWordLength = 12;
/** Up to so many symbols the best pair is found by looking at all; a heap serves longer words. */
const scanLimit = 64;

/** How a {@linkcode Bpe} is built. */
export interface BpeOptions extends AlphabetOptions {
  /** Pairs of tokens, best first: `"a b"` or `["a", "b"]`. */
  readonly merges: readonly unknown[];
  /** Whether a word that is a token becomes that token, whatever the merges would make of it. */
  readonly ignoreMerges: boolean;
  /** Ids that no word becomes as a whole: a text that spells a control token stays text. */
  readonly control: ReadonlySet<number>;
}

/** The merge table of a BPE model, with a cache of the words it has seen. */
export class Bpe {
  readonly #alphabet: Alphabet;
  readonly #ranks: PairTable;
  /** Id that the merge of each rank makes. */
  readonly #merged: Int32Array;
  /** Ids of whole words, where they go before merges. */
  readonly #words: ReadonlyMap<string, number> | undefined;
  readonly #control: ReadonlySet<number>;
  readonly #cache = new Map<string, readonly number[]>();
  /** Scratch memory of a short word's merge: the ranks of its pairs. */
  readonly #pairRanks = new Int32Array(scanLimit);

  /**
   * Build the merge table.
   *
   * @param where The file's name, for messages.
   * @throws {UserError} When {@linkcode createAlphabet} refuses the vocabulary, or a merge is malformed
   *   or names no token.
   */
  constructor(options: BpeOptions, where: string) {
    const { vocab, merges, ignoreMerges, control } = options;
    this.#alphabet = createAlphabet(options, where);
    this.#words = ignoreMerges ? vocab : undefined;
    this.#control = control;
    this.#merged = new Int32Array(merges.length);
    this.#ranks = new PairTable(merges.length);
    for (const [rank, merge] of merges.entries()) {
      const [left, right] = pairOf(merge) ?? ["", ""];
      const leftId = vocab.get(left), rightId = vocab.get(right), id = vocab.get(left + right);
      if (leftId === undefined || rightId === undefined || id === undefined) {
        throw new UserError(
          `${where}: merge ${rank} (${
            JSON.stringify(merge)
          }) does not join two tokens into a third`,
          { hint: "the file is damaged; download it again" },
        );
      }
      this.#merged[rank] = id;
      this.#ranks.set(leftId, rightId, rank);
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
    const ids = this.#compute(word);
    if (word.length <= cacheWordLength) {
      if (this.#cache.size >= cacheWords) this.#cache.clear();
      this.#cache.set(word, ids);
    }
    return ids;
  }

  #compute(word: string): number[] {
    const whole = this.#words?.get(this.#alphabet.spell(word));
    if (whole !== undefined && !this.#control.has(whole)) return [whole];
    const ids = this.#alphabet.symbols(word);
    return ids.length <= scanLimit ? this.#mergeShort(ids) : this.#mergeLong(ids);
  }

  /** Apply merges in order of rank, leftmost first, until none applies; changes `ids`. */
  #mergeShort(ids: Int32Array): number[] {
    const ranks = this.#pairRanks, table = this.#ranks;
    let n = ids.length;
    for (let i = 0; i + 1 < n; i++) ranks[i] = table.get(ids[i], ids[i + 1]);
    for (;;) {
      let best = noRank, at = 0;
      for (let i = 0; i + 1 < n; i++) {
        if (ranks[i] < best) {
          best = ranks[i];
          at = i;
        }
      }
      if (best === noRank) break;
      ids[at] = this.#merged[best];
      n--;
      for (let i = at + 1; i < n; i++) {
        ids[i] = ids[i + 1];
        ranks[i - 1] = ranks[i];
      }
      if (at + 1 < n) ranks[at] = table.get(ids[at], ids[at + 1]);
      if (at > 0) ranks[at - 1] = table.get(ids[at - 1], ids[at]);
    }
    return Array.from(ids.subarray(0, n));
  }

  /** What `#mergeShort` computes, in O(n log n). */
  #mergeLong(ids: Int32Array): number[] {
    const n = ids.length;
    // A linked list of symbols over the positions of their first ids; id -1 marks a merged-away one.
    const next = Int32Array.from(ids, (_, i) => i + 1);
    const previous = Int32Array.from(ids, (_, i) => i - 1);
    const heap: number[] = [];
    const offer = (left: number) => {
      const right = next[left];
      if (right >= n) return;
      const rank = this.#ranks.get(ids[left], ids[right]);
      if (rank !== noRank) pushHeap(heap, rank * positionLimit + left);
    };
    for (let i = 0; i + 1 < n; i++) offer(i);
    while (heap.length > 0) {
      const entry = popHeap(heap);
      const rank = Math.floor(entry / positionLimit);
      const left = entry % positionLimit;
      const right = next[left];
      // An entry is stale when a later merge changed either of its two symbols: then the pair here
      // has another rank, or none because an id is -1 or lies past the end.
      if (right >= n || this.#ranks.get(ids[left], ids[right]) !== rank) continue;
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

/** The two tokens of a merge as the file spells it; undefined for anything else. */
function pairOf(merge: unknown): readonly [string, string] | undefined {
  if (typeof merge === "string") {
    const space = merge.indexOf(" ");
    if (space < 0 || merge.includes(" ", space + 1)) return undefined;
    return [merge.slice(0, space), merge.slice(space + 1)];
  }
  if (!Array.isArray(merge) || merge.length !== 2) return undefined;
  const [left, right] = merge;
  return typeof left === "string" && typeof right === "string" ? [left, right] : undefined;
}

/** What a {@linkcode PairTable} answers for a pair without a merge; above every rank. */
const noRank = 2 ** 31 - 1;

/** Ranks of pairs of ids: open addressing in one flat array, several times as fast as a Map. */
class PairTable {
  readonly #mask: number;
  /** Left id, right id and rank of each place; left id -1 marks a free one. */
  readonly #places: Int32Array;

  constructor(pairs: number) {
    const size = 2 ** Math.ceil(Math.log2(2 * pairs + 2));
    this.#mask = size - 1;
    this.#places = new Int32Array(3 * size).fill(-1);
  }

  /** Where the pair lies, or the free place where it belongs. */
  #find(left: number, right: number): number {
    const hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    const places = this.#places, mask = this.#mask;
    for (let place = (hash ^ (hash >>> 15)) & mask;; place = (place + 1) & mask) {
      const at = 3 * place;
      if (places[at] < 0 || (places[at] === left && places[at + 1] === right)) return at;
    }
  }

  get(left: number, right: number): number {
    const at = this.#find(left, right);
    return this.#places[at] < 0 ? noRank : this.#places[at + 2];
  }

  /** A pair that is given twice keeps its later rank. */
  set(left: number, right: number, rank: number): void {
    this.#places.set([left, right, rank], this.#find(left, right));
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
