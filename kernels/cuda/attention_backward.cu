// attention_backward.cu: the gradient of packed attention on tensor cores (bfloat16, head_dim 32, 64, 128).
//
// With p = exp(scale q k - lse), dp = dout v, delta = sum(out dout), ds = p (dp - delta):
//   dv = p^T dout,   dk = scale ds^T q,   dq = scale ds k.
// Two kernels, so that every gradient has one owner and one order of summation, without atomics: one owns
// 64 keys of a kv head and visits the queries of the whole group, one owns 64 queries and visits the keys.
// Tiles of the visited side are counted from the sequence's first token, so the bits depend on the sequence
// alone. Both recompute p and dp: 14 D FLOPs a (query, key) pair and head, where 10 D are needed.
//
// Bound: tensor cores. Bytes: the visited side is read once for every 64 rows, mostly from the L2 cache.
#include "attention_tile.cuh"

namespace tk {
namespace {

constexpr int kRows = 64, kWarps = kRows / 16, kThreads = 32 * kWarps;
constexpr float kLog2e = 1.4426950408889634f;

struct Backward {
  bf16* dqkv;
  const bf16 *dout, *qkv;
  const float *lse, *delta;
  Sequences sequences;
  Heads heads;
  float scale;

  DEV const bf16* row(int t, int head) const { return qkv + t * heads.row() + static_cast<int64_t>(head) * heads.D; }
  DEV bf16* gradient(int t, int head) const { return dqkv + t * heads.row() + static_cast<int64_t>(head) * heads.D; }
  DEV const bf16* dout_row(int t, int h) const { return dout + (static_cast<int64_t>(t) * heads.H + h) * heads.D; }
  DEV int64_t dout_stride() const { return static_cast<int64_t>(heads.H) * heads.D; }
  // (lse log2(e), delta) of a row and head.
  DEV float2 statistics(int t, int h) const {
    const int64_t at = static_cast<int64_t>(t) * heads.H + h;
    return make_float2(__fmul_rn(lse[at], kLog2e), delta[at]);
  }
};

template <int kPieces>
DEV void clear(float (&acc)[kPieces][4]) {
#pragma unroll
  for (int i = 0; i < kPieces; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) acc[i][j] = 0.0f;
}

// acc(16, N) = the warp's 16 rows of `left` times the N rows of `right`, transposed.
template <int D, int N>
DEV void multiply_rows(float (&acc)[N / 8][4], const unsigned char* left, int row, const unsigned char* right) {
  clear(acc);
#pragma unroll
  for (int k = 0; k < D / 16; ++k) {
    uint32_t a[4];
    load_left<D>(a, left, row, k);
#pragma unroll
    for (int n = 0; n < N / 16; ++n) {
      uint32_t b[4];
      load_right<D>(b, right, 16 * n, k);
      mma_m16n8k16(acc[2 * n], a, b[0], b[1]);
      mma_m16n8k16(acc[2 * n + 1], a, b[2], b[3]);
    }
  }
}

// acc(16, D) += weights(16, N), rounded, times the N rows of `right`.
template <int D, int N>
DEV void add_product(float (&acc)[D / 8][4], const float (&weights)[N / 8][4], const unsigned char* right) {
#pragma unroll
  for (int k = 0; k < N / 16; ++k) {
    uint32_t a[4];
    as_left(a, weights, k);
#pragma unroll
    for (int n = 0; n < D / 16; ++n) {
      uint32_t b[4];
      load_right_rows<D>(b, right, k, n);
      mma_m16n8k16(acc[2 * n], a, b[0], b[1]);
      mma_m16n8k16(acc[2 * n + 1], a, b[2], b[3]);
    }
  }
}

// A lane's share of row x, times `factor`.
template <int D>
DEV void store_gradient(bf16* row, const float (&acc)[D / 8][4], int x, float factor) {
  auto* words = reinterpret_cast<uint32_t*>(row) + threadIdx.x % 4;
#pragma unroll
  for (int i = 0; i < D / 8; ++i)
    words[4 * i] = pack_bf16(__fmul_rn(acc[i][2 * x], factor), __fmul_rn(acc[i][2 * x + 1], factor));
}

// ---- keys and values: a block owns 64 rows of a kv head -----------------------------------------------

// Shared memory: keys, values, two stages of queries and of dout, two of the rows' statistics.
template <int D>
struct KeysMemory {
  static constexpr int kVisited = D == 128 ? 32 : 64;  // queries of a step: what the registers hold
  static constexpr int kStage = kVisited * kPitch<D>, kStatistics = 2 * kTileBytes<D> + 4 * kStage;
  static constexpr int kBytes = kStatistics + 2 * kVisited * static_cast<int>(sizeof(float2));
  unsigned char* memory;
  DEV unsigned char* keys() const { return memory; }
  DEV unsigned char* values() const { return memory + kTileBytes<D>; }
  DEV unsigned char* queries(int stage) const { return values() + kTileBytes<D> + stage % 2 * kStage; }
  DEV unsigned char* douts(int stage) const { return values() + kTileBytes<D> + (2 + stage % 2) * kStage; }
  DEV float2* statistics(int stage) const {
    return reinterpret_cast<float2*>(memory + kStatistics) + stage % 2 * kVisited;
  }
};

template <int D>
__global__ void __launch_bounds__(kThreads) backward_keys(Backward b) {
  constexpr int kVisited = KeysMemory<D>::kVisited;
  GPU_DYN_SMEM(bytes);
  const KeysMemory<D> memory{bytes};
  const Heads heads = b.heads;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp_row = thread / 32 * 16;
  const int begin = static_cast<int>(blockIdx.x) * kRows, end = min(b.sequences.tokens, begin + kRows);
  const int hk = static_cast<int>(blockIdx.y), group = heads.group(), column = lane % 4 * 2;
  const int key_head = heads.H + hk, value_head = key_head + heads.Hk;
  const float rate = __fmul_rn(b.scale, kLog2e);
  load_tile<D, kThreads>(memory.keys(), b.row(begin, key_head), heads.row(), end - begin);
  load_tile<D, kThreads>(memory.values(), b.row(begin, value_head), heads.row(), end - begin);
  cp_async_commit();
  float dk[D / 8][4], dv[D / 8][4];
  clear(dk);
  clear(dv);

  for (int row = begin; row < end;) {
    const Sequence sequence = b.sequences.of(row);
    if (sequence.begin > row) break;
    const int run_end = min(end, sequence.end), length = sequence.end - sequence.begin;
    const int first_tile = (row - sequence.begin) / kVisited;
    const int tiles = (length + kVisited - 1) / kVisited - first_tile;
    const int steps = tiles * group;
    // Positions of the lane's two keys; keys of another sequence are seen by nobody.
    int position[2];
#pragma unroll
    for (int x = 0; x < 2; ++x) {
      const int r = begin + warp_row + lane / 4 + 8 * x;
      position[x] = r >= row && r < run_end ? r - sequence.begin : length;
    }
    // Position of the warp's first key; beyond all queries if it has none. (Every register counts here.)
    const int warp_first = begin + warp_row + 16 > row && begin + warp_row < run_end
                               ? max(begin + warp_row, row) - sequence.begin
                               : length + kVisited;
    float2 next = {};
    const auto load = [&](int step) {
      const int h = hk * group + step / tiles, at = (first_tile + step % tiles) * kVisited, t = sequence.begin + at;
      load_tile<D, kThreads, kVisited>(memory.queries(step), b.row(t, h), heads.row(), length - at);
      load_tile<D, kThreads, kVisited>(memory.douts(step), b.dout_row(t, h), b.dout_stride(), length - at);
      cp_async_commit();
      next = make_float2(0.0f, 0.0f);
      if (thread < kVisited && at + thread < length) next = b.statistics(t + thread, h);
    };
    const auto put_statistics = [&](int step) {
      if (thread < kVisited) memory.statistics(step)[thread] = next;
    };
    __syncthreads();  // the last run's stages are free
    load(0);
    put_statistics(0);
    for (int step = 0; step < steps; ++step) {
      cp_async_wait_group<0>();
      __syncthreads();  // this stage is there, and nobody reads the last one any more
      if (step + 1 < steps) load(step + 1);
      const int at = (first_tile + step % tiles) * kVisited;
      if (warp_first < at + kVisited) {
        const float2* statistics = memory.statistics(step);
        float p[kVisited / 8][4], ds[kVisited / 8][4];
        multiply_rows<D, kVisited>(p, memory.keys(), warp_row, memory.queries(step));
#pragma unroll
        for (int i = 0; i < kVisited / 8; ++i)
#pragma unroll
          for (int j = 0; j < 4; ++j) {
            const int query = at + 8 * i + column + j % 2;
            const float e = exp2_approx(__fmaf_rn(p[i][j], rate, -statistics[8 * i + column + j % 2].x));
            p[i][j] = query >= position[j / 2] && query < length ? e : 0.0f;
          }
        add_product<D, kVisited>(dv, p, memory.douts(step));
        multiply_rows<D, kVisited>(ds, memory.values(), warp_row, memory.douts(step));
#pragma unroll
        for (int i = 0; i < kVisited / 8; ++i)
#pragma unroll
          for (int j = 0; j < 4; ++j)
            ds[i][j] = __fmul_rn(p[i][j], __fsub_rn(ds[i][j], statistics[8 * i + column + j % 2].y));
        add_product<D, kVisited>(dk, ds, memory.queries(step));
      }
      if (step + 1 < steps) put_statistics(step + 1);
    }
    row = run_end;
  }
  cp_async_wait_group<0>();
#pragma unroll
  for (int x = 0; x < 2; ++x) {
    const int r = begin + warp_row + lane / 4 + 8 * x;
    if (r >= end) continue;
    store_gradient<D>(b.gradient(r, key_head), dk, x, b.scale);
    store_gradient<D>(b.gradient(r, value_head), dv, x, 1.0f);
  }
}

// ---- queries: a block owns 64 rows of a query head ----------------------------------------------------

// Shared memory: queries, dout, two stages of keys and of values.
template <int D>
struct QueriesMemory {
  static constexpr int kBytes = 6 * kTileBytes<D>;
  unsigned char* memory;
  DEV unsigned char* queries() const { return memory; }
  DEV unsigned char* douts() const { return memory + kTileBytes<D>; }
  DEV unsigned char* keys(int stage) const { return memory + (2 + stage % 2) * kTileBytes<D>; }
  DEV unsigned char* values(int stage) const { return memory + (4 + stage % 2) * kTileBytes<D>; }
};

template <int D>
__global__ void __launch_bounds__(kThreads) backward_queries(Backward b) {
  GPU_DYN_SMEM(bytes);
  const QueriesMemory<D> memory{bytes};
  b.sequences.check();
  const Heads heads = b.heads;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp_row = thread / 32 * 16;
  // The last rows first: in one long sequence they have the most keys.
  const int begin = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kRows, end = min(b.sequences.tokens, begin + kRows);
  const int h = static_cast<int>(blockIdx.y), key_head = heads.H + h / heads.group();
  const int value_head = key_head + heads.Hk, column = lane % 4 * 2;
  const float rate = __fmul_rn(b.scale, kLog2e);
  load_tile<D, kThreads>(memory.queries(), b.row(begin, h), heads.row(), end - begin);
  load_tile<D, kThreads>(memory.douts(), b.dout_row(begin, h), b.dout_stride(), end - begin);
  cp_async_commit();

  for (int row = begin; row < end;) {
    const Sequence sequence = b.sequences.of(row);
    if (sequence.begin > row) break;
    const int run_end = min(end, sequence.end), past = 1 - sequence.begin;  // row r sees r + past keys
    const int seen = run_end - 1 + past, tiles = (seen + kRows - 1) / kRows;
    int sees[2];
    float2 statistics[2];
#pragma unroll
    for (int x = 0; x < 2; ++x) {
      const int r = begin + warp_row + lane / 4 + 8 * x;
      const bool mine = r >= row && r < run_end;
      sees[x] = mine ? r + past : 0;
      statistics[x] = mine ? b.statistics(r, h) : make_float2(0.0f, 0.0f);
    }
    const bool has_rows = begin + warp_row + 16 > row && begin + warp_row < run_end;
    const int warp_sees = has_rows ? min(run_end, begin + warp_row + 16) - 1 + past : 0;
    const auto load = [&](int tile) {
      const int at = tile * kRows, t = sequence.begin + at;
      load_tile<D, kThreads>(memory.keys(tile), b.row(t, key_head), heads.row(), seen - at);
      load_tile<D, kThreads>(memory.values(tile), b.row(t, value_head), heads.row(), seen - at);
      cp_async_commit();
    };
    float dq[D / 8][4];
    clear(dq);
    __syncthreads();  // the last run's stages are free
    load(0);
    for (int tile = 0; tile < tiles; ++tile) {
      const int at = tile * kRows;
      cp_async_wait_group<0>();
      __syncthreads();  // this stage is there, and nobody reads the last one any more
      if (tile + 1 < tiles) load(tile + 1);
      if (at >= warp_sees) continue;
      float p[kRows / 8][4], ds[kRows / 8][4];
      multiply_rows<D, kRows>(p, memory.queries(), warp_row, memory.keys(tile));
      multiply_rows<D, kRows>(ds, memory.douts(), warp_row, memory.values(tile));
#pragma unroll
      for (int i = 0; i < kRows / 8; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const float e = exp2_approx(__fmaf_rn(p[i][j], rate, -statistics[j / 2].x));
          const float weight = at + 8 * i + column + j % 2 < sees[j / 2] ? e : 0.0f;
          ds[i][j] = __fmul_rn(weight, __fsub_rn(ds[i][j], statistics[j / 2].y));
        }
      add_product<D, kRows>(dq, ds, memory.keys(tile));
    }
#pragma unroll
    for (int x = 0; x < 2; ++x)
      if (sees[x] > 0) store_gradient<D>(b.gradient(begin + warp_row + lane / 4 + 8 * x, h), dq, x, b.scale);
    row = run_end;
  }
  cp_async_wait_group<0>();
}

}  // namespace

void attention_backward_mma(Stream& s, bf16* dqkv, const bf16* dout, const bf16* out, const float* lse,
                            const bf16* qkv, const Sequences& sequences, const Heads& heads, float scale) {
  const int64_t rows = static_cast<int64_t>(sequences.tokens) * heads.H;
  float* delta = s.scratch.get<float>(static_cast<size_t>(rows));
  attention_delta(s, delta, dout, out, rows, heads.D);
  const Backward backward{dqkv, dout, qkv, lse, delta, sequences, heads, scale};
  const auto tiles = static_cast<unsigned>(ceil_div(sequences.tokens, kRows));
  with_mma_dim(heads.D, [&](auto D) {
    constexpr int kKeys = KeysMemory<D.value>::kBytes, kQueries = QueriesMemory<D.value>::kBytes;
    allow_shared_memory(backward_keys<D.value>, kKeys);
    LAUNCH((backward_keys<D.value>), dim3(tiles, static_cast<unsigned>(heads.Hk)), kThreads, kKeys, s.queue, backward);
    allow_shared_memory(backward_queries<D.value>, kQueries);
    LAUNCH((backward_queries<D.value>), dim3(tiles, static_cast<unsigned>(heads.H)), kThreads, kQueries, s.queue,
           backward);
  });
}

}  // namespace tk
