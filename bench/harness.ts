/**
 * Times cases against the machine's peaks, always as a ratio and always in one run: each round of a case
 * follows a measurement of the peak that bounds it, so whatever else the machine does hits both.
 *
 * The bound of a case is the larger of its FLOPs over the FMA peak and its bytes over the read bandwidth
 * (bytes: what must move at least, once). Its share is the bound over the time taken.
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Peak } from "./peak.ts";
import { Workbench } from "./workbench.ts";

/** Work to be timed. */
export interface Case {
  readonly op: string;
  readonly shape: string;
  /** Floating-point operations of one call. */
  readonly flops: number;
  /** Bytes that one call has to read and write. */
  readonly bytes: number;
  /** Prepares tensors; what is returned enqueues one call. */
  setup(bench: Workbench): () => void;
}

/** What was measured of a case. Times and rates are medians over the rounds. */
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
  /** Median over the rounds of rate over peak. */
  readonly share: number;
  readonly rounds: number;
  /** Calls in each round. */
  readonly calls: number;
}

/** How long to measure. */
export interface MeasureOptions {
  readonly rounds: number;
  /** Least seconds of a round. */
  readonly seconds: number;
}

/** Milliseconds that idle threads of the last parallel region spin; nothing is measured meanwhile. */
const settle = 5;

/** The least seconds that work can take now, and what bounds it. Lets idle threads settle before and after. */
export async function boundSeconds(
  peak: Peak,
  { flops, bytes }: { readonly flops: number; readonly bytes: number },
): Promise<{ seconds: number; bound: "fma" | "read" }> {
  await delay(settle);
  const fma = flops / await peak.fma(), read = bytes / await peak.read();
  await delay(settle);
  return fma > read ? { seconds: fma, bound: "fma" } : { seconds: read, bound: "read" };
}

/** The middle value; of an even number of values the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
}

/** A case that is set up, with the number of calls that make up one round. */
export class Runner {
  readonly calls: number;
  readonly #bench: Workbench;
  readonly #enqueue: () => void;

  private constructor(bench: Workbench, enqueue: () => void, calls: number) {
    this.#bench = bench;
    this.#enqueue = enqueue;
    this.calls = calls;
  }

  /** Sets a case up, warms it, and finds out how many calls last `seconds`. */
  static async prepare(bench: Workbench, each: Case, seconds: number): Promise<Runner> {
    const enqueue = each.setup(bench);
    const once = new Runner(bench, enqueue, 1);
    await once.round();
    const calls = Math.ceil(seconds / await once.round());
    return new Runner(bench, enqueue, Math.min(Math.max(calls, 1), 10_000));
  }

  /**
   * Seconds of one call. The calls are recorded first and replayed by one launch, as the engine replays its
   * decode steps: the time is that of the kernels.
   */
  async round(): Promise<number> {
    const { stream } = this.#bench;
    using graph = stream.record(() => {
      for (let call = 0; call < this.calls; call++) this.#enqueue();
    });
    await stream.sync();
    const begin = performance.now();
    stream.launch(graph);
    await stream.sync();
    return (performance.now() - begin) / 1000 / this.calls;
  }
}

/** Measures a case: peak, round, peak, round, ... */
export async function measure(
  bench: Workbench,
  peak: Peak,
  each: Case,
  options: MeasureOptions,
): Promise<Measurement> {
  const { op, shape, flops, bytes } = each;
  try {
    const runner = await Runner.prepare(bench, each, options.seconds);
    const { bound } = await boundSeconds(peak, each);
    const work = bound === "fma" ? flops : bytes;
    const seconds: number[] = [], peaks: number[] = [];
    for (let round = 0; round < options.rounds; round++) {
      await delay(settle);
      peaks.push(await peak[bound]());
      await delay(settle);
      seconds.push(await runner.round());
    }
    return {
      op,
      shape,
      microseconds: 1e6 * median(seconds),
      bound,
      rate: work / median(seconds),
      peak: median(peaks),
      share: median(seconds.map((s, round) => work / s / peaks[round])),
      rounds: options.rounds,
      calls: runner.calls,
    };
  } finally {
    bench.reset();
  }
}

/**
 * Registers cases with `deno bench`, one group an op. Times are of one call and one wait for it; outside
 * of `deno bench` this does nothing.
 */
export function defineBenches(cases: readonly Case[]): void {
  let bench: Workbench | undefined;
  let current: Case | undefined, enqueue = () => {};
  for (const each of cases) {
    Deno.bench({
      name: `${each.op} ${each.shape}`,
      group: each.op,
      ...(each.flops > 1e9 ? { n: 5, warmup: 1 } : {}),
      fn: async (b) => {
        bench ??= await Workbench.open();
        if (current !== each) {
          bench.reset();
          enqueue = each.setup(bench);
          current = each;
          await bench.stream.sync();
        }
        b.start();
        enqueue();
        await bench.stream.sync();
        b.end();
      },
    });
  }
}
