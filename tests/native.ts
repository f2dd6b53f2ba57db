/** Helpers of the tests that run kernels: one device, poisoned outputs, float64 references. */
import { assert } from "@std/assert";
import {
  type Allocation,
  type Backend,
  Device,
  type DType,
  type Stream,
  type Tensor,
} from "../ffi/mod.ts";
import { unfold } from "../src/base/errors.ts";

/** A device and stream for one test, with host/device conveniences. Frees everything on dispose. */
export class Lab implements Disposable {
  readonly device: Device;
  readonly stream: Stream;
  readonly #owned: Allocation[] = [];

  private constructor(device: Device) {
    this.device = device;
    this.stream = device.stream();
  }

  static async open(options: { backend?: Backend; threads?: number } = {}): Promise<Lab> {
    return new Lab(await Device.open(options.backend ?? "cpu", options));
  }

  /** Uploads host data. */
  put(data: Float32Array | Int32Array, shape: readonly number[] = [data.length]): Tensor {
    const tensor = this.alloc(data instanceof Float32Array ? "f32" : "i32", shape);
    this.stream.upload(tensor, data);
    return tensor;
  }

  /** An output tensor full of NaN (f32) or -77777 (i32): reading what no kernel wrote shows. */
  out(shape: readonly number[], dtype: "f32" | "i32" = "f32"): Tensor {
    const tensor = this.alloc(dtype, shape);
    this.stream.fill(tensor, dtype === "f32" ? NaN : -77777);
    return tensor;
  }

  zeros(shape: readonly number[]): Tensor {
    const tensor = this.alloc("f32", shape);
    this.stream.fill(tensor, 0);
    return tensor;
  }

  alloc(dtype: DType, shape: readonly number[]): Tensor {
    const allocation = this.device.alloc(dtype, shape);
    this.#owned.push(allocation);
    return allocation.tensor;
  }

  f32(tensor: Tensor): Promise<Float32Array> {
    return this.stream.download(tensor, new Float32Array(tensor.size));
  }

  i32(tensor: Tensor): Promise<Int32Array> {
    return this.stream.download(tensor, new Int32Array(tensor.size));
  }

  [Symbol.dispose](): void {
    this.stream[Symbol.dispose]();
    for (const allocation of this.#owned) allocation[Symbol.dispose]();
    this.device[Symbol.dispose]();
  }
}

/** Whether the driver's device file is there. */
function hasGpu(): boolean {
  try {
    return Deno.statSync("/dev/nvidiactl").isCharDevice === true;
  } catch {
    return false;
  }
}

/**
 * The backends that kernel tests run on: `cpu`, `emu` and, where there is a GPU, `cuda`; or those that
 * `THINKER_TEST_BACKENDS` names, separated by commas.
 */
export const backends: readonly Backend[] = (Deno.env.get("THINKER_TEST_BACKENDS")?.split(",") ??
  ["cpu", "emu", ...hasGpu() ? ["cuda"] : []]) as Backend[];

/** Registers one test for each backend. */
export function testBackends(name: string, body: (backend: Backend) => Promise<void>): void {
  for (const backend of backends) Deno.test(`${backend}: ${name}`, () => shown(body(backend)));
}

/** Deno prints no more of a SuppressedError than that there is one: fails with all that it hides. */
export async function shown(body: Promise<void>): Promise<void> {
  try {
    await body;
  } catch (thrown) {
    const errors = unfold(thrown);
    if (errors.length === 1) throw thrown;
    throw new Error(errors.map((error) => Deno.inspect(error)).join("\nthen, while disposing: "));
  }
}

/** Random numbers from a seed; a fresh one unless it is given. */
export class Rand {
  #state: bigint;
  readonly seed: number;

  constructor(seed = crypto.getRandomValues(new Uint32Array(1))[0]) {
    this.seed = seed;
    this.#state = BigInt(seed);
  }

  /** Uniform in [0, 1). */
  uniform(): number {
    this.#state = (this.#state + 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn;
    let z = this.#state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & 0xffffffffffffffffn;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & 0xffffffffffffffffn;
    return Number((z ^ (z >> 31n)) >> 11n) / 2 ** 53;
  }

  int(low: number, high: number): number {
    return low + Math.floor(this.uniform() * (high - low));
  }

  /** Standard normal values times `scale`. */
  normal(n: number, scale = 1): Float32Array<ArrayBuffer> {
    return Float32Array.from({ length: n }, () => {
      const r = Math.sqrt(-2 * Math.log(1 - this.uniform()));
      return scale * r * Math.cos(2 * Math.PI * this.uniform());
    });
  }

  ints(n: number, low: number, high: number): Int32Array<ArrayBuffer> {
    return Int32Array.from({ length: n }, () => this.int(low, high));
  }
}

/**
 * Runs the body with a fresh random source and names its seed if it fails. `THINKER_TEST_SEED` gives the
 * seed instead; `THINKER_TEST_REPEAT` is how many times the body runs, each time with fresh numbers.
 */
export async function seeded(body: (rand: Rand) => Promise<void> | void): Promise<void> {
  const seed = Deno.env.get("THINKER_TEST_SEED");
  let left = seed ? 1 : Number(Deno.env.get("THINKER_TEST_REPEAT") ?? 1);
  do {
    const rand = seed ? new Rand(Number(seed)) : new Rand();
    try {
      await body(rand);
    } catch (error) {
      console.error(`random seed of the failure: THINKER_TEST_SEED=${rand.seed} replays it`);
      throw error;
    }
  } while (--left > 0);
}

/**
 * Asserts |actual - expected| <= tolerance * (scale of the expected values), element by element.
 * NaN anywhere fails.
 */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what = "values",
): void {
  assert(
    actual.length === expected.length,
    `${what}: ${actual.length} values, not ${expected.length}`,
  );
  let scale = 1e-6;
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i]));
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i] - expected[i]);
    const message = `${what}[${i}]: ${actual[i]}, expected ${expected[i]} (scale ${scale})`;
    assert(error <= tolerance * scale, message);
  }
}

/** Asserts equality bit by bit (NaN equals the same NaN, +0 differs from -0). */
export function assertSameBits(
  actual: Float32Array,
  expected: Float32Array,
  what = "values",
): void {
  assert(
    actual.length === expected.length,
    `${what}: ${actual.length} values, not ${expected.length}`,
  );
  const a = new Uint32Array(actual.buffer, actual.byteOffset, actual.length);
  const b = new Uint32Array(expected.buffer, expected.byteOffset, expected.length);
  for (let i = 0; i < a.length; i++) {
    assert(a[i] === b[i], `${what}[${i}]: ${actual[i]} and ${expected[i]} differ in their bits`);
  }
}
