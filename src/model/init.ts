/**
 * Random initialisation of a decoder that is trained from scratch.
 *
 * @module
 */
import type { Stream } from "../../ffi/mod.ts";
import type { Random } from "../data/random.ts";
import type { Decoder } from "./decoder.ts";
import { valueHeadName } from "./parameters.ts";

/** A standard normal sample (Box–Muller). */
export function normal(random: Random): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random.next()));
  return radius * Math.cos(2 * Math.PI * random.next());
}

/**
 * Fills the master parameters: matrices N(0, 0.02), projections into the residual stream scaled by
 * 1/sqrt(2 layers) (GPT-2), norms 1, biases 0, and a value head N(0, 1/(C + 1)) as Open-Reasoner-Zero
 * starts its critic.
 */
export function initialise(stream: Stream, decoder: Decoder, random: Random): void {
  const { layout, master } = decoder.params;
  const values = new Float32Array(layout.size);
  for (const { name, shape, offset } of layout.slots.values()) {
    const size = shape.reduce((a, b) => a * b, 1);
    const part = values.subarray(offset, offset + size);
    if (name.endsWith("norm.weight")) part.fill(1);
    else if (shape.length === 2) {
      const random_ = random.fork(name);
      const scale = initialScale(name, decoder);
      for (let i = 0; i < size; i++) part[i] = scale * normal(random_);
    }
  }
  stream.upload(master.flat, values);
  decoder.params.refresh(stream);
}

function initialScale(name: string, decoder: Decoder): number {
  if (name === valueHeadName) return 1 / (decoder.config.hidden + 1);
  const intoResidual = name.endsWith("o_proj.weight") || name.endsWith("down_proj.weight");
  return intoResidual ? 0.02 / Math.sqrt(2 * decoder.config.layers) : 0.02;
}
