// gemm.h: the matrix products of the CPU backend, and the packed form of weights that they read.
//
// B comes in panels: kPanel columns side by side, packed as (K, kPanel), so one step of the reduction
// reads one or two vectors. Each output element is ONE chain of fused multiply-adds over K in order:
// its bits depend on its row, its column and K, never on the tile, the batch or the thread that
// computed it. That is what makes decode and training agree exactly.
//
// Panels hold float32 or bfloat16. Widening is exact, so bfloat16 panels give the bits of float32 panels
// that hold the same rounded numbers, at half the bytes: what decoding is bound by.
#pragma once
#include <algorithm>
#include <cstddef>

#include "runtime.h"
#include "simd.h"

namespace tk {

#if defined(__AVX512F__) && defined(__AVX512DQ__)
constexpr int kVecs = 2, kRows = 14;  // 28 accumulators of 32 registers
#else
constexpr int kVecs = 1, kRows = 6;  // 12 accumulators of 16 registers (a lane group is two of them)
#endif
constexpr int kPanel = kVecs * kLanes;
static_assert(kPanel == kPaired);

inline int64_t panels_of(int64_t columns) { return ceil_div(columns, kPanel); }

// Packed columns; `dtype` is TK_F32 or TK_BF16. A row of a bfloat16 panel is stored in pairs (simd.h).
struct Panels {
  const void* data;
  int dtype;

  int64_t element_bytes() const { return dtype == TK_BF16 ? 2 : 4; }
  Panels at(int64_t element) const { return {static_cast<const char*>(data) + element * element_bytes(), dtype}; }
};

// Where a product goes: y = [y +] (sum [+ bias]).
struct Epilogue {
  float* y;
  int64_t ldy;
  const float* bias;  // of column 0, or null
  bool accumulate;
};

// out(M, N) from a(M, K) and packed panels, in parallel.
void gemm(const float* a, int64_t lda, const Panels& panels, int64_t M, int64_t N, int64_t K, const Epilogue& out);

// Packs w(N, K) into panels of the given type.
void pack_panels(void* panels, const float* w, int64_t N, int64_t K, int dtype);

// Float32 panels(K / kPanel, N, kPanel) from packed(N / kPanel, K, kPanel): the same matrix, reduced over N.
void transpose_panels(float* panels, const Panels& packed, int64_t N, int64_t K);

// dw(N, K) += dy(M, N)^T x(M, K); with ldy the row stride of dy.
void accumulate_outer(float* dw, const float* dy, int64_t ldy, const float* x, int64_t M, int64_t N, int64_t K);

}  // namespace tk
