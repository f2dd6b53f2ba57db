// Written by `deno task generate`. Do not edit.

import cpuAdamwCpp from "../../kernels/cpu/adamw.cpp" with { type: "text" };
import cpuAttendH from "../../kernels/cpu/attend.h" with { type: "text" };
import cpuAttentionH from "../../kernels/cpu/attention.h" with { type: "text" };
import cpuAttentionBackwardCpp from "../../kernels/cpu/attention_backward.cpp" with { type: "text" };
import cpuAttentionForwardCpp from "../../kernels/cpu/attention_forward.cpp" with { type: "text" };
import cpuAttentionPagedCpp from "../../kernels/cpu/attention_paged.cpp" with { type: "text" };
import cpuCgroupH from "../../kernels/cpu/cgroup.h" with { type: "text" };
import cpuDecodeCpp from "../../kernels/cpu/decode.cpp" with { type: "text" };
import cpuEmbeddingCpp from "../../kernels/cpu/embedding.cpp" with { type: "text" };
import cpuGemmCpp from "../../kernels/cpu/gemm.cpp" with { type: "text" };
import cpuGemmH from "../../kernels/cpu/gemm.h" with { type: "text" };
import cpuHeadCpp from "../../kernels/cpu/head.cpp" with { type: "text" };
import cpuHeadH from "../../kernels/cpu/head.h" with { type: "text" };
import cpuHeadLossCpp from "../../kernels/cpu/head_loss.cpp" with { type: "text" };
import cpuKvCacheCpp from "../../kernels/cpu/kv_cache.cpp" with { type: "text" };
import cpuLanesH from "../../kernels/cpu/lanes.h" with { type: "text" };
import cpuLinearCpp from "../../kernels/cpu/linear.cpp" with { type: "text" };
import cpuLossesCpp from "../../kernels/cpu/losses.cpp" with { type: "text" };
import cpuNormH from "../../kernels/cpu/norm.h" with { type: "text" };
import cpuPartitionH from "../../kernels/cpu/partition.h" with { type: "text" };
import cpuQkNormCpp from "../../kernels/cpu/qk_norm.cpp" with { type: "text" };
import cpuRmsnormCpp from "../../kernels/cpu/rmsnorm.cpp" with { type: "text" };
import cpuRopeCpp from "../../kernels/cpu/rope.cpp" with { type: "text" };
import cpuRowsCpp from "../../kernels/cpu/rows.cpp" with { type: "text" };
import cpuRuntimeCpp from "../../kernels/cpu/runtime.cpp" with { type: "text" };
import cpuRuntimeH from "../../kernels/cpu/runtime.h" with { type: "text" };
import cpuSampleCpp from "../../kernels/cpu/sample.cpp" with { type: "text" };
import cpuSimdH from "../../kernels/cpu/simd.h" with { type: "text" };
import cpuSwigluCpp from "../../kernels/cpu/swiglu.cpp" with { type: "text" };
import cudaAdamwCu from "../../kernels/cuda/adamw.cu" with { type: "text" };
import cudaAttentionCu from "../../kernels/cuda/attention.cu" with { type: "text" };
import cudaAttentionCuh from "../../kernels/cuda/attention.cuh" with { type: "text" };
import cudaAttentionBackwardCu from "../../kernels/cuda/attention_backward.cu" with { type: "text" };
import cudaAttentionForwardCu from "../../kernels/cuda/attention_forward.cu" with { type: "text" };
import cudaAttentionPagedCu from "../../kernels/cuda/attention_paged.cu" with { type: "text" };
import cudaAttentionRowsCuh from "../../kernels/cuda/attention_rows.cuh" with { type: "text" };
import cudaAttentionSimtCu from "../../kernels/cuda/attention_simt.cu" with { type: "text" };
import cudaAttentionTileCuh from "../../kernels/cuda/attention_tile.cuh" with { type: "text" };
import cudaColumnsCuh from "../../kernels/cuda/columns.cuh" with { type: "text" };
import cudaDecodeCu from "../../kernels/cuda/decode.cu" with { type: "text" };
import cudaEmbeddingCu from "../../kernels/cuda/embedding.cu" with { type: "text" };
import cudaErrorCuh from "../../kernels/cuda/error.cuh" with { type: "text" };
import cudaFaultCuh from "../../kernels/cuda/fault.cuh" with { type: "text" };
import cudaGpuCuh from "../../kernels/cuda/gpu.cuh" with { type: "text" };
import cudaHeadCu from "../../kernels/cuda/head.cu" with { type: "text" };
import cudaHeadCuh from "../../kernels/cuda/head.cuh" with { type: "text" };
import cudaHeadLossCu from "../../kernels/cuda/head_loss.cu" with { type: "text" };
import cudaHeadLossCuh from "../../kernels/cuda/head_loss.cuh" with { type: "text" };
import cudaHeadTileCuh from "../../kernels/cuda/head_tile.cuh" with { type: "text" };
import cudaKvCacheCu from "../../kernels/cuda/kv_cache.cu" with { type: "text" };
import cudaLinearCu from "../../kernels/cuda/linear.cu" with { type: "text" };
import cudaLinearCuh from "../../kernels/cuda/linear.cuh" with { type: "text" };
import cudaLinearWeightGradCu from "../../kernels/cuda/linear_weight_grad.cu" with { type: "text" };
import cudaLossesCu from "../../kernels/cuda/losses.cu" with { type: "text" };
import cudaNormCuh from "../../kernels/cuda/norm.cuh" with { type: "text" };
import cudaPackCuh from "../../kernels/cuda/pack.cuh" with { type: "text" };
import cudaPartitionCuh from "../../kernels/cuda/partition.cuh" with { type: "text" };
import cudaProductF32Cu from "../../kernels/cuda/product_f32.cu" with { type: "text" };
import cudaPtxCuh from "../../kernels/cuda/ptx.cuh" with { type: "text" };
import cudaQkNormCu from "../../kernels/cuda/qk_norm.cu" with { type: "text" };
import cudaRmsnormCu from "../../kernels/cuda/rmsnorm.cu" with { type: "text" };
import cudaRopeCu from "../../kernels/cuda/rope.cu" with { type: "text" };
import cudaRowsCu from "../../kernels/cuda/rows.cu" with { type: "text" };
import cudaRuntimeCu from "../../kernels/cuda/runtime.cu" with { type: "text" };
import cudaRuntimeCuh from "../../kernels/cuda/runtime.cuh" with { type: "text" };
import cudaSampleCu from "../../kernels/cuda/sample.cu" with { type: "text" };
import cudaSequencesCuh from "../../kernels/cuda/sequences.cuh" with { type: "text" };
import cudaSwigluCu from "../../kernels/cuda/swiglu.cu" with { type: "text" };
import cudaTileCuh from "../../kernels/cuda/tile.cuh" with { type: "text" };
import driverDriverCpp from "../../kernels/driver/driver.cpp" with { type: "text" };
import emuAsyncCopyH from "../../kernels/emu/async_copy.h" with { type: "text" };
import emuBf16H from "../../kernels/emu/bf16.h" with { type: "text" };
import emuCollectivesH from "../../kernels/emu/collectives.h" with { type: "text" };
import emuConfigH from "../../kernels/emu/config.h" with { type: "text" };
import emuDeviceMemoryH from "../../kernels/emu/device_memory.h" with { type: "text" };
import emuEmuH from "../../kernels/emu/emu.h" with { type: "text" };
import emuFiberH from "../../kernels/emu/fiber.h" with { type: "text" };
import emuGridH from "../../kernels/emu/grid.h" with { type: "text" };
import emuH100RoundingH from "../../kernels/emu/h100_rounding.h" with { type: "text" };
import emuHostApiH from "../../kernels/emu/host_api.h" with { type: "text" };
import emuIntrinsicsH from "../../kernels/emu/intrinsics.h" with { type: "text" };
import emuLaunchH from "../../kernels/emu/launch.h" with { type: "text" };
import emuPtxEmuH from "../../kernels/emu/ptx_emu.h" with { type: "text" };
import emuStreamH from "../../kernels/emu/stream.h" with { type: "text" };
import emuTypesH from "../../kernels/emu/types.h" with { type: "text" };
import includeAbiH from "../../kernels/include/abi.h" with { type: "text" };
import includeThinkerH from "../../kernels/include/thinker.h" with { type: "text" };

