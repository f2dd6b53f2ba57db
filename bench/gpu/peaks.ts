/**
 * Published peaks of GPUs: dense bfloat16 tensor-core FLOP/s and memory bandwidth.
 *
 * @module
 */
import { UserError } from "../../src/base/mod.ts";

/** What bounds work on a GPU. */
export interface Gpu {
  /** FLOP/s of dense bfloat16 products with float32 sums. */
  readonly flops: number;
  /** Bytes a second of device memory. */
  readonly bandwidth: number;
}

/** From NVIDIA's data sheets; the first whose name stands in the device's as a word. */
const known: readonly (readonly [name: string, gpu: Gpu])[] = [
  ["H200", { flops: 989e12, bandwidth: 4.8e12 }],
  ["H100 PCIe", { flops: 756e12, bandwidth: 2.0e12 }],
  ["H100", { flops: 989e12, bandwidth: 3.35e12 }],
  ["A100-SXM4-80GB", { flops: 312e12, bandwidth: 2.039e12 }],
  ["A100", { flops: 312e12, bandwidth: 1.555e12 }],
  // No GPU: shares mean nothing there.
  ["CUDA emulator", { flops: 1e9, bandwidth: 1e9 }],
];

/**
 * The peaks of a GPU.
 *
 * @throws {UserError} when it is not in the list.
 */
export function gpuOf(name: string): Gpu {
  const found = known.find(([part]) => new RegExp(`\\b${part}`).test(name));
  if (found) return found[1];
  throw new UserError(`the peaks of ${name} are not known`, {
    hint: "add it to bench/gpu/peaks.ts",
  });
}
