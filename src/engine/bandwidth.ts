/**
 * How fast a device reads its memory: what the speed of decoding is measured against.
 *
 * @module
 */
import { gradNorm, type Stream, type Tensor } from "../../ffi/mod.ts";

/** Numbers that a measurement reads: too many for any cache, few enough for any device. */
export const probeFloats = 64 * 2 ** 20;

/** Seconds from one measurement to the next: they take a hundredth of the time at most. */
const interval = 30;

/**
 * The best rate at which a device was ever seen to read. Other work on the machine makes a measurement too
 * low, never too high, and need not last: so it is repeated over a run.
 */
export class Bandwidth {
  /** Bytes per second; 0 before the first measurement. */
  best = 0;
  #measured = -Infinity;
  readonly #stream: Stream;
  readonly #now: () => number;

  /** Measures nothing yet. `now` is the time in milliseconds. */
  constructor(stream: Stream, now: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#now = now;
  }

  /**
   * Measures, unless that was done in the last half minute.
   *
   * @param memory Float32 numbers that may be read; where they would fit a cache, others are allocated
   * for the time.
   */
  async measure(memory?: Tensor): Promise<void> {
    if (this.#now() - this.#measured < 1000 * interval) return;
    this.best = Math.max(this.best, await measureBandwidth(this.#stream, memory));
    this.#measured = this.#now();
  }
}

/**
 * Bytes per second that the device reads, the best of a few passes over 256 MiB: a decode step that reads
 * its weights and keys at this rate has reached its bound. Takes a fraction of a second.
 *
 * @param memory As for {@linkcode Bandwidth.measure}.
 */
export async function measureBandwidth(stream: Stream, memory?: Tensor): Promise<number> {
  const enough = memory !== undefined && memory.size >= probeFloats;
  using own = stream.device.alloc("f32", [enough ? 1 : probeFloats + 1]);
  const read = enough ? memory : own.tensor, norm = own.tensor.view(enough ? 0 : probeFloats, [1]);
  if (!enough) stream.fill(own.tensor, 0);
  const grads = read.view(0, [probeFloats]);
  let best = 0;
  for (let pass = 0; pass < 5; pass++) {
    await stream.sync();
    const began = performance.now();
    gradNorm(stream, { norm, grads });
    await stream.sync();
    best = Math.max(best, 4 * probeFloats / (performance.now() - began) * 1000);
  }
  return best;
}
