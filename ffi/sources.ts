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
import cudaGpuCuh from "../kernels/cuda/gpu.cuh" with { type: "text" };
import cudaPtxCuh from "../kernels/cuda/ptx.cuh" with { type: "text" };
import cudaRuntimeCuh from "../kernels/cuda/runtime.cuh" with { type: "text" };
import cudaAttentionCuh from "../kernels/cuda/attention.cuh" with { type: "text" };
import cudaAttentionRowsCuh from "../kernels/cuda/attention_rows.cuh" with { type: "text" };
import cudaAttentionTileCuh from "../kernels/cuda/attention_tile.cuh" with { type: "text" };
import cudaColumnsCuh from "../kernels/cuda/columns.cuh" with { type: "text" };
import cudaDriverCpp from "../kernels/cuda/driver.cpp" with { type: "text" };
import cudaErrorCuh from "../kernels/cuda/error.cuh" with { type: "text" };
import cudaFaultCuh from "../kernels/cuda/fault.cuh" with { type: "text" };
import cudaHeadCuh from "../kernels/cuda/head.cuh" with { type: "text" };
import cudaHeadLossCuh from "../kernels/cuda/head_loss.cuh" with { type: "text" };
import cudaHeadTileCuh from "../kernels/cuda/head_tile.cuh" with { type: "text" };
import cudaLinearCuh from "../kernels/cuda/linear.cuh" with { type: "text" };
import cudaNormCuh from "../kernels/cuda/norm.cuh" with { type: "text" };
import cudaPackCuh from "../kernels/cuda/pack.cuh" with { type: "text" };
import cudaPartitionCuh from "../kernels/cuda/partition.cuh" with { type: "text" };
import cudaSequencesCuh from "../kernels/cuda/sequences.cuh" with { type: "text" };
import cudaTileCuh from "../kernels/cuda/tile.cuh" with { type: "text" };
import cudaRuntimeCu from "../kernels/cuda/runtime.cu" with { type: "text" };
import cudaAdamwCu from "../kernels/cuda/adamw.cu" with { type: "text" };
import cudaAttentionCu from "../kernels/cuda/attention.cu" with { type: "text" };
import cudaAttentionBackwardCu from "../kernels/cuda/attention_backward.cu" with { type: "text" };
import cudaAttentionForwardCu from "../kernels/cuda/attention_forward.cu" with { type: "text" };
import cudaAttentionPagedCu from "../kernels/cuda/attention_paged.cu" with { type: "text" };
import cudaAttentionSimtCu from "../kernels/cuda/attention_simt.cu" with { type: "text" };
import cudaDecodeCu from "../kernels/cuda/decode.cu" with { type: "text" };
import cudaEmbeddingCu from "../kernels/cuda/embedding.cu" with { type: "text" };
import cudaHeadCu from "../kernels/cuda/head.cu" with { type: "text" };
import cudaHeadLossCu from "../kernels/cuda/head_loss.cu" with { type: "text" };
import cudaLinearCu from "../kernels/cuda/linear.cu" with { type: "text" };
import cudaLinearWeightGradCu from "../kernels/cuda/linear_weight_grad.cu" with { type: "text" };
import cudaLossesCu from "../kernels/cuda/losses.cu" with { type: "text" };
import cudaProductF32Cu from "../kernels/cuda/product_f32.cu" with { type: "text" };
import cudaQkNormCu from "../kernels/cuda/qk_norm.cu" with { type: "text" };
import cudaRmsnormCu from "../kernels/cuda/rmsnorm.cu" with { type: "text" };
import cudaRopeCu from "../kernels/cuda/rope.cu" with { type: "text" };
import cudaRowsCu from "../kernels/cuda/rows.cu" with { type: "text" };
import cudaSampleCu from "../kernels/cuda/sample.cu" with { type: "text" };
import cudaSwigluCu from "../kernels/cuda/swiglu.cu" with { type: "text" };
import emuH from "../kernels/emu/emu.h" with { type: "text" };
import emuTypesH from "../kernels/emu/types.h" with { type: "text" };
import emuConfigH from "../kernels/emu/config.h" with { type: "text" };
import emuFiberH from "../kernels/emu/fiber.h" with { type: "text" };
import emuCollectivesH from "../kernels/emu/collectives.h" with { type: "text" };
import emuAsyncCopyH from "../kernels/emu/async_copy.h" with { type: "text" };
import emuGridH from "../kernels/emu/grid.h" with { type: "text" };
import emuDeviceMemoryH from "../kernels/emu/device_memory.h" with { type: "text" };
import emuStreamH from "../kernels/emu/stream.h" with { type: "text" };
import emuLaunchH from "../kernels/emu/launch.h" with { type: "text" };
import emuHostApiH from "../kernels/emu/host_api.h" with { type: "text" };
import emuIntrinsicsH from "../kernels/emu/intrinsics.h" with { type: "text" };
import emuBf16H from "../kernels/emu/bf16.h" with { type: "text" };
import emuH100RoundingH from "../kernels/emu/h100_rounding.h" with { type: "text" };
import emuPtxEmuH from "../kernels/emu/ptx_emu.h" with { type: "text" };

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

