// attention_tile.cuh: the inner loop of attention on tensor cores (bfloat16, head_dim 32, 64 or 128).
//
// A warp owns 16 query rows. Keys are visited in tiles of 64, counted from the sequence's first token, with
// an online softmax: running maximum m, running sum l, unnormalised output o. After every 512 keys, a
// chunk, the partial result joins a total: total <- total + part, in order. So a long context can be shared
// among blocks, one chunk each, and merged afterwards. Packed forward, prefill and decode all run `attend`
// on the same tiles and chunks with explicitly rounded arithmetic: a row's output has the same bits on
// every path. A tile or chunk of which a row sees nothing changes no bit of it.
//
// Fragments of mma.m16n8k16: a lane's elements of a 16x8 result are rows lane/4 (x = 0) and lane/4 + 8
// (x = 1), columns 2 (lane % 4) and + 1; element 2 x + j of a quadruple is row x, column j.
//
// Tiles in shared memory are rows of whole 128-byte lines; the 16-byte pieces of a line are permuted by the
// row (piece ^ row % 8), so the eight rows that ldmatrix reads at once lie in different banks.
#pragma once
#include "attention.cuh"

namespace tk {

constexpr int kTileKeys = 64, kChunkKeys = 512;
static_assert(kKvTile % kTileKeys == 0, "a tile of keys must lie within one cache block");

// Bytes of a row and of a tile of 64 rows.
template <int D>
constexpr int kPitch = (D + 63) / 64 * 128;
template <int D>
constexpr int kTileBytes = kTileKeys * kPitch<D>;

template <int D>
DEV int tile_offset(int row, int piece) {
  return row * kPitch<D> + ((piece ^ (row & 7)) << 4);
}

// Starts copying kRows rows of D elements; rows from `count` on become zeros and are not read.
template <int D, int kThreads, int kRows = kTileKeys>
DEV void load_tile(unsigned char* tile, const bf16* rows, int64_t stride, int count) {
  constexpr int kPieces = D / 8;
#pragma unroll
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kPieces; i += kThreads) {
    const int r = i / kPieces, piece = i % kPieces;
    const bool valid = r < count;
    cp_async16(tile + tile_offset<D>(r, piece), valid ? rows + r * stride + piece * 8 : rows, valid);
  }
}

// In the three loads below `2 k ^ bit` is 2 k + bit; written so, all addresses of a lane are one value
// XORed with constants, which saves registers where they are scarce.
//
// Fragments of 16 rows from `row` on, columns 16 k .. 16 k + 15, as the left operand.
template <int D>
DEV void load_left(uint32_t (&a)[4], const unsigned char* tile, int row, int k) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  ldmatrix_x4(a, tile + tile_offset<D>(row + lane % 16, 2 * k ^ lane / 16));
}
// Right operands that contract over the columns 16 k .. 16 k + 15 of the tile, for the result columns
// n .. n + 7 (words 0, 1) and n + 8 .. n + 15 (words 2, 3) that are rows of the tile.
template <int D>
DEV void load_right(uint32_t (&b)[4], const unsigned char* tile, int n, int k) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  ldmatrix_x4(b, tile + tile_offset<D>(n + lane % 8 + lane / 16 * 8, 2 * k ^ lane / 8 % 2));
}
// Right operands that contract over the rows 16 k .. 16 k + 15 of the tile, for its columns
// 16 n .. 16 n + 7 (words 0, 1) and 16 n + 8 .. 16 n + 15 (words 2, 3).
template <int D>
DEV void load_right_rows(uint32_t (&b)[4], const unsigned char* tile, int k, int n) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  ldmatrix_x4_trans(b, tile + tile_offset<D>(16 * k + lane % 16, 2 * n ^ lane / 16));
}

// A 16x16 piece of a result (columns 16 k .. 16 k + 15), rounded, as the left operand of the next product.
template <int kColumns>
DEV void as_left(uint32_t (&a)[4], const float (&s)[kColumns][4], int k) {
  a[0] = pack_bf16(s[2 * k][0], s[2 * k][1]);
  a[1] = pack_bf16(s[2 * k][2], s[2 * k][3]);
  a[2] = pack_bf16(s[2 * k + 1][0], s[2 * k + 1][1]);
  a[3] = pack_bf16(s[2 * k + 1][2], s[2 * k + 1][3]);
}

// Sum over the four lanes that share a row.
DEV float quad_sum(float x) {
  x = __fadd_rn(x, __shfl_xor_sync(0xffffffffu, x, 1));
  return __fadd_rn(x, __shfl_xor_sync(0xffffffffu, x, 2));
}
DEV float quad_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
  return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}

