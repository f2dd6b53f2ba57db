/**
 * A device and its memory, streams and recorded graphs.
 *
 * Lifetimes are explicit (`using`): V8 cannot see native bytes, so a FinalizationRegistry only reports
 * what somebody forgot. Host buffers handed to a call are kept alive by it until it returns.
 *
 * @module
 */

import { type Backend, type BuildOptions, libraryPath } from "./build.ts";
import { Library, NativeError, type Symbols } from "./library.ts";
import { type DType, dtypeBytes, type Precision, type Storage, Tensor } from "./tensor.ts";

/** What a backend says about its device. */
export interface DeviceInfo {
  /** `cpu`, `cuda` or `emu`. */
  readonly backend: string;
  /** The device's name: `CPU`, or the GPU's model. */
  readonly name: string;
  /** Instruction set that the kernels use. */
  readonly isa: string;
  /** Threads inside an op; they never change a result. */
  readonly threads: number;
  /** Memory of the device in all, free or not. */
  readonly memoryBytes: number;
  /** KV-cache block sizes are multiples of it. */
  readonly kvTile: number;
}

/** How to open a device. */
export interface DeviceOptions extends BuildOptions {
  /** CPU threads inside an op; 0 (default): as many as OpenMP would use. */
  readonly threads?: number;
}

/** Typed arrays that travel between host and device. */
export type HostArray = Float32Array | Int32Array | Uint8Array | Uint16Array | BigUint64Array;

const leaks = new FinalizationRegistry<string>((what) => {
  console.error(`warning: ${what} was never disposed`);
});

function readHandle(call: (out: BigUint64Array<ArrayBuffer>) => void): bigint {
  const out = new BigUint64Array(1);
  call(out);
  return out[0];
}

/** One compute device of one backend library. */
export class Device implements Disposable {
  /** @internal The loaded library; closed with the device. */
  readonly library: Library;
  /** What the backend found out about the device when it was opened. */
  readonly info: DeviceInfo;
  readonly #handle: bigint;
  #allocated = 0;
  #open = true;

