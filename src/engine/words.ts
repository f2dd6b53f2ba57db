/**
 * Single words of device memory that the host changes: collected, and handed over in one list.
 *
 * @module
 */

/** What is to be changed in an array of 32-bit words, each word at most once. */
export class WordChanges {
  readonly #values: Int32Array;
  readonly #isDirty: Uint8Array;
  #dirty: number[] = [];

  /** @param size Words of the array, all 0 at first. */
  constructor(size: number) {
    this.#values = new Int32Array(size);
    this.#isDirty = new Uint8Array(size);
  }

  /** All are 0 again, and nothing is to be handed over. */
  clear(): void {
    this.#values.fill(0);
    this.#isDirty.fill(0);
    this.#dirty = [];
  }

  /** Sets a word that the device changes too. */
  set(index: number, value: number): void {
    this.#values[index] = value;
    if (this.#isDirty[index]) return;
    this.#isDirty[index] = 1;
    this.#dirty.push(index);
  }

  /** Sets a word that only the host changes: nothing is to be done where it has the value. */
  keep(index: number, value: number): void {
    if (this.#values[index] !== value) this.set(index, value);
  }

  /** The changes since the last time, as (index, value) pairs in lists of up to `most` pairs. */
  take(most: number): Int32Array[] {
    const lists: Int32Array[] = [];
    for (let begin = 0; begin < this.#dirty.length; begin += most) {
      const part = this.#dirty.slice(begin, begin + most);
      const list = new Int32Array(2 * part.length);
      part.forEach((index, i) => {
        list[2 * i] = index;
        list[2 * i + 1] = this.#values[index];
        this.#isDirty[index] = 0;
      });
      lists.push(list);
    }
    this.#dirty = [];
    return lists;
  }
}