// Sixteen query rows on their way through the keys: a lane's share. l is the lane's part of the sum until
// the end of a chunk, then the row's.
template <int D>
struct QueryRows {
  float o[D / 8][4], m[2], l[2];
  DEV void clear() {
#pragma unroll
    for (int x = 0; x < 2; ++x) m[x] = -INFINITY, l[x] = 0.0f;
#pragma unroll
    for (int i = 0; i < D / 8; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j) o[i][j] = 0.0f;
  }
};

// How a total and the next chunk's part are weighted. `rate` = scale log2(e).
struct MergeWeights {
  float top, total, part;
};
DEV MergeWeights merge_weights(float total, float part, float rate) {
  const float top = fmaxf(total, part), base = top == -INFINITY ? 0.0f : top;
  return {top, exp2_approx(__fmul_rn(__fsub_rn(total, base), rate)),
          exp2_approx(__fmul_rn(__fsub_rn(part, base), rate))};
}
DEV float merged(float total, float part, const MergeWeights& w) {
  return __fmaf_rn(total, w.total, __fmul_rn(part, w.part));
}

// The scores of a tile, S = q k^T, unscaled.
template <int D>
DEV void tile_scores(float (&s)[kTileKeys / 8][4], const uint32_t (&q)[D / 16][4], const unsigned char* k_tile) {
#pragma unroll
  for (int i = 0; i < kTileKeys / 8; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) s[i][j] = 0.0f;
#pragma unroll
  for (int k = 0; k < D / 16; ++k)
#pragma unroll
    for (int n = 0; n < kTileKeys / 16; ++n) {
      uint32_t b[4];
      load_right<D>(b, k_tile, 16 * n, k);
      mma_m16n8k16(s[2 * n], q[k], b[0], b[1]);
      mma_m16n8k16(s[2 * n + 1], q[k], b[2], b[3]);
    }
}

// Scores become weights exp(scale (s - m)); row x sees the first visible[x] keys of the tile.
template <int D>
DEV void tile_softmax(QueryRows<D>& rows, float (&s)[kTileKeys / 8][4], const int (&visible)[2], float rate) {
  const int column = static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
  for (int x = 0; x < 2; ++x) {
    if (visible[x] < kTileKeys) {
#pragma unroll
      for (int i = 0; i < kTileKeys / 8; ++i)
#pragma unroll
        for (int j = 0; j < 2; ++j)
          if (8 * i + column + j >= visible[x]) s[i][2 * x + j] = -INFINITY;
    }
    float top = rows.m[x];
#pragma unroll
    for (int i = 0; i < kTileKeys / 8; ++i) top = fmaxf(top, fmaxf(s[i][2 * x], s[i][2 * x + 1]));
    top = quad_max(top);
    const float base = top == -INFINITY ? 0.0f : top, shift = -__fmul_rn(base, rate);
    const float alpha = exp2_approx(__fmul_rn(__fsub_rn(rows.m[x], base), rate));
    rows.m[x] = top;
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < kTileKeys / 8; ++i)
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        s[i][2 * x + j] = exp2_approx(__fmaf_rn(s[i][2 * x + j], rate, shift));
        sum = __fadd_rn(sum, s[i][2 * x + j]);
      }
    rows.l[x] = __fmaf_rn(rows.l[x], alpha, sum);
#pragma unroll
    for (int i = 0; i < D / 8; ++i)
#pragma unroll
      for (int j = 0; j < 2; ++j) rows.o[i][2 * x + j] = __fmul_rn(rows.o[i][2 * x + j], alpha);
  }
}

// o += weights v.
template <int D>
DEV void tile_values(QueryRows<D>& rows, const float (&weights)[kTileKeys / 8][4], const unsigned char* v_tile) {
#pragma unroll
  for (int k = 0; k < kTileKeys / 16; ++k) {
    uint32_t p[4];
    as_left(p, weights, k);
#pragma unroll
    for (int n = 0; n < D / 16; ++n) {
      uint32_t b[4];
      load_right_rows<D>(b, v_tile, k, n);
      mma_m16n8k16(rows.o[2 * n], p, b[0], b[1]);
      mma_m16n8k16(rows.o[2 * n + 1], p, b[2], b[3]);
    }
  }
}

// Shared memory of `attend`: two stages of keys and of values, and the totals, which are private to each
// thread. Before the first call the totals' place is free for the query tile.
template <int D, int kWarps>
struct AttendMemory {
  static constexpr int kStages = 2, kTotals = 4 * kTileBytes<D>;
  static constexpr int kBytes = kTotals + kWarps * 32 * (D / 8) * static_cast<int>(sizeof(float4));
  unsigned char* memory;
  DEV unsigned char* keys(int tile) const { return memory + tile % kStages * kTileBytes<D>; }
  DEV unsigned char* values(int tile) const { return memory + (kStages + tile % kStages) * kTileBytes<D>; }
  DEV unsigned char* totals() const { return memory + kTotals; }
  DEV float4& total(int i) const {
    return reinterpret_cast<float4*>(totals())[i * kWarps * 32 + static_cast<int>(threadIdx.x)];
  }
};