  private constructor(library: Library, options: DeviceOptions) {
    this.library = library;
    this.#handle = readHandle((out) =>
      this.check("device_open", this.symbols.tk_device_open(0, options.threads ?? 0, out))
    );
    const buffer = new Uint8Array(1024);
    this.check("device_info", this.symbols.tk_device_info(this.#handle, buffer, buffer.length));
    this.info = JSON.parse(new TextDecoder().decode(buffer.subarray(0, buffer.indexOf(0))));
    leaks.register(this, "a Device", this);
  }

  /**
   * Opens a device, building the backend's library first if needed.
   *
   * @throws {UserError} when there is no compiler, the build fails or the library does not fit.
   */
  static async open(backend: Backend = "cpu", options: DeviceOptions = {}): Promise<Device> {
    const library = new Library(await libraryPath(backend, options));
    try {
      return new Device(library, options);
    } catch (error) {
      library.close();
      throw error;
    }
  }

  /** @internal The functions of the ABI. */
  get symbols(): Symbols {
    return this.library.symbols;
  }

  /** The device handle; throws after dispose. */
  get handle(): bigint {
    if (!this.#open) throw new Error("the device is closed");
    return this.#handle;
  }

  /** What models compute with unless told otherwise: float32 on CPUs, bfloat16 elsewhere. */
  get precision(): Precision {
    return this.info.backend === "cpu" ? "f32" : "bf16";
  }

  /** Bytes allocated now. */
  get allocatedBytes(): number {
    return this.#allocated;
  }

  /** Throws the library's message unless the status is 0. */
  check(op: string, status: number): void {
    this.library.check(op, status);
  }

  /** One allocation, freed by its owner; `tensor` views it. Contents are undefined. */
  alloc(dtype: DType, shape: readonly number[]): Allocation {
    const bytes = shape.reduce((a, b) => a * b, 1) * dtypeBytes[dtype];
    const address = readHandle((out) =>
      this.check("memory_alloc", this.symbols.tk_memory_alloc(this.handle, BigInt(bytes), out))
    );
    this.#allocated += bytes;
    return new Allocation(this, address, dtype, shape, () => this.#allocated -= bytes);
  }

  /** A bump allocator over one allocation of `bytes`. */
  arena(bytes: number): Arena {
    return new Arena(this.alloc("u8", [bytes]));
  }

  /** A new in-order queue of work. */
  stream(): Stream {
    return new Stream(this);
  }

  /** Closes device and library. Memory and streams of it must have been disposed before. */
  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.check("device_close", this.symbols.tk_device_close(this.#handle));
    this.#open = false;
    this.library.close();
    leaks.unregister(this);
  }
}

/** Device memory with an owner: dispose it to free it. */
export class Allocation implements Disposable, Storage {
  /** The whole allocation. */
  readonly tensor: Tensor;
  readonly #device: Device;
  readonly #address: bigint;
  readonly #onFree: () => void;
  #alive = true;

  /** Called by `Device.alloc`. */
  constructor(
    device: Device,
    address: bigint,
    dtype: DType,
    shape: readonly number[],
    onFree: () => void,
  ) {
    this.#device = device;
    this.#address = address;
    this.#onFree = onFree;
    this.tensor = new Tensor(this, address, dtype, shape);
    leaks.register(this, `an Allocation of ${this.tensor}`, this);
  }

  /** False once freed. */
  get alive(): boolean {
    return this.#alive;
  }

  /** Frees the memory once queued work is done; tensors in it throw from now on. */
  [Symbol.dispose](): void {
    if (!this.#alive) return;
    this.#alive = false;
    const device = this.#device;
    device.check("memory_free", device.symbols.tk_memory_free(device.handle, this.#address));
    this.#onFree();
    leaks.unregister(this);
  }
}

/**
 * A bump allocator: tensors are handed out one after the other and all dropped at once by `reset`, or
 * back to a `mark`. Tensors of a released region must not be used again.
 */
export class Arena implements Disposable {
  readonly #memory: Allocation;
  #used = 0;
  #peak = 0;

  /** Takes ownership of the allocation. */
  constructor(memory: Allocation) {
    this.#memory = memory;
  }

  /** Bytes handed out. */
  get used(): number {
    return this.#used;
  }

  /** The most bytes that were ever handed out at once. */
  get peak(): number {
    return this.#peak;
  }

  /**
   * A tensor at the next 64-byte boundary. Contents are undefined.
   *
   * @throws {RangeError} when the arena is full.
   */
  alloc(dtype: DType, shape: readonly number[]): Tensor {
    const bytes = Math.ceil(shape.reduce((a, b) => a * b, dtypeBytes[dtype]) / 64) * 64;
    const capacity = this.#memory.tensor.size;
    if (this.#used + bytes > capacity) {
      throw new RangeError(
        `arena of ${capacity} bytes is full: ${this.#used} used, ${dtype}[${
          shape.join(", ")
        }] asked for`,
      );
    }
    const address = this.#memory.tensor.address + BigInt(this.#used);
    this.#used += bytes;
    this.#peak = Math.max(this.#peak, this.#used);
    return new Tensor(this.#memory, address, dtype, shape);
  }

  /** The present fill, for `release`. */
  mark(): number {
    return this.#used;
  }

  /** Drops everything that was allocated since the mark. */
  release(mark: number): void {
    this.#used = mark;
  }

  /** Frees the allocation below; tensors of the arena throw from now on. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}

/** An in-order queue of work. Ops return at once; `sync` and `download` wait without blocking the event loop. */
export class Stream implements Disposable {
  /** Where the work runs. */
  readonly device: Device;
  readonly #handle: bigint;
  #recording = false;
  #open = true;

  /** Called by `Device.stream`. */
  constructor(device: Device) {
    this.device = device;
    this.#handle = readHandle((out) =>
      device.check("stream_create", device.symbols.tk_stream_create(device.handle, out))
    );
    leaks.register(this, "a Stream", this);
  }

  /** The stream handle, for ops; throws after dispose. */
  get handle(): bigint {
    if (!this.#open) throw new Error("the stream is closed");
    return this.#handle;
  }

  /** Resolves when everything enqueued so far has run; rejects with the first error. */
  async sync(): Promise<void> {
    this.#expectNotRecording("sync");
    const { device } = this;
    device.check("stream_sync", await device.symbols.tk_stream_sync(this.handle));
  }

  /** Copies host data into the tensor (same number of bytes); the array may be reused at once. */
  upload(dst: Tensor, src: HostArray): void {
    if (src.byteLength !== dst.bytes) {
      throw new RangeError(`upload: ${src.byteLength} bytes do not fit ${dst} exactly`);
    }
    const { device } = this;
    const bytes = BigInt(src.byteLength);
    const source = src as HostArray & { buffer: ArrayBuffer };
    device.check("upload", device.symbols.tk_upload(this.handle, dst.address, source, bytes));
  }

  /** Waits for the stream, then fills the array from the tensor (same number of bytes). */
  async download<T extends HostArray>(src: Tensor, dst: T): Promise<T> {
    if (dst.byteLength !== src.bytes) {
      throw new RangeError(`download: ${src} does not fit ${dst.byteLength} bytes exactly`);
    }
    this.#expectNotRecording("download");
    const { device } = this;
    const bytes = BigInt(dst.byteLength);
    const target = dst as T & { buffer: ArrayBuffer };
    device.check(
      "download",
      await device.symbols.tk_download(this.handle, target, src.address, bytes),
    );
    return dst;
  }

  /** Copies a tensor of the same size and dtype. */
  copy(dst: Tensor, src: Tensor): void {
    if (dst.bytes !== src.bytes) throw new RangeError(`copy: ${src} does not fit ${dst} exactly`);
    const { device } = this;
    const status = device.symbols.tk_copy(this.handle, dst.address, src.address, BigInt(src.bytes));
    device.check("copy", status);
  }

  /**
   * Sets every element of an f32, i32 or bf16 tensor. The device writes words of 4 bytes, so the bytes of
   * a tensor must be a multiple of 4. bf16 keeps the upper half of the float32 value.
   */
  fill(dst: Tensor, value: number): void {
    if (dst.dtype === "u8" || dst.bytes % 4 !== 0) {
      throw new TypeError(`fill: ${dst} has no 4-byte elements`);
    }
    const pattern = new Uint32Array(1);
    if (dst.dtype === "i32") new Int32Array(pattern.buffer)[0] = value;
    else new Float32Array(pattern.buffer)[0] = value;
    if (dst.dtype === "bf16") pattern[0] = (pattern[0] & 0xffff0000) | (pattern[0] >>> 16);
    const { device } = this;
    const words = BigInt(dst.bytes / 4);
    device.check("fill", device.symbols.tk_fill(this.handle, dst.address, pattern[0], words));
  }

  /** Records the ops that `body` enqueues instead of running them. */
  record(body: () => void): Graph {
    const { device } = this;
    device.check("graph_begin", device.symbols.tk_graph_begin(this.handle));
    this.#recording = true;
    const end = () => {
      this.#recording = false;
      return readHandle((out) =>
        device.check("graph_end", device.symbols.tk_graph_end(this.handle, out))
      );
    };
    try {
      body();
    } catch (error) {
      device.symbols.tk_graph_destroy(end());
      throw error;
    }
    return new Graph(device, end());
  }

  /** A wait runs on another thread: the library would see it only after the recording has ended. */
  #expectNotRecording(op: string): void {
    if (this.#recording) throw new NativeError(`${op}: a graph is being recorded on this stream`);
  }

  /** Replays a recorded graph. */
  launch(graph: Graph): void {
    const { device } = this;
    device.check("graph_launch", device.symbols.tk_graph_launch(this.handle, graph.handle));
  }

  /** Waits for queued work, then closes the queue. */
  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    this.device.check("stream_destroy", this.device.symbols.tk_stream_destroy(this.#handle));
    leaks.unregister(this);
  }
}

/** A recorded list of ops, replayed by `Stream.launch`. The tensors it uses must outlive it. */
export class Graph implements Disposable {
  readonly #device: Device;
  readonly #handle: bigint;
  #open = true;

  /** Called by `Stream.record`. */
  constructor(device: Device, handle: bigint) {
    this.#device = device;
    this.#handle = handle;
    leaks.register(this, "a Graph", this);
  }

  /** The graph handle; throws after dispose. */
  get handle(): bigint {
    if (!this.#open) throw new Error("the graph is closed");
    return this.#handle;
  }

  /** Drops the recorded ops. */
  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    this.#device.check("graph_destroy", this.#device.symbols.tk_graph_destroy(this.#handle));
    leaks.unregister(this);
  }
}