/** What CUDA and the emulator compile: thinker.h, the shared headers, and one unit a kernel family. */
const kernelSources: readonly SourceFile[] = [
  { name: "thinker.h", text: thinkerH },
  { name: "gpu.cuh", text: cudaGpuCuh },
  { name: "runtime.cuh", text: cudaRuntimeCuh },
  { name: "attention.cuh", text: cudaAttentionCuh },
  { name: "attention_rows.cuh", text: cudaAttentionRowsCuh },
  { name: "attention_tile.cuh", text: cudaAttentionTileCuh },
  { name: "columns.cuh", text: cudaColumnsCuh },
  { name: "error.cuh", text: cudaErrorCuh },
  { name: "fault.cuh", text: cudaFaultCuh },
  { name: "head.cuh", text: cudaHeadCuh },
  { name: "head_loss.cuh", text: cudaHeadLossCuh },
  { name: "head_tile.cuh", text: cudaHeadTileCuh },
  { name: "linear.cuh", text: cudaLinearCuh },
  { name: "norm.cuh", text: cudaNormCuh },
  { name: "pack.cuh", text: cudaPackCuh },
  { name: "partition.cuh", text: cudaPartitionCuh },
  { name: "sequences.cuh", text: cudaSequencesCuh },
  { name: "tile.cuh", text: cudaTileCuh },
  { name: "runtime.cu", text: cudaRuntimeCu },
  { name: "adamw.cu", text: cudaAdamwCu },
  { name: "attention.cu", text: cudaAttentionCu },
  { name: "attention_backward.cu", text: cudaAttentionBackwardCu },
  { name: "attention_forward.cu", text: cudaAttentionForwardCu },
  { name: "attention_paged.cu", text: cudaAttentionPagedCu },
  { name: "attention_simt.cu", text: cudaAttentionSimtCu },
  { name: "decode.cu", text: cudaDecodeCu },
  { name: "embedding.cu", text: cudaEmbeddingCu },
  { name: "head.cu", text: cudaHeadCu },
  { name: "head_loss.cu", text: cudaHeadLossCu },
  { name: "linear.cu", text: cudaLinearCu },
  { name: "linear_weight_grad.cu", text: cudaLinearWeightGradCu },
  { name: "losses.cu", text: cudaLossesCu },
  { name: "product_f32.cu", text: cudaProductF32Cu },
  { name: "qk_norm.cu", text: cudaQkNormCu },
  { name: "rmsnorm.cu", text: cudaRmsnormCu },
  { name: "rope.cu", text: cudaRopeCu },
  { name: "rows.cu", text: cudaRowsCu },
  { name: "sample.cu", text: cudaSampleCu },
  { name: "swiglu.cu", text: cudaSwigluCu },
];

/** Headers and translation units of the CUDA backend. */
export const cudaSources: readonly SourceFile[] = [
  { name: "ptx.cuh", text: cudaPtxCuh },
  ...kernelSources,
];

/** A library that tells whether NVIDIA's driver is installed. */
export const driverSources: readonly SourceFile[] = [{ name: "driver.cpp", text: cudaDriverCpp }];

/** The same units with the headers that run them on the CPU. */
export const emuSources: readonly SourceFile[] = [
  { name: "emu.h", text: emuH },
  { name: "types.h", text: emuTypesH },
  { name: "config.h", text: emuConfigH },
  { name: "fiber.h", text: emuFiberH },
  { name: "collectives.h", text: emuCollectivesH },
  { name: "async_copy.h", text: emuAsyncCopyH },
  { name: "grid.h", text: emuGridH },
  { name: "device_memory.h", text: emuDeviceMemoryH },
  { name: "stream.h", text: emuStreamH },
  { name: "launch.h", text: emuLaunchH },
  { name: "host_api.h", text: emuHostApiH },
  { name: "intrinsics.h", text: emuIntrinsicsH },
  { name: "bf16.h", text: emuBf16H },
  { name: "h100_rounding.h", text: emuH100RoundingH },
  { name: "ptx_emu.h", text: emuPtxEmuH },
  ...kernelSources,
];
