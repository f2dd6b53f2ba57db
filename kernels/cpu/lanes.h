// lanes.h: how elementwise kernels walk over a row of any length.
#pragma once
#include "simd.h"

namespace tk {

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

// Sum of vectors with four running sums: enough to hide the latency of the addition. Which element
// lands in which sum depends on its index alone, so a sum has one tree for a given length.
class LaneSum {
 public:
  // acc += a * b for the vector that begins at element i.
  void add_product(int64_t i, f32x16 a, f32x16 b) {
    f32x16& s = sums_[i / kLanes % 4];
    s = fma(a, b, s);
  }
  float total() const { return sum((sums_[0] + sums_[1]) + (sums_[2] + sums_[3])); }

 private:
  f32x16 sums_[4] = {zero(), zero(), zero(), zero()};
};

}  // namespace tk
