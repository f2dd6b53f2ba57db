// rope.cu: rotary embedding, and its fusion with the write into the paged KV cache.
//
// Bound: memory. RoPE reads and writes the q and k parts of qkv once; the fused write adds one read of v
// and one write of k and v.
#include "attention.cuh"

namespace tk {
namespace {

constexpr int kBlock = 256;

// Rotates the pairs (i, i + D/2) of eight consecutive i. No contraction: the bits of both ops agree.
template <class T, bool kWhole>
DEV void rotate(T* head, const float* cos_sin, int i, int D, float sign, Pack& low, Pack& high) {
  const int half = D / 2;
  const Pack c = load_pack<kWhole>(cos_sin + i), s = load_pack<kWhole>(cos_sin + half + i);
  const Pack a = load_pack<kWhole>(head + i), b = load_pack<kWhole>(head + half + i);
#pragma unroll
  for (int k = 0; k < kPack; ++k) {
    const float sine = __fmul_rn(s.x[k], sign);
    low.x[k] = __fsub_rn(__fmul_rn(a.x[k], c.x[k]), __fmul_rn(b.x[k], sine));
    high.x[k] = __fadd_rn(__fmul_rn(b.x[k], c.x[k]), __fmul_rn(a.x[k], sine));
  }
  store_pack<kWhole>(head + i, low);
  store_pack<kWhole>(head + half + i, high);
}

// One thread a pair of packs.
template <class T, bool kWhole>
__global__ void __launch_bounds__(kBlock) rope(T* qkv, const int32_t* positions, const float* cos_sin, int tokens,
                                               Heads heads, int P, float sign, Fault* fault) {
  const int pairs = heads.D / 2 / kPack, each = (heads.H + heads.Hk) * pairs;
  const int64_t n = static_cast<int64_t>(tokens) * each, stride = static_cast<int64_t>(gridDim.x) * kBlock;
  for (int64_t at = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; at < n; at += stride) {
    const int t = static_cast<int>(at / each), rest = static_cast<int>(at % each), position = positions[t];
    if (position < 0 || position >= P) {
      if (rest == 0) report_fault(fault, kFaultRotation, t, position, P);
      continue;
    }
    Pack low, high;
    rotate<T, kWhole>(qkv + t * heads.row() + static_cast<int64_t>(rest / pairs) * heads.D,
                      cos_sin + static_cast<int64_t>(position) * heads.D, rest % pairs * kPack, heads.D, sign, low, high);
  }
}

template <class T, bool kWhole>
__global__ void __launch_bounds__(kBlock) rope_kv_write(T* qkv, const float* cos_sin, Cache<T> cache, int tokens,
                                                        Heads heads, int P, Fault* fault) {
  const int half = heads.D / 2, pairs = half / kPack, each = (heads.H + 2 * heads.Hk) * pairs;
  const int64_t n = static_cast<int64_t>(tokens) * each, stride = static_cast<int64_t>(gridDim.x) * kBlock;
  for (int64_t at = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; at < n; at += stride) {
    const int t = static_cast<int>(at / each), rest = static_cast<int>(at % each);
    const int position = cache.position(t, fault);
    if (position < 0) continue;
    if (position >= P) {
      if (rest == 0) report_fault(fault, kFaultRotation, t, position, P);
      continue;
    }
    const int head = rest / pairs, i = rest % pairs * kPack, key = head - heads.H, value = key - heads.Hk;
    T* from = qkv + t * heads.row() + static_cast<int64_t>(head) * heads.D;
    Pack low, high;
    if (value >= 0) {
      low = load_pack<kWhole>(from + i);
      high = load_pack<kWhole>(from + half + i);
    } else {
      rotate<T, kWhole>(from, cos_sin + static_cast<int64_t>(position) * heads.D, i, heads.D, 1.0f, low, high);
    }
    if (key < 0) continue;
    T* to = (value >= 0 ? cache.v : cache.k) + cache.keys(t, value >= 0 ? value : key).offset(position);
    store_pack<kWhole>(to + i, low);
    store_pack<kWhole>(to + half + i, high);
  }
}

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_rope(uint64_t stream, uint64_t qkv, uint64_t positions, uint64_t cos_sin, int32_t T, int32_t H, int32_t Hk,
                int32_t D, int32_t P, int32_t inverse, int32_t dtype) {
  return launch(stream, [&](Stream& s) {
    check_heads(H, Hk, D);
    if (T == 0) return;
    const int64_t n = static_cast<int64_t>(T) * (H + Hk) * (D / 2 / kPack);
    with_dtype(dtype, [&](auto element) {
      using E = decltype(element);
      with_flag((qkv | cos_sin) % 16 == 0, [&](auto whole) {
        LAUNCH((rope<E, whole.value>), grid_for(n, kBlock), kBlock, 0, s.queue, pointer<E>(qkv), i32(positions),
               f32(cos_sin), T, Heads{H, Hk, D}, P, inverse ? -1.0f : 1.0f, s.faults.record());
      });
    });
  });
}

int32_t tk_rope_kv_write(uint64_t stream, uint64_t qkv, uint64_t positions, uint64_t cos_sin, uint64_t k_cache,
                         uint64_t v_cache, uint64_t block_tables, uint64_t row_seq, int32_t T, int32_t H, int32_t Hk,
                         int32_t D, int32_t P, int32_t block, int32_t max_blocks, int32_t dtype) {
  return launch(stream, [&](Stream& s) {
    check_heads(H, Hk, D);
    check_block(block);
    if (T == 0) return;
    const int64_t n = static_cast<int64_t>(T) * (H + 2 * Hk) * (D / 2 / kPack);
    with_dtype(dtype, [&](auto element) {
      using E = decltype(element);
      const Cache<E> cache{pointer<E>(k_cache), pointer<E>(v_cache), i32(block_tables), i32(row_seq), i32(positions),
                           block,               max_blocks,          Hk,                D};
      with_flag((qkv | cos_sin | k_cache | v_cache) % 16 == 0, [&](auto whole) {
        LAUNCH((rope_kv_write<E, whole.value>), grid_for(n, kBlock), kBlock, 0, s.queue, pointer<E>(qkv), f32(cos_sin),
               cache, T, Heads{H, Hk, D}, P, s.faults.record());
      });
    });
  });
}

}  // extern "C"
