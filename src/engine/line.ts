/**
 * The sequences that wait for a row on the device.
 *
 * @module
 */
import type { Sequence } from "./sequence.ts";

/** A binary heap by rank: the lowest comes first. */
export class Line {
  readonly #heap: Sequence[] = [];

  /** How many wait, those among them that are over by now included. */
  get length(): number {
    return this.#heap.length;
  }

  /** The next one, which stays; undefined when nobody waits. */
  peek(): Sequence | undefined {
    return this.#heap[0];
  }

  /** Joins the line. */
  push(sequence: Sequence): void {
    const heap = this.#heap;
    let at = heap.push(sequence) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent].rank <= sequence.rank) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = sequence;
  }

  /** Takes the next one out. */
  pop(): Sequence | undefined {
    const heap = this.#heap, first = heap[0], last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1].rank < heap[child].rank) child++;
      if (last.rank <= heap[child].rank) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return first;
  }
}
