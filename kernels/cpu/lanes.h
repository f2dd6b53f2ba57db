// lanes.h: how elementwise kernels and row reductions walk over a row of any length.
#pragma once
#include "simd.h"

namespace tk {

// Columns that one thread works on when an op is split over columns: whole cache lines.
constexpr int64_t kColumnBlock = 64;

// Sixteen elements, or the n that are left at the end of a row. Missing lanes load as zero.
struct WholeVector {
  f32x16 load(const float* p) const { return f32x16::load(p); }
  void store(f32x16 x, float* p) const { x.store(p); }
};
struct TailVector {
  int n;
  f32x16 load(const float* p) const { return f32x16::load_partial(p, n); }
  void store(f32x16 x, float* p) const { x.store_partial(p, n); }
};

// Calls body(i, lanes) for the vectors that begin at i in [begin, end).
template <class F>
inline void for_lanes(int64_t begin, int64_t end, F&& body) {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) body(i, WholeVector{});
  if (i < end) body(i, TailVector{static_cast<int>(end - i)});
}

// Reduces a row: acc = step(acc, i, lanes) adds the vector that begins at element i, and must add zero
// for missing lanes. Four running sums hide the latency of the addition; which element lands in which
// sum depends on its index alone, so there is one reduction tree for each length.
template <class F>
inline float reduce_lanes(int64_t n, F&& step) {
  constexpr int kSums = 4;
  f32x16 acc[kSums] = {zero(), zero(), zero(), zero()};
  int64_t i = 0;
  for (; i + kSums * kLanes <= n; i += kSums * kLanes)
#pragma GCC unroll 4
    for (int s = 0; s < kSums; ++s) acc[s] = step(acc[s], i + s * kLanes, WholeVector{});
#pragma GCC unroll 4
  for (int s = 0; s < kSums; ++s, i += kLanes) {
    if (i + kLanes <= n)
      acc[s] = step(acc[s], i, WholeVector{});
    else if (i < n)
      acc[s] = step(acc[s], i, TailVector{static_cast<int>(n - i)});
  }
  return sum((acc[0] + acc[1]) + (acc[2] + acc[3]));
}

}  // namespace tk
