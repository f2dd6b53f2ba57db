// attention_backward.cpp: the gradient of attention_forward.
//
// FLOPs: 10 D per (query, key) pair and query head.
#include "attend.h"

namespace tk {
namespace {

// Consecutive queries of one head in the backward pass.
struct QueryRows {
  const float *q, *dout;
  float* dq;
  const float *lse, *delta;                   // delta = sum over d of out * dout
  int64_t stride, dout_stride, lse_stride;    // of q and dq, of dout, of lse; delta is dense
};

// Keys, values and their gradients of one tile: transposed (D, 16), rows of `stride`, dense (16, D).
struct KeyTile {
  const float *kt, *vt, *k;
  int64_t stride;
  float *dk, *dv;
};

// R queries against one tile: accumulates dq, dk and dv. Query i sees keys 0 .. limit + i of the tile;
// lanes past it have p = ds = 0.
template <int R>
void backward_tile(const QueryRows& rows, int64_t limit, const KeyTile& tile, int D, float scale) {
  alignas(64) float p[R][kTile], ds[R][kTile];
  f32x16 s[R], dp[R];
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i) s[i] = dp[i] = zero();
  // Three rows share a base pointer (base, base + stride, base + 2 stride are addressing modes).
  constexpr int kBases = (R + 2) / 3;
  const float *q[kBases], *dout[kBases];
  for (int b = 0; b < kBases; ++b) {
    q[b] = rows.q + 3 * b * rows.stride;
    dout[b] = rows.dout + 3 * b * rows.dout_stride;
  }
  for (int d = 0; d < D; ++d) {
    const f32x16 k = f32x16::load(tile.kt + d * kTile), v = f32x16::load(tile.vt + d * kTile);
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) {
      s[i] = fma(f32x16::set1(q[i / 3][i % 3 * rows.stride]), k, s[i]);
      dp[i] = fma(f32x16::set1(dout[i / 3][i % 3 * rows.dout_stride]), v, dp[i]);
    }
#pragma GCC unroll 8
    for (int b = 0; b < kBases; ++b) ++q[b], ++dout[b];
  }
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i) {
    const int valid = static_cast<int>(std::min<int64_t>(kTile, limit + i + 1));
    const f32x16 e = exp(s[i] * f32x16::set1(scale) - f32x16::set1(rows.lse[i * rows.lse_stride]));
    const f32x16 seen = first_lanes(valid, e, zero());
    seen.store(p[i]);
    (seen * (dp[i] - f32x16::set1(rows.delta[i])) * f32x16::set1(scale)).store(ds[i]);
  }
  const int widest = static_cast<int>(std::min<int64_t>(kTile, limit + R));
  for (int c = 0; c < D; c += kLanes) {
    f32x16 qs[R], douts[R], dq[R];
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) {
      qs[i] = f32x16::load(rows.q + i * rows.stride + c);
      douts[i] = f32x16::load(rows.dout + i * rows.dout_stride + c);
      dq[i] = f32x16::load(rows.dq + i * rows.stride + c);
    }
    for (int j = 0; j < widest; ++j) {
      float *dk = tile.dk + j * D + c, *dv = tile.dv + j * D + c;
      const f32x16 key = f32x16::load(tile.k + j * tile.stride + c);
      f32x16 dkey = f32x16::load(dk), dvalue = f32x16::load(dv);
#pragma GCC unroll 8
      for (int i = 0; i < R; ++i) {
        const f32x16 d = f32x16::set1(ds[i][j]);
        dq[i] = fma(d, key, dq[i]);
        dkey = fma(d, qs[i], dkey);
        dvalue = fma(f32x16::set1(p[i][j]), douts[i], dvalue);
      }
      dkey.store(dk);
      dvalue.store(dv);
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) dq[i].store(rows.dq + i * rows.stride + c);
  }
}

