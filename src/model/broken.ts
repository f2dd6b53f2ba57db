/**
 * Which weight is to blame when a model's weights are no longer usable.
 *
 * @module
 */
import type { Stream } from "../../ffi/mod.ts";
import type { Decoder } from "./decoder.ts";
import { elementName, firstNonFinite } from "./dtype.ts";
import { float32Chunks } from "./save.ts";

/**
 * The first master weight that is no finite number, or where all are, the largest: for a message, such as
 * `lm_head.weight[7, 3] is NaN`. Reads every weight.
 */
export async function worstWeight(stream: Stream, { params }: Decoder): Promise<string> {
  let largest = 0, place = "";
  for (const { name, shape, offset } of params.layout.slots.values()) {
    let done = 0;
    for await (
      const bytes of float32Chunks(stream, params.master.flat.view(offset, shape), "F32")
    ) {
      const found = firstNonFinite(bytes, "F32");
      if (found) return `${elementName(name, shape, done + found.index)} is ${found.value}`;
      const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
      values.forEach((value, i) => {
        if (Math.abs(value) <= largest) return;
        largest = Math.abs(value);
        place = `${elementName(name, shape, done + i)} is ${value}`;
      });
      done += values.length;
    }
  }
  return place;
}
