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

/** Half a unit in the last place of a float32 number between 1 and 2. */
const U = 2 ** -24;

/**
 * What rounding may do to sums of `depth` products of either sign, as a share of the largest sum.
 *
 * A chain in float32 rounds each sum to nearest, so each is off by at most U of itself, up or down, and
 * their errors add up like a random walk: with a deviation of U sqrt(depth / 3) if every partial sum were as
 * large as the largest. Three times U sqrt(depth) is five deviations, and eight roundings more are for what
 * comes around the sum, a bias or an old value.
 *
 * Tensor cores, where bfloat16 goes, add 16 products at once but cut off the sum: it loses up to 2 U, U on
 * average, and always toward zero, so over depth / 16 instructions the losses add up in full.
 */
export function sumError(dtype: Precision, depth: number): number {
  return 3 * U * Math.sqrt(depth + 8) + (dtype === "bf16" ? U * depth / 16 : 0);
}

/**
 * The same for logarithms of a softmax over sums of `depth` products. Exponentials are off by up to 2 units
 * in the last place (4 U), their sum by some roundings, and the logarithm and the difference by one each.
 */
export function logprobError(dtype: Precision, depth: number): number {
  return sumError(dtype, depth) + 16 * U;
}

/**
 * Asserts that values are the expected ones after sums in float32 and, in bf16, one rounding to nearest
 * on the way to memory: half a unit in the last of 8 bits. `tolerance` is a share of the largest expected
 * value, or of `least` where all of these are smaller.
 */
export function assertRounded(
  dtype: Precision,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
  least = 1e-6,
): void {
  let scale = least;
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i]));
  const allowed = Array.from(expected, (x) => {
    return tolerance * scale + (dtype === "bf16" ? 2 ** -8 * Math.abs(x) : 0);
  });
  assertWithin(actual, expected, allowed, what);
}

/** Asserts |actual - expected| <= allowed, element by element; NaN fails. */
export function assertWithin(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  allowed: ArrayLike<number>,
  what: string,
): void {
  assert(actual.length === expected.length, `${what}: ${actual.length} values`);
  for (let i = 0; i < expected.length; i++) {
    assert(
      Math.abs(actual[i] - expected[i]) <= allowed[i],
      `${what}[${i}]: ${actual[i]}, expected ${expected[i]} within ${allowed[i]}`,
    );
  }
}
