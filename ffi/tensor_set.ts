/**
 * Tensors that live and die together, described before they are allocated: the same description tells
 * a memory planner how many bytes they take.
 *
 * @module
 */

import type { Device } from "./device.ts";
import { Arena } from "./memory.ts";
import { type DType, type Tensor, tensorBytes } from "./tensor.ts";

/** Dtype and shape of tensors, by name. A size of 0 is one that this model or run does not need. */
export type TensorSpecs<K extends string = string> = Readonly<
  Record<K, readonly [dtype: DType, ...shape: number[]]>
>;

/** Tensors by the names of their specs. */
export type Tensors<K extends string> = Readonly<Record<K, Tensor>>;

function sum(specs: TensorSpecs, bytes: (dtype: DType, shape: number[]) => number): number {
  return Object.values(specs).reduce(
    (total, [dtype, ...shape]) => total + bytes(dtype, shape),
    0,
  );
}

/** Bytes that tensors of these specs take. */
export function specBytes(specs: TensorSpecs): number {
  return sum(specs, tensorBytes);
}

/** Bytes that they take in an arena. */
export function arenaBytes(specs: TensorSpecs): number {
  return sum(specs, Arena.bytes);
}

function make<K extends string>(
  specs: TensorSpecs<K>,
  alloc: (dtype: DType, shape: readonly number[]) => Tensor,
): Tensors<K> {
  const tensors: Partial<Record<K, Tensor>> = {};
  for (const name in specs) {
    const [dtype, ...shape] = specs[name];
    tensors[name] = alloc(dtype, shape);
  }
  return tensors as Record<K, Tensor>;
}

/** The next tensors of an arena, one per spec. */
export function arenaTensors<K extends string>(arena: Arena, specs: TensorSpecs<K>): Tensors<K> {
  return make(specs, (dtype, shape) => arena.alloc(dtype, shape));
}

/** The first `count` rows of each. */
export function rowsOf<K extends string>(tensors: Tensors<K>, count: number): Tensors<K> {
  const views: Partial<Record<K, Tensor>> = {};
  for (const name in tensors) views[name] = tensors[name].rows(count);
  return views as Record<K, Tensor>;
}

/** One allocation per spec. Contents are undefined. Dispose it to free them all. */
export class TensorSet<K extends string> implements Disposable {
  /** The tensors, by the names of the specs. */
  readonly t: Tensors<K>;
  readonly #memory: DisposableStack;

  /** Allocates every tensor, or none when the device has not enough memory. */
  constructor(device: Device, specs: TensorSpecs<K>) {
    using stack = new DisposableStack();
    this.t = make(specs, (dtype, shape) => stack.use(device.alloc(dtype, shape)).tensor);
    this.#memory = stack.move();
  }

  /** Frees all of them. */
  [Symbol.dispose](): void {
    this.#memory.dispose();
  }
}
