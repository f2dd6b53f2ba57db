// intrinsics.h: built-in variables and device functions.
#pragma once
#include <cmath>

#include "grid.h"

#define threadIdx (::emu::self->thread_index)
#define blockIdx (::emu::self->block->index)
#define blockDim (::emu::self->block->shape)
#define gridDim (::emu::self->block->grid)

// ---- block and warp ---------------------------------------------------------------------------------

inline void __syncthreads(EMU_LOCATION) { emu::sync_block(0, "__syncthreads", file, line); }
inline int __syncthreads_count(int p, EMU_LOCATION) { return emu::sync_block(p, "__syncthreads_count", file, line); }
inline int __syncthreads_or(int p, EMU_LOCATION) { return emu::sync_block(p, "__syncthreads_or", file, line) != 0; }
inline int __syncthreads_and(int p, EMU_LOCATION) { return emu::sync_block(!p, "__syncthreads_and", file, line) == 0; }
inline void __syncwarp(unsigned mask = ~0u, EMU_LOCATION) { emu::sync_warp(mask, file, line); }

namespace emu {
EMU_STATE inline int lane_index() { return self->lane; }
}  // namespace emu

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, EMU_LOCATION) {
  const int from = (emu::lane_index() & ~(width - 1)) | (source & (width - 1));
  return emu::shuffle(mask, value, from, "__shfl_sync", file, line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, EMU_LOCATION) {
  const int lane = emu::lane_index(), from = lane ^ bits;
  return emu::shuffle(mask, value, from > (lane | (width - 1)) ? lane : from, "__shfl_xor_sync", file, line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, EMU_LOCATION) {
  const int lane = emu::lane_index(), from = lane + static_cast<int>(delta);
  return emu::shuffle(mask, value, from > (lane | (width - 1)) ? lane : from, "__shfl_down_sync", file, line);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, EMU_LOCATION) {
  const int lane = emu::lane_index(), from = lane - static_cast<int>(delta);
  return emu::shuffle(mask, value, from < (lane & ~(width - 1)) ? lane : from, "__shfl_up_sync", file, line);
}
inline unsigned __ballot_sync(unsigned mask, int p, EMU_LOCATION) {
  return emu::collective<uint2>(mask, p, emu::ballot_lanes, "__ballot_sync", file, line).x;
}
inline int __any_sync(unsigned mask, int p, EMU_LOCATION) {
  return emu::collective<uint2>(mask, p, emu::ballot_lanes, "__any_sync", file, line).x != 0;
}
inline int __all_sync(unsigned mask, int p, EMU_LOCATION) {
  const uint2 votes = emu::collective<uint2>(mask, p, emu::ballot_lanes, "__all_sync", file, line);
  return votes.x == votes.y;
}

// ---- memory -----------------------------------------------------------------------------------------

template <class T>
T __ldg(const T* p) {
  return *p;
}
template <class T>
T __ldcs(const T* p) {
  return *p;
}
template <class T>
void __stcs(T* p, T value) {
  *p = value;
}

// Atomics are relaxed, as on the GPU; only a fence gives order. TSan is told of fence and atomic pairs.
namespace emu {
#ifdef EMU_TSAN
EMU_STATE inline void before_atomic(void* p) {
  if (self->fenced) __tsan_release(p);
}
EMU_STATE inline void after_atomic(void* p) { self->atomics[self->atomic_count++ % 4] = p; }
EMU_STATE inline void fence() {
  self->fenced = true;
  for (int i = 0; i < 4 && i < self->atomic_count; ++i) __tsan_acquire(self->atomics[i]);
}
#else
inline void before_atomic(void*) {}
inline void after_atomic(void*) {}
inline void fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
#endif

template <class T, class F>
T atomic_update(T* p, F&& next) {
  using Bits = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
  before_atomic(p);
  Bits old = __atomic_load_n(reinterpret_cast<Bits*>(p), __ATOMIC_RELAXED), fresh;
  T value;
  do {
    __builtin_memcpy(&value, &old, sizeof value);
    const T result = next(value);
    __builtin_memcpy(&fresh, &result, sizeof fresh);
  } while (!__atomic_compare_exchange_n(reinterpret_cast<Bits*>(p), &old, fresh, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED));
  after_atomic(p);
  return value;
}
}  // namespace emu
inline void __threadfence() { emu::fence(); }

#define EMU_ATOMICS(T)                                                                                         \
  inline T atomicAdd(T* p, T v) { return emu::atomic_update(p, [=](T a) { return static_cast<T>(a + v); }); } \
  inline T atomicMax(T* p, T v) { return emu::atomic_update(p, [=](T a) { return a > v ? a : v; }); }         \
  inline T atomicMin(T* p, T v) { return emu::atomic_update(p, [=](T a) { return a < v ? a : v; }); }         \
  inline T atomicExch(T* p, T v) { return emu::atomic_update(p, [=](T) { return v; }); }                      \
  inline T atomicCAS(T* p, T c, T v) { return emu::atomic_update(p, [=](T a) { return a == c ? v : a; }); }
EMU_ATOMICS(int)
EMU_ATOMICS(unsigned)
EMU_ATOMICS(unsigned long long)
#undef EMU_ATOMICS
inline float atomicAdd(float* p, float v) { return emu::atomic_update(p, [=](float a) { return a + v; }); }
inline unsigned atomicInc(unsigned* p, unsigned limit) {
  return emu::atomic_update(p, [=](unsigned a) { return a >= limit ? 0 : a + 1; });
}

// ---- arithmetic -------------------------------------------------------------------------------------

// Macros: the C library's headers declare some of these names.
#define __expf(x) expf(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __powf(x, y) powf(x, y)
#define rsqrtf(x) (1.0f / sqrtf(x))
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fdividef(float a, float b) { return a / b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
inline int __float2int_rn(float a) { return static_cast<int>(lrintf(a)); }
inline int __float2int_rz(float a) { return static_cast<int>(a); }
inline int __float2int_rd(float a) { return static_cast<int>(floorf(a)); }
inline float __int2float_rn(int a) { return static_cast<float>(a); }
inline float __uint2float_rn(unsigned a) { return static_cast<float>(a); }
inline float __double2float_rn(double a) { return static_cast<float>(a); }

template <class To, class From>
To emu_bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "a bit cast keeps the size");
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}
inline int __float_as_int(float x) { return emu_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return emu_bits<unsigned>(x); }
inline float __int_as_float(int x) { return emu_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return emu_bits<float>(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(uint64_t{a} * b >> 32); }

#define EMU_MIN_MAX(T)                             \
  inline T min(T a, T b) { return b < a ? b : a; } \
  inline T max(T a, T b) { return a < b ? b : a; }
EMU_MIN_MAX(int)
EMU_MIN_MAX(unsigned)
EMU_MIN_MAX(long)
EMU_MIN_MAX(unsigned long)
EMU_MIN_MAX(long long)
EMU_MIN_MAX(unsigned long long)
EMU_MIN_MAX(float)
EMU_MIN_MAX(double)
#undef EMU_MIN_MAX
