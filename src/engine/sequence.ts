/**
 * The life of one sequence inside the engine.
 *
 * @module
 */
import { UserError } from "../base/mod.ts";
import type { BlockTable } from "./blocks.ts";
import type { Continuation, SequenceRequest, Turn } from "./types.ts";

/** When a sequence's turns and its life end. */
export interface SequenceLimits {
  /** Tokens that end a turn. */
  readonly stop: ReadonlySet<number>;
  /** Most tokens in all: what the cache has promised. */
  readonly maxTokens: number;
}

/**
 * A sequence that holds a slot or waits for its next turn. Invariant: `cached` tokens stand in the KV
 * cache, `pending` follow them; the last pending token is the one that decode feeds next, so prefill
 * never takes it.
 */
export class Sequence {
  readonly request: SequenceRequest;
  readonly table: BlockTable;
  readonly #limits: SequenceLimits;
  /** Tokens in the KV cache. */
  cached: number;
  #pending: number[];
  #budget: number;
  #ids: number[] = [];
  #logprobs: number[] = [];

  /** @param cached Tokens of `start.append` that the adopted blocks already hold. */
  constructor(
    request: SequenceRequest,
    table: BlockTable,
    start: Continuation,
    cached: number,
    limits: SequenceLimits,
  ) {
    this.request = request;
    this.table = table;
    this.cached = cached;
    this.#pending = start.append.slice(cached);
    this.#budget = start.budget;
    this.#limits = limits;
  }

  /** Tokens that must be read before the next one can be sampled. */
  get unread(): number {
    return this.#pending.length - 1;
  }

  /** Tokens that the turn may still sample. */
  get remaining(): number {
    return this.#budget - this.#ids.length;
  }

  /** The token that decode feeds next. */
  get nextToken(): number {
    return this.#pending[this.#pending.length - 1];
  }

  /** Takes up to `count` unread tokens; the caller writes them into the cache. */
  read(count: number): number[] {
    const tokens = this.#pending.splice(0, Math.min(count, this.unread));
    this.cached += tokens.length;
    return tokens;
  }

  /** Books sampled tokens; returns the turn if they end it. */
  book(ids: Iterable<number>, logprobs: Iterable<number>): Turn | undefined {
    const before = this.#ids.length;
    this.#ids.push(...ids);
    this.#logprobs.push(...logprobs);
    const added = this.#ids.length - before;
    if (added === 0) return undefined;
    this.cached += added;
    const last = this.#ids[this.#ids.length - 1];
    this.#pending = [last];
    const stopped = this.#limits.stop.has(last);
    if (!stopped && this.remaining > 0) return undefined;
    return { ids: this.#ids, logprobs: this.#logprobs, truncated: !stopped };
  }

  /**
   * Starts the next turn.
   *
   * @throws {UserError} when it might outgrow the memory that was promised, or has no budget.
   */
  continue(next: Continuation): void {
    checkBudget(next.budget);
    const longest = this.cached + this.#pending.length + next.append.length + next.budget;
    if (longest > this.#limits.maxTokens) {
      throw new UserError(
        `a next turn may grow sequence ${this.request.id} to ${longest} tokens, ` +
          `its request allows ${this.#limits.maxTokens}`,
        { hint: "maxTokens counts all turns and all appended tokens" },
      );
    }
    this.#pending.push(...next.append);
    this.#budget = next.budget;
    this.#ids = [];
    this.#logprobs = [];
  }
}

/** @throws {UserError} unless a turn may sample at least one token. */
export function checkBudget(budget: number): void {
  if (!(budget >= 1)) throw new UserError(`a token budget is ${budget}, it must be at least 1`);
}
