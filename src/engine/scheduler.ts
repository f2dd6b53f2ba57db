/**
 * Who gets a row on the device, a part of the cache, and the next round: the engine without its device.
 *
 * A sequence starts as soon as the cache has room for what it must read and a margin; nothing is promised for
 * later. Where the cache runs out the youngest is preempted: it gives its blocks back and reads its tokens
 * again once there is room. The oldest never is, and each fits the cache alone, so all come to their end.
 *
 * With lookahead a round is enqueued before the one before it has been looked at, so that the device never waits
 * for the host; the price is that a turn's end is noticed a round later.
 *
 * @module
 */
import type { Batch, PrefillRun, RoundResult } from "./device_side.ts";
import { BlockPool, BlockTable } from "./blocks.ts";
import { Line } from "./line.ts";
import { Sequence, Submission } from "./sequence.ts";
import type { PromptRequest, SubmitOptions, Turn } from "./types.ts";

/** Sizes that are scheduled for. */
export interface SchedulerOptions {
  readonly maxSequences: number;
  /** Blocks of the cache, and positions of each. */
  readonly blocks: number;
  readonly blockSize: number;
  /** Most tokens that are read at once. */
  readonly prefillChunk: number;
  /** Decode steps of a round. */
  readonly steps: number;
  readonly stop: ReadonlySet<number>;
  /** Decode steps of one row that take as long as a prefill, however little it reads: what waiting may lose. */
  readonly prefillCost: number;
  /** Whether the device gets a round before the one before it has been looked at. */
  readonly lookahead: boolean;
}

/** What has been done so far. */
export interface Counts {
  sampled: number;
  prefilled: number;
  steps: number;
  preempted: number;
  /** Keys that the sampled tokens attended to. */
  attended: number;
  /** Most rows at the same time since the scheduler had nothing to do. */
  widest: number;
}

/** A round that the device has been given. */
interface Round {
  readonly rows: readonly { sequence: Sequence; slot: number; turn: number }[];
  readonly steps: number;
  readonly result: Promise<RoundResult>;
}

/** Sequences that one step of priority overtakes at most. */
const overtaken = 1000;

/** Schedules requests that may come at any time. */
export class Scheduler {
  readonly #batch: Batch;
  readonly #options: SchedulerOptions;
  readonly #pool: BlockPool;
  /** By row: the sequence that has it. */
  readonly #rows: (Sequence | undefined)[];
  readonly #line = new Line();
  readonly #live = new Set<Submission>();
  /** Sequences that have had a row and are not over: those that may hold blocks. */
  readonly #begun = new Set<Sequence>();
  /** Sequences that have never had a row. */
  #waiting = 0;
  /** Those that must end early, before anything else is done. */
  readonly #failed = new Set<Submission>();
  #tickets = 0;
  #version: number;
  /** The round that has not been looked at. */
  #flight: Round | undefined;
  /** Steps that rows could not take since the last prefill, because they wait to read. */
  #lost = 0;
  #pumping = false;
  #closed = false;
  #news = Promise.withResolvers<void>();
  readonly counts: Counts = {
    sampled: 0,
    prefilled: 0,
    steps: 0,
    preempted: 0,
    attended: 0,
    widest: 0,
  };

  constructor(batch: Batch, options: SchedulerOptions) {
    this.#batch = batch;
    this.#options = options;
    this.#pool = new BlockPool(options.blocks);
    this.#rows = Array.from({ length: options.maxSequences });
    this.#version = batch.version;
  }

  /** Sequences that have been submitted and have not begun. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Blocks of the cache that nobody holds. */
  get freeBlocks(): number {
    return this.#pool.free;
  }

