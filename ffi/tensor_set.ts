/**
 * Tensors that live and die together, described before they are allocated: the same description tells
 * a memory planner how many bytes they take.
 *
 * @module
 */

import type { Device } from "./device.ts";
import type { Allocation } from "./memory.ts";
import { type DType, dtypeBytes, type Tensor } from "./tensor.ts";

/** Dtype and shape of tensors, by name. */
export type TensorSpecs<K extends string = string> = Readonly<
  Record<K, readonly [dtype: DType, ...shape: number[]]>
>;

/** Bytes that tensors of these specs take. */
export function specBytes(specs: TensorSpecs): number {
  return Object.values(specs).reduce(
    (total, [dtype, ...shape]) => total + shape.reduce((a, b) => a * b, dtypeBytes[dtype]),
    0,
  );
}

/** One allocation per spec. Contents are undefined. Dispose it to free them all. */
export class TensorSet<K extends string> implements Disposable {
  /** By the names of the specs. */
  readonly tensors: Readonly<Record<K, Tensor>>;
  readonly #memory: Allocation[] = [];

  /** Allocates every tensor. */
  constructor(device: Device, specs: TensorSpecs<K>) {
    const tensors: Partial<Record<K, Tensor>> = {};
    for (const name in specs) {
      const [dtype, ...shape] = specs[name];
      const memory = device.alloc(dtype, shape);
      this.#memory.push(memory);
      tensors[name] = memory.tensor;
    }
    this.tensors = tensors as Record<K, Tensor>;
  }

  /** Frees all of them. */
  [Symbol.dispose](): void {
    for (const memory of this.#memory) memory[Symbol.dispose]();
  }
}
