import { assertEquals } from "@std/assert";
import { fromF32, toF32 } from "../../src/model/dtype.ts";

/** The bits of `values` in a 16-bit type. */
function halves(values: number[], dtype: "F16" | "BF16"): number[] {
  return [...new Uint16Array(fromF32(Float32Array.from(values), dtype).slice().buffer)];
}

Deno.test("known values have the known bits", () => {
  assertEquals(halves([1, -2, 0.5, 0, -0], "BF16"), [0x3f80, 0xc000, 0x3f00, 0, 0x8000]);
  assertEquals(halves([1, -2, 0.5, 65504, 1e6], "F16"), [0x3c00, 0xc000, 0x3800, 0x7bff, 0x7c00]);
});

Deno.test("bf16 rounds to nearest, ties to even, and keeps infinities and NaN", () => {
  const f32 = (bits: number) => new Float32Array(Uint32Array.of(bits).buffer)[0];
  assertEquals(halves([f32(0x3f808000), f32(0x3f818000), f32(0x3f808001)], "BF16"), [
    0x3f80, // a tie, down to even
    0x3f82, // a tie, up to even
    0x3f81,
  ]);
  assertEquals(halves([f32(0x7f7fffff), Infinity, -Infinity], "BF16"), [0x7f80, 0x7f80, 0xff80]);
  const nan = Uint32Array.of(0x7fffffff, 0x7f800001, 0xffffffff);
  const bits = new Uint16Array(fromF32(new Float32Array(nan.buffer), "BF16").buffer);
  for (const b of bits) assertEquals((b & 0x7f80) === 0x7f80 && (b & 0x7f) !== 0, true);
});

Deno.test("every 16-bit number survives the way through float32", () => {
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
  for (const dtype of ["F16", "BF16"] as const) {
    const values = new Float32Array(65536);
    toF32(new Uint8Array(all.buffer), dtype, values);
    const back = new Uint16Array(fromF32(values, dtype).buffer);
    for (let i = 0; i < 65536; i++) {
      if (!Number.isNaN(values[i]) && back[i] !== i) throw new Error(`${dtype} ${i} -> ${back[i]}`);
    }
  }
});

Deno.test("bytes at an odd address are converted too", () => {
  for (const dtype of ["F32", "F16", "BF16"] as const) {
    const raw = fromF32(Float32Array.of(1.5, -3), dtype);
    const shifted = new Uint8Array(raw.length + 1);
    shifted.set(raw, 1);
    const out = new Float32Array(3).fill(7);
    toF32(shifted.subarray(1), dtype, out);
    assertEquals([...out], [1.5, -3, 7]);
  }
});
