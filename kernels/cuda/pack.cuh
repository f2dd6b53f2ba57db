// pack.cuh: rows are read and written eight elements at a time and computed in float32, whatever their
// type in memory. Which thread owns which elements depends on the row length alone, so reductions have
// one order for both element types and for every alignment.
#pragma once
#include <stdexcept>
#include <type_traits>

#include "runtime.cuh"

namespace tk {

using bf16 = __nv_bfloat16;

constexpr int kPack = 8;

// ---- device -----------------------------------------------------------------------------------------

struct Pack {
  float x[kPack];
};

DEV float to_float(float x) { return x; }
DEV float to_float(bf16 x) { return __bfloat162float(x); }
DEV void from_float(float& to, float x) { to = x; }
DEV void from_float(bf16& to, float x) { to = __float2bfloat16_rn(x); }
// x as it will be read back from memory of type T.
template <class T>
DEV float rounded(float x) {
  T stored;
  from_float(stored, x);
  return to_float(stored);
}

DEV Pack load_whole(const float* p) {
  const float4 a = reinterpret_cast<const float4*>(p)[0], b = reinterpret_cast<const float4*>(p)[1];
  return {{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}};
}
DEV Pack load_whole(const bf16* p) {
  const uint4 a = *reinterpret_cast<const uint4*>(p);
  return {{bf16_lo(a.x), bf16_hi(a.x), bf16_lo(a.y), bf16_hi(a.y), bf16_lo(a.z), bf16_hi(a.z), bf16_lo(a.w),
           bf16_hi(a.w)}};
}
DEV void store_whole(float* p, const Pack& v) {
  reinterpret_cast<float4*>(p)[0] = make_float4(v.x[0], v.x[1], v.x[2], v.x[3]);
  reinterpret_cast<float4*>(p)[1] = make_float4(v.x[4], v.x[5], v.x[6], v.x[7]);
}
DEV void store_whole(bf16* p, const Pack& v) {
  *reinterpret_cast<uint4*>(p) = make_uint4(pack_bf16(v.x[0], v.x[1]), pack_bf16(v.x[2], v.x[3]),
                                            pack_bf16(v.x[4], v.x[5]), pack_bf16(v.x[6], v.x[7]));
}

// The first `n` of eight elements (missing ones are zero). kWhole: n is 8 and p is 16-byte aligned.
template <bool kWhole, class T>
DEV Pack load_pack(const T* p, int n = kPack) {
  if constexpr (kWhole) {
    return load_whole(p);
  } else {
    Pack v;
#pragma unroll
    for (int k = 0; k < kPack; ++k) v.x[k] = k < n ? to_float(p[k]) : 0.0f;
    return v;
  }
}
template <bool kWhole, class T>
DEV void store_pack(T* p, const Pack& v, int n = kPack) {
  if constexpr (kWhole) {
    store_whole(p, v);
  } else {
#pragma unroll
    for (int k = 0; k < kPack; ++k)
      if (k < n) from_float(p[k], v.x[k]);
  }
}

// The sum over a block's threads (whole warps), by one fixed tree for each block size; every thread gets it.
DEV float block_sum(float x) {
  GPU_SHARED(float, parts, [32]);
  const int warps = static_cast<int>(blockDim.x) / 32, warp = static_cast<int>(threadIdx.x) / 32;
  x = warp_sum(x);
  if (warps == 1) return x;
  __syncthreads();  // the last use of parts is over
  if (threadIdx.x % 32 == 0) parts[warp] = x;
  __syncthreads();
  float total = parts[0];
  for (int w = 1; w < warps; ++w) total = __fadd_rn(total, parts[w]);
  return total;
}

// ---- host -------------------------------------------------------------------------------------------

// Calls body(T{}) with the element type that a dtype names.
template <class F>
void with_dtype(int32_t dtype, F&& body) {
  if (dtype == TK_F32)
    body(float{});
  else if (dtype == TK_BF16)
    body(bf16{});
  else
    throw std::invalid_argument("activations are float32 or bfloat16");
}

// Calls body(std::true_type) or body(std::false_type).
template <class F>
void with_flag(bool flag, F&& body) {
  if (flag)
    body(std::true_type{});
  else
    body(std::false_type{});
}

// Whether rows of C elements at these addresses (or'ed together) are whole, aligned packs.
inline bool whole_packs(int32_t C, uint64_t addresses) { return C % kPack == 0 && addresses % 16 == 0; }

}  // namespace tk
