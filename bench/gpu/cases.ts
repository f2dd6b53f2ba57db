/**
 * The CUDA kernels in bfloat16 at the shapes of one model.
 *
 * @module
 */
import { allCases } from "../cases.ts";
import type { Case } from "../harness.ts";
import { gpuPoolBytes, type GpuShapes, gpuSizes } from "./sizes.ts";
export type { GpuShapes } from "./sizes.ts";

/** All kernels at the given sizes. They see to it that the workbench has enough cold memory. */
export function gpuCases(shapes: GpuShapes): Case[] {
  return allCases(gpuSizes(shapes)).map((each) => ({
    ...each,
    setup(bench) {
      bench.reserve(gpuPoolBytes(shapes));
      return each.setup(bench);
    },
  }));
}
