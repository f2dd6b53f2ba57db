/**
 * Tensors: typed, shaped views of device memory. They carry no arithmetic; ops take them.
 *
 * @module
 */

import { tkDtype } from "./generated/symbols.ts";

/** Element types of device tensors; "u8" is raw bytes (packed weights, workspaces). */
export type DType = "f32" | "bf16" | "i32" | "u8";

/** Element types that layers compute with; sums are float32 in both. */
export const precisions = ["f32", "bf16"] as const;
/** One of {@linkcode precisions}. */
export type Precision = typeof precisions[number];

/** Bytes of one element. */
export const dtypeBytes: Readonly<Record<DType, number>> = { f32: 4, bf16: 2, i32: 4, u8: 1 };

/** Bytes of a tensor. */
export function tensorBytes(dtype: DType, shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, dtypeBytes[dtype]);
}

/** The ABI's number of a dtype (enum tk_dtype). */
export function dtypeCode(dtype: DType): number {
  if (dtype === "u8") throw new Error("raw bytes have no ABI dtype");
  return tkDtype[dtype];
}

/** Memory that tensors point into; closing it invalidates them all. */
export interface Storage {
  /** False once the memory has been freed. */
  readonly alive: boolean;
}

/**
 * A row-major array in device memory. Views share storage with the tensor they come from; whoever
 * allocated the storage frees it.
 */
export class Tensor {
  /** Type of the elements. */
  readonly dtype: DType;
  /** Sizes, the slowest dimension first. */
  readonly shape: readonly number[];
  /** Number of elements. */
  readonly size: number;
  readonly #address: bigint;
  readonly #storage: Storage;

  /** Used by allocators; user code calls `Device.alloc` or `Arena.alloc`. */
  constructor(storage: Storage, address: bigint, dtype: DType, shape: readonly number[]) {
    this.#storage = storage;
    this.#address = address;
    this.dtype = dtype;
    this.shape = shape;
    this.size = shape.reduce((a, b) => a * b, 1);
  }

  /** The device address, for ops. Throws once the memory has been freed. */
  get address(): bigint {
    if (!this.#storage.alive) throw new Error(`tensor ${this} used after its memory was freed`);
    return this.#address;
  }

  /** Size in bytes. */
  get bytes(): number {
    return this.size * dtypeBytes[this.dtype];
  }

  /**
   * A view of `shape` that starts at element `offset`.
   *
   * @throws {RangeError} when it does not fit.
   */
  view(offset: number, shape: readonly number[]): Tensor {
    const size = shape.reduce((a, b) => a * b, 1);
    if (offset < 0 || offset + size > this.size) {
      throw new RangeError(`view [${shape}] at ${offset} does not fit into ${this}`);
    }
    const address = this.#address + BigInt(offset) * BigInt(dtypeBytes[this.dtype]);
    return new Tensor(this.#storage, address, this.dtype, shape);
  }

  /** The first `rows` rows: a view `(rows, ...rest)`. */
  rows(rows: number): Tensor {
    return this.view(0, [rows, ...this.shape.slice(1)]);
  }

  /**
   * The same elements read as another type of the same size.
   *
   * @throws {TypeError} for a type of another size.
   */
  as(dtype: DType): Tensor {
    if (dtypeBytes[dtype] !== dtypeBytes[this.dtype]) {
      throw new TypeError(`${this} cannot be read as ${dtype}`);
    }
    return new Tensor(this.#storage, this.#address, dtype, this.shape);
  }

  /** For messages: dtype and shape. */
  toString(): string {
    return `${this.dtype}[${this.shape.join(", ")}]`;
  }
}

/**
 * Checks a tensor's dtype and shape; -1 in `shape` matches any size.
 *
 * @throws {TypeError} naming the op, the argument, and both shapes.
 */
export function expectTensor(
  op: string,
  name: string,
  tensor: Tensor,
  dtype: DType,
  shape: readonly number[],
): void {
  const fits = tensor.dtype === dtype && tensor.shape.length === shape.length &&
    shape.every((n, i) => n === -1 || n === tensor.shape[i]);
  if (!fits) {
    throw new TypeError(`${op}: ${name} is ${tensor}, expected ${dtype}[${shape.join(", ")}]`);
  }
}
