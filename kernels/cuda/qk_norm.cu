// qk_norm.cu: RMSNorm of every query and key head (Qwen3), before RoPE. A head has the bits that rmsnorm
// gives to a row: a group of lanes owns one head, a pack each, and adds up by the same tree.
//
// Bound: memory. Forward moves 2 (H + 2 Hk) D elements a token, backward 3 (H + Hk) D.
#include "columns.cuh"
#include "norm.cuh"

namespace tk {
namespace {

constexpr int kBlock = 256, kMostDim = 32 * kPack;
constexpr int kChunk = 16;  // rows that one block of the backward pass adds up for the weight gradients

struct HeadNorm {
  int H, Hk, D;
  int lanes;  // of a group: a power of two, at least D / 8

  DEV int groups() const { return kBlock / lanes; }
  DEV int group() const { return static_cast<int>(threadIdx.x) / lanes; }
  DEV int column() const { return static_cast<int>(threadIdx.x) % lanes * kPack; }
  DEV int count() const { return min(kPack, D - column()); }
  DEV int64_t row() const { return static_cast<int64_t>(H + 2 * Hk) * D; }
  DEV float sum(float x) const {
    for (int bit = lanes / 2; bit > 0; bit /= 2) x = __fadd_rn(x, __shfl_xor_sync(0xffffffffu, x, bit));
    return x;
  }
};

template <class T, bool kWhole>
__global__ void __launch_bounds__(kBlock) qk_norm_forward(T* out, float* rstd, const T* qkv, const float* wq,
                                                          const float* wk, int tokens, HeadNorm n, float eps) {
  const int heads = n.H + 2 * n.Hk;
  const int64_t item = static_cast<int64_t>(blockIdx.x) * n.groups() + n.group();
  const int64_t t = item / heads;
  const int head = static_cast<int>(item % heads);
  const bool mine = t < tokens && n.count() > 0;
  const int64_t at = t * n.row() + static_cast<int64_t>(head) * n.D + n.column();
  Pack s = {};
  if (mine) s = load_pack<kWhole>(qkv + at, n.count());
  const float r = reciprocal_root(n.sum(add_squares(s, 0.0f)), n.D, eps);
  if (!mine) return;
  if (head < n.H + n.Hk) {
    s = normalised(s, r, load_pack<kWhole>((head < n.H ? wq : wk) + n.column(), n.count()));
    if (rstd && n.column() == 0) rstd[t * (n.H + n.Hk) + head] = r;
  }
  store_pack<kWhole>(out + at, s, n.count());
}

// Group g of a block takes the heads g, g + groups, ... of the block's rows; the groups' parts of the weight
// gradients are added in order. parts: dwq(blocks, D), then dwk(blocks, D).
template <class T, bool kWhole>
__global__ void __launch_bounds__(kBlock) qk_norm_backward(T* dqkv, float* parts, const T* qkv, const float* rstd,
                                                           const float* wq, const float* wk, int tokens, HeadNorm n) {
  GPU_SHARED(float, sums, [2][kBlock * kPack]);
  const int heads = n.H + n.Hk, begin = static_cast<int>(blockIdx.x) * kChunk;
  const int items = (min(tokens, begin + kChunk) - begin) * heads, count = n.count();
  Pack dwq = {}, dwk = {};
  for (int first = 0; first < items; first += n.groups()) {
    const int item = first + n.group(), head = item % heads;
    const int64_t t = begin + item / heads;
    const bool mine = item < items && count > 0;
    const int64_t at = t * n.row() + static_cast<int64_t>(head) * n.D + n.column();
    Pack d = {}, s = {}, w = {};
    float r = 0.0f;
    if (mine) {
      d = load_pack<kWhole>(dqkv + at, count);
      s = load_pack<kWhole>(qkv + at, count);
      w = load_pack<kWhole>((head < n.H ? wq : wk) + n.column(), count);
      r = rstd[t * heads + head];
    }
    const float pull = norm_pull(n.sum(add_dot(d, w, s, 0.0f)), n.D, r);
    if (!mine) continue;
    if (head < n.H)
      add_weight_gradient(dwq, d, s, r);
    else
      add_weight_gradient(dwk, d, s, r);
    store_pack<kWhole>(dqkv + at, norm_gradient(d, w, s, r, pull), count);
  }
#pragma unroll
  for (int k = 0; k < kPack; ++k) {
    sums[0][threadIdx.x * kPack + k] = dwq.x[k];
    sums[1][threadIdx.x * kPack + k] = dwk.x[k];
  }
  __syncthreads();
  const int width = n.lanes * kPack;
  for (int i = static_cast<int>(threadIdx.x); i < 2 * n.D; i += kBlock) {
    const int kind = i / n.D, c = i % n.D;
    float total = 0.0f;
    for (int g = 0; g < n.groups(); ++g) total = __fadd_rn(total, sums[kind][g * width + c]);
    parts[(static_cast<int64_t>(kind) * gridDim.x + blockIdx.x) * n.D + c] = total;
  }
}

HeadNorm head_norm(int32_t H, int32_t Hk, int32_t D) {
  require(D > 0 && D <= kMostDim, "D must lie between 1 and 256");
  int lanes = 1;
  while (lanes * kPack < D) lanes *= 2;
  return {H, Hk, D, lanes};
}

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_qk_norm_forward(uint64_t stream, uint64_t out, uint64_t rstd, uint64_t qkv, uint64_t wq, uint64_t wk,
                           int32_t T, int32_t H, int32_t Hk, int32_t D, float eps, int32_t dtype) {
  return launch(stream, [&](Stream& s) {
    const HeadNorm n = head_norm(H, Hk, D);
    require(out != qkv, "out and qkv must be distinct");
    if (T == 0) return;
    const int64_t items = static_cast<int64_t>(T) * (H + 2 * Hk);
    const auto grid = static_cast<unsigned>(ceil_div(items, kBlock / n.lanes));
    with_dtype(dtype, [&](auto element) {
      using E = decltype(element);
      with_flag(whole_packs(D, out | qkv | wq | wk), [&](auto whole) {
        LAUNCH((qk_norm_forward<E, whole.value>), grid, kBlock, 0, s.queue, pointer<E>(out), f32(rstd), pointer<E>(qkv),
               f32(wq), f32(wk), T, n, eps);
      });
    });
  });
}

int32_t tk_qk_norm_backward(uint64_t stream, uint64_t dqkv, uint64_t dwq, uint64_t dwk, uint64_t qkv, uint64_t rstd,
                            uint64_t wq, uint64_t wk, int32_t T, int32_t H, int32_t Hk, int32_t D, int32_t dtype) {
  return launch(stream, [&](Stream& s) {
    const HeadNorm n = head_norm(H, Hk, D);
    if (T == 0) return;
    const auto blocks = static_cast<int>(ceil_div(T, kChunk));
    float* parts = s.scratch.get<float>(static_cast<size_t>(2) * blocks * D);
    with_dtype(dtype, [&](auto element) {
      using E = decltype(element);
      with_flag(whole_packs(D, dqkv | qkv | wq | wk), [&](auto whole) {
        LAUNCH((qk_norm_backward<E, whole.value>), static_cast<unsigned>(blocks), kBlock, 0, s.queue, pointer<E>(dqkv),
               parts, pointer<E>(qkv), f32(rstd), f32(wq), f32(wk), T, n);
      });
    });
    add_column_sums(s, f32(dwq), parts, blocks, D);
    add_column_sums(s, f32(dwk), parts + static_cast<int64_t>(blocks) * D, blocks, D);
  });
}

}  // extern "C"
