// norm.h: one row of RMSNorm, forward and backward, and gradients that sum over rows: for rows and for heads.
#pragma once
#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "lanes.h"
#include "runtime.h"

namespace tk {

// y = s * w / sqrt(mean(s^2) + eps) from the row's sum of squares; returns the reciprocal root. y may be s.
inline float rmsnorm_scale_row(float* y, const float* s, float squares, const float* w, int64_t C, float eps) {
  const float rstd = 1.0f / std::sqrt(squares / static_cast<float>(C) + eps);
  const f32x16 r = f32x16::set1(rstd);
  for_lanes(0, C, [&](int64_t i, auto lanes) { lanes.store(lanes.load(s + i) * r * lanes.load(w + i), y + i); });
  return rstd;
}

// Gradient through one normalised row; dx may be dy. With r = rstd and g = dy * w:
//   dx = r (g - x r^2 mean(g x)),  dw_part += dy x r
inline void rmsnorm_backward_row(float* dx, float* dw_part, const float* dy, const float* x, float rstd, const float* w,
                                 int64_t C, bool accumulate) {
  const float dot = reduce_lanes(C, [&](f32x16 acc, int64_t i, auto lanes) {
    return fma(lanes.load(dy + i) * lanes.load(w + i), lanes.load(x + i), acc);
  });
  const f32x16 r = f32x16::set1(rstd);
  const f32x16 pull = f32x16::set1(-(dot / static_cast<float>(C)) * rstd * rstd);
  for_lanes(0, C, [&](int64_t i, auto lanes) {
    const f32x16 d = lanes.load(dy + i), s = lanes.load(x + i);
    f32x16 out = r * fma(s, pull, d * lanes.load(w + i));
    if (accumulate) out = lanes.load(dx + i) + out;
    lanes.store(out, dx + i);
    lanes.store(fma(d, s * r, lanes.load(dw_part + i)), dw_part + i);
  });
}

// A gradient that sums over rows: n elements at an address.
struct RowSum {
  uint64_t into;
  int64_t n;
};

// Runs body(t, part) for every row t; it adds the row's share of all the gradients, laid side by side, to
// part. Rows are summed in chunks of a fixed size and the chunks merged in order: the same bits whatever the
// number of threads. `work` is the number of elements of a row.
template <class F>
void sum_over_rows(std::initializer_list<RowSum> sums, int64_t T, int64_t work, F&& body) {
  constexpr int64_t kChunk = 64;
  const int64_t chunks = ceil_div(T, kChunk);
  int64_t width = 0;
  for (const RowSum& s : sums) width += s.n;
  float* parts = scratch_f32(kScratchLocal, static_cast<size_t>(chunks * width));
#pragma omp parallel if (8.0 * elements(T, work) > kSerialFlops)
  {
#pragma omp for schedule(static)
    for (int64_t k = 0; k < chunks; ++k) {
      float* part = parts + k * width;
      std::fill_n(part, width, 0.0f);
      for (int64_t t = k * kChunk; t < std::min<int64_t>(T, (k + 1) * kChunk); ++t) body(t, part);
    }
    const float* column = parts;
    for (const RowSum& s : sums) {
#pragma omp for schedule(static)
      for (int64_t c = 0; c < s.n; c += kColumnBlock)
        for_lanes(c, std::min<int64_t>(s.n, c + kColumnBlock), [&](int64_t i, auto lanes) {
          f32x16 total = zero();
          for (int64_t k = 0; k < chunks; ++k) total = total + lanes.load(column + k * width + i);
          lanes.store(lanes.load(f32(s.into) + i) + total, f32(s.into) + i);
        });
      column += s.n;
    }
  }
}

}  // namespace tk
