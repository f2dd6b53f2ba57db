/** The quantised formats of GGUF, to the bit what llama.cpp's Python package recorded. */
import { assertEquals } from "@std/assert";
import { blockFormats, dequantise, isPlain } from "../../src/model/gguf_blocks.ts";
import { openSafetensors } from "../../src/model/mod.ts";

const path = new URL("../fixtures/gguf_blocks.safetensors", import.meta.url).pathname;

function bytesOf(name: string): Uint8Array<ArrayBuffer> {
  using file = openSafetensors(path);
  const parts: number[] = [];
  file.read(name, (piece) => parts.push(...piece));
  return Uint8Array.from(parts);
}

for (const { type } of blockFormats.values()) {
  if (isPlain(type)) continue;
  Deno.test(`GGUF ${type}: random blocks have the recorded elements, to the bit`, () => {
    const values = dequantise(bytesOf(`${type}.blocks`), type);
    const expected = new Float32Array(bytesOf(`${type}.values`).buffer);
    assertEquals(values.length, 1024);
    // As bits too: -0 is not 0.
    assertEquals(values, expected);
    assertEquals(new Uint32Array(values.buffer), new Uint32Array(expected.buffer));
  });
}
