// gemm.cpp: the register tile that every matrix product is made of, and the loops around it.
//
// Bound: a tile does 2 * kRows * kPanel * K FLOPs for (kRows + kPanel) * K loaded floats, so it runs at the
// FMA peak as long as its panel comes from L2. So long reductions are cut into slices, and a block of rows
// is sized to stay in L2 while panels stream past it. Few rows are bound by reading the panels once.
#include "gemm.h"

#include <omp.h>

namespace tk {
namespace {

constexpr int64_t kSlice = 1024;            // most steps of the reduction at a time; its panel takes 128 KiB
constexpr int64_t kSlicePanels = 8;         // most panels of a task whose sums wait for the next slice
constexpr int64_t kRowBytes = 512 << 10;    // of the rows that panels stream past: about half an L2

// How panels of each type are read.
struct F32Panel {
  using Element = float;
  static void load(const float* row, f32x16 (&b)[kVecs]) {
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) b[v] = f32x16::load(row + v * kLanes);
  }
};
struct Bf16Panel {
  using Element = uint16_t;
  static void load(const uint16_t* row, f32x16 (&b)[kVecs]) { widen_pairs(row, b); }
};

// A tile that does only a part of K goes on from the sums in `from` (null: the first part) and leaves its own
// in `park` (null: the last part), both (R, kPanel), dense. The chain does not notice the stop.
struct Parking {
  const float* from;
  float* park;
};

// Moves finished sums(rows, kPanel) to their place.
void finish(const float* sums, int rows, const Epilogue& out, int64_t row, int64_t column, int64_t columns) {
  for (int i = 0; i < rows; ++i) {
    float* to = out.y + (row + i) * out.ldy + column;
    for (int64_t c = 0; c < std::min<int64_t>(kPanel, columns); c += kLanes) {
      const int n = static_cast<int>(std::min<int64_t>(columns - c, kLanes));
      f32x16 r = f32x16::load(sums + i * kPanel + c);
      if (n == kLanes) {
        if (out.bias) r = r + f32x16::load(out.bias + column + c);
        if (out.accumulate) r = f32x16::load(to + c) + r;
        r.store(to + c);
      } else {
        if (out.bias) r = r + f32x16::load_partial(out.bias + column + c, n);
        if (out.accumulate) r = f32x16::load_partial(to + c, n) + r;
        r.store_partial(to + c, n);
      }
    }
  }
}

// R rows times one panel. a(i, k) = a[i * lda + k], or a[k * lda + i] when ATransposed. `columns` is the number
// of columns from the panel's first one on.
template <class Panel, bool ATransposed, int R>
void gemm_tile(const float* a, int64_t lda, const typename Panel::Element* panel, int64_t K, const Parking& parking,
               const Epilogue& out, int64_t row, int64_t column, int64_t columns) {
  f32x16 acc[R][kVecs];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v)
      acc[i][v] = parking.from ? f32x16::load(parking.from + (i * kVecs + v) * kLanes) : zero();
  // Three rows share a base pointer (base, base + lda, base + 2 lda are addressing modes).
  constexpr int kBases = (R + 2) / 3;
  const float* base[kBases];
  for (int j = 0; j < kBases; ++j) base[j] = ATransposed ? a : a + 3 * j * lda;
  for (int64_t k = 0; k < K; ++k) {
    f32x16 b[kVecs];
    Panel::load(panel, b);
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
  // Sums go straight to their place; only those of odd tiles, and those with a bias, take the way through memory.
  alignas(64) float sums[R * kPanel];
  const bool direct = !parking.park && !out.bias && columns >= kPanel, add = direct && out.accumulate;
  float* to = direct ? out.y + row * out.ldy + column : parking.park ? parking.park : sums;
  const int64_t ldto = direct ? out.ldy : kPanel;
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) {
      float* at = to + i * ldto + v * kLanes;
      (add ? f32x16::load(at) + acc[i][v] : acc[i][v]).store(at);
    }
  if (!direct && !parking.park) finish(sums, R, out, row, column, columns);
}

// The same for a row count known at run time, 1 <= rows <= kRows.
template <class Panel, bool ATransposed, int R = kRows>
void gemm_rows(int rows, const float* a, int64_t lda, const typename Panel::Element* panel, int64_t K,
               const Parking& parking, const Epilogue& out, int64_t row, int64_t column, int64_t columns) {
  if (rows == R)
    gemm_tile<Panel, ATransposed, R>(a, lda, panel, K, parking, out, row, column, columns);
  else if constexpr (R > 1)
    gemm_rows<Panel, ATransposed, R - 1>(rows, a, lda, panel, K, parking, out, row, column, columns);
}

