// rmsnorm.cpp: RMSNorm with a fused residual add, forward and backward. Bound: memory.
#include "norm.h"

using namespace tk;

extern "C" {

int32_t tk_rmsnorm_forward(uint64_t stream, uint64_t y, uint64_t sum, uint64_t rstd, uint64_t x, uint64_t residual,
                           uint64_t w, int32_t T, int32_t C, float eps, int32_t dtype) {
  return guarded([&] {
    require((sum != 0) == (residual != 0), "residual and sum go together");
    require(C > 0, "C must be positive");
  }) || launch_rows(stream, dtype, T, [=](int64_t begin, int64_t end) {
#pragma omp parallel for schedule(static) if (4.0 * elements(end - begin, C) > kSerialFlops)
    for (int64_t t = begin; t < end; ++t) {
      const float* in = f32(x) + t * C;
      float* s = residual ? f32(sum) + t * C : nullptr;
      const float* other = residual ? f32(residual) + t * C : nullptr;
      const float squares = reduce_lanes(C, [&](f32x16 acc, int64_t i, auto lanes) {
        f32x16 v = lanes.load(in + i);
        if (s) {
          v = v + lanes.load(other + i);
          lanes.store(v, s + i);
        }
        return fma(v, v, acc);
      });
      const float scale = rmsnorm_scale_row(f32(y) + t * C, s ? s : in, squares, f32(w), C, eps);
      if (rstd) f32(rstd)[t] = scale;
    }
  });
}

int32_t tk_rmsnorm_backward(uint64_t stream, uint64_t dx, uint64_t dw, uint64_t dy, uint64_t x, uint64_t rstd,
                            uint64_t w, int32_t T, int32_t C, int32_t accumulate, int32_t dtype) {
  return launch(stream, dtype, [=] {
    sum_over_rows({{dw, C}}, T, C, [=](int64_t t, float* part) {
      rmsnorm_backward_row(f32(dx) + t * C, part, f32(dy) + t * C, f32(x) + t * C, f32(rstd)[t], f32(w), C,
                           accumulate != 0);
    });
  });
}

}  // extern "C"
