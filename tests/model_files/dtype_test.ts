import { assertEquals } from "@std/assert";
import { firstNonFinite, fromF32, toF32 } from "../../src/model/dtype.ts";

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

Deno.test("numbers that are none are found in every type, at every place, and nothing else is", () => {
  for (const dtype of ["F16", "BF16"] as const) {
    const values = new Float32Array(65536);
    toF32(new Uint8Array(Uint16Array.from(values, (_, i) => i).buffer), dtype, values);
    for (let i = 0; i < 65536; i++) {
      const pair = Uint16Array.of(i % 2 ? i : 0x8001, i % 2 ? 0x8001 : i); // either half of a word
      const found = firstNonFinite(new Uint8Array(pair.buffer), dtype);
      const expected = Number.isFinite(values[i])
        ? undefined
        : { index: i % 2 ? 0 : 1, value: values[i] };
      assertEquals(found, expected);
    }
  }
  const f32 = Uint32Array.of(0x7f7fffff, 0xff7fffff, 1, 0x80000000, 0x7f000000, 0x3f800000);
  assertEquals(firstNonFinite(new Uint8Array(f32.buffer), "F32"), undefined);
  for (const bits of [0x7f800000, 0xff800000, 0x7f800001, 0xffffffff]) {
    for (let at = 0; at < f32.length; at++) {
      const changed = f32.slice();
      changed[at] = bits;
      assertEquals(firstNonFinite(new Uint8Array(changed.buffer), "F32")?.index, at);
    }
  }
  const odd = fromF32(Float32Array.of(1, 2, 1, -Infinity, 3), "BF16");
  assertEquals(firstNonFinite(odd, "BF16"), { index: 3, value: -Infinity });
  const last = fromF32(Float32Array.of(1, 2, NaN), "F16");
  assertEquals(firstNonFinite(last, "F16"), { index: 2, value: NaN });
  const shifted = new Uint8Array([0, ...last]).subarray(1);
  assertEquals(firstNonFinite(shifted, "F16")?.index, 2);
});
