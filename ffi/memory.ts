/**
 * Device memory with an owner, and a bump allocator over it.
 *
 * @module
 */

import { type DType, type Storage, Tensor, tensorBytes } from "./tensor.ts";

/** Tells of what somebody forgot to dispose. */
export const leaks: FinalizationRegistry<string> = new FinalizationRegistry((what) => {
  console.error(`warning: ${what} was never disposed`);
});

/** Device memory with an owner: dispose it to free it. */
export class Allocation implements Disposable, Storage {
  /** The whole allocation. */
  readonly tensor: Tensor;
  readonly #free: () => void;
  #alive = true;

  /** Called by `Device.alloc`; `free` gives the memory back. */
  constructor(address: bigint, dtype: DType, shape: readonly number[], free: () => void) {
    this.#free = free;
    this.tensor = new Tensor(this, address, dtype, shape);
    leaks.register(this, `an Allocation of ${this.tensor}`, this);
  }

  /** False once freed. */
  get alive(): boolean {
    return this.#alive;
  }

  /** Frees the memory once queued work is done; tensors in it throw from now on. */
  [Symbol.dispose](): void {
    if (!this.#alive) return;
    this.#alive = false;
    leaks.unregister(this);
    this.#free();
  }
}

/**
 * A bump allocator: tensors are handed out one after the other and all dropped at once by `reset`, or
 * back to a `mark`. Tensors of a released region must not be used again.
 */
export class Arena implements Disposable {
  readonly #memory: Allocation;
  #used = 0;
  #peak = 0;

  /** Takes ownership of the allocation. */
  constructor(memory: Allocation) {
    this.#memory = memory;
  }

  /** Bytes handed out. */
  get used(): number {
    return this.#used;
  }

  /** The most bytes that were ever handed out at once. */
  get peak(): number {
    return this.#peak;
  }

  /** What a tensor takes: the next one begins at a multiple of 64 bytes. */
  static bytes(dtype: DType, shape: readonly number[]): number {
    return Math.ceil(tensorBytes(dtype, shape) / 64) * 64;
  }

  /**
   * A tensor at the next 64-byte boundary. Contents are undefined.
   *
   * @throws {RangeError} when the arena is full.
   */
  alloc(dtype: DType, shape: readonly number[]): Tensor {
    const bytes = Arena.bytes(dtype, shape);
    const capacity = this.#memory.tensor.size;
    if (this.#used + bytes > capacity) {
      throw new RangeError(
        `arena of ${capacity} bytes is full: ${this.#used} used, ${dtype}[${
          shape.join(", ")
        }] asked for`,
      );
    }
    const address = this.#memory.tensor.address + BigInt(this.#used);
    this.#used += bytes;
    this.#peak = Math.max(this.#peak, this.#used);
    return new Tensor(this.#memory, address, dtype, shape);
  }

  /** The present fill, for `release`. */
  mark(): number {
    return this.#used;
  }

  /** Drops everything that was allocated since the mark. */
  release(mark: number): void {
    this.#used = mark;
  }

  /** Frees the allocation below; tensors of the arena throw from now on. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}
