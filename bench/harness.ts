/**
 * Times cases against the machine's peaks, always as a ratio and always in one run: short slices of a case
 * alternate with short measurements of the peak that bounds it, so whatever else the machine does hits
 * both. The share of a slice compares it with the peaks just before and after; the case's share is the
 * median over the slices.
 *
 * The bound of a case is the larger of its FLOPs over the FMA peak and its bytes over the read bandwidth
 * (bytes: what must move at least, once). Its share is the bound over the time taken.
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { now } from "./clock.ts";
import type { Graph, Stream } from "../ffi/mod.ts";
import type { Peak } from "./peak.ts";
import type { Workbench } from "./workbench.ts";

/** Work to be timed. */
export interface Case {
  readonly op: string;
  readonly shape: string;
  /** Floating-point operations of one call. */
  readonly flops: number;
  /** Bytes that one call has to read and write. */
  readonly bytes: number;
  /** Tokens that one call samples or scores, where it does. */
  readonly tokens?: number;
  /** The same work for a program in bench/peers/: the name of its case, and arguments. */
  readonly peer?: Readonly<Record<string, string | number>>;
  /** Prepares tensors; what is returned enqueues one call. */
  setup(bench: Workbench): () => void;
}

/** What was measured of a case. Times and rates are medians over the slices. */
export interface Measurement {
  readonly op: string;
  readonly shape: string;
  readonly microseconds: number;
  /** What bounds the case. */
  readonly bound: "fma" | "read";
  /** FLOP/s where the FMA peak bounds the case, otherwise bytes/s. */
  readonly rate: number;
  /** The peak in the same unit. */
  readonly peak: number;
  /** Median over the slices of rate over peak. */
  readonly share: number;
  /** Where the case counts tokens. */
  readonly tokensPerSecond?: number;
  readonly slices: number;
  /** Calls in each slice. */
  readonly calls: number;
}

/** How long to measure. */
export interface MeasureOptions {
  /** Most slices of a case; the median is shown. */
  readonly rounds: number;
  /** Least seconds of a slice. */
  readonly seconds: number;
  /** Seconds after which no slice is begun once there are five. */
  readonly limit: number;
}

/** What is done in one call. */
export type Work = Pick<Case, "flops" | "bytes">;

/** Milliseconds that idle threads of the last parallel region spin; nothing is measured meanwhile. */
const settle = 5;

/**
 * What bounds some work on this machine. The ratio of the peaks is measured once for each of them, from the
 * best rates seen: other work, and memory that is read for the first time, only lower them.
 */
async function boundOf(peak: Peak, { flops, bytes }: Work): Promise<"fma" | "read"> {
  let balance = balances.get(peak);
  if (balance === undefined) {
    let fma = 0, read = 0;
    for (let i = 0; i < 9; i++) {
      fma = Math.max(fma, await peak.fma());
      read = Math.max(read, await peak.read());
    }
    balance = fma / read;
    balances.set(peak, balance);
  }
  return flops > balance * bytes ? "fma" : "read";
}
const balances = new WeakMap<Peak, number>();

/** What came out of slices in turn with the peak: medians, but for `slices`. */
export interface Slices {
  readonly bound: "fma" | "read";
  /** Seconds of one call. */
  readonly seconds: number;
  /** The peak: FLOP/s or bytes/s. */
  readonly peak: number;
  /** Of the bound in the time taken. */
  readonly share: number;
  readonly slices: number;
}

/**
 * Peak, slice, peak, slice, ..., peak.
 *
 * @param slice Runs for a while and resolves to the seconds of one call.
 */
export async function interleave(
  peak: Peak,
  work: Work,
  options: Pick<MeasureOptions, "rounds" | "limit">,
  slice: () => Promise<number>,
): Promise<Slices> {
  const bound = await boundOf(peak, work), amount = bound === "fma" ? work.flops : work.bytes;
  const ask = async () => {
    await delay(settle);
    const rate = await peak[bound]();
    await delay(settle);
    return rate;
  };
  const seconds: number[] = [], shares: number[] = [], peaks = [await ask()];
  const begin = performance.now();
  while (seconds.length < options.rounds) {
    if (seconds.length >= 5 && performance.now() - begin > 1000 * options.limit) break;
    const time = await slice(), before = peaks.at(-1)!, after = await ask();
    seconds.push(time);
    peaks.push(after);
    shares.push(amount / time / ((before + after) / 2));
  }
  return {
    bound,
    seconds: median(seconds),
    peak: median(peaks),
    share: median(shares),
    slices: seconds.length,
  };
}

/** The middle value; of an even number of values the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
}

/** Calls in one slice at most. */
const mostCalls = 10_000;

/**
 * A case that is set up: its calls recorded once, as the engine records its decode steps, and replayed by
 * one launch a round, so the time is that of the kernels. Graph and tensors belong to the workbench.
 */
export class Runner {
  /** Calls in one round. */
  readonly calls: number;
  readonly #stream: Stream;
  readonly #graph: Graph;

  private constructor(bench: Workbench, enqueue: () => void, calls: number) {
    this.#stream = bench.stream;
    this.calls = calls;
    this.#graph = bench.own(this.#stream.record(() => {
      for (let call = 0; call < calls; call++) enqueue();
    }));
  }

  /**
   * Sets a case up and records as many calls as last `seconds`, more where replaying so few of them would
   * find cold tensors in a cache. The first launch, which on a GPU uploads the graph, is over afterwards.
   */
  static async prepare(bench: Workbench, each: Case, seconds: number): Promise<Runner> {
    const enqueue = each.setup(bench);
    const before = bench.takenBytes;
    // Outside of a graph: the pools are allocated, which no recording may do, and a GPU loads the kernels.
    enqueue();
    await bench.stream.sync();
    const cold = bench.takenBytes - before;
    const turn = cold === 0 ? 1 : Math.ceil(bench.poolBytes / cold);
    for (let calls = 1;;) {
      const runner = new Runner(bench, enqueue, calls);
      const time = Math.min(await runner.round(), await runner.round());
      // A case that takes much longer than `seconds` for a turn of the pool is not bound by its memory.
      const wanted = Math.max(seconds / time, Math.min(turn, 10 * seconds / time));
      // The more calls, the less of their time is the launch's: few of them say little about many.
      if (calls >= Math.min(wanted, mostCalls) / 2) return runner;
      calls = Math.min(Math.ceil(wanted), mostCalls);
    }
  }

  /** Replays the calls. @returns Seconds of one of them. */
  async round(): Promise<number> {
    const begin = now();
    this.#stream.launch(this.#graph);
    await this.#stream.sync();
    return (now() - begin) / this.calls;
  }
}

/** Measures a case. */
export async function measure(
  bench: Workbench,
  peak: Peak,
  each: Case,
  options: MeasureOptions,
): Promise<Measurement> {
  const { op, shape, flops, bytes, tokens } = each;
  try {
    const runner = await Runner.prepare(bench, each, options.seconds);
    const { bound, seconds, peak: top, share, slices } = await interleave(
      peak,
      each,
      options,
      () => runner.round(),
    );
    return {
      op,
      shape,
      microseconds: 1e6 * seconds,
      bound,
      rate: (bound === "fma" ? flops : bytes) / seconds,
      peak: top,
      share,
      ...(tokens === undefined ? {} : { tokensPerSecond: tokens / seconds }),
      slices,
      calls: runner.calls,
    };
  } finally {
    bench.reset();
  }
}
