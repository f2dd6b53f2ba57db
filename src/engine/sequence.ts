/**
 * A request and its sequences on their way through the engine.
 *
 * @module
 */
import { UserError } from "../base/mod.ts";
import type { BlockTable } from "./blocks.ts";
import type {
  Continuation,
  PromptRequest,
  SequenceRequest,
  SubmitOptions,
  Submitted,
  Turn,
} from "./types.ts";

/** One prompt and what starts from it. */
export class Submission {
  readonly request: PromptRequest;
  readonly options: SubmitOptions;
  /** All of them; filled by whoever submits. */
  readonly sequences: Sequence[] = [];
  /** Sequences that are not over. */
  alive: number;
  /** Those that wait until the first one has read the prompt, which they share then. */
  held: Sequence[] = [];
  /** Why it must end; whoever schedules frees what it holds before `done` rejects. */
  failure: { readonly error: unknown } | undefined;
  readonly counts = { sampled: 0, prefilled: 0, preempted: 0 };
  readonly #done = Promise.withResolvers<Submitted>();

  constructor(request: PromptRequest, options: SubmitOptions) {
    this.request = request;
    this.options = options;
    this.alive = request.sequences.length;
  }

  /** Resolves when every sequence is over; rejects with what ended it early. */
  get done(): Promise<Submitted> {
    return this.#done.promise;
  }

  /** Settles `done`. */
  settle(): void {
    if (this.failure) this.#done.reject(this.failure.error);
    else this.#done.resolve({ ...this.counts });
  }
}

/**
 * A sequence with all its tokens. Invariant: the first `cached` of them stand in the KV cache, and never the
 * last one, which decode feeds next; so prefill needs no LM head. Its cache may be taken away at any time:
 * then it reads its tokens again.
 */
export class Sequence {
  readonly request: SequenceRequest;
  readonly submission: Submission;
  readonly table: BlockTable;
  /** Its place in the order of all: lower ones come first, and are preempted last. Unique. */
  readonly rank: number;
  /** Everything read or sampled so far. */
  readonly tokens: number[];
  /** Tokens in the KV cache. */
  cached = 0;
  /** Its row on the device; undefined: it waits for one, or for its owner. */
  slot: number | undefined;
  /** Whether the row on the device is its present turn's. */
  armed = false;
  /** Counts turns and interruptions: what a round of an earlier one sampled is not for the present one. */
  turn = 0;
  /** Decode steps that have been enqueued and not been looked at. */
  ahead = 0;
  /** Whether a row has been given to it before. */
  begun = false;
  /** Whether its owner has been told which weights it begins with. */
  told = false;
  /** Whether its owner has yet to say what follows. */
  thinking = false;
  over = false;
  #budget: number;
  #ids: number[] = [];
  #logprobs: number[] = [];

  constructor(request: SequenceRequest, submission: Submission, table: BlockTable, rank: number) {
    this.request = request;
    this.submission = submission;
    this.table = table;
    this.rank = rank;
    this.tokens = [...submission.request.prompt];
    this.#budget = submission.request.budget;
  }

  /** Tokens that must be read before the next one can be sampled. */
  get unread(): number {
    return this.tokens.length - 1 - this.cached;
  }

  /** Tokens that the turn may still sample, as far as is known. */
  get remaining(): number {
    return this.#budget - this.#ids.length;
  }

  /** Tokens that the turn may sample in steps that have not been enqueued; 0: it is surely over by then. */
  get open(): number {
    return Math.max(0, this.remaining - this.ahead);
  }

  /** The token that decode feeds next. */
  get nextToken(): number {
    return this.tokens[this.tokens.length - 1];
  }

  /** Where in the prompt it is before anything was sampled: siblings may share that much. */
  get atPrompt(): boolean {
    return this.tokens.length === this.submission.request.prompt.length;
  }

  /** Books sampled tokens; returns the turn if they end it. */
  book(
    ids: ArrayLike<number>,
    logprobs: ArrayLike<number>,
    stop: ReadonlySet<number>,
  ): Turn | undefined {
    if (ids.length === 0) return undefined;
    for (let i = 0; i < ids.length; i++) {
      this.tokens.push(ids[i]);
      this.#ids.push(ids[i]);
      this.#logprobs.push(logprobs[i]);
    }
    this.cached = this.tokens.length - 1;
    const stopped = stop.has(this.nextToken);
    if (!stopped && this.remaining > 0) return undefined;
    this.disarm();
    return { ids: this.#ids, logprobs: this.#logprobs, truncated: !stopped };
  }

  /** The row on the device is not its own any more. */
  disarm(): void {
    this.armed = false;
    this.ahead = 0;
    this.turn++;
  }

  /** Gives its part of the cache back: all tokens are unread again. */
  evict(): void {
    this.disarm();
    this.table.release();
    this.cached = 0;
  }

  /**
   * Starts the next turn.
   *
   * @throws {UserError} when it might outgrow what its request allows, or has no budget.
   */
  continue(next: Continuation): void {
    checkBudget(next.budget);
    const { maxTokens } = this.submission.request;
    const longest = this.tokens.length + next.append.length + next.budget;
    if (longest > maxTokens) {
      throw new UserError(
        `a next turn may grow sequence ${this.request.id} to ${longest} tokens, ` +
          `its request allows ${maxTokens}`,
        { hint: "maxTokens counts all turns and all appended tokens" },
      );
    }
    for (const id of next.append) this.tokens.push(id);
    this.#budget = next.budget;
    this.#ids = [];
    this.#logprobs = [];
  }
}

/** @throws {UserError} unless a turn may sample at least one token. */
export function checkBudget(budget: number): void {
  if (!(budget >= 1)) throw new UserError(`a token budget is ${budget}, it must be at least 1`);
}