template <int R = kQueries>
void backward_rows(int64_t count, const QueryRows& rows, int64_t limit, const KeyTile& tile, int D, float scale) {
  if (count >= R) return backward_tile<R>(rows, limit, tile, D, scale);
  if constexpr (R > 1) backward_rows<R - 1>(count, rows, limit, tile, D, scale);
}

// One task owns all gradients of one kv head of one sequence: no atomics, one fixed order. It visits
// the key tiles one by one, so that a tile and its gradients stay in L1 while the queries stream past.
void backward(float* dqkv, const float* dout, const float* out, const float* lse, const float* qkv, const int32_t* cu,
              int B, Heads heads, float scale) {
  const int D = heads.D, group = heads.group();
  int64_t longest = 0;
  for (int b = 0; b < B; ++b) longest = std::max<int64_t>(longest, cu[b + 1] - cu[b]);
  const ThreadScratch local(kScratchLocal, (2 * ceil_div(longest, kTile) + 2) * kTile * D + group * longest);
#pragma omp parallel for collapse(2) schedule(dynamic)
  for (int b = 0; b < B; ++b)
    for (int hk = 0; hk < heads.Hk; ++hk) {
      const int64_t first = cu[b], n = cu[b + 1] - first;
      const float* rows = qkv + first * heads.row();
      float* drows = dqkv + first * heads.row();
      const int64_t padded = ceil_div(n, kTile) * kTile;
      float* kt = local.mine();
      float *vt = kt + padded * D, *dk = vt + padded * D, *dv = dk + kTile * D, *delta = dv + kTile * D;
      transpose_tiles(kt, rows + heads.key(hk), heads.row(), n, D);
      transpose_tiles(vt, rows + heads.value(hk), heads.row(), n, D);
      for (int g = 0; g < group; ++g)
        for (int64_t i = 0; i < n; ++i) {
          const int64_t at = ((first + i) * heads.H + hk * group + g) * D;
          f32x16 dot = zero();
          for (int c = 0; c < D; c += kLanes) dot = fma(f32x16::load(out + at + c), f32x16::load(dout + at + c), dot);
          delta[g * n + i] = sum(dot);
          std::fill_n(drows + i * heads.row() + (hk * group + g) * D, D, 0.0f);
        }
      for (int64_t j = 0; j < n; j += kTile) {
        std::fill_n(dk, 2 * kTile * D, 0.0f);
        const KeyTile tile{kt + j * D, vt + j * D, rows + j * heads.row() + heads.key(hk), heads.row(), dk, dv};
        for (int g = 0; g < group; ++g)
          for (int64_t i = j; i < n; i += kQueries) {
            const int h = hk * group + g;
            const int64_t row = (first + i) * heads.H + h, at = i * heads.row() + h * D;
            const QueryRows block{rows + at,   dout + row * D,    drows + at,
                                  lse + row,   delta + g * n + i, heads.row(),
                                  heads.H * D, heads.H};
            backward_rows(n - i, block, i - j, tile, D, scale);
          }
        for (int64_t r = 0; r < std::min<int64_t>(kTile, n - j); ++r) {
          std::copy_n(dk + r * D, D, drows + (j + r) * heads.row() + heads.key(hk));
          std::copy_n(dv + r * D, D, drows + (j + r) * heads.row() + heads.value(hk));
        }
      }
    }
}

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_attention_backward(uint64_t stream, uint64_t dqkv, uint64_t dout, uint64_t out, uint64_t lse, uint64_t qkv,
                              uint64_t cu_seqlens, int32_t B, int32_t T, int32_t H, int32_t Hk, int32_t D, float scale,
                              int32_t dtype) {
  const int32_t status = guarded([&] { check_heads(H, Hk, D); });
  if (status) return status;
  return launch(stream, dtype, [=] {
    check_packed(i32(cu_seqlens), B, T);
    backward(f32(dqkv), f32(dout), f32(out), f32(lse), f32(qkv), i32(cu_seqlens), B, {H, Hk, D}, scale);
  });
}

}  // extern "C"
