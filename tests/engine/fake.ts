/**
 * A device for the scheduler that is not there: its cache holds token ids, and what a row samples depends on
 * all that it finds in the cache. Were a block lost, shared wrongly or written by two, other tokens came out.
 */
import type { Batch, DecodeRow, PrefillRun, RoundResult } from "../../src/engine/device_side.ts";
import type { Continuation, PromptRequest, Turn } from "../../src/engine/mod.ts";

/** What is sampled behind these tokens, of a vocabulary of 1,000; 0 ends a turn. */
export function next(id: bigint, tokens: Iterable<number>): number {
  let hash = Number(id % 1000003n) + 17;
  for (const token of tokens) hash = (Math.imul(hash, 31) + token) % 1000003;
  return hash % 37 === 0 ? 0 : Math.abs(hash) % 1000;
}

/** A row of the device. */
interface Row {
  readonly id: bigint;
  token: number;
  position: number;
  remaining: number;
}

/** The stand-in. Work is done at once, and told of when `later` lets it. */
export class FakeBatch implements Batch {
  version = 1;
  /** Rounds whose tokens nobody has been told. */
  untold = 0;
  /** Most of them at once. */
  ahead = 0;
  prefills = 0;
  /** When the result of a round arrives; by default as soon as anything can. */
  later: () => Promise<void> = () => Promise.resolve();
  /** By sequence: the version of the weights that it was told it begins with. Keys must not be older. */
  readonly begun = new Map<bigint, number>();
  readonly #block: number;
  readonly #cache: Int32Array;
  /** The version of the weights that each position was written with. */
  readonly #written: Int32Array;
  readonly #tables = new Map<number, readonly number[]>();
  readonly #rows = new Map<number, Row>();
  readonly #sample: ((row: Row) => number) | undefined;

  /** @param sample What a row draws; default: `next` of all that the cache holds of it. */
  constructor(blocks: number, block: number, sample?: (row: Row) => number) {
    this.#block = block;
    this.#cache = new Int32Array(blocks * block).fill(-1);
    this.#written = new Int32Array(blocks * block);
    this.#sample = sample;
  }

  #at(slot: number, position: number): number {
    const block = this.#tables.get(slot)?.[Math.floor(position / this.#block)];
    if (block === undefined) throw new Error(`row ${slot} has no block for position ${position}`);
    return block * this.#block + position % this.#block;
  }

  copyBlocks(pairs: readonly (readonly [number, number])[]): void {
    const size = this.#block, sources = new Set(pairs.map(([source]) => source));
    for (const [source, target] of pairs) {
      if (sources.has(target)) throw new Error(`block ${target} is read and written at once`);
      for (const memory of [this.#cache, this.#written]) {
        memory.copyWithin(target * size, source * size, (source + 1) * size);
      }
    }
  }

  setTable(slot: number, blocks: readonly number[]): void {
    this.#tables.set(slot, [...blocks]);
  }

  setRow(slot: number, { id, token, position, remaining }: DecodeRow): void {
    this.#rows.set(slot, { id, token, position, remaining });
  }

  idleRow(slot: number): void {
    this.#rows.delete(slot);
  }

  reset(): void {
    this.#rows.clear();
  }

  prefill(runs: readonly PrefillRun[]): void {
    this.prefills++;
    for (const { slot, position, tokens } of runs) {
      tokens.forEach((token, i) => this.#write(slot, position + i, token));
    }
  }

  async decode(rows: number, steps: number): Promise<RoundResult> {
    if (rows === 0) throw new Error("a round of no rows");
    this.ahead = Math.max(this.ahead, ++this.untold);
    const drawn = new Map<number, number[]>();
    for (const [slot, row] of this.#rows) {
      if (slot >= rows) throw new Error(`row ${slot} is in no round of ${rows}`);
      const ids: number[] = [];
      for (let step = 0; step < steps && row.remaining > 0; step++) {
        this.#write(slot, row.position, row.token);
        row.position++;
        row.token = this.#sample?.(row) ?? next(row.id, this.#context(slot, row.position));
        ids.push(row.token);
        if (--row.remaining === 0 || row.token === 0) row.remaining = 0;
      }
      this.#checkVersions(slot, row);
      if (row.remaining === 0) this.#rows.delete(slot);
      drawn.set(slot, ids);
    }
    await this.later();
    this.untold--;
    return {
      of(slot) {
        const ids = Int32Array.from(drawn.get(slot) ?? []);
        return { ids, logprobs: Float32Array.from(ids, (id) => -id) };
      },
    };
  }

  #write(slot: number, position: number, token: number): void {
    const at = this.#at(slot, position);
    this.#cache[at] = token;
    this.#written[at] = this.version;
  }

  #checkVersions(slot: number, { id, position }: Row): void {
    const oldest = this.begun.get(id) ?? 0;
    for (let i = 0; i < position; i++) {
      if (this.#written[this.#at(slot, i)] >= oldest) continue;
      throw new Error(`sequence ${id} began with version ${oldest}, key ${i} is older`);
    }
  }

  #context(slot: number, length: number): Int32Array {
    const context = new Int32Array(length);
    for (let i = 0; i < length; i++) context[i] = this.#cache[this.#at(slot, i)];
    return context;
  }
}

/** One request, and what its sequences say turn by turn. */
export interface Script {
  readonly prompt: readonly number[];
  readonly budget: number;
  readonly samples: readonly { readonly id: bigint; readonly then: readonly Continuation[] }[];
}

/** Upper bound on the tokens of a sequence. */
export function longest({ prompt, budget, samples }: Script): number {
  const tail = (then: readonly Continuation[]) =>
    then.reduce((sum, { append, budget }) => sum + append.length + budget, 0);
  return prompt.length + budget + Math.max(...samples.map(({ then }) => tail(then)));
}

/** What each sequence of a script samples, turn by turn, worked out one token at a time. */
export function expected({ prompt, budget, samples }: Script): number[][][] {
  return samples.map(({ id, then }) => {
    const tokens = [...prompt];
    return [{ append: [], budget }, ...then].map(({ append, budget }) => {
      const ids: number[] = [];
      tokens.push(...append);
      while (ids.length < budget && ids.at(-1) !== 0) {
        ids.push(next(id, tokens));
        tokens.push(ids.at(-1)!);
      }
      return ids;
    });
  });
}

/**
 * The script as a request, and where its turns go.
 *
 * @param delay How long an owner thinks; undefined: it answers at once.
 */
export function requestOf(
  script: Script,
  delay: () => Promise<void> | undefined = () => undefined,
): { request: PromptRequest; turns: number[][][] } {
  const turns: number[][][] = script.samples.map(() => []);
  const sequences = script.samples.map(({ id, then }, i) => ({
    id,
    onTurn({ ids }: Turn) {
      const answer = then[turns[i].length] ?? null;
      turns[i].push(ids);
      return delay()?.then(() => answer) ?? answer;
    },
  }));
  const { prompt, budget } = script;
  return { request: { prompt, budget, maxTokens: longest(script), sequences }, turns };
}
