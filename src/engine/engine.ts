/**
 * Rollout engine: continuous batching over a paged KV cache.
 *
 * Each loop: fill free slots, read a chunk of unread tokens (prompts, appended turns), run a round of
 * decode steps, hand finished turns to their owners. A sequence keeps its cache through all its turns;
 * memory for its longest possible life is promised when it starts, so nothing is ever evicted.
 *
 * What a sequence samples depends on weights, tokens, seed and its id only: not on the batch.
 *
 * @module
 */
import { dtypeBytes, type Precision, type Stream, type TensorSpecs } from "../../ffi/mod.ts";
import { UserError } from "../base/mod.ts";
import type { Decoder, ModelConfig } from "../model/mod.ts";
import { Admission, blocksNeeded } from "./admission.ts";
import { type BatchOptions, batchSpecs, DeviceBatch, type PrefillToken } from "./batch.ts";
import { checkBudget, type Sequence } from "./sequence.ts";
import type { EngineOptions, PromptRequest, RunOptions, RunStats, Turn } from "./types.ts";

function complete(options: EngineOptions, kvTile: number): Required<EngineOptions> {
  const { blockSize = kvTile, prefillChunk = 1024, stepsPerSync = 4 } = options;
  return { ...options, blockSize, prefillChunk, stepsPerSync };
}

function batchOptions(options: Required<EngineOptions>): BatchOptions {
  const { blockSize, cacheTokens, maxTokens, stepsPerSync: steps } = options;
  const blocks = Math.ceil(cacheTokens / blockSize), maxBlocks = Math.ceil(maxTokens / blockSize);
  return { ...options, blocks, maxBlocks, steps };
}

/**
 * What an engine takes: its KV cache, what the layers write, and everything else.
 *
 * @param kvTile The device's; blocks have this size unless the options say otherwise.
 * @param dtype Element type of activations and cache.
 */
export function engineSpecs(
  config: ModelConfig,
  options: EngineOptions,
  kvTile: number,
  dtype: Precision,
): Record<"cache" | "layers" | "state", TensorSpecs> {
  return batchSpecs(config, batchOptions(complete(options, kvTile)), dtype);
}

/** Generates sequences of one decoder. Its weights are used in place: after an update, just run again. */
export class Engine implements Disposable {
  readonly #stream: Stream;
  readonly #decoder: Decoder;
  readonly #options: Required<EngineOptions>;
  readonly #blocks: number;
  readonly #batch: DeviceBatch;
  readonly #stop: ReadonlySet<number>;
  #running = false;

