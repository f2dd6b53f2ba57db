/**
 * Who may start: promises cache blocks for a sequence's longest possible life, and lets the samples of
 * one prompt share the blocks that its first sample has read.
 *
 * @module
 */
import { BlockPool, BlockTable } from "./blocks.ts";
import { Sequence } from "./sequence.ts";
import type { PromptRequest } from "./types.ts";

/** A prompt on its way: its first sequence reads it, the others adopt the blocks. */
interface Group {
  readonly request: PromptRequest;
  /** Index of the next sequence to start. */
  next: number;
  /** Holds the prompt's blocks from when they are read until the last sequence has adopted them. */
  readonly prompt: BlockTable;
  /** Sequences that are not over. */
  alive: number;
  /** Whether the prompt is in the cache (its last token never is: decode feeds it). */
  read: boolean;
  /** Blocks promised to the group as a whole, and to each of its sequences. */
  readonly shared: number;
  readonly own: number;
}

/** Blocks that a request needs at least to start: shared ones, and those of one sequence. */
export function blocksNeeded(
  request: PromptRequest,
  blockSize: number,
): { shared: number; own: number } {
  const all = Math.ceil(request.maxTokens / blockSize);
  const read = request.prompt.length - 1;
  if (request.sequences.length === 1) return { shared: 0, own: all };
  // The partly filled last block of the prompt is copied by each sequence that writes into it.
  return { shared: Math.ceil(read / blockSize), own: all - Math.floor(read / blockSize) };
}

/** The waiting line of one run. */
export class Admission {
  readonly #pool: BlockPool;
  readonly #blockSize: number;
  readonly #stop: ReadonlySet<number>;
  readonly #line: Group[];
  readonly #groups = new Map<Sequence, Group>();
  #promised = 0;

  /**
   * @param blocks Blocks of the cache.
   * @param blockSize Positions per block.
   */
  constructor(
    requests: readonly PromptRequest[],
    blocks: number,
    blockSize: number,
    stop: ReadonlySet<number>,
  ) {
    this.#pool = new BlockPool(blocks);
    this.#blockSize = blockSize;
    this.#stop = stop;
    this.#line = requests.filter((r) => r.sequences.length > 0).map((request) => ({
      request,
      next: 0,
      prompt: new BlockTable(this.#pool, blockSize),
      alive: request.sequences.length,
      read: request.prompt.length === 1,
      ...blocksNeeded(request, blockSize),
    }));
  }

  /** Starts up to `slots` sequences, in the order of the requests, as far as memory goes. */
  admit(slots: number): Sequence[] {
    const started: Sequence[] = [];
    for (let i = 0; i < this.#line.length && started.length < slots;) {
      const group = this.#line[i];
      if (group.next > 0 && !group.read) {
        i++; // its first sequence still reads the prompt
        continue;
      }
      const needed = group.own + (group.next === 0 ? group.shared : 0);
      if (this.#promised + needed > this.#pool.size) break;
      this.#promised += needed;
      started.push(this.#start(group));
      if (group.next === group.request.sequences.length) {
        group.prompt.release();
        this.#line.splice(i, 1);
      }
    }
    return started;
  }

  #start(group: Group): Sequence {
    const { request } = group;
    const table = new BlockTable(this.#pool, this.#blockSize);
    const adopted = group.next > 0;
    if (adopted) table.adopt(group.prompt.blocks);
    const cached = adopted ? request.prompt.length - 1 : 0;
    const start = { append: request.prompt, budget: request.budget };
    const limits = { stop: this.#stop, maxTokens: request.maxTokens };
    const sequence = new Sequence(request.sequences[group.next++], table, start, cached, limits);
    this.#groups.set(sequence, group);
    return sequence;
  }

  /** Told when a sequence has nothing left to read: others may then adopt its prompt. */
  hasRead(sequence: Sequence): void {
    const group = this.#groups.get(sequence)!;
    if (group.read) return;
    group.read = true;
    if (group.next < group.request.sequences.length) group.prompt.adopt(sequence.table.blocks);
  }

  /** Frees what a finished sequence held. */
  retire(sequence: Sequence): void {
    const group = this.#groups.get(sequence)!;
    this.#groups.delete(sequence);
    sequence.table.release();
    this.#promised -= group.own;
    if (--group.alive === 0) this.#promised -= group.shared;
  }
}