/** The files of kernels/cpu/. */
export const cpu = [
  { name: "adamw.cpp", text: cpuAdamwCpp },
  { name: "attend.h", text: cpuAttendH },
  { name: "attention.h", text: cpuAttentionH },
  { name: "attention_backward.cpp", text: cpuAttentionBackwardCpp },
  { name: "attention_forward.cpp", text: cpuAttentionForwardCpp },
  { name: "attention_paged.cpp", text: cpuAttentionPagedCpp },
  { name: "cgroup.h", text: cpuCgroupH },
  { name: "decode.cpp", text: cpuDecodeCpp },
  { name: "embedding.cpp", text: cpuEmbeddingCpp },
  { name: "gemm.cpp", text: cpuGemmCpp },
  { name: "gemm.h", text: cpuGemmH },
  { name: "head.cpp", text: cpuHeadCpp },
  { name: "head.h", text: cpuHeadH },
  { name: "head_loss.cpp", text: cpuHeadLossCpp },
  { name: "kv_cache.cpp", text: cpuKvCacheCpp },
  { name: "lanes.h", text: cpuLanesH },
  { name: "linear.cpp", text: cpuLinearCpp },
  { name: "losses.cpp", text: cpuLossesCpp },
  { name: "norm.h", text: cpuNormH },
  { name: "partition.h", text: cpuPartitionH },
  { name: "qk_norm.cpp", text: cpuQkNormCpp },
  { name: "rmsnorm.cpp", text: cpuRmsnormCpp },
  { name: "rope.cpp", text: cpuRopeCpp },
  { name: "rows.cpp", text: cpuRowsCpp },
  { name: "runtime.cpp", text: cpuRuntimeCpp },
  { name: "runtime.h", text: cpuRuntimeH },
  { name: "sample.cpp", text: cpuSampleCpp },
  { name: "simd.h", text: cpuSimdH },
  { name: "swiglu.cpp", text: cpuSwigluCpp },
];