// The end of a chunk: the rows join the total, which stays in shared memory or, after the last chunk,
// becomes the rows.
template <int D, int kWarps>
DEV void close_chunk(QueryRows<D>& rows, const AttendMemory<D, kWarps>& memory, float (&m)[2], float (&l)[2],
                     bool first, bool last, float rate) {
  MergeWeights w[2];
#pragma unroll
  for (int x = 0; x < 2; ++x) {
    rows.l[x] = quad_sum(rows.l[x]);
    if (first) {
      m[x] = rows.m[x];
      l[x] = rows.l[x];
      continue;
    }
    w[x] = merge_weights(m[x], rows.m[x], rate);
    m[x] = w[x].top;
    l[x] = merged(l[x], rows.l[x], w[x]);
  }
  if (first && last) return;
#pragma unroll
  for (int i = 0; i < D / 8; ++i) {
    float4 o = make_float4(rows.o[i][0], rows.o[i][1], rows.o[i][2], rows.o[i][3]);
    if (!first) {
      const float4 t = memory.total(i);
      o = make_float4(merged(t.x, o.x, w[0]), merged(t.y, o.y, w[0]), merged(t.z, o.z, w[1]), merged(t.w, o.w, w[1]));
    }
    if (!last) memory.total(i) = o;
    rows.o[i][0] = o.x, rows.o[i][1] = o.y, rows.o[i][2] = o.z, rows.o[i][3] = o.w;
  }
  if (last) {
#pragma unroll
    for (int x = 0; x < 2; ++x) rows.m[x] = m[x], rows.l[x] = l[x];
  } else {
    rows.clear();
  }
}

template <int kWarps>
DEV void sync_warps() {
  if constexpr (kWarps == 1)
    __syncwarp();
  else
    __syncthreads();
}

// All keys first .. end - 1 (first begins a chunk) for the block's kWarps groups of 16 rows. A lane's row x
// sees the keys before sees[x]; no row of its warp sees keys from warp_sees on. Afterwards the rows hold
// m, l and o of these keys. Called by all threads; the block's shared memory is free again when the next
// call's or the caller's barrier has been passed.
template <int D, int kWarps, class Keys>
DEV void attend(QueryRows<D>& rows, const uint32_t (&q)[D / 16][4], const AttendMemory<D, kWarps>& memory,
                const Keys& keys, int first, int end, const int (&sees)[2], int warp_sees, float rate) {
  constexpr int kThreads = 32 * kWarps, kTilesPerChunk = kChunkKeys / kTileKeys;
  const int tiles = (end - first + kTileKeys - 1) / kTileKeys;
  const auto load_keys = [&](int tile) {
    const int at = first + tile * kTileKeys;
    if (tile < tiles) load_tile<D, kThreads>(memory.keys(tile), keys.key(at), keys.stride, end - at);
    cp_async_commit();
  };
  const auto load_values = [&](int tile) {
    const int at = first + tile * kTileKeys;
    if (tile < tiles) load_tile<D, kThreads>(memory.values(tile), keys.value(at), keys.stride, end - at);
    cp_async_commit();
  };
  rows.clear();
  sync_warps<kWarps>();  // nobody reads the stages, or the query tile in the totals' place, any more
  load_keys(0);
  load_values(0);
  float m[2], l[2];
  for (int tile = 0; tile < tiles; ++tile) {
    const int at = first + tile * kTileKeys;
    const bool work = at < warp_sees;
    cp_async_wait_group<1>();
    sync_warps<kWarps>();  // this tile's keys are there, and nobody reads the last one's any more
    load_keys(tile + 1);
    float s[kTileKeys / 8][4];
    if (work) {
      const int visible[2] = {sees[0] - at, sees[1] - at};
      tile_scores<D>(s, q, memory.keys(tile));
      tile_softmax(rows, s, visible, rate);
    }
    cp_async_wait_group<1>();
    sync_warps<kWarps>();  // the same for the values
    load_values(tile + 1);
    if (work) tile_values(rows, s, memory.values(tile));
    const bool last = tile + 1 == tiles;
    if (last || (tile + 1) % kTilesPerChunk == 0)
      close_chunk(rows, memory, m, l, tile < kTilesPerChunk, last, rate);
  }
  cp_async_wait_group<0>();
}

// Dynamic shared memory beyond 48 KB has to be asked for, once a kernel and device.
template <class Kernel>
void allow_shared_memory(Kernel* kernel, int bytes) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
}

}  // namespace tk