// Splits `count` rows into tiles of nearly equal height, none above kRows: the first `taller` ones have one
// row more than the others.
struct RowTiles {
  int64_t tiles, height, taller;
  explicit RowTiles(int64_t count)
      : tiles(std::max<int64_t>(1, ceil_div(count, kRows))), height(count / tiles), taller(count % tiles) {}
  int64_t begin(int64_t tile) const { return tile * height + std::min(tile, taller); }
  int rows(int64_t tile) const { return static_cast<int>(height + (tile < taller)); }
};

double flops_of(int64_t M, int64_t N, int64_t K) {
  return 2.0 * static_cast<double>(M) * static_cast<double>(N) * static_cast<double>(K);
}

// A parallel task is a block of rows times a group of panels.
template <class Panel>
void multiply(const float* a, int64_t lda, const typename Panel::Element* panels, int64_t M, int64_t N, int64_t K,
              const Epilogue& out) {
  const RowTiles tiles(M);
  const int64_t slices = tiles.tiles > 1 ? ceil_div(K, kSlice) : 1, slice = ceil_div(K, slices);
  const int64_t tile_bytes = static_cast<int64_t>(sizeof(float)) * slice * kRows;
  const int64_t block = std::clamp<int64_t>(kRowBytes / tile_bytes, 1, tiles.tiles);
  const int64_t blocks = ceil_div(tiles.tiles, block), n_panels = panels_of(N);
  const int64_t most = slices > 1 ? std::min(n_panels, kSlicePanels) : n_panels;
  const int64_t group = std::clamp<int64_t>(n_panels * blocks / (4 * omp_get_max_threads()), 1, most);
  const int64_t groups = ceil_div(n_panels, group), tile_sums = kRows * kPanel;
  const ThreadScratch parked(kScratchPackA, slices > 1 ? group * block * tile_sums : 0);
#pragma omp parallel for collapse(2) schedule(dynamic) if (flops_of(M, N, K) > kSerialFlops)
  for (int64_t rb = 0; rb < blocks; ++rb)
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t p0 = g * group, p1 = std::min(n_panels, p0 + group);
      const int64_t t0 = rb * block, t1 = std::min(tiles.tiles, t0 + block);
      for (int64_t k = 0; k < K; k += slice)
        for (int64_t p = p0; p < p1; ++p)
          for (int64_t t = t0; t < t1; ++t) {
            const int64_t depth = std::min(slice, K - k), row = tiles.begin(t), column = p * kPanel;
            float* sums = slices > 1 ? parked.mine() + ((p - p0) * block + (t - t0)) * tile_sums : nullptr;
            const Parking parking{k > 0 ? sums : nullptr, k + depth < K ? sums : nullptr};
            gemm_rows<Panel, false>(tiles.rows(t), a + row * lda + k, lda, panels + (p * K + k) * kPanel, depth, parking,
                                    out, row, column, N - column);
          }
    }
}

// out(columns, kPanel) = in(rows, columns)^T, dense; what is missing to kPanel rows becomes zeros.
void transpose_block(float* out, const float* in, int64_t ldin, int64_t rows, int64_t columns) {
  constexpr int64_t kBlock = 16;
  for (int64_t i = 0; i < kPanel; i += kBlock)
    for (int64_t j = 0; j < columns; j += kBlock) {
      const int64_t height = std::min(kBlock, rows - i), width = std::min(kBlock, columns - j);
      float* to = out + j * kPanel + i;
      if (height == kBlock && width == kBlock) {
        transpose16(to, kPanel, in + i * ldin + j, ldin);
        continue;
      }
      for (int64_t b = 0; b < width; ++b)
        for (int64_t a = 0; a < kBlock; ++a) to[b * kPanel + a] = a < height ? in[(i + a) * ldin + j + b] : 0.0f;
    }
}

// A row of a bfloat16 panel: columns i and i + kPanel / 2 lie side by side.
void narrow_row(uint16_t* out, const float* in) {
  constexpr int kHalf = kPanel / 2;
  for (int i = 0; i < kHalf; ++i) {
    out[2 * i] = f32_to_bf16(in[i]);
    out[2 * i + 1] = f32_to_bf16(in[i + kHalf]);
  }
}

}  // namespace

void gemm(const float* a, int64_t lda, const Panels& panels, int64_t M, int64_t N, int64_t K, const Epilogue& out) {
  if (panels.dtype == TK_BF16) return multiply<Bf16Panel>(a, lda, static_cast<const uint16_t*>(panels.data), M, N, K, out);
  multiply<F32Panel>(a, lda, static_cast<const float*>(panels.data), M, N, K, out);
}

