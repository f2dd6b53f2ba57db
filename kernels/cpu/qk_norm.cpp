// qk_norm.cpp: RMSNorm of every query and key head (Qwen3), before RoPE. Bound: memory.
#include <cstring>

#include "norm.h"

namespace tk {
namespace {

float sum_of_squares(const float* s, int64_t C) {
  return reduce_lanes(C, [&](f32x16 acc, int64_t i, auto lanes) {
    const f32x16 v = lanes.load(s + i);
    return fma(v, v, acc);
  });
}

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

// 4 (H + Hk) D flops and 8 (H + 2 Hk) D bytes a token: bound by memory.
int32_t tk_qk_norm_forward(uint64_t stream, uint64_t out, uint64_t rstd, uint64_t qkv, uint64_t wq, uint64_t wk,
                           int32_t T, int32_t H, int32_t Hk, int32_t D, float eps, int32_t dtype) {
  return guarded([&] {
    require(D > 0, "D must be positive");
    require(out != qkv, "out and qkv must be distinct");
  }) || launch_rows(stream, dtype, T, [=](int64_t begin, int64_t end) {
    const int64_t heads = H + Hk, row = (heads + Hk) * static_cast<int64_t>(D);
#pragma omp parallel for schedule(static) if (4.0 * elements(end - begin, row) > kSerialFlops)
    for (int64_t t = begin; t < end; ++t) {
      const float* in = f32(qkv) + t * row;
      float* normed = f32(out) + t * row;
      for (int64_t h = 0; h < heads; ++h) {
        const float* head = in + h * D;
        const float* w = f32(h < H ? wq : wk);
        const float scale = rmsnorm_scale_row(normed + h * D, head, sum_of_squares(head, D), w, D, eps);
        if (rstd) f32(rstd)[t * heads + h] = scale;
      }
      std::memcpy(normed + heads * D, in + heads * D, static_cast<size_t>(Hk) * D * sizeof(float));
    }
  });
}

// 12 (H + Hk) D flops and 12 (H + Hk) D bytes a token: bound by memory.
int32_t tk_qk_norm_backward(uint64_t stream, uint64_t dqkv, uint64_t dwq, uint64_t dwk, uint64_t qkv, uint64_t rstd,
                            uint64_t wq, uint64_t wk, int32_t T, int32_t H, int32_t Hk, int32_t D, int32_t dtype) {
  return launch(stream, dtype, [=] {
    const int64_t heads = H + Hk, row = (heads + Hk) * static_cast<int64_t>(D);
    sum_over_rows({{dwq, D}, {dwk, D}}, T, heads * D, [=](int64_t t, float* part) {
      for (int64_t h = 0; h < heads; ++h) {
        float* d = f32(dqkv) + t * row + h * D;
        rmsnorm_backward_row(d, h < H ? part : part + D, d, f32(qkv) + t * row + h * D, f32(rstd)[t * heads + h],
                             f32(h < H ? wq : wk), D, false);
      }
    });
  });
}

}  // extern "C"