  /**
   * Allocates the KV cache and the buffers.
   *
   * @throws {UserError} when sequences may get longer than the model's positions.
   */
  constructor(stream: Stream, decoder: Decoder, options: EngineOptions) {
    const positions = decoder.cosSin.shape[0];
    if (options.maxTokens > positions) {
      throw new UserError(
        `sequences of ${options.maxTokens} tokens exceed the model's ${positions} positions`,
        { hint: "lower the token budgets or the prompt limit" },
      );
    }
    this.#options = complete(options, stream.device.info.kvTile);
    this.#stream = stream;
    this.#decoder = decoder;
    this.#stop = new Set(options.stop);
    const sizes = batchOptions(this.#options);
    this.#blocks = sizes.blocks;
    this.#batch = new DeviceBatch(stream, decoder, sizes);
  }

  /**
   * Generates every sequence of the requests to its end. One run at a time; after a failed one the
   * engine can run again.
   *
   * @throws {UserError} when a request cannot fit: empty prompt, too long, more cache than there is.
   */
  async run(requests: readonly PromptRequest[], options: RunOptions): Promise<RunStats> {
    for (const request of requests) this.#check(request);
    if (this.#running) throw new Error("the engine is running: wait for its last run");
    this.#running = true;
    const { promise: aborted, resolve: onAbort } = Promise.withResolvers<unknown>();
    options.signal?.addEventListener("abort", onAbort);
    try {
      return await this.#run(requests, options, aborted);
    } catch (error) {
      // Whoever sees the failure may free memory that ops under way still use. Their own failure, if
      // any, is not news.
      await this.#stream.sync().catch(() => {});
      throw error;
    } finally {
      options.signal?.removeEventListener("abort", onAbort);
      this.#running = false;
    }
  }

  async #run(
    requests: readonly PromptRequest[],
    options: RunOptions,
    aborted: Promise<unknown>,
  ): Promise<RunStats> {
    const began = performance.now();
    const { blockSize, maxSequences } = this.#options;
    const admission = new Admission(requests, this.#blocks, blockSize, this.#stop);
    const stats = { sampled: 0, prefilled: 0, steps: 0, decodeBytes: 0 };
    /** Sequences that hold a slot; those whose owner is still thinking; those that it sent back. */
    let running: Sequence[] = [];
    const waiting = new Set<Promise<void>>();
    const resumed: Sequence[] = [];
    let failure: { readonly error: unknown } | undefined;

    const finishTurn = (sequence: Sequence, turn: Turn): boolean => {
      const next = sequence.request.onTurn(turn);
      if (next instanceof Promise) {
        const wait: Promise<void> = next.then((continuation) => {
          if (continuation) {
            sequence.continue(continuation);
            resumed.push(sequence);
          } else admission.retire(sequence);
        }).catch((error) => {
          failure ??= { error };
        }).then(() => void waiting.delete(wait));
        waiting.add(wait);
        return false;
      }
      if (next) sequence.continue(next);
      else admission.retire(sequence);
      return next !== null;
    };

    for (;;) {
      options.signal?.throwIfAborted();
      if (failure) throw failure.error;
      running.push(...resumed.splice(0, maxSequences - running.length));
      running.push(...admission.admit(maxSequences - running.length));
      if (running.length === 0) {
        if (waiting.size === 0) break;
        await Promise.race([...waiting, aborted]);
        continue;
      }
      stats.prefilled += this.#prefill(running, admission);
      const ready = running.filter((sequence) => sequence.unread === 0);
      if (ready.length === 0) continue;
      const round = await this.#decode(ready, options);
      const over = new Set<Sequence>();
      ready.forEach((sequence, i) => {
        const ids = round.tokens[i];
        stats.sampled += ids.length;
        stats.decodeBytes += this.#kvBytes(sequence.cached) * ids.length;
        sequence.request.onTokens?.([...ids]);
        const turn = sequence.book(ids, round.logprobs[i]);
        if (turn && !finishTurn(sequence, turn)) over.add(sequence);
      });
      const steps = round.tokens.reduce((most, ids) => Math.max(most, ids.length), 0);
      stats.steps += steps;
      stats.decodeBytes += steps * this.#weightBytes();
      running = running.filter((sequence) => !over.has(sequence));
    }
    return { ...stats, seconds: (performance.now() - began) / 1000 };
  }

  #check(request: PromptRequest): void {
    const { prompt, maxTokens, budget } = request;
    const { blockSize } = this.#options;
    if (prompt.length === 0) throw new UserError("a prompt is empty");
    checkBudget(budget);
    if (prompt.length + budget > maxTokens) {
      throw new UserError(
        `a prompt of ${prompt.length} tokens and a budget of ${budget} exceed ` +
          `the ${maxTokens} tokens that its request allows`,
        { hint: "maxTokens counts all turns and all appended tokens" },
      );
    }
    if (maxTokens > this.#options.maxTokens) {
      throw new UserError(
        `a sequence may grow to ${maxTokens} tokens, the engine was set up for ${this.#options.maxTokens}`,
        { hint: "lower the token budgets or leave out long prompts" },
      );
    }
    const { shared, own } = blocksNeeded(request, blockSize);
    const cacheTokens = this.#blocks * blockSize;
    if (shared + own > this.#blocks) {
      throw new UserError(
        `a sequence of ${maxTokens} tokens does not fit into a KV cache of ${cacheTokens} tokens`,
        { hint: "lower the token budgets or give the cache more memory" },
      );
    }
  }

  /** Weights that every decode step reads: of an embedding that is not the LM head only some rows. */
  #weightBytes(): number {
    const { config, params } = this.#decoder;
    const { size, matrices } = params.layout;
    const read = matrices - (config.tiedHead ? 0 : config.vocab * config.hidden);
    return dtypeBytes[this.#decoder.weights] * read + 4 * (size - matrices);
  }

  #kvBytes(tokens: number): number {
    const { Hk, D } = this.#decoder.heads;
    return tokens * 2 * Hk * D * this.#decoder.config.layers * dtypeBytes[this.#decoder.dtype];
  }

  /** Reads one chunk of unread tokens; returns how many. */
  #prefill(running: readonly Sequence[], admission: Admission): number {
    const tokens: PrefillToken[] = [];
    const readers: Sequence[] = [];
    const copies: [number, number][] = [];
    for (const sequence of running) {
      const room = this.#options.prefillChunk - tokens.length;
      if (room === 0) break;
      if (sequence.unread === 0) continue;
      const position = sequence.cached;
      const slot = readers.push(sequence) - 1;
      const part = sequence.read(room);
      copies.push(...sequence.table.prepare(position, sequence.cached));
      part.forEach((token, i) => tokens.push({ slot, position: position + i, token }));
    }
    if (tokens.length > 0) {
      this.#batch.copyBlocks(copies);
      this.#batch.uploadTables(readers.map((sequence) => sequence.table.blocks));
      this.#batch.prefill(tokens);
    }
    for (const sequence of running) if (sequence.unread === 0) admission.hasRead(sequence);
    return tokens.length;
  }

  #decode(ready: readonly Sequence[], options: RunOptions) {
    const { stepsPerSync } = this.#options;
    const copies = ready.flatMap((sequence) => {
      const steps = Math.min(stepsPerSync, sequence.remaining);
      return sequence.table.prepare(sequence.cached, sequence.cached + steps);
    });
    this.#batch.copyBlocks(copies);
    const rows = ready.map((sequence) => ({
      id: sequence.request.id,
      token: sequence.nextToken,
      position: sequence.cached,
      remaining: sequence.remaining,
      blocks: sequence.table.blocks,
    }));
    return this.#batch.decode(rows, options);
  }

  /** Frees the cache and the buffers; the decoder stays. */
  [Symbol.dispose](): void {
    this.#batch[Symbol.dispose]();
  }
}
