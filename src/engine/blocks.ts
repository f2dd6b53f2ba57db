/**
 * Reference-counted blocks of the KV cache: who holds which block, copy-on-write, and which text a block that
 * nobody holds any more still has.
 *
 * @module
 */

/** What is known of a block: its beginning has the keys and values of a certain text. */
export interface Label {
  /** The text's name. */
  readonly key: string;
  /** Which block it is. */
  readonly block: number;
  /** How many positions have it. */
  readonly length: number;
  /** Stands for the whole text up to here in the keys of what follows. */
  readonly serial: number;
}

/** Stands for the empty text. */
const root = 0;

/**
 * Hands out block numbers and counts their holders. Pure bookkeeping: it never touches the device.
 *
 * A labelled block keeps its label when its last holder lets go, until it is handed out again: the blocks
 * without a label first, then those that were let go longest ago.
 */
export class BlockPool {
  /** Blocks in all. */
  readonly size: number;
  readonly #holders: Int32Array;
  /** The free blocks as a ring that begins and ends at `size`. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  #free: number;
  readonly #labels = new Map<string, Label>();
  readonly #labelsOf: (Label[] | undefined)[];
  #serials = root;
  #era = 0;

  /** All blocks are free. */
  constructor(size: number) {
    this.size = size;
    this.#free = size;
    this.#holders = new Int32Array(size);
    this.#next = Int32Array.from({ length: size + 1 }, (_, i) => (i + 1) % (size + 1));
    this.#previous = Int32Array.from({ length: size + 1 }, (_, i) => (i + size) % (size + 1));
    this.#labelsOf = Array.from({ length: size });
  }

  /** Counts how often everything was forgotten: what was written before is of no use to what begins after. */
  get era(): number {
    return this.#era;
  }

  /** Blocks that nobody holds. */
  get free(): number {
    return this.#free;
  }

  /** How many hold the block. */
  holders(block: number): number {
    return this.#holders[block];
  }

  /** A free block, held once. Whoever schedules sees to it that there is one. */
  take(): number {
    const block = this.#next[this.size];
    if (block === this.size) throw new Error("the KV cache ran out of blocks");
    this.share([block]);
    this.written(block, 0);
    return block;
  }

