/**
 * Rollout engine: continuous batching over a paged KV cache, for requests that may come at any time.
 *
 * The scheduler decides who runs, the batch is the device. A sequence keeps its cache through all its turns
 * unless it is preempted; texts that begin alike share the blocks of what they have in common.
 *
 * What a sequence samples depends on weights, tokens, seed and its id only: not on the batch, on when it came,
 * or on what was preempted.
 *
 * @module
 */
import { dtypeBytes, type Precision, type Stream, type TensorSpecs } from "../../ffi/mod.ts";
import { UserError } from "../base/mod.ts";
import type { Decoder, ModelConfig } from "../model/mod.ts";
import { type BatchOptions, batchSpecs, DeviceBatch } from "./batch.ts";
import { Scheduler } from "./scheduler.ts";
import { checkBudget } from "./sequence.ts";
import type { EngineOptions, PromptRequest, RunStats, SubmitOptions, Submitted } from "./types.ts";

/** Rows whose arithmetic takes about as long as reading the weights once, the fixed part of every step. */
const rowsPerWeightRead = { cpu: 8, gpu: 256 };

/** What the host does between two rounds on a CPU takes about as long as so many multiplications. */
const hostWork = 4e7;
/** Tokens of a turn, as a guess. */
const turnTokens = 20;

/**
 * How many steps of a round are worth it on a CPU. A look of the host costs `hostWork`, and a turn that ends inside
 * of a round leaves its row idle for half of it on average: with steps of `work` multiplications a token costs least
 * at sqrt(2 hostWork turnTokens / work).
 */
function worthwhileSteps(parameters: number, rows: number): number {
  const work = parameters * rows;
  return Math.max(1, Math.round(Math.sqrt(2 * hostWork * turnTokens / work)));
}

/** The same on a GPU, where the host's part is hidden behind the next round. */
const gpuSteps = 4;

function complete(
  options: EngineOptions,
  kvTile: number,
  ahead = true,
): Required<EngineOptions> {
  const { blockSize = kvTile, prefillChunk = 1024, stepsPerSync = 8, lookahead = ahead } = options;
  return { ...options, blockSize, prefillChunk, stepsPerSync, lookahead };
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

/**
 * Generates sequences of one decoder. Its weights are used in place: after an update, just go on. A sequence under
 * way continues with the new ones, on keys and values of the old; one that begins shares no cache with them.
 */
export class Engine implements Disposable {
  readonly #stream: Stream;
  readonly #decoder: Decoder;
  readonly #options: Required<EngineOptions>;
  readonly #blocks: number;
  readonly #batch: DeviceBatch;
  readonly #scheduler: Scheduler;

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
    const isCpu = stream.device.info.backend === "cpu";
    this.#options = complete(options, stream.device.info.kvTile, !isCpu);
    this.#stream = stream;
    this.#decoder = decoder;
    const sizes = batchOptions(this.#options);
    this.#blocks = sizes.blocks;
    this.#batch = new DeviceBatch(stream, decoder, sizes);
    const stop = new Set(options.stop), { lookahead } = this.#options;
    const prefillCost = rowsPerWeightRead[isCpu ? "cpu" : "gpu"];
    const worthwhile = isCpu
      ? worthwhileSteps(decoder.params.layout.size, options.maxSequences)
      : gpuSteps;
    const steps = Math.min(sizes.steps, worthwhile);
    this.#scheduler = new Scheduler(this.#batch, { ...sizes, steps, stop, prefillCost, lookahead });
  }

  /** Sequences that have been submitted and have not begun. */
  get waiting(): number {
    return this.#scheduler.waiting;
  }

  /**
   * Resolves when few enough wait that one more request is of use: as long as it is awaited before every
   * `submit`, the line stays short and the device busy.
   */
  async room(): Promise<void> {
    while (this.waiting >= this.#options.maxSequences) await this.#scheduler.news;
  }

  /**
   * Generates every sequence of a request to its end. Any number of requests may be under way; they are served
   * in the order in which they came, but for their priorities.
   *
   * @throws {UserError} when it cannot fit: empty prompt, too long, more cache than there is.
   * @throws The reason of the signal, or what an owner threw; the others go on.
   */
  async submit(request: PromptRequest, options: SubmitOptions): Promise<Submitted> {
    this.#check(request);
    const { signal, priority = 0 } = options;
    if (!Number.isSafeInteger(priority)) {
      throw new UserError(`a request has priority ${priority}`, { hint: "give a whole number" });
    }
    signal?.throwIfAborted();
    const submission = this.#scheduler.submit(request, options);
    const onAbort = () => this.#scheduler.fail(submission, signal?.reason);
    signal?.addEventListener("abort", onAbort);
    try {
      return await submission.done;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /**
   * Generates every sequence of the requests to its end, the longest expected ones first. After a failure none
   * of them is left, and the engine can go on.
   *
   * @throws {UserError} before anything runs, when a request cannot fit.
   * @throws The reason of the signal, or what an owner threw.
   */
  async run(requests: readonly PromptRequest[], options: SubmitOptions): Promise<RunStats> {
    for (const request of requests) this.#check(request);
    const failed = new AbortController(), { signal } = options, { counts } = this.#scheduler;
    const signals = signal ? [signal, failed.signal] : [failed.signal];
    const each = { ...options, signal: AbortSignal.any(signals) };
    const began = performance.now(), before = { ...counts };
    const length = ({ expected, maxTokens }: PromptRequest) => expected ?? maxTokens;
    const order = requests.toSorted((a, b) => length(b) - length(a));
    const all = order.map((request) => this.submit(request, each));
    try {
      await Promise.all(all);
    } catch (error) {
      failed.abort(error);
      await Promise.allSettled(all);
      // Whoever sees the failure may free memory that ops under way still use. Their own failure, if
      // any, is not news.
      await this.#stream.sync().catch(() => {});
      throw error;
    }
    await this.#scheduler.rest(); // a round that nobody needs may still be on its way back
    const sampled = counts.sampled - before.sampled, steps = counts.steps - before.steps;
    const attended = counts.attended - before.attended, { widest } = counts;
    return {
      sampled,
      prefilled: counts.prefilled - before.prefilled,
      steps,
      widest,
      idle: steps === 0 ? 0 : 1 - sampled / (steps * widest),
      preempted: counts.preempted - before.preempted,
      seconds: (performance.now() - began) / 1000,
      decodeBytes: steps * this.#weightBytes() + attended * this.#keyBytes(),
    };
  }

  #check(request: PromptRequest): void {
    const { prompt, maxTokens, budget } = request;
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
    const { blockSize } = this.#options;
    if (Math.ceil(maxTokens / blockSize) > this.#blocks) {
      throw new UserError(
        `a sequence of ${maxTokens} tokens does not fit into a KV cache of ${
          this.#blocks * blockSize
        } tokens`,
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

  /** Keys and values of one token. */
  #keyBytes(): number {
    const { Hk, D } = this.#decoder.heads;
    return 2 * Hk * D * this.#decoder.config.layers * dtypeBytes[this.#decoder.dtype];
  }

  /** Ends all requests, frees the cache and the buffers; the decoder stays. */
  [Symbol.dispose](): void {
    this.#scheduler.close();
    this.#batch[Symbol.dispose]();
  }
}