void pack_panels(void* panels, const float* w, int64_t N, int64_t K, int dtype) {
#pragma omp parallel for schedule(static) if (flops_of(1, N, K) > kSerialFlops)
  for (int64_t p = 0; p < panels_of(N); ++p)
    for (int64_t k = 0; k < K; k += kPanel) {
      const int64_t depth = std::min<int64_t>(kPanel, K - k), at = (p * K + k) * kPanel;
      const float* in = w + p * kPanel * K + k;
      alignas(64) float narrow[kPanel * kPanel];
      float* out = dtype == TK_BF16 ? narrow : static_cast<float*>(panels) + at;
      transpose_block(out, in, K, N - p * kPanel, depth);
      if (dtype != TK_BF16) continue;
      for (int64_t i = 0; i < depth; ++i) narrow_row(static_cast<uint16_t*>(panels) + at + i * kPanel, narrow + i * kPanel);
    }
}

void transpose_panels(float* panels, const Panels& packed, int64_t N, int64_t K) {
#pragma omp parallel for schedule(static) if (flops_of(1, N, K) > kSerialFlops)
  for (int64_t kp = 0; kp < panels_of(K); ++kp)
    for (int64_t n = 0; n < N; n += kPanel) {
      const int64_t depth = std::min<int64_t>(kPanel, K - kp * kPanel);
      const Panels in = packed.at(n * K + kp * kPanel * kPanel);
      alignas(64) float wide[kPanel * kPanel];
      if (packed.dtype == TK_BF16)
        for (int64_t i = 0; i < depth; ++i) {
          f32x16 row[kVecs];
          widen_pairs(static_cast<const uint16_t*>(in.data) + i * kPanel, row);
          for (int v = 0; v < kVecs; ++v) row[v].store(wide + i * kPanel + v * kLanes);
        }
      transpose_block(panels + (kp * N + n) * kPanel, packed.dtype == TK_BF16 ? wide : static_cast<const float*>(in.data),
                      kPanel, depth, std::min<int64_t>(kPanel, N - n));
    }
}

void accumulate_outer(float* dw, const float* dy, int64_t ldy, const float* x, int64_t M, int64_t N, int64_t K) {
  constexpr int64_t kBlock = 256;            // rows reduced in registers before dw is touched again
  constexpr int64_t kStride = kLanes;        // of the packed dy tile; >= kRows
  constexpr int64_t kPackedBytes = 8 << 20;  // of x packed at a time: few barriers, but it stays in the shared cache
  static_assert(kRows <= kStride);
  const RowTiles tiles(N);
  const int64_t n_panels = panels_of(K), blocks = ceil_div(M, kBlock), panel_floats = kBlock * kPanel;
  const int64_t block_bytes = static_cast<int64_t>(sizeof(float)) * panel_floats * n_panels;
  const int64_t group = std::clamp<int64_t>(kPackedBytes / block_bytes, 1, std::max<int64_t>(1, blocks));
  float* packed = scratch_f32(kScratchPackB, static_cast<size_t>(group * n_panels * panel_floats));
  const ThreadScratch columns(kScratchPackA, kBlock * kStride);
  for (int64_t first = 0; first < blocks; first += group) {
    const int64_t last = std::min(blocks, first + group);
#pragma omp parallel if (flops_of(M, N, K) > kSerialFlops)
    {
#pragma omp for schedule(static)
      for (int64_t m = first * kBlock; m < std::min(M, last * kBlock); ++m)
        for (int64_t p = 0; p < n_panels; ++p) {
          const int64_t width = std::min<int64_t>(kPanel, K - p * kPanel);
          float* to = packed + ((m / kBlock - first) * n_panels + p) * panel_floats + m % kBlock * kPanel;
          std::memcpy(to, x + m * K + p * kPanel, static_cast<size_t>(width) * sizeof(float));
          std::fill(to + width, to + kPanel, 0.0f);
        }
#pragma omp for schedule(dynamic)
      for (int64_t t = 0; t < tiles.tiles; ++t) {
        const int64_t n0 = tiles.begin(t);
        const int height = tiles.rows(t);
        const Epilogue out{dw, K, nullptr, true};
        float* a = columns.mine();
        for (int64_t b = first; b < last; ++b) {
          const int64_t rows = std::min(kBlock, M - b * kBlock);
          for (int64_t m = 0; m < rows; ++m)
            f32x16::load_partial(dy + (b * kBlock + m) * ldy + n0, height).store(a + m * kStride);
          for (int64_t p = 0; p < n_panels; ++p)
            gemm_rows<F32Panel, true>(height, a, kStride, packed + ((b - first) * n_panels + p) * panel_floats, rows,
                                      {nullptr, nullptr}, out, n0, p * kPanel, K - p * kPanel);
        }
      }
    }
  }
}

}  // namespace tk
