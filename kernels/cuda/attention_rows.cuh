// attention_rows.cuh: attention of many queries at once on tensor cores, for packed batches (forward) and
// for prompts in the paged cache (prefill). A block works on 64 rows of qkv and one query head: four warps
// of 16 rows. The rows may belong to several sequences: the block visits the keys of each run of rows of
// one sequence in turn, so sequences need no alignment.
//
// FLOPs: 4 D a (query, key) pair and head. Bytes: keys and values are read once for every 64 queries and
// head, from the L2 cache mostly; the bound is the tensor cores from a few hundred keys on.
#pragma once
#include "attention_tile.cuh"

namespace tk {

constexpr int kRowTile = 64, kRowWarps = kRowTile / 16;

// Consecutive rows of one sequence at consecutive positions, up to row `end`. A negative position marks rows
// that are not this kernel's.
template <class Keys>
struct Run {
  int end, position;
  Keys keys;
};

// Writes a lane's share of row x, divided by its sum.
template <int D>
DEV void store_row(bf16* out, const QueryRows<D>& rows, int x) {
  const float inverse = __fdiv_rn(1.0f, rows.l[x]);
  auto* words = reinterpret_cast<uint32_t*>(out) + threadIdx.x % 4;
#pragma unroll
  for (int i = 0; i < D / 8; ++i)
    words[4 * i] = pack_bf16(__fmul_rn(rows.o[i][2 * x], inverse), __fmul_rn(rows.o[i][2 * x + 1], inverse));
}

// A Source says which rows belong together and where their keys are: `prepare` is called once by all
// threads (a barrier follows), `run` gives the run that begins at a row, the same on every thread.
template <int D, class Source>
__global__ void __launch_bounds__(32 * kRowWarps)
    attention_rows(bf16* out, float* lse, const bf16* qkv, Source source, int tokens, Heads heads, float scale) {
  GPU_DYN_SMEM(bytes);
  const AttendMemory<D, kRowWarps> memory{bytes};
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  // The last rows first: in one long sequence they have the most keys.
  const int begin = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kRowTile, end = min(tokens, begin + kRowTile);
  const int h = static_cast<int>(blockIdx.y), hk = h / heads.group(), warp_row = begin + 16 * warp;
  const float rate = __fmul_rn(scale, 1.4426950408889634f);
  load_tile<D, 32 * kRowWarps>(memory.totals(), qkv + begin * heads.row() + static_cast<int64_t>(h) * D, heads.row(),
                               end - begin);
  cp_async_commit();
  source.prepare(begin, end);
  cp_async_wait_group<0>();
  __syncthreads();
  uint32_t q[D / 16][4];
#pragma unroll
  for (int k = 0; k < D / 16; ++k) load_left<D>(q[k], memory.totals(), 16 * warp, k);

  for (int row = begin; row < end;) {
    const auto run = source.run(row, end, hk);
    if (run.position >= 0) {
      const int past = run.position + 1 - row;  // row r of the run sees r + past keys
      const int warp_end = min(run.end, warp_row + 16);
      const int warp_sees = warp_row + 16 > row && warp_row < run.end ? warp_end + past - 1 : 0;
      int sees[2];
#pragma unroll
      for (int x = 0; x < 2; ++x) {
        const int r = warp_row + lane / 4 + 8 * x;
        sees[x] = r >= row && r < run.end ? r + past : 0;
      }
      QueryRows<D> rows;
      attend(rows, q, memory, run.keys, 0, run.end + past - 1, sees, warp_sees, rate);
#pragma unroll
      for (int x = 0; x < 2; ++x) {
        if (sees[x] == 0) continue;
        const int64_t at = static_cast<int64_t>(warp_row + lane / 4 + 8 * x) * heads.H + h;
        store_row(out + at * D, rows, x);
        if (lse && lane % 4 == 0) lse[at] = __fmaf_rn(rows.m[x], scale, logf(rows.l[x]));
      }
    }
    row = run.end;
  }
}

template <int D, class Source>
void launch_attention_rows(Stream& s, bf16* out, float* lse, const bf16* qkv, const Source& source, int tokens,
                           const Heads& heads, float scale) {
  constexpr int kBytes = AttendMemory<D, kRowWarps>::kBytes;
  const dim3 grid(static_cast<unsigned>(ceil_div(tokens, kRowTile)), static_cast<unsigned>(heads.H));
  allow_shared_memory(attention_rows<D, Source>, kBytes);
  LAUNCH((attention_rows<D, Source>), grid, 32 * kRowWarps, kBytes, s.queue, out, lse, qkv, source, tokens, heads, scale);
}

}  // namespace tk
