// attention.cpp: RoPE, the paged KV cache, and causal grouped-query attention.
//
// Keys are visited in tiles of 16 in order, with an online softmax: running maximum, running sum, and
// an output that is rescaled when the maximum moves. Training, prefill and decode all call
// attend_tile on the same tiles, so a query's output has the same bits on every path.
//
// A key tile is stored transposed, (D, 16): lane j is key j, each score is one FMA chain over D.
// Layout of one layer's cache, blocks of `block` positions (a multiple of 16):
//   k_cache (blocks, Hk, block / 16, D, 16)     v_cache (blocks, Hk, block, D)
//
// FLOPs of the forward pass: 4 D per (query, key) pair and query head; the backward pass takes 10 D.
#include <algorithm>
#include <cmath>
#include <string>

#include "attend.h"
#include "runtime.h"

namespace tk {
namespace {

constexpr int kQueryChunk = 256;  // queries per parallel task of the forward pass

// Rows of x (n, stride) as tiles (ceil(n / 16), D, 16), missing lanes zero.
void transpose_tiles(float* tiles, const float* x, int64_t stride, int64_t n, int D) {
  const int64_t whole = n / kTile * kTile;
  for (int64_t j = 0; j < whole; j += kTile)
    for (int d = 0; d < D; d += kTile) transpose16(tiles + j * D + d * kTile, kTile, x + j * stride + d, stride);
  for (int64_t j = whole; j < ceil_div(n, kTile) * kTile; ++j) {
    float* out = tiles + whole * D + j % kTile;
    for (int d = 0; d < D; ++d) out[d * kTile] = j < n ? x[j * stride + d] : 0.0f;
  }
}

// Shapes shared by the packed kernels: row stride of qkv, offsets of k and v, queries per kv head.
struct Heads {
  int H, Hk, D;
  int64_t row() const { return static_cast<int64_t>(H + 2 * Hk) * D; }
  int64_t key(int hk) const { return static_cast<int64_t>(H + hk) * D; }
  int64_t value(int hk) const { return static_cast<int64_t>(H + Hk + hk) * D; }
  int group() const { return H / Hk; }
};

struct Task {
  int sequence, hk;
  int64_t begin, end;  // queries, within the sequence
};

void check_heads(int32_t H, int32_t Hk, int32_t D) {
  require(Hk > 0 && H % Hk == 0, "the number of query heads must be a multiple of the number of kv heads");
  require(D > 0 && D % kLanes == 0, "head_dim must be a multiple of 16");
}

void check_block(int32_t block) {
  require(block > 0 && block % kTile == 0, "the KV block size must be a multiple of 16");
}

// Indices come from device memory, so these two are execution errors: without them a wrong index
// would read or write memory of somebody else.
void check_positions(const int32_t* positions, int64_t T, int64_t low, int64_t end, const char* table) {
  for (int64_t t = 0; t < T; ++t)
    if (positions[t] < low || positions[t] >= end)
      throw std::out_of_range("token " + std::to_string(t) + " has position " + std::to_string(positions[t]) + ", but " +
                              table + " ends at " + std::to_string(end));
}

void check_packed(const int32_t* cu, int B, int64_t T) {
  require(std::is_sorted(cu, cu + B + 1) && cu[0] == 0, "cu_seqlens must begin with 0 and never decrease");
  if (cu[B] != T)
    throw std::out_of_range("cu_seqlens ends at " + std::to_string(cu[B]) + ", but there are " + std::to_string(T) +
                            " tokens");
}

void forward(float* out, float* lse, const float* qkv, const int32_t* cu, int B, Heads heads, float scale) {
  std::vector<Task> tasks;
  for (int b = 0; b < B; ++b)
    for (int hk = 0; hk < heads.Hk; ++hk)
      for (int64_t i = 0; i < cu[b + 1] - cu[b]; i += kQueryChunk)
        tasks.push_back({b, hk, i, std::min<int64_t>(cu[b + 1] - cu[b], i + kQueryChunk)});
  const int D = heads.D;
  int64_t longest = 0;
  for (const Task& task : tasks) longest = std::max(longest, task.end);
  const ThreadScratch keys(kScratchLocal, ceil_div(longest, kTile) * kTile * D);
#pragma omp parallel for schedule(dynamic)
  for (size_t n = 0; n < tasks.size(); ++n) {
    const Task task = tasks[n];
    const int64_t first = cu[task.sequence];
    const float* rows = qkv + first * heads.row();
    float* kt = keys.mine();
    transpose_tiles(kt, rows + heads.key(task.hk), heads.row(), task.end, D);
    const float* v = rows + heads.value(task.hk);
    for (int h = task.hk * heads.group(); h < (task.hk + 1) * heads.group(); ++h)
      for (int64_t i = task.begin; i < task.end; i += kQueries) {
        const int count = static_cast<int>(std::min<int64_t>(kQueries, task.end - i));
        Query query[kQueries];
        for (int r = 0; r < count; ++r)
          start(query[r], rows + (i + r) * heads.row() + h * D, out + ((first + i + r) * heads.H + h) * D, D);
        for (int64_t j = 0; j < i + count; j += kTile) {
          int valid[kQueries];
          for (int r = 0; r < count; ++r) valid[r] = static_cast<int>(std::min<int64_t>(kTile, i + r - j + 1));
          attend<false>(count, query, valid, {kt + j * D, v + j * heads.row()}, heads.row(), D, scale);
        }
        for (int r = 0; r < count; ++r) {
          finish(query[r], D);
          if (lse) lse[(first + i + r) * heads.H + h] = query[r].m + std::log(query[r].l);
        }
      }
  }
}

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

// The paged cache of one layer.
struct Cache {
  float *k, *v;
  const int32_t* tables;
  int block, max_blocks;
  int Hk, D;

