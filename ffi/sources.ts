/**
 * The kernel sources as text, so that a program which imported mod.ts from a URL can build its engine
 * without reading any file of this repository.
 *
 * @module
 */

import thinkerH from "../kernels/include/thinker.h" with { type: "text" };
import runtimeH from "../kernels/cpu/runtime.h" with { type: "text" };
import runtimeCpp from "../kernels/cpu/runtime.cpp" with { type: "text" };
import simdH from "../kernels/cpu/simd.h" with { type: "text" };
import lanesH from "../kernels/cpu/lanes.h" with { type: "text" };
import gemmH from "../kernels/cpu/gemm.h" with { type: "text" };
import gemmCpp from "../kernels/cpu/gemm.cpp" with { type: "text" };
import attendH from "../kernels/cpu/attend.h" with { type: "text" };
import attentionCpp from "../kernels/cpu/attention.cpp" with { type: "text" };
import headCpp from "../kernels/cpu/head.cpp" with { type: "text" };
import layersCpp from "../kernels/cpu/layers.cpp" with { type: "text" };
import linearCpp from "../kernels/cpu/linear.cpp" with { type: "text" };
import lossesCpp from "../kernels/cpu/losses.cpp" with { type: "text" };
import optimizerCpp from "../kernels/cpu/optimizer.cpp" with { type: "text" };
import cudaRuntimeCuh from "../kernels/cuda/runtime.cuh" with { type: "text" };
import cudaRuntimeCu from "../kernels/cuda/runtime.cu" with { type: "text" };
import cudaAdamwCu from "../kernels/cuda/adamw.cu" with { type: "text" };

/** One source file of a backend: headers are written beside the units, units are compiled. */
export interface SourceFile {
  readonly name: string;
  readonly text: string;
}

/** Headers and translation units of the CPU backend. */
export const cpuSources: readonly SourceFile[] = [
  { name: "thinker.h", text: thinkerH },
  { name: "runtime.h", text: runtimeH },
  { name: "simd.h", text: simdH },
  { name: "lanes.h", text: lanesH },
  { name: "gemm.h", text: gemmH },
  { name: "attend.h", text: attendH },
  { name: "runtime.cpp", text: runtimeCpp },
  { name: "gemm.cpp", text: gemmCpp },
  { name: "attention.cpp", text: attentionCpp },
  { name: "head.cpp", text: headCpp },
  { name: "layers.cpp", text: layersCpp },
  { name: "linear.cpp", text: linearCpp },
  { name: "losses.cpp", text: lossesCpp },
  { name: "optimizer.cpp", text: optimizerCpp },
];

/** Headers and translation units of the CUDA backend: so far runtime and optimizer. */
export const cudaSources: readonly SourceFile[] = [
  { name: "thinker.h", text: thinkerH },
  { name: "runtime.cuh", text: cudaRuntimeCuh },
  { name: "runtime.cu", text: cudaRuntimeCu },
  { name: "adamw.cu", text: cudaAdamwCu },
];
