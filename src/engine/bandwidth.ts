/**
 * How fast a device reads its memory: what the speed of decoding is measured against.
 *
 * @module
 */
import { gradNorm, type Stream } from "../../ffi/mod.ts";

/** Numbers that a measurement reads: too many for any cache, few enough for any device. */
export const probeFloats = 64 * 2 ** 20;

/**
 * Bytes per second that the device reads, the best of a few passes over 256 MiB: a decode step that reads
 * its weights and keys at this rate has reached its bound. Takes a fraction of a second.
 */
export async function measureBandwidth(stream: Stream): Promise<number> {
  using memory = stream.device.alloc("f32", [probeFloats + 1]);
  const grads = memory.tensor.view(0, [probeFloats]), norm = memory.tensor.view(probeFloats, [1]);
  stream.fill(memory.tensor, 0);
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