  /** One more holder of each block. */
  share(blocks: readonly number[]): void {
    for (const block of blocks) {
      if (this.#holders[block]++ > 0) continue;
      this.#link(this.#previous[block], this.#next[block]);
      this.#free--;
    }
  }

  /** One holder less of each block; blocks without one become free. */
  release(blocks: readonly number[]): void {
    // The end of a text is of less use to others than its beginning: it goes first.
    for (const block of blocks.toReversed()) {
      if (this.#holders[block] < 1) throw new Error(`block ${block} is released but not held`);
      if (--this.#holders[block] > 0) continue;
      const [before, after] = this.#labelsOf[block]
        ? [this.#previous[this.size], this.size]
        : [this.size, this.#next[this.size]];
      this.#link(before, block);
      this.#link(block, after);
      this.#free++;
    }
  }

  #link(before: number, after: number): void {
    this.#next[before] = after;
    this.#previous[after] = before;
  }

  /** The block with these tokens behind the text that `parent` stands for, or undefined. */
  find(parent: number, tokens: readonly number[]): Label | undefined {
    return this.#labels.get(keyOf(parent, tokens));
  }

  /**
   * Notes that the block has these tokens at its beginning, behind the text that `parent` stands for. Returns
   * what stands for both together; where another block has them already, that one stays the one to find.
   */
  label(block: number, parent: number, tokens: readonly number[]): number {
    const key = keyOf(parent, tokens), known = this.#labels.get(key);
    if (known) return known.serial;
    const label = { key, block, length: tokens.length, serial: ++this.#serials };
    this.#labels.set(key, label);
    (this.#labelsOf[block] ??= []).push(label);
    return label.serial;
  }

  /** Told before positions from `offset` on are written: what was known of them is over. */
  written(block: number, offset: number): void {
    const labels = this.#labelsOf[block];
    if (!labels) return;
    const kept = labels.filter(({ length }) => length <= offset);
    for (const label of labels) if (label.length > offset) this.#labels.delete(label.key);
    this.#labelsOf[block] = kept.length > 0 ? kept : undefined;
  }

  /** Nothing is known of any block any more: the weights have changed. */
  forget(): void {
    this.#era++;
    this.#labels.clear();
    this.#labelsOf.fill(undefined);
  }
}

function keyOf(parent: number, tokens: readonly number[]): string {
  return `${parent}:${tokens.join()}`;
}

/** The blocks of one sequence in order, each covering `blockSize` positions. */
export class BlockTable {
  /** Block numbers. */
  readonly blocks: number[] = [];
  readonly #pool: BlockPool;
  readonly #blockSize: number;
  /** Full blocks that are labelled, and what stands for their text. */
  #labelled = 0;
  #serial = root;
  /** The pool's era when the first block was taken. */
  #era = 0;

  /**
   * An empty table.
   *
   * @param pool Where blocks come from.
   * @param blockSize Positions per block.
   */
  constructor(pool: BlockPool, blockSize: number) {
    this.#pool = pool;
    this.#blockSize = blockSize;
  }

  /**
   * Begins an empty table with the blocks that have the first `count` tokens, as far as there are some.
   *
   * @returns Positions that are held now.
   */
  adopt(tokens: readonly number[], count: number): number {
    const size = this.#blockSize;
    this.#era = this.#pool.era;
    for (let begin = 0; begin < count; begin += size) {
      // The last one may be filled in part: whoever writes into it copies it first.
      const part = tokens.slice(begin, Math.min(begin + size, count));
      const found = this.#pool.find(this.#serial, part);
      if (!found) return begin;
      this.#pool.share([found.block]);
      this.blocks.push(found.block);
      if (part.length < size) break;
      this.#labelled++;
      this.#serial = found.serial;
    }
    return count;
  }

  /** Labels the blocks that the first `count` tokens fill: they are in the cache. None where that is of an era past. */
  label(tokens: readonly number[], count: number): void {
    if (this.#era !== this.#pool.era) return;
    const size = this.#blockSize;
    for (; (this.#labelled + 1) * size <= count; this.#labelled++) {
      const begin = this.#labelled * size, part = tokens.slice(begin, begin + size);
      this.#serial = this.#pool.label(this.blocks[this.#labelled], this.#serial, part);
    }
  }

  /** Labels the last block of the first `count` tokens where they fill it in part; `label` them before. */
  labelTail(tokens: readonly number[], count: number): void {
    const begin = this.#labelled * this.#blockSize;
    if (begin < count && this.#era === this.#pool.era) {
      this.#pool.label(this.blocks[this.#labelled], this.#serial, tokens.slice(begin, count));
    }
  }

  /** Blocks that `prepare` would take. */
  need(start: number, end: number): number {
    let count = Math.max(0, Math.ceil(end / this.#blockSize) - this.blocks.length);
    const held = Math.min(this.blocks.length * this.#blockSize, end);
    for (let i = Math.floor(start / this.#blockSize); i * this.#blockSize < held; i++) {
      if (this.#pool.holders(this.blocks[i]) > 1) count++;
    }
    return count;
  }

  /**
   * Makes positions `start .. end - 1` writable: takes missing blocks, and replaces blocks that others
   * hold too. Returns the (source, destination) pairs whose contents must be copied first.
   */
  prepare(start: number, end: number): [number, number][] {
    const copies: [number, number][] = [];
    if (this.blocks.length === 0) this.#era = this.#pool.era;
    for (let i = Math.floor(start / this.#blockSize); i * this.#blockSize < end; i++) {
      if (i === this.blocks.length) {
        this.blocks.push(this.#pool.take());
      } else if (this.#pool.holders(this.blocks[i]) > 1) {
        const own = this.#pool.take();
        copies.push([this.blocks[i], own]);
        this.#pool.release([this.blocks[i]]);
        this.blocks[i] = own;
      } else this.#pool.written(this.blocks[i], Math.max(0, start - i * this.#blockSize));
    }
    return copies;
  }

  /** Gives every block back. */
  release(): void {
    this.#pool.release(this.blocks);
    this.blocks.length = 0;
    this.#labelled = 0;
    this.#serial = root;
  }
}