  /** Takes a request; the caller has checked that it fits. */
  submit(request: PromptRequest, options: SubmitOptions): Submission {
    if (this.#closed) throw new Error("the engine has been disposed of");
    const submission = new Submission(request, options);
    if (this.#live.size === 0) this.counts.widest = 0;
    if (submission.alive === 0) {
      submission.settle();
      return submission;
    }
    for (const each of request.sequences) {
      // The fraction keeps the ranks of different priorities apart.
      const ticket = this.#tickets++ * (1 + 2 ** -32);
      const rank = ticket - overtaken * (options.priority ?? 0);
      const table = new BlockTable(this.#pool, this.#options.blockSize);
      submission.sequences.push(new Sequence(each, submission, table, rank));
    }
    const [first, ...others] = submission.sequences;
    this.#line.push(first);
    if (request.prompt.length > 1) submission.held = others;
    else others.forEach((sequence) => this.#line.push(sequence));
    this.#waiting += submission.sequences.length;
    this.#live.add(submission);
    if (!this.#pumping) void this.#pump();
    this.#tell();
    return submission;
  }

  /** Ends a request early. */
  fail(submission: Submission, error: unknown): void {
    if (!this.#live.has(submission)) return;
    submission.failure ??= { error };
    this.#failed.add(submission);
    this.#tell();
  }

  /** Ends all requests early. */
  failAll(error: unknown): void {
    for (const submission of this.#live) this.fail(submission, error);
  }

  /** Ends all requests early and takes no more; the device is given nothing from now on. */
  close(): void {
    this.#closed = true;
    this.failAll(new Error("the engine was disposed of"));
  }

  /** Resolves when the device has nothing left to do, or has been given new work. */
  async rest(): Promise<void> {
    while (this.#pumping && this.#live.size === 0) await this.news;
  }

  /** Resolves when something has happened that the next look will find. */
  get news(): Promise<void> {
    return this.#news.promise;
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  /** Works until nothing is left to do. */
  async #pump(): Promise<void> {
    this.#pumping = true;
    await null; // whoever submits may have more
    for (;;) {
      const { news } = this;
      try {
        this.#end();
        if (this.#live.size === 0 && !this.#flight) break;
        const { preempted } = this.counts;
        this.#admit();
        const read = this.#read(), next = this.#launch();
        const due = this.#flight ?? (this.#options.lookahead ? undefined : next);
        this.#flight = next;
        if (due) {
          const result = await due.result;
          if (due === next) this.#flight = undefined;
          this.#book(due, result);
        } else if (!next && !read) {
          // Whoever was preempted has made room for others.
          if (this.counts.preempted === preempted && !this.#wake()) await news;
          else await null;
        }
      } catch (error) {
        await this.#reset(error);
      }
    }
    this.#pumping = false;
    this.#tell();
  }

  /**
   * Nobody can go on. Where that is for the blocks of sequences whose owners think, takes them from the youngest of
   * these: its owner may wait for those that need them.
   */
  #wake(): boolean {
    if (this.#line.length === 0 && this.#active().length === 0) return false;
    let youngest: Sequence | undefined;
    for (const each of this.#begun) {
      if (!each.thinking || each.table.blocks.length === 0) continue;
      if (each.rank > (youngest?.rank ?? -Infinity)) youngest = each;
    }
    if (youngest) this.#preempt(youngest);
    return youngest !== undefined;
  }

  /** The device has failed: what it was given may not have been done. */
  async #reset(error: unknown): Promise<void> {
    await this.#flight?.result.catch(() => {});
    this.#flight = undefined;
    this.#pool.forget();
    this.failAll(error);
    this.#end();
    try {
      this.#batch.reset();
    } catch {
      // Then the next request fails, too, and says why.
    }
  }

  // ---- beginning and ending ---------------------------------------------------------------------------

  /** Frees what requests hold that must end early. */
  #end(): void {
    for (const submission of this.#failed) {
      for (const sequence of submission.sequences) if (!sequence.over) this.#retire(sequence);
    }
    this.#failed.clear();
    if (this.#version === this.#batch.version) return;
    this.#version = this.#batch.version;
    this.#pool.forget();
  }

  /** Gives rows to those that wait, in their order, as far as there is room for what they must read. */
  #admit(): void {
    let rows = this.#active().length;
    for (let slot = this.#rows.indexOf(undefined); slot >= 0;) {
      const next = this.#line.peek();
      if (!next) return;
      const ahead = Math.min(this.#options.steps, next.remaining);
      const end = next.tokens.length - 1 + ahead;
      const need = () => next.over ? 0 : next.table.need(next.cached, end);
      // A block more for each that runs, so that the new one does not drive out another at once. Whoever is the
      // oldest of all need not wait: those that have rows might wait for the blocks that it holds.
      const fits = need() + rows <= this.#pool.free;
      if (!fits && !(this.#isOldest(next) && this.#makeRoom(need, next))) return;
      this.#line.pop();
      if (next.over) continue;
      this.#place(next, slot);
      rows++;
      slot = this.#rows.indexOf(undefined, slot + 1);
    }
  }

  /** Whether it came before all that have rows. */
  #isOldest({ rank }: Sequence): boolean {
    return this.#active().every((each) => rank < each.rank);
  }

  #place(sequence: Sequence, slot: number): void {
    this.#rows[slot] = sequence;
    sequence.slot = slot;
    this.#batch.setTable(slot, sequence.table.blocks);
    if (sequence.begun) return;
    sequence.begun = true;
    this.#begun.add(sequence);
    this.#waiting--;
    this.#tell();
  }

  /** Tells the owner which weights the sequence begins with, once. */
  #start(sequence: Sequence): void {
    if (sequence.told) return;
    sequence.told = true;
    this.#ask(sequence, () => sequence.request.onStart?.(this.#version));
  }

  /** The row is free; the sequence waits, thinks or is over. */
  #leave(sequence: Sequence): void {
    const { slot } = sequence;
    if (slot === undefined) return;
    if (sequence.armed) this.#batch.idleRow(slot);
    this.#rows[slot] = undefined;
    sequence.slot = undefined;
  }

  #retire(sequence: Sequence): void {
    const { submission } = sequence;
    this.#leave(sequence);
    sequence.evict();
    sequence.over = true;
    this.#begun.delete(sequence);
    if (!sequence.begun) {
      this.#waiting--;
      this.#tell();
    }
    if (--submission.alive > 0) return;
    this.#live.delete(submission);
    submission.settle();
  }

  /** Sequences with a row. */
  #active(): Sequence[] {
    return this.#rows.filter((sequence) => sequence !== undefined);
  }

  // ---- the cache --------------------------------------------------------------------------------------

  /**
   * Sees to it that the blocks that a sequence needs are free: preempts those that came after it, the youngest
   * first. False where that is not enough, or where a round must be looked at before.
   *
   * @param need How many they are, which may change: a block that nobody else holds any more needs no copy.
   */
  #makeRoom(need: () => number, sequence: Sequence): boolean {
    while (this.#pool.free < need()) {
      if (this.#flight) return false;
      let youngest: Sequence | undefined;
      for (const each of this.#begun) {
        const holds = each.table.blocks.length > 0 && each.rank > sequence.rank;
        if (holds && each.rank > (youngest?.rank ?? -Infinity)) youngest = each;
      }
      if (!youngest) return false;
      this.#preempt(youngest);
    }
    return true;
  }

  #preempt(sequence: Sequence): void {
    const placed = sequence.slot !== undefined;
    this.#leave(sequence);
    sequence.table.label(sequence.tokens, sequence.cached); // it will look for them itself
    sequence.evict();
    if (placed) this.#line.push(sequence);
    sequence.submission.counts.preempted++;
    this.counts.preempted++;
  }

  /** Makes positions writable for the sequence and tells the device; adds the copies that it takes to a list. */
  #prepare(sequence: Sequence, end: number, copies: [number, number][]): void {
    const { table, cached, slot } = sequence, before = table.blocks.length;
    const own = table.prepare(cached, end);
    copies.push(...own);
    if (own.length > 0 || table.blocks.length > before) this.#batch.setTable(slot!, table.blocks);
  }

  // ---- reading ----------------------------------------------------------------------------------------

  /**
   * Reads a chunk of what has not been read, prompts and what stands between turns alike, once that is worth
   * it: a prefill costs something however little it reads, so it waits until those that wait have lost as much
   * (the rule of whoever may rent or buy: at most twice the cost of knowing what comes). True if it read
   * something.
   */
  #read(): boolean {
    const active = this.#active(), readers = active.filter(({ unread }) => unread > 0);
    if (readers.length === 0) return false;
    const { prefillChunk, steps, prefillCost } = this.#options;
    const ready = active.length - readers.length;
    const unread = readers.reduce((total, each) => total + each.unread, 0);
    const held = readers.reduce((total, { submission }) => total + submission.held.length, 0);
    const waiting = Math.min(readers.length + held, this.#rows.length - ready);
    const lost = this.#lost + steps * waiting;
    if (ready > 0 && unread < prefillChunk && lost < Math.min(ready, prefillCost)) {
      this.#lost = lost;
      return false;
    }
    this.#lost = 0;
    readers.sort((a, b) => a.rank - b.rank);
    const runs: PrefillRun[] = [];
    let total = 0;
    const copies: [number, number][] = [];
    for (const sequence of readers) {
      const { table, slot, unread } = sequence;
      if (slot === undefined) continue; // preempted for one before it
      if (table.blocks.length === 0) {
        sequence.cached = table.adopt(sequence.tokens, unread);
        this.#batch.setTable(slot, table.blocks);
      }
      const begin = sequence.cached;
      const end = begin + Math.min(prefillChunk - total, sequence.unread);
      const need = () => end > begin ? table.need(begin, end) : 0;
      if (need() > this.#pool.free) {
        // Blocks that copies still have to read must not be handed out for others before.
        this.#batch.copyBlocks(copies.splice(0));
        if (!this.#makeRoom(need, sequence)) {
          // The row is of no use to it: one before it may wait for a row, and hold the blocks.
          const next = this.#line.peek()?.rank ?? Infinity;
          if (!this.#flight && next < sequence.rank) this.#preempt(sequence);
          break;
        }
      }
      this.#start(sequence);
      if (end > begin) {
        this.#prepare(sequence, end, copies);
        runs.push({ slot, position: begin, tokens: sequence.tokens.slice(begin, end) });
      }
      total += end - begin;
      sequence.cached = end;
      sequence.submission.counts.prefilled += end - begin;
      this.#know(sequence);
    }
    this.#batch.copyBlocks(copies);
    if (total > 0) this.#batch.prefill(runs);
    this.counts.prefilled += total;
    return total > 0;
  }

  /** Notes which part of its prompt the sequence's blocks hold, and lets those go that wait for all of it. */
  #know(sequence: Sequence): void {
    const { submission, table, tokens, cached } = sequence;
    if (!sequence.atPrompt) return;
    table.label(tokens, cached);
    if (sequence.unread > 0 || submission.held.length === 0) return;
    table.labelTail(tokens, cached);
    for (const each of submission.held.splice(0)) this.#line.push(each);
  }

  // ---- decoding ---------------------------------------------------------------------------------------

  /** Gives the device a round for all that have nothing to read; undefined where nothing is to be done. */
  #launch(): Round | undefined {
    if (!this.#flight) this.#compact();
    let ready = this.#active().filter(({ unread }) => unread === 0);
    const steps = Math.min(
      this.#options.steps,
      ready.reduce((most, { open }) => Math.max(most, open), 0),
    );
    if (steps === 0 || this.#isSparse()) return undefined;
    const copies: [number, number][] = [];
    ready.sort((a, b) => a.rank - b.rank);
    for (const sequence of ready) {
      const { slot, cached, ahead, remaining } = sequence;
      if (slot === undefined) continue; // preempted for one before it
      const end = cached + Math.min(remaining, ahead + steps);
      const need = () => sequence.table.need(cached, end);
      if (need() > this.#pool.free) {
        this.#batch.copyBlocks(copies.splice(0));
        if (!this.#makeRoom(need, sequence)) {
          if (this.#flight) return undefined;
          this.#preempt(sequence);
          continue;
        }
      }
      this.#prepare(sequence, end, copies);
    }
    this.#batch.copyBlocks(copies);
    ready = ready.filter(({ slot }) => slot !== undefined);
    if (ready.length === 0) return undefined;
    for (const sequence of ready) if (!sequence.armed) this.#arm(sequence);
    const rows = ready.map((sequence) => ({
      sequence,
      slot: sequence.slot!,
      turn: sequence.turn,
    }));
    for (const sequence of ready) sequence.ahead += steps;
    this.counts.steps += steps;
    this.counts.widest = Math.max(this.counts.widest, rows.length);
    return { rows, steps, result: this.#batch.decode(this.#top(), steps) };
  }

  #arm(sequence: Sequence): void {
    const { request: { id }, submission: { options: { seed, sampling } } } = sequence;
    const { nextToken: token, cached: position, remaining } = sequence;
    this.#start(sequence);
    sequence.armed = true;
    this.#batch.setRow(sequence.slot!, { seed, id, sampling, token, position, remaining });
  }

  /** Rows up to the last one that is taken. */
  #top(): number {
    return this.#rows.findLastIndex((sequence) => sequence !== undefined) + 1;
  }

  /** Whether so many rows are empty that the next round should wait until the others have moved together. */
  #isSparse(): boolean {
    return this.#flight !== undefined && 4 * this.#active().length <= 3 * (this.#top() - 1);
  }

  /** Moves sequences from the last rows into empty ones before them. */
  #compact(): void {
    for (let slot = this.#rows.indexOf(undefined); slot >= 0 && slot < this.#top();) {
      const sequence = this.#rows[this.#top() - 1]!;
      this.#leave(sequence);
      sequence.disarm();
      this.#rows[slot] = sequence;
      sequence.slot = slot;
      this.#batch.setTable(slot, sequence.table.blocks);
      slot = this.#rows.indexOf(undefined, slot + 1);
    }
  }

  /** Books what a round has sampled, and asks the owners of finished turns what follows. */
  #book({ rows, steps }: Round, result: RoundResult): void {
    for (const { sequence, slot, turn } of rows) {
      if (sequence.turn !== turn) continue;
      sequence.ahead -= steps;
      const { ids, logprobs } = result.of(slot), { request, submission } = sequence;
      this.counts.sampled += ids.length;
      this.counts.attended += ids.length * sequence.cached;
      submission.counts.sampled += ids.length;
      const ended = sequence.book(ids, logprobs, this.#options.stop);
      if (ids.length > 0 && request.onTokens) {
        this.#ask(sequence, () => request.onTokens!([...ids]));
      }
      if (ended) this.#finish(sequence, ended);
    }
  }

  /** Calls an owner; what it throws ends its request. */
  #ask<T>(sequence: Sequence, call: () => T): T | undefined {
    if (sequence.submission.failure) return undefined;
    try {
      return call();
    } catch (error) {
      this.fail(sequence.submission, error);
      return undefined;
    }
  }

  #finish(sequence: Sequence, turn: Turn): void {
    this.#ask(sequence, () => {
      const next = sequence.request.onTurn(turn);
      if (next instanceof Promise) {
        this.#leave(sequence);
        sequence.thinking = true;
        next.then((next) => {
          sequence.thinking = false;
          if (sequence.over) return;
          if (next) {
            sequence.continue(next);
            this.#line.push(sequence);
          } else this.#retire(sequence);
        }).catch((error) => this.fail(sequence.submission, error)).then(() => this.#tell());
      } else if (next) sequence.continue(next);
      else this.#retire(sequence);
    });
  }
}
