// attend.h: the online softmax over tiles of keys, which training, prefill and decode share.
//
// Keys are visited in tiles of 16 in order: a running maximum, a running sum, and an output that is rescaled
// when the maximum moves. Every path calls attend_tile on the same tiles, so a query's output has the same bits
// on all of them.
#pragma once
#include <algorithm>
#include <limits>

#include "attention.h"

namespace tk {

constexpr int kQueries = 8;  // queries that share the loads of a tile; divides kTile
constexpr float kNegInf = -std::numeric_limits<float>::infinity();

// One query row on its way through the key tiles.
struct Query {
  const float* q;   // (D)
  float* o;         // (D), unnormalised output
  float m, l;       // running maximum and sum of exp
};

// A tile of keys (D, 16) and values (16, v_stride), and the tile that comes next, for those who fetch it on the way.
// Tiles of a paged cache lie apart, so no hardware sees the next one coming.
struct Tile {
  const float *kt, *v;
  const float *next_kt = nullptr, *next_v = nullptr;
};

// Columns of the output that R queries work on at once: enough sums to hide the latency of the FMA.
#if defined(__AVX512F__) && defined(__AVX512DQ__)
constexpr int chunks_of(int queries) { return queries <= 4 ? 4 : 2; }
#else
constexpr int chunks_of(int queries) { return queries <= 2 ? 2 : 1; }
#endif

// W chunks of 16 columns of the output, from column c on. Query i takes the first valid[i] values of the tile.
template <int R, int W, bool Fetch>
void add_values(Query* query, const int* valid, int common, const float (*p)[kTile], const float* alpha, const Tile& tile,
                int64_t v_stride, int c) {
  f32x16 acc[R][W];
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int w = 0; w < W; ++w) acc[i][w] = f32x16::load(query[i].o + c + w * kLanes) * f32x16::set1(alpha[i]);
  for (int j = 0; j < common; ++j) {
    f32x16 value[W];
#pragma GCC unroll 4
    for (int w = 0; w < W; ++w) {
      if (Fetch) __builtin_prefetch(tile.next_v + j * v_stride + c + w * kLanes);
      value[w] = f32x16::load(tile.v + j * v_stride + c + w * kLanes);
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) {
      const f32x16 weight = f32x16::set1(p[i][j]);
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) acc[i][w] = fma(weight, value[w], acc[i][w]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int w = 0; w < W; ++w) {
      // Values past a query's last key are never read: in the cache they may be anything.
      for (int j = common; j < valid[i]; ++j)
        acc[i][w] = fma(f32x16::set1(p[i][j]), f32x16::load(tile.v + j * v_stride + c + w * kLanes), acc[i][w]);
      acc[i][w].store(query[i].o + c + w * kLanes);
    }
}

// Adds one tile of keys and values to R queries. Query i sees keys 0 .. valid[i] - 1 of the tile.
template <int R, bool Fetch>
void attend_tile(Query* query, const int* valid, const Tile& tile, int64_t v_stride, int D, float scale) {
  f32x16 s[R];
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i) s[i] = zero();
  for (int d = 0; d < D; ++d) {
    if (Fetch) __builtin_prefetch(tile.next_kt + d * kTile);
    const f32x16 k = f32x16::load(tile.kt + d * kTile);
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) s[i] = fma(f32x16::set1(query[i].q[d]), k, s[i]);
  }
  alignas(64) float p[R][kTile], alpha[kLanes];
  const f32x16 scales = f32x16::set1(scale), hidden = f32x16::set1(kNegInf);
  for (int i = 0; i < kLanes; ++i) alpha[i] = 0.0f;
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i) {
    s[i] = first_lanes(valid[i], s[i] * scales, hidden);
    const float top = std::max(query[i].m, max(s[i]));
    alpha[i] = query[i].m - top;
    query[i].m = top;
  }
  exp(f32x16::load(alpha)).store(alpha);
  int common = kTile;
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i) {
    const f32x16 e = exp(s[i] - f32x16::set1(query[i].m));
    e.store(p[i]);
    query[i].l = query[i].l * alpha[i] + sum(e);
    common = std::min(common, valid[i]);
  }
  constexpr int W = chunks_of(R);
  int c = 0;
  for (; c + W * kLanes <= D; c += W * kLanes) add_values<R, W, Fetch>(query, valid, common, p, alpha, tile, v_stride, c);
  for (; c < D; c += kLanes) add_values<R, 1, Fetch>(query, valid, common, p, alpha, tile, v_stride, c);
}

template <bool Fetch, int R = kQueries>
void attend(int rows, Query* query, const int* valid, const Tile& tile, int64_t v_stride, int D, float scale) {
  if (rows == R) return attend_tile<R, Fetch>(query, valid, tile, v_stride, D, scale);
  if constexpr (R > 1) attend<Fetch, R - 1>(rows, query, valid, tile, v_stride, D, scale);
}

// Rows of x (n, stride) as tiles (ceil(n / 16), D, 16), missing lanes zero.
inline void transpose_tiles(float* tiles, const float* x, int64_t stride, int64_t n, int D) {
  const int64_t whole = n / kTile * kTile;
  for (int64_t j = 0; j < whole; j += kTile)
    for (int d = 0; d < D; d += kTile) transpose16(tiles + j * D + d * kTile, kTile, x + j * stride + d, stride);
  for (int64_t j = whole; j < ceil_div(n, kTile) * kTile; ++j) {
    float* out = tiles + whole * D + j % kTile;
    for (int d = 0; d < D; ++d) out[d * kTile] = j < n ? x[j * stride + d] : 0.0f;
  }
}

inline void start(Query& query, const float* q, float* o, int D) {
  query = {q, o, kNegInf, 0.0f};
  std::fill(o, o + D, 0.0f);
}

inline void finish(const Query& query, int D) {
  const f32x16 total = f32x16::set1(query.l);
  for (int c = 0; c < D; c += kLanes) (f32x16::load(query.o + c) / total).store(query.o + c);
}

}  // namespace tk
