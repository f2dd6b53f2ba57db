/**
 * Reference-counted blocks of the KV cache: who holds which block, and copy-on-write.
 *
 * @module
 */

/** Hands out block numbers and counts their holders. Pure bookkeeping: it never touches the device. */
export class BlockPool {
  /** Blocks in all. */
  readonly size: number;
  readonly #free: number[];
  readonly #holders: Int32Array;

  /** All blocks are free. */
  constructor(size: number) {
    this.size = size;
    this.#holders = new Int32Array(size);
    this.#free = Array.from({ length: size }, (_, i) => size - 1 - i);
  }

  /** Blocks that nobody holds. */
  get free(): number {
    return this.#free.length;
  }

  /** How many hold the block. */
  holders(block: number): number {
    return this.#holders[block];
  }

  /** A free block, held once. Admission control guarantees there is one. */
  take(): number {
    const block = this.#free.pop();
    if (block === undefined) throw new Error("the KV cache ran out of blocks it had promised");
    this.#holders[block] = 1;
    return block;
  }

  /** One more holder of each block. */
  share(blocks: readonly number[]): void {
    for (const block of blocks) this.#holders[block]++;
  }

  /** One holder less of each block; blocks without one become free. */
  release(blocks: readonly number[]): void {
    for (const block of blocks) {
      if (this.#holders[block] < 1) throw new Error(`block ${block} is released but not held`);
      if (--this.#holders[block] === 0) this.#free.push(block);
    }
  }
}

/** The blocks of one sequence in order, each covering `blockSize` positions. */
export class BlockTable {
  /** Block numbers. */
  readonly blocks: number[] = [];
  readonly #pool: BlockPool;
  readonly #blockSize: number;

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

  /** Starts as another holder of the given blocks. */
  adopt(blocks: readonly number[]): void {
    this.#pool.share(blocks);
    this.blocks.push(...blocks);
  }

  /**
   * Makes positions `start .. end - 1` writable: takes missing blocks, and replaces blocks that others
   * hold too. Returns the (source, destination) pairs whose contents must be copied first.
   */
  prepare(start: number, end: number): [number, number][] {
    const copies: [number, number][] = [];
    for (let i = Math.floor(start / this.#blockSize); i * this.#blockSize < end; i++) {
      if (i === this.blocks.length) {
        this.blocks.push(this.#pool.take());
      } else if (this.#pool.holders(this.blocks[i]) > 1) {
        const own = this.#pool.take();
        copies.push([this.blocks[i], own]);
        this.#pool.release([this.blocks[i]]);
        this.blocks[i] = own;
      }
    }
    return copies;
  }

  /** Gives every block back. */
  release(): void {
    this.#pool.release(this.blocks);
    this.blocks.length = 0;
  }
}
