// rope.cpp: rotary embedding, and its fusion with the write into the paged KV cache. Bound: memory.
#include "attention.h"

namespace tk {
namespace {

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
    check_positions(i32(positions), 0, T, 0, P, "cos_sin");
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
  return launch_rows(stream, dtype, T, [=](int64_t begin, int64_t end) {
    check_positions(i32(positions), begin, end, INT32_MIN, P, "cos_sin");
    check_positions(i32(positions), begin, end, INT32_MIN, static_cast<int64_t>(block) * max_blocks, "the block table");
    const Heads heads{H, Hk, D};
    const Cache cache{f32(k_cache), f32(v_cache), i32(block_tables), block, max_blocks, Hk, D};
#pragma omp parallel for schedule(static) if ((end - begin) * heads.row() > 1 << 15)
    for (int64_t t = begin; t < end; ++t) {
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

}  // extern "C"
