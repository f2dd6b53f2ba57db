// gemm.h: the register tile that every matrix product of the CPU backend is made of.
//
// B comes in panels: kPanel columns side by side, packed as (K, kPanel), so one step of the reduction
// reads one or two vectors. Each output element is ONE chain of fused multiply-adds over K in order:
// its bits depend on its row, its column and K, never on the tile, the batch or the thread that
// computed it. That is what makes decode and training agree exactly.
//
// Bound: a tile does 2 * kRows * kPanel * K FLOPs for (kRows + kPanel) * K loaded floats, so it runs
// at the FMA peak as long as the panel is in L2.
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

inline int64_t panels_of(int64_t columns) { return ceil_div(columns, kPanel); }

// Where a tile goes: y = [y +] (acc [+ bias]).
struct Epilogue {
  float* y;
  int64_t ldy;
  const float* bias;  // of column 0, or null
  bool accumulate;

  void store(const f32x16* acc, int64_t row, int64_t column, int columns) const {
    float* out = y + row * ldy + column;
    for (int v = 0; v < kVecs; ++v) {
      const int n = std::min(columns - v * kLanes, kLanes);
      if (n <= 0) return;
      f32x16 r = acc[v];
      if (n == kLanes) {
        if (bias) r = r + f32x16::load(bias + column + v * kLanes);
        if (accumulate) r = f32x16::load(out + v * kLanes) + r;
        r.store(out + v * kLanes);
      } else {
        if (bias) r = r + f32x16::load_partial(bias + column + v * kLanes, n);
        if (accumulate) r = f32x16::load_partial(out + v * kLanes, n) + r;
        r.store_partial(out + v * kLanes, n);
      }
    }
  }
};

// R rows times one panel. a(i, k) = a[i * lda + k], or a[k * lda + i] when ATransposed.
template <int R, bool ATransposed>
void gemm_tile(const float* a, int64_t lda, const float* panel, int64_t K, const Epilogue& out, int64_t row,
               int64_t column, int columns) {
  f32x16 acc[R][kVecs];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) acc[i][v] = zero();
  // Three rows share a base pointer (base, base + lda, base + 2 lda are addressing modes).
  constexpr int kBases = (R + 2) / 3;
  const float* base[kBases];
  for (int j = 0; j < kBases; ++j) base[j] = ATransposed ? a : a + 3 * j * lda;
  for (int64_t k = 0; k < K; ++k) {
    f32x16 b[kVecs];
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) b[v] = f32x16::load(panel + v * kLanes);
    panel += kPanel;
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const f32x16 x = f32x16::set1(ATransposed ? base[0][i] : base[i / 3][(i % 3) * lda]);
#pragma GCC unroll 2
      for (int v = 0; v < kVecs; ++v) acc[i][v] = fma(x, b[v], acc[i][v]);
    }
    if (ATransposed) {
      base[0] += lda;
    } else {
#pragma GCC unroll 8
      for (int j = 0; j < kBases; ++j) ++base[j];
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) out.store(acc[i], row + i, column, columns);
}

// The same for a row count known at run time, 1 <= rows <= kRows.
template <bool ATransposed, int R = kRows>
void gemm_rows(int rows, const float* a, int64_t lda, const float* panel, int64_t K, const Epilogue& out, int64_t row,
               int64_t column, int columns) {
  if (rows == R) return gemm_tile<R, ATransposed>(a, lda, panel, K, out, row, column, columns);
  if constexpr (R > 1) gemm_rows<ATransposed, R - 1>(rows, a, lda, panel, K, out, row, column, columns);
}

// Splits `count` rows into tiles of nearly equal height, none above kRows.
struct RowTiles {
  int64_t count, tiles;
  explicit RowTiles(int64_t rows) : count(rows), tiles(ceil_div(rows, kRows)) {}
  int64_t begin(int64_t tile) const { return tile * count / tiles; }
  int rows(int64_t tile) const { return static_cast<int>(begin(tile + 1) - begin(tile)); }
};

// out(M, N) from a(M, K) and packed panels, in parallel.
inline void gemm(const float* a, int64_t lda, const float* panels, int64_t M, int64_t N, int64_t K, const Epilogue& out,
                 int threads_hint) {
  const RowTiles tiles(M);
  const int64_t n_panels = panels_of(N);
  // A block of rows that stays in L2 while panels stream past it.
  const int64_t block = std::max<int64_t>(1, (256 << 10) / (static_cast<int64_t>(sizeof(float)) * K * kRows));
  const int64_t blocks = ceil_div(tiles.tiles, block);
  const int64_t wanted = 4 * static_cast<int64_t>(threads_hint);
  const int64_t group = std::clamp<int64_t>(n_panels * blocks / wanted, 1, n_panels);
  const int64_t groups = ceil_div(n_panels, group);
  const double flops = 2.0 * static_cast<double>(M) * static_cast<double>(N) * static_cast<double>(K);
#pragma omp parallel for collapse(2) schedule(dynamic) if (flops > kSerialFlops)
  for (int64_t rb = 0; rb < blocks; ++rb)
    for (int64_t g = 0; g < groups; ++g)
      for (int64_t p = g * group; p < std::min(n_panels, (g + 1) * group); ++p)
        for (int64_t t = rb * block; t < std::min(tiles.tiles, (rb + 1) * block); ++t) {
          const int columns = static_cast<int>(std::min<int64_t>(kPanel, N - p * kPanel));
          const int64_t row = tiles.begin(t);
          gemm_rows<false>(tiles.rows(t), a + row * lda, lda, panels + p * K * kPanel, K, out, row, p * kPanel, columns);
        }
}

// panels(K / kPanel, N, kPanel) from packed(N / kPanel, K, kPanel): the same matrix, reduced over N.
void transpose_panels(float* panels, const float* packed, int64_t N, int64_t K);

// dw(N, K) += dy(M, N)^T x(M, K); with ldy the row stride of dy.
void accumulate_outer(float* dw, const float* dy, int64_t ldy, const float* x, int64_t M, int64_t N, int64_t K);

}  // namespace tk
