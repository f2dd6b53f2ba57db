/**
 * A device and its memory, streams and recorded graphs.
 *
 * Lifetimes are explicit (`using`): V8 cannot see native bytes, so a FinalizationRegistry only reports
 * what somebody forgot. Host buffers handed to a call are kept alive by it until it returns.
 *
 * @module
 */

import { formatBytes, isOutOfMemory, OutOfMemory } from "../src/base/mod.ts";
import { type Backend, type BuildOptions, libraryPath } from "./build.ts";
import { Library, NativeError, type Symbols } from "./library.ts";
import { Allocation, Arena, leaks } from "./memory.ts";
import { tkStatus } from "./generated/symbols.ts";
import { type DType, type Precision, type Tensor, tensorBytes } from "./tensor.ts";
import { type Call, describeCall, summary, Trail } from "./trail.ts";

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
  /** Whether the device waits after every kernel, so that a failure names its kernel: `THINKER_CUDA_SYNC=1`. */
  readonly sync: boolean;
}

/** How to open a device. */
export interface DeviceOptions extends BuildOptions {
  /** CPU threads inside an op; 0 (default): as many as OpenMP would use. */
  readonly threads?: number;
  /** Which of several GPUs; 0 (default) is the first. */
  readonly index?: number;
}

/** Typed arrays that travel between host and device. */
export type HostArray = Float32Array | Int32Array | Uint8Array | Uint16Array | BigUint64Array;

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
  /** @internal What its streams have been given and may not have done yet. */
  readonly trail: Trail = new Trail();
  readonly #handle: bigint;
  #allocated = 0;
  #open = true;

  private constructor(library: Library, options: DeviceOptions) {
    this.library = library;
    const { index = 0, threads = 0 } = options;
    this.#handle = readHandle((out) =>
      this.check("device_open", this.symbols.tk_device_open(index, threads, out))
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

  /**
   * Throws the library's message unless the status is 0. Where a GPU has failed at some earlier call, the
   * message says which ones come into question.
   *
   * @param args What the op was given, for the message.
   */
  check(op: string, status: number, args: object = {}): void {
    if (status === 0) return;
    const reason = this.library.lastError(), message = `${describeCall(op, args)}: ${reason}`;
    if (isOutOfMemory(reason)) throw new OutOfMemory(message);
    if (status !== tkStatus.lost || this.info?.sync) throw new NativeError(message);
    throw new NativeError(`${message}; ${this.trail}`, {
      hint: "with THINKER_CUDA_SYNC=1 in the environment the kernel that fails is named",
    });
  }

  /**
   * One allocation, freed by its owner; `tensor` views it. Contents are undefined.
   *
   * @throws {OutOfMemory} with what is allocated already; {@linkcode memoryFor} says what to lower.
   */
  alloc(dtype: DType, shape: readonly number[]): Allocation {
    const bytes = tensorBytes(dtype, shape), allocated = formatBytes(this.#allocated);
    const address = readHandle((out) => {
      const status = this.symbols.tk_memory_alloc(this.handle, BigInt(bytes), out);
      this.check("memory_alloc", status, { allocated });
    });
    this.#allocated += bytes;
    return new Allocation(address, dtype, shape, () => {
      this.#allocated -= bytes;
      this.check("memory_free", this.symbols.tk_memory_free(this.handle, address));
    });
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
    this.#open = false;
    leaks.unregister(this);
    this.check("device_close", this.symbols.tk_device_close(this.#handle));
    this.library.close();
  }
}

/** An in-order queue of work. Ops return at once; `sync` and `download` wait without blocking the event loop. */
export class Stream implements Disposable {
  /** Where the work runs. */
  readonly device: Device;
  readonly #handle: bigint;
  /** The calls of the graph that is being recorded. */
  #recorded: Call[] | undefined;
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

  /** @internal After every op: notes what was enqueued, or throws its error. */
  check(op: string, status: number, args: object): void {
    if (status !== 0) this.device.check(op, status, args);
    if (this.#recorded) this.#recorded.push({ op, args });
    else this.device.trail.add(this.#handle, op, args);
  }

  /** Resolves when everything enqueued so far has run; rejects with the first error. */
  async sync(): Promise<void> {
    await this.#wait("stream_sync", {}, ({ tk_stream_sync }) => tk_stream_sync(this.handle));
  }

  /** Copies host data into the tensor (same number of bytes); the array may be reused at once. */
  upload(dst: Tensor, src: HostArray): void {
    if (src.byteLength !== dst.bytes) {
      throw new RangeError(`upload: ${src.byteLength} bytes do not fit ${dst} exactly`);
    }
    const { symbols } = this.device;
    const bytes = BigInt(src.byteLength);
    const source = src as HostArray & { buffer: ArrayBuffer };
    this.check("upload", symbols.tk_upload(this.handle, dst.address, source, bytes), { dst });
  }

  /** Waits for the stream, then fills the array from the tensor (same number of bytes). */
  async download<T extends HostArray>(src: Tensor, dst: T): Promise<T> {
    if (dst.byteLength !== src.bytes) {
      throw new RangeError(`download: ${src} does not fit ${dst.byteLength} bytes exactly`);
    }
    const target = dst as T & { buffer: ArrayBuffer };
    await this.#wait(
      "download",
      { src },
      ({ tk_download }) => tk_download(this.handle, target, src.address, BigInt(dst.byteLength)),
    );
    return dst;
  }

  /**
   * Fills the array with what the tensor holds at this point of the queue (same number of bytes). What is enqueued
   * afterwards is not waited for and changes nothing of it. For little: the bytes pass through memory of the queue.
   */
  async readBack<T extends HostArray>(src: Tensor, dst: T): Promise<T> {
    if (dst.byteLength !== src.bytes) {
      throw new RangeError(`readBack: ${src} does not fit ${dst.byteLength} bytes exactly`);
    }
    const { symbols } = this.device, target = dst as T & { buffer: ArrayBuffer };
    const copy = readHandle((out) => {
      const bytes = BigInt(dst.byteLength);
      this.check("read_back", symbols.tk_readback_begin(this.handle, src.address, bytes, out), {
        src,
      });
    });
    await this.#wait(
      "read_back",
      { src },
      ({ tk_readback_end }) => tk_readback_end(this.handle, copy, target),
    );
    return dst;
  }

  /** The wait runs on another thread: what is enqueued meanwhile need not be done when it ends. */
  async #wait(
    op: string,
    args: object,
    call: (symbols: Symbols) => Promise<number>,
  ): Promise<void> {
    if (this.#recorded) throw new NativeError(`${op}: a graph is being recorded on this stream`);
    const { device } = this, { trail } = device;
    const before = trail.count;
    device.check(op, await call(device.symbols), args);
    trail.finish(this.#handle, before);
  }

  /** Copies a tensor of the same size and dtype. */
  copy(dst: Tensor, src: Tensor): void {
    if (dst.bytes !== src.bytes) throw new RangeError(`copy: ${src} does not fit ${dst} exactly`);
    const { symbols } = this.device;
    const status = symbols.tk_copy(this.handle, dst.address, src.address, BigInt(src.bytes));
    this.check("copy", status, { dst, src });
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
    const { symbols } = this.device;
    const words = BigInt(dst.bytes / 4);
    this.check("fill", symbols.tk_fill(this.handle, dst.address, pattern[0], words), { dst });
  }

  /**
   * Records the ops that `body` enqueues instead of running them. Where the device waits after every
   * kernel (`info.sync`) nothing is recorded and a launch calls `body`, so that a failure is that of one
   * op: `body` must do the same each time.
   */
  record(body: () => void): Graph {
    const { device } = this;
    if (device.info.sync) return new Graph(device, body);
    device.check("graph_begin", device.symbols.tk_graph_begin(this.handle));
    const calls: Call[] = this.#recorded = [];
    const out = new BigUint64Array(1);
    try {
      body();
    } catch (error) {
      // The recording may be spoilt, too: what failed first is what counts.
      if (device.symbols.tk_graph_end(this.handle, out) === 0) {
        device.symbols.tk_graph_destroy(out[0]);
      }
      throw error;
    } finally {
      this.#recorded = undefined;
    }
    device.check("graph_end", device.symbols.tk_graph_end(this.handle, out));
    return new Graph(device, {
      handle: out[0],
      name: `graph of ${calls.length} ops (${summary(calls)})`,
    });
  }

  /** Replays a recorded graph. */
  launch(graph: Graph): void {
    const { work } = graph;
    if (typeof work === "function") return work();
    const { symbols } = this.device;
    this.check(work.name, symbols.tk_graph_launch(this.handle, work.handle), {});
  }

  /** Waits for queued work, then closes the queue. */
  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    leaks.unregister(this);
    const { device } = this;
    device.check("stream_destroy", device.symbols.tk_stream_destroy(this.#handle));
    device.trail.close(this.#handle);
  }
}

/** What a graph is made of: a recorded list of ops and what they are, or a function that enqueues them. */
type GraphWork = { readonly handle: bigint; readonly name: string } | (() => void);

/** A recorded list of ops, replayed by `Stream.launch`. The tensors it uses must outlive it. */
export class Graph implements Disposable {
  readonly #device: Device;
  readonly #work: GraphWork;
  #open = true;

  /** Called by `Stream.record`. */
  constructor(device: Device, work: GraphWork) {
    this.#device = device;
    this.#work = work;
    leaks.register(this, "a Graph", this);
  }

  /** @internal What `Stream.launch` runs; throws after dispose. */
  get work(): GraphWork {
    if (!this.#open) throw new Error("the graph is closed");
    return this.#work;
  }

  /** Drops the recorded ops. */
  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    leaks.unregister(this);
    if (typeof this.#work === "function") return;
    const { symbols } = this.#device;
    this.#device.check("graph_destroy", symbols.tk_graph_destroy(this.#work.handle));
  }
}
