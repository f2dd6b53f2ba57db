// attention_paged.cpp: the same attention with keys and values from the paged cache: prefill and decode.
#include "attend.h"

namespace tk {
namespace {

void paged(float* out, const float* qkv, const int32_t* row_seq, const int32_t* positions, int64_t begin, int64_t end,
           Heads heads, const Cache& cache, float scale) {
  const int D = heads.D, group = heads.group();
#pragma omp parallel for collapse(2) schedule(dynamic)
  for (int64_t t = begin; t < end; ++t)
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

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_attention_paged(uint64_t stream, uint64_t out, uint64_t qkv, uint64_t k_cache, uint64_t v_cache,
                           uint64_t block_tables, uint64_t row_seq, uint64_t positions, int32_t T, int32_t H, int32_t Hk,
                           int32_t D, int32_t block, int32_t max_blocks, int32_t decode, float scale, int32_t dtype) {
  const int32_t status = guarded([&] {
    check_heads(H, Hk, D);
    check_block(block);
  });
  if (status) return status;
  const auto attend = [=](int64_t begin, int64_t end) {
    check_positions(i32(positions), begin, end, INT32_MIN, static_cast<int64_t>(block) * max_blocks, "the block table");
    const Cache cache{f32(k_cache), f32(v_cache), i32(block_tables), block, max_blocks, Hk, D};
    paged(f32(out), f32(qkv), i32(row_seq), i32(positions), begin, end, {H, Hk, D}, cache, scale);
  };
  // Rows of a prefill read keys that others have written.
  return decode ? launch_rows(stream, dtype, T, attend) : launch(stream, dtype, [=] { attend(0, T); });
}

}  // extern "C"