  int64_t block_of(int64_t sequence, int64_t position) const { return tables[sequence * max_blocks + position / block]; }
  // Transposed tile (D, 16) and value rows (16, D) that hold the position.
  float* keys(int64_t b, int hk, int64_t position) const {
    return k + ((b * Hk + hk) * block + position % block / kTile * kTile) * D;
  }
  float* values(int64_t b, int hk, int64_t position) const {
    return v + ((b * Hk + hk) * block + position % block / kTile * kTile) * D;
  }
};

void paged(float* out, const float* qkv, const int32_t* row_seq, const int32_t* positions, int T, Heads heads,
           const Cache& cache, float scale) {
  const int D = heads.D, group = heads.group();
#pragma omp parallel for collapse(2) schedule(dynamic)
  for (int64_t t = 0; t < T; ++t)
    for (int hk = 0; hk < heads.Hk; ++hk) {
      float* o = out + (t * heads.H + hk * group) * D;
      const int64_t position = positions[t];
      if (position < 0) {
        std::fill_n(o, group * D, 0.0f);
        continue;
      }
      for (int g = 0; g < group; g += kQueries) {
        const int count = std::min(kQueries, group - g);
        Query query[kQueries];
        for (int r = 0; r < count; ++r)
          start(query[r], qkv + t * heads.row() + (hk * group + g + r) * D, o + (g + r) * D, D);
        for (int64_t j = 0; j <= position; j += kTile) {
          int valid[kQueries];
          std::fill_n(valid, count, static_cast<int>(std::min<int64_t>(kTile, position - j + 1)));
          const int64_t next = std::min(j + kTile, position);
          const int64_t b = cache.block_of(row_seq[t], j), b_next = cache.block_of(row_seq[t], next);
          const Tile tile{cache.keys(b, hk, j), cache.values(b, hk, j), cache.keys(b_next, hk, next),
                          cache.values(b_next, hk, next)};
          attend<true>(count, query, valid, tile, D, D, scale);
        }
        for (int r = 0; r < count; ++r) finish(query[r], D);
      }
    }
}

// Rotates the pairs (i, i + D/2) of one head. `sign` = -1 rotates back.
void rotate(float* x, const float* cos_sin, int D, float sign) {
  const int half = D / 2;
  const f32x16 direction = f32x16::set1(sign);
  for (int i = 0; i < half; i += kLanes) {
    const int n = std::min(kLanes, half - i);
    const f32x16 c = f32x16::load_partial(cos_sin + i, n), s = f32x16::load_partial(cos_sin + half + i, n) * direction;
    const f32x16 a = f32x16::load_partial(x + i, n), b = f32x16::load_partial(x + half + i, n);
    (a * c - b * s).store_partial(x + i, n);
    (b * c + a * s).store_partial(x + half + i, n);
  }
}

void rotate_row(float* row, const float* cos_sin, Heads heads, float sign) {
  for (int h = 0; h < heads.H + heads.Hk; ++h) rotate(row + h * heads.D, cos_sin, heads.D, sign);
}

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_rope(uint64_t stream, uint64_t qkv, uint64_t positions, uint64_t cos_sin, int32_t T, int32_t H, int32_t Hk,
                int32_t D, int32_t P, int32_t inverse, int32_t dtype) {
  const int32_t status = guarded([&] { check_heads(H, Hk, D); });
  if (status) return status;
  return launch(stream, dtype, [=] {
    check_positions(i32(positions), T, 0, P, "cos_sin");
    const Heads heads{H, Hk, D};
#pragma omp parallel for schedule(static) if (T * heads.row() > 1 << 15)
    for (int64_t t = 0; t < T; ++t)
      rotate_row(f32(qkv) + t * heads.row(), f32(cos_sin) + static_cast<int64_t>(i32(positions)[t]) * D, heads,
                 inverse ? -1.0f : 1.0f);
  });
}

int32_t tk_rope_kv_write(uint64_t stream, uint64_t qkv, uint64_t positions, uint64_t cos_sin, uint64_t k_cache,
                         uint64_t v_cache, uint64_t block_tables, uint64_t row_seq, int32_t T, int32_t H, int32_t Hk,
                         int32_t D, int32_t P, int32_t block, int32_t max_blocks, int32_t dtype) {
  const int32_t status = guarded([&] {
    check_heads(H, Hk, D);
    check_block(block);
  });
  if (status) return status;
  return launch(stream, dtype, [=] {
    check_positions(i32(positions), T, INT32_MIN, P, "cos_sin");
    check_positions(i32(positions), T, INT32_MIN, static_cast<int64_t>(block) * max_blocks, "the block table");
    const Heads heads{H, Hk, D};
    const Cache cache{f32(k_cache), f32(v_cache), i32(block_tables), block, max_blocks, Hk, D};
#pragma omp parallel for schedule(static) if (T * heads.row() > 1 << 15)
    for (int64_t t = 0; t < T; ++t) {
      const int64_t position = i32(positions)[t];
      if (position < 0) continue;
      float* row = f32(qkv) + t * heads.row();
      rotate_row(row, f32(cos_sin) + position * D, heads, 1.0f);
      const int64_t b = cache.block_of(i32(row_seq)[t], position);
      const int64_t lane = position % kTile;
      for (int hk = 0; hk < Hk; ++hk) {
        float* keys = cache.keys(b, hk, position) + lane;
        for (int d = 0; d < D; ++d) keys[d * kTile] = row[heads.key(hk) + d];
        std::copy_n(row + heads.value(hk), D, cache.values(b, hk, position) + lane * D);
      }
    }
  });
}

int32_t tk_kv_copy_blocks(uint64_t stream, uint64_t k_cache, uint64_t v_cache, uint64_t pairs, int32_t n, int32_t Hk,
                          int32_t D, int32_t block, int32_t dtype) {
  return launch(stream, dtype, [=] {
    const int64_t floats = static_cast<int64_t>(block) * Hk * D;
#pragma omp parallel for schedule(static) if (n * floats > 1 << 15)
    for (int64_t i = 0; i < n; ++i) {
      const int64_t from = i32(pairs)[2 * i], to = i32(pairs)[2 * i + 1];
      std::copy_n(f32(k_cache) + from * floats, floats, f32(k_cache) + to * floats);
      std::copy_n(f32(v_cache) + from * floats, floats, f32(v_cache) + to * floats);
    }
  });
}

int32_t tk_attention_forward(uint64_t stream, uint64_t out, uint64_t lse, uint64_t qkv, uint64_t cu_seqlens, int32_t B,
                             int32_t T, int32_t H, int32_t Hk, int32_t D, float scale, int32_t dtype) {
  const int32_t status = guarded([&] { check_heads(H, Hk, D); });
  if (status) return status;
  return launch(stream, dtype, [=] {
    check_packed(i32(cu_seqlens), B, T);
    forward(f32(out), f32(lse), f32(qkv), i32(cu_seqlens), B, {H, Hk, D}, scale);
  });
}

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

int32_t tk_attention_paged(uint64_t stream, uint64_t out, uint64_t qkv, uint64_t k_cache, uint64_t v_cache,
                           uint64_t block_tables, uint64_t row_seq, uint64_t positions, int32_t T, int32_t H, int32_t Hk,
                           int32_t D, int32_t block, int32_t max_blocks, float scale, int32_t dtype) {
  const int32_t status = guarded([&] {
    check_heads(H, Hk, D);
    check_block(block);
  });
  if (status) return status;
  return launch(stream, dtype, [=] {
    check_positions(i32(positions), T, INT32_MIN, static_cast<int64_t>(block) * max_blocks, "the block table");
    const Cache cache{f32(k_cache), f32(v_cache), i32(block_tables), block, max_blocks, Hk, D};
    paged(f32(out), f32(qkv), i32(row_seq), i32(positions), T, {H, Hk, D}, cache, scale);
  });
}

}  // extern "C"