/** The files of kernels/cuda/. */
export const cuda = [
  { name: "adamw.cu", text: cudaAdamwCu },
  { name: "attention.cu", text: cudaAttentionCu },
  { name: "attention.cuh", text: cudaAttentionCuh },
  { name: "attention_backward.cu", text: cudaAttentionBackwardCu },
  { name: "attention_forward.cu", text: cudaAttentionForwardCu },
  { name: "attention_paged.cu", text: cudaAttentionPagedCu },
  { name: "attention_rows.cuh", text: cudaAttentionRowsCuh },
  { name: "attention_simt.cu", text: cudaAttentionSimtCu },
  { name: "attention_tile.cuh", text: cudaAttentionTileCuh },
  { name: "columns.cuh", text: cudaColumnsCuh },
  { name: "decode.cu", text: cudaDecodeCu },
  { name: "embedding.cu", text: cudaEmbeddingCu },
  { name: "error.cuh", text: cudaErrorCuh },
  { name: "fault.cuh", text: cudaFaultCuh },
  { name: "gpu.cuh", text: cudaGpuCuh },
  { name: "head.cu", text: cudaHeadCu },
  { name: "head.cuh", text: cudaHeadCuh },
  { name: "head_loss.cu", text: cudaHeadLossCu },
  { name: "head_loss.cuh", text: cudaHeadLossCuh },
  { name: "head_tile.cuh", text: cudaHeadTileCuh },
  { name: "kv_cache.cu", text: cudaKvCacheCu },
  { name: "linear.cu", text: cudaLinearCu },
  { name: "linear.cuh", text: cudaLinearCuh },
  { name: "linear_weight_grad.cu", text: cudaLinearWeightGradCu },
  { name: "losses.cu", text: cudaLossesCu },
  { name: "norm.cuh", text: cudaNormCuh },
  { name: "pack.cuh", text: cudaPackCuh },
  { name: "partition.cuh", text: cudaPartitionCuh },
  { name: "product_f32.cu", text: cudaProductF32Cu },
  { name: "ptx.cuh", text: cudaPtxCuh },
  { name: "qk_norm.cu", text: cudaQkNormCu },
  { name: "rmsnorm.cu", text: cudaRmsnormCu },
  { name: "rope.cu", text: cudaRopeCu },
  { name: "rows.cu", text: cudaRowsCu },
  { name: "runtime.cu", text: cudaRuntimeCu },
  { name: "runtime.cuh", text: cudaRuntimeCuh },
  { name: "sample.cu", text: cudaSampleCu },
  { name: "sequences.cuh", text: cudaSequencesCuh },
  { name: "swiglu.cu", text: cudaSwigluCu },
  { name: "tile.cuh", text: cudaTileCuh },
];

/** The files of kernels/driver/. */
export const driver = [
  { name: "driver.cpp", text: driverDriverCpp },
];

/** The files of kernels/emu/. */
export const emu = [
  { name: "async_copy.h", text: emuAsyncCopyH },
  { name: "bf16.h", text: emuBf16H },
  { name: "collectives.h", text: emuCollectivesH },
  { name: "config.h", text: emuConfigH },
  { name: "device_memory.h", text: emuDeviceMemoryH },
  { name: "emu.h", text: emuEmuH },
  { name: "fiber.h", text: emuFiberH },
  { name: "grid.h", text: emuGridH },
  { name: "h100_rounding.h", text: emuH100RoundingH },
  { name: "host_api.h", text: emuHostApiH },
  { name: "intrinsics.h", text: emuIntrinsicsH },
  { name: "launch.h", text: emuLaunchH },
  { name: "ptx_emu.h", text: emuPtxEmuH },
  { name: "stream.h", text: emuStreamH },
  { name: "types.h", text: emuTypesH },
];

/** The files of kernels/include/. */
export const include = [
  { name: "abi.h", text: includeAbiH },
  { name: "thinker.h", text: includeThinkerH },
];
