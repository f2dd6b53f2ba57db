// columns.cuh: sums over the rows of a float32 matrix, the last step of weight gradients that were summed
// over chunks of rows. One thread a column adds in order of the rows: one order, no atomics.
#pragma once
#include "runtime.cuh"

namespace tk {

constexpr int kColumnBlock = 64;

static __global__ void __launch_bounds__(kColumnBlock) column_sums(float* into, const float* parts, int rows, int C) {
  const int c = static_cast<int>(blockIdx.x) * kColumnBlock + static_cast<int>(threadIdx.x);
  if (c >= C) return;
  float total = 0.0f;
#pragma unroll 8
  for (int r = 0; r < rows; ++r) total = __fadd_rn(total, parts[static_cast<int64_t>(r) * C + c]);
  into[c] = __fadd_rn(into[c], total);
}

// into(C) += the sum of the rows of parts(rows, C).
inline void add_column_sums(Stream& s, float* into, const float* parts, int rows, int C) {
  LAUNCH(column_sums, static_cast<unsigned>((C + kColumnBlock - 1) / kColumnBlock), kColumnBlock, 0, s.queue, into,
         parts, rows, C);
}

}  // namespace tk
