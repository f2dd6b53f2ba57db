/** Tests that run in float32 on every backend, and in bfloat16 where it exists. */
import { assert } from "@std/assert";
import type { Backend, Tensor } from "../../ffi/mod.ts";
import { backends, type Lab, shown, testBackends } from "../native.ts";

/** Type of activations and packed weights. */
export type Precision = "f32" | "bf16";

/** Registers one test for each backend and precision: the CPU backend computes in float32 only. */
export function testPrecisions(
  name: string,
  body: (backend: Backend, dtype: Precision) => Promise<void>,
): void {
  testBackends(name, (backend) => body(backend, "f32"));
  testBf16(name, (backend) => body(backend, "bf16"));
}

/** Registers one test for each backend that computes in bfloat16. */
export function testBf16(name: string, body: (backend: Backend) => Promise<void>): void {
  for (const backend of backends.filter((backend) => backend !== "cpu")) {
    Deno.test(`${backend}, bf16: ${name}`, () => shown(body(backend)));
  }
}

/** The upper halves of float32 numbers rounded to nearest, ties to even. */
function bf16Bits(data: Float32Array): Uint16Array<ArrayBuffer> {
  const words = new Uint32Array(data.slice().buffer);
  return Uint16Array.from(
    words,
    (word, i) => Number.isNaN(data[i]) ? 0x7fc0 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16,
  );
}

function fromBits(bits: Uint16Array): Float32Array<ArrayBuffer> {
  return new Float32Array(Uint32Array.from(bits, (x) => x << 16).buffer);
}

/** The numbers that a precision can hold. */
export function roundTo(dtype: Precision, data: Float32Array): Float32Array<ArrayBuffer> {
  return dtype === "f32" ? data.slice() as Float32Array<ArrayBuffer> : fromBits(bf16Bits(data));
}

/** Uploads numbers in a precision. */
export function putAs(
  lab: Lab,
  dtype: Precision,
  data: Float32Array,
  shape: readonly number[],
): Tensor {
  if (dtype === "f32") return lab.put(data, shape);
  const tensor = lab.alloc("bf16", shape);
  lab.stream.upload(tensor, bf16Bits(data));
  return tensor;
}

/** An output tensor full of NaN. */
export function outAs(lab: Lab, dtype: Precision, shape: readonly number[]): Tensor {
  return putAs(lab, dtype, new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(NaN), shape);
}

/** Downloads an f32 or bf16 tensor. */
export async function floats(lab: Lab, tensor: Tensor): Promise<Float32Array<ArrayBuffer>> {
  if (tensor.dtype === "f32") return await lab.f32(tensor) as Float32Array<ArrayBuffer>;
  return fromBits(await lab.stream.download(tensor, new Uint16Array(tensor.size)));
}

/**
 * Asserts that values are the expected ones after sums in float32 and, in bf16, one rounding to nearest
 * on the way to memory: half a unit in the last of 8 bits.
 */
export function assertRounded(
  dtype: Precision,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  assert(actual.length === expected.length, `${what}: ${actual.length} values`);
  let scale = 1e-6;
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i]));
  for (let i = 0; i < expected.length; i++) {
    const rounding = dtype === "bf16" ? 2 ** -8 * Math.abs(expected[i]) : 0;
    const error = Math.abs(actual[i] - expected[i]);
    assert(
      error <= rounding + tolerance * scale,
      `${what}[${i}]: ${actual[i]}, expected ${expected[i]} (scale ${scale})`,
    );
  }
}
