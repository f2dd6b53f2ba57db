// gpu.cuh: what a kernel is written against. Under nvcc that is CUDA and the wrappers of ptx.cuh; under a
// C++ compiler it is the emulator, which has the same names. Rules for kernel sources, so that both builds
// compile the same text: launch with LAUNCH or LAUNCH_AS only (a kernel with commas in its template arguments goes in
// parentheses), declare shared memory with GPU_SHARED and GPU_DYN_SMEM, no PTX and no branch on
// __CUDA_ARCH__ outside ptx.cuh.
#pragma once
#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#define GPU_LAUNCH(name, kernel, grid, block, shared_bytes, stream, ...) \
  (kernel)<<<(grid), (block), (shared_bytes), (stream)>>>(__VA_ARGS__)
// The block's dynamic shared memory, as bytes.
#define GPU_DYN_SMEM(name) extern __shared__ __align__(1024) unsigned char name[]
// A static variable in shared memory: GPU_SHARED(float, tile, [8][32]).
#define GPU_SHARED(T, name, dims) __shared__ T name dims
#define DEV __device__ __forceinline__

#include "ptx.cuh"
constexpr const char* kBackendName = "cuda";
#else
#include "emu.h"
#define DEV inline
constexpr const char* kBackendName = "emu";
#endif

#include "error.cuh"

// Launches a kernel; a failure of the launch throws. LAUNCH_AS takes a name for messages from who has only a
// pointer to the kernel.
#define LAUNCH(kernel, ...) LAUNCH_AS(#kernel, kernel, __VA_ARGS__)
#define LAUNCH_AS(name, kernel, grid, block, shared_bytes, stream, ...)                 \
  (GPU_LAUNCH(name, kernel, grid, block, shared_bytes, stream, ##__VA_ARGS__),          \
   ::tk::launched(name, (grid), (block), static_cast<size_t>(shared_bytes), (stream)))

// Sum and maximum over a warp; every lane has the same bits.
DEV float warp_sum(float x) {
  for (int bit = 16; bit > 0; bit /= 2) x += __shfl_xor_sync(0xffffffffu, x, bit);
  return x;
}
DEV float warp_max(float x) {
  for (int bit = 16; bit > 0; bit /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, bit));
  return x;
}

// Two bfloat16 in a word, `low` in the lower half, and back.
DEV uint32_t pack_bf16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  uint32_t word;
  memcpy(&word, &pair, sizeof word);
  return word;
}
DEV float bf16_lo(uint32_t word) { return __uint_as_float(word << 16); }
DEV float bf16_hi(uint32_t word) { return __uint_as_float(word & 0xffff0000u); }
