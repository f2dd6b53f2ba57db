// rmsnorm.cu: RMSNorm with a fused residual add, forward and backward.
//
// Bound: memory. Forward reads 1 (with residual 2) and writes 1 (2) elements of dtype per element of x;
// backward reads 2 (accumulating 3) and writes 1. Each thread owns kPacks packs of a row, and which ones
// depends on C alone. Up to C = 8192 that is one, which stays in registers between the two passes over the
// row; longer rows are read twice, the second time from a cache.
#include "columns.cuh"
#include "norm.cuh"

namespace tk {
namespace {

constexpr int kLongRow = 4;  // packs a thread of a row beyond 8192 columns
constexpr int most_threads(int packs) { return packs == 1 ? 1024 : 512; }
constexpr int kMostColumns = kLongRow * most_threads(kLongRow) * kPack;
constexpr int kChunk = 16;  // rows that one block of the backward pass adds up for dw

template <class T, bool kWhole, int kPacks>
__global__ void __launch_bounds__(most_threads(kPacks))
    rmsnorm_forward(T* y, T* sum, float* rstd, const T* x, const T* residual, const float* w, int C, float eps) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * C;
  const int stride = static_cast<int>(blockDim.x) * kPack, first = static_cast<int>(threadIdx.x) * kPack;
  Pack v;
  float squares = 0.0f;
#pragma unroll
  for (int j = 0; j < kPacks; ++j) {
    const int c = first + j * stride, count = min(kPack, C - c);
    if (count <= 0) continue;
    v = load_pack<kWhole>(x + row + c, count);
    if (residual) {
      const Pack other = load_pack<kWhole>(residual + row + c, count);
      // What is normalised is the stored sum: the same bits as a norm that reads it from memory.
#pragma unroll
      for (int k = 0; k < kPack; ++k) v.x[k] = rounded<T>(__fadd_rn(v.x[k], other.x[k]));
      store_pack<kWhole>(sum + row + c, v, count);
    }
    squares = add_squares(v, squares);
  }
  const float r = reciprocal_root(block_sum(squares), C, eps);
  if (rstd && threadIdx.x == 0) rstd[blockIdx.x] = r;
#pragma unroll
  for (int j = 0; j < kPacks; ++j) {
    const int c = first + j * stride, count = min(kPack, C - c);
    if (count <= 0) continue;
    if (kPacks > 1) v = load_pack<kWhole>((residual ? sum : x) + row + c, count);
    store_pack<kWhole>(y + row + c, normalised(v, r, load_pack<kWhole>(w + c, count)), count);
  }
}

// A block works on kChunk rows and leaves their part of dw in parts(blocks, C).
template <class T, bool kWhole, int kPacks>
__global__ void __launch_bounds__(most_threads(kPacks))
    rmsnorm_backward(T* dx, float* parts, const T* dy, const T* x, const float* rstd, const float* w, int rows, int C,
                     bool accumulate) {
  const int stride = static_cast<int>(blockDim.x) * kPack, first = static_cast<int>(threadIdx.x) * kPack;
  const int begin = static_cast<int>(blockIdx.x) * kChunk, end = min(rows, begin + kChunk);
  Pack dw[kPacks] = {};
  for (int t = begin; t < end; ++t) {
    const int64_t row = static_cast<int64_t>(t) * C;
    Pack d, s;
    float dot = 0.0f;
#pragma unroll
    for (int j = 0; j < kPacks; ++j) {
      const int c = first + j * stride, count = min(kPack, C - c);
      if (count <= 0) continue;
      d = load_pack<kWhole>(dy + row + c, count);
      s = load_pack<kWhole>(x + row + c, count);
      dot = add_dot(d, load_pack<kWhole>(w + c, count), s, dot);
    }
    const float r = rstd[t], pull = norm_pull(block_sum(dot), C, r);
#pragma unroll
    for (int j = 0; j < kPacks; ++j) {
      const int c = first + j * stride, count = min(kPack, C - c);
      if (count <= 0) continue;
      if (kPacks > 1) {
        d = load_pack<kWhole>(dy + row + c, count);
        s = load_pack<kWhole>(x + row + c, count);
      }
      add_weight_gradient(dw[j], d, s, r);
      Pack out = norm_gradient(d, load_pack<kWhole>(w + c, count), s, r, pull);
      if (accumulate) {
        const Pack old = load_pack<kWhole>(dx + row + c, count);
#pragma unroll
        for (int k = 0; k < kPack; ++k) out.x[k] = __fadd_rn(old.x[k], out.x[k]);
      }
      store_pack<kWhole>(dx + row + c, out, count);
    }
  }
#pragma unroll
  for (int j = 0; j < kPacks; ++j) {
    const int c = first + j * stride, count = min(kPack, C - c);
    if (count > 0) store_pack<kWhole>(parts + static_cast<int64_t>(blockIdx.x) * C + c, dw[j], count);
  }
}

// How a row of C elements is spread over threads.
struct Spread {
  unsigned threads;
  bool one_pack;
};
Spread spread(int32_t C) {
  const int64_t packs = ceil_div(C, kPack);
  const bool one = packs <= most_threads(1);
  return {static_cast<unsigned>(ceil_div(ceil_div(packs, one ? 1 : kLongRow), 32) * 32), one};
}

// Calls body(T{}, whole, packs) with compile-time values of the three.
template <class F>
void with_row(int32_t dtype, bool whole, const Spread& row, F&& body) {
  with_dtype(dtype, [&](auto element) {
    with_flag(whole, [&](auto flag) {
      if (row.one_pack)
        body(element, flag, std::integral_constant<int, 1>{});
      else
        body(element, flag, std::integral_constant<int, kLongRow>{});
    });
  });
}

void check_columns(int32_t C) { require(C > 0 && C <= kMostColumns, "C must lie between 1 and 16384"); }

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_rmsnorm_forward(uint64_t stream, uint64_t y, uint64_t sum, uint64_t rstd, uint64_t x, uint64_t residual,
                           uint64_t w, int32_t T, int32_t C, float eps, int32_t dtype) {
  return launch(stream, [&](Stream& s) {
    require((sum != 0) == (residual != 0), "residual and sum go together");
    check_columns(C);
    if (T == 0) return;
    const Spread row = spread(C);
    with_row(dtype, whole_packs(C, y | sum | x | residual | w), row, [&](auto element, auto whole, auto packs) {
      using E = decltype(element);
      LAUNCH((rmsnorm_forward<E, whole.value, packs.value>), static_cast<unsigned>(T), row.threads,
             0, s.queue, pointer<E>(y), pointer<E>(sum), f32(rstd), pointer<E>(x), pointer<E>(residual), f32(w), C, eps);
    });
  });
}

int32_t tk_rmsnorm_backward(uint64_t stream, uint64_t dx, uint64_t dw, uint64_t dy, uint64_t x, uint64_t rstd,
                            uint64_t w, int32_t T, int32_t C, int32_t accumulate, int32_t dtype) {
  return launch(stream, [&](Stream& s) {
    check_columns(C);
    if (T == 0) return;
    const Spread row = spread(C);
    const int64_t blocks = ceil_div(T, kChunk);
    float* parts = s.scratch.get<float>(static_cast<size_t>(blocks * C));
    with_row(dtype, whole_packs(C, dx | dy | x | w), row, [&](auto element, auto whole, auto packs) {
      using E = decltype(element);
      LAUNCH((rmsnorm_backward<E, whole.value, packs.value>), static_cast<unsigned>(blocks),
             row.threads, 0, s.queue, pointer<E>(dx), parts, pointer<E>(dy), pointer<E>(x),
             f32(rstd), f32(w), T, C, accumulate != 0);
    });
    add_column_sums(s, f32(dw), parts, static_cast<int>(blocks), C);
  });
}

}  // extern "C"
