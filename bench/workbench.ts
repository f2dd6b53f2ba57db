/**
 * A device with the memory that benchmarks work on.
 *
 * @module
 */
import {
  type Allocation,
  type Backend,
  type Device,
  type DType,
  dtypeBytes,
  openDevice,
  type Precision,
  type Stream,
  Tensor,
} from "../ffi/mod.ts";
import { lastLevelCacheBytes } from "./machine.ts";

/** Elements of the block of random numbers that fills everything. */
const patternSize = 1 << 20;

/**
 * Bytes to cycle through so that every access goes to memory: four times the last-level cache, within
 * 640 MB (one LM head of 152k tokens must fit) and 2 GB, and at most an eighth of the memory.
 */
export async function coldBytes(memoryBytes: number): Promise<number> {
  const wanted = Math.min(2e9, Math.max(640e6, 4 * await lastLevelCacheBytes()));
  return Math.min(wanted, memoryBytes / 8);
}

/** Tensors for benchmark cases: their own, dropped by `reset`, and cold ones from large pools. */
export class Workbench implements Disposable {
  readonly device: Device;
  readonly stream: Stream;
  #poolBytes: number;
  readonly #owned: Disposable[] = [];
  readonly #pools: { source?: Pool; sink?: Pool } = {};

  private constructor(device: Device, poolBytes: number) {
    this.device = device;
    this.stream = device.stream();
    this.#poolBytes = poolBytes;
  }

  /** Opens a device (default: the CPU). `poolBytes`: by default what makes memory cold on this machine. */
  static async open(
    options: { backend?: Backend; poolBytes?: number; threads?: number } = {},
  ): Promise<Workbench> {
    const device = await openDevice(options.backend ?? "cpu", {
      threads: options.threads,
      onBuild: (text) => console.error(text),
    });
    return new Workbench(device, options.poolBytes ?? await coldBytes(device.info.memoryBytes));
  }

  /** Bytes of each pool. */
  get poolBytes(): number {
    return this.#poolBytes;
  }

  /** Makes the pools at least so large. They must not have been used yet, or be that large. */
  reserve(bytes: number): void {
    if (bytes <= this.#poolBytes) return;
    if (this.#pools.source || this.#pools.sink) throw new Error("the pools are in use already");
    this.#poolBytes = bytes;
  }

  /** An uninitialised tensor that lives until `reset`. */
  alloc(dtype: DType, ...shape: number[]): Tensor {
    return this.own(this.device.alloc(dtype, shape)).tensor;
  }

  /** Takes over something that lives until `reset`, e.g. a graph of calls on these tensors. */
  own<T extends Disposable>(what: T): T {
    this.#owned.push(what);
    return what;
  }

  /** A tensor of one value. */
  full(value: number, ...shape: number[]): Tensor {
    const tensor = this.alloc("f32", ...shape);
    this.stream.fill(tensor, value);
    return tensor;
  }

  /** A tensor of uniform random numbers in [-0.05, 0.05): the size of trained weights. */
  random(dtype: Precision, ...shape: number[]): Tensor {
    const tensor = this.alloc(dtype, ...shape);
    fillRandom(this.stream, tensor);
    return tensor;
  }

  /** A tensor of the given integers. */
  ints(values: Int32Array, shape: readonly number[] = [values.length]): Tensor {
    const tensor = this.alloc("i32", ...shape);
    this.stream.upload(tensor, values);
    return tensor;
  }

  /** `count` pseudo-random integers below `limit`, the same on every run. */
  randomInts(count: number, limit: number): Tensor {
    const next = numbers();
    return this.ints(Int32Array.from({ length: count }, () => Math.floor(next() * limit)));
  }

  /** The next part of a pool of random numbers: to be read. A part comes back when the pool is through. */
  cold(dtype: DType, ...shape: number[]): Tensor {
    return (this.#pools.source ??= new Pool(this)).take(dtype, shape);
  }

  /** The next part of a second pool: to be written. */
  sink(dtype: DType, ...shape: number[]): Tensor {
    return (this.#pools.sink ??= new Pool(this)).take(dtype, shape);
  }

  /** Bytes that the pools have handed out so far, again and again counted. */
  get takenBytes(): number {
    return (this.#pools.source?.taken ?? 0) + (this.#pools.sink?.taken ?? 0);
  }

  /** Frees what the last case owns, the youngest first; the pools stay. */
  reset(): void {
    for (const owned of this.#owned.splice(0).reverse()) owned[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.stream[Symbol.dispose]();
    this.reset();
    this.#pools.source?.[Symbol.dispose]();
    this.#pools.sink?.[Symbol.dispose]();
    this.device[Symbol.dispose]();
  }
}

/** Memory that is handed out round and round. */
class Pool implements Disposable {
  readonly #memory: Allocation;
  /** Bytes handed out so far. */
  taken = 0;
  #next = 0;

  constructor({ device, stream, poolBytes }: Workbench) {
    this.#memory = device.alloc("f32", [Math.floor(poolBytes / 4)]);
    fillRandom(stream, this.#memory.tensor);
  }

  take(dtype: DType, shape: readonly number[]): Tensor {
    const { tensor } = this.#memory;
    const bytes = shape.reduce((a, b) => a * b, dtypeBytes[dtype]);
    if (bytes > tensor.bytes) {
      throw new RangeError(`${bytes} bytes do not fit into a pool of ${tensor.bytes}`);
    }
    if (this.#next + bytes > tensor.bytes) this.#next = 0;
    const address = tensor.address + BigInt(this.#next);
    this.#next += Math.ceil(bytes / 64) * 64;
    this.taken += bytes;
    return new Tensor(this.#memory, address, dtype, shape);
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}

/**
 * Fills an f32 or bf16 tensor with uniform numbers in [-0.05, 0.05), repeating one block. Low halves of the
 * words repeat the high ones, so that the same memory holds numbers of this kind in either type.
 */
export function fillRandom(stream: Stream, tensor: Tensor): void {
  const next = numbers();
  const size = Math.min(patternSize, tensor.size);
  const block = Float32Array.from({ length: size }, () => 0.1 * next() - 0.05);
  const bits = new Uint32Array(block.buffer);
  bits.forEach((b, i) => bits[i] = (b & 0xffff0000) | (b >>> 16));
  const values = tensor.dtype === "bf16" ? new Uint16Array(block.buffer, 0, size) : block;
  stream.upload(tensor.view(0, [size]), values);
  for (let done = size; done < tensor.size; done += size) {
    const part = Math.min(size, tensor.size - done);
    stream.copy(tensor.view(done, [part]), tensor.view(0, [part]));
  }
}

/** Uniform numbers in [0, 1): a linear congruential generator. */
function numbers(): () => number {
  let state = 1;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}
