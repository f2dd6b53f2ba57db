/**
 * A small seeded random generator for data: reproducible everywhere, cheap to save.
 *
 * @module
 */

const MASK = (1n << 64n) - 1n;
/** 2^64 divided by the golden ratio, made odd: the step of the SplitMix64 sequence. */
const STEP = 0x9e3779b97f4a7c15n;

/** The SplitMix64 finaliser: a bijection of 64-bit integers that spreads every bit over all bits. */
function mix(value: bigint): bigint {
  let z = value & MASK;
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}

/**
 * A 64-bit hash of a text (FNV-1a over UTF-16 code units, then mixed). Stable for ever: data splits
 * hang on it. Not for adversaries.
 */
export function hash64(text: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (let i = 0; i < text.length; i++) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(i))) * 0x100000001b3n);
  }
  return mix(hash);
}

/** The whole state of a {@linkcode Random}, as plain JSON. */
export interface RandomState {
  /** The key of the sequence, 16 hex digits. */
  readonly key: string;
  /** How many numbers have been drawn. */
  readonly draws: number;
}

/**
 * SplitMix64 as a counter-based generator: draw number n depends on the key and n only, so its state
 * is two numbers and a fork does not depend on what its parent has drawn.
 *
 * @example
 * ```ts
 * import { assert, assertEquals } from "@std/assert";
 *
 * const random = new Random(7);
 * assert(random.int(1, 6) <= 6); // a die
 * const copy = Random.from(random.state());
 * assertEquals(copy.next(), random.next());
 * ```
 */
export class Random {
  #key: bigint;
  #draws = 0;

  /**
   * Starts a sequence.
   *
   * @param seed Any safe integer; equal seeds give equal sequences.
   * @throws {RangeError} When the seed is no safe integer.
   */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed)) throw new RangeError(`seed ${seed} is not a safe integer`);
    this.#key = mix(BigInt(seed) + STEP);
  }

  /** Continues a sequence where {@linkcode Random.state} was taken. */
  static from(state: RandomState): Random {
    const random = new Random(0);
    random.#key = BigInt(`0x${state.key}`);
    random.#draws = state.draws;
    return random;
  }

  /** The state, to be stored in a checkpoint. */
  state(): RandomState {
    return { key: this.#key.toString(16).padStart(16, "0"), draws: this.#draws };
  }

  /** A float in [0, 1) with 53 random bits. */
  next(): number {
    this.#draws++;
    return Number(mix(this.#key + BigInt(this.#draws) * STEP) >> 11n) / 2 ** 53;
  }

  /** An integer from `lo` to `hi`, both included. */
  int(lo: number, hi: number): number {
    return lo + Math.floor(this.next() * (hi - lo + 1));
  }

  /**
   * One of the items.
   *
   * @throws {RangeError} When there are none.
   */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError("cannot pick from an empty list");
    return items[this.int(0, items.length - 1)];
  }

  /** A shuffled copy of the items; every order is equally likely (Fisher-Yates). */
  shuffle<T>(items: readonly T[]): T[] {
    const out = [...items];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.int(0, i);
      [out[i], out[j]] = [out[j], out[i]];
    }
    return out;
  }

  /** An independent generator that depends on this one's seed and the label, not on its draws. */
  fork(label: string): Random {
    const random = new Random(0);
    random.#key = mix(this.#key ^ hash64(label));
    return random;
  }
}
