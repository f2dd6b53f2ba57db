/**
 * Random initialisation of a decoder that is trained from scratch.
 *
 * @module
 */
import type { Stream } from "../../ffi/mod.ts";
import type { Random } from "../base/mod.ts";
import type { Decoder } from "./decoder.ts";
import { valueHeadName } from "./parameters.ts";

/** A standard normal sample (Box–Muller). */
export function normal(random: Random): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random.next()));
  return radius * Math.cos(2 * Math.PI * random.next());
}

/**
 * Fills the master parameters: matrices N(0, 1/fan_in), those that write into the residual stream scaled
 * by 1/sqrt(2 layers) besides (GPT-2), norms 1, biases 0. The embedding N(0, 0.5) is not drowned by what
 * the first layers add; the LM head starts at 0.02, near the uniform distribution. (A tied head is the
 * embedding, so it starts at 0.1: a compromise.) A value head starts at N(0, 1/(C + 1)) as
 * Open-Reasoner-Zero's.
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
      const scale = initialScale(name, shape, decoder);
      for (let i = 0; i < size; i++) part[i] = scale * normal(random_);
    }
  }
  stream.upload(master.flat, values);
  decoder.params.refresh(stream);
}

function initialScale(name: string, shape: readonly number[], decoder: Decoder): number {
  const { hidden, layers, tiedHead } = decoder.config;
  if (name === valueHeadName) return 1 / (hidden + 1);
  if (name.includes("embed_tokens")) return tiedHead ? 0.1 : 0.5;
  if (name.startsWith("lm_head")) return 0.02;
  const intoResidual = name.endsWith("o_proj.weight") || name.endsWith("down_proj.weight");
  return (intoResidual ? 1 / Math.sqrt(2 * layers) : 1) / Math.sqrt(shape[1]);
}
