// head.cuh: what the ops on an LM head share on the host's side.
#pragma once
#include <algorithm>

#include "head_tile.cuh"
#include "linear.cuh"

namespace tk {

// An LM head as the ABI hands it over.
struct Head {
  uint64_t h, packed;  // (T, C), packed (V, C)
  int T, C, V;
  bool is_f32;

  // Rows t .. t + rows against the entries v .. v + columns, on the tensor cores.
  HeadProduct product(int t, int rows, int v, int columns, const Temperature& temperature) const {
    const int64_t ld = packed_stride(C);
    return {{b16(packed) + v * ld, ld, columns}, {b16(h) + int64_t{t} * C, C, rows}, C, temperature};
  }
  // logits(rows, V) of rows t .. t + rows in float32.
  void logits_f32(cudaStream_t queue, float* logits, int t, int rows) const {
    multiply_f32(queue, {f32(h) + int64_t{t} * C, C, 1, f32(packed), C, 1, logits, V, 1, nullptr, rows, V, C, C, false});
  }
};

Head make_head(uint64_t h, uint64_t packed, int32_t T, int32_t C, int32_t V, uint64_t workspace_bytes, int32_t dtype,
               int32_t w_dtype);

// Rows at a time when each needs `bytes_each` of the workspace.
int rows_that_fit(uint64_t workspace_bytes, uint64_t bytes_each, int rows);

// Reports the first target that is no vocabulary entry.
void check_targets(Stream& stream, const int32_t* targets, int T, int V);

// Shared memory for the partial sums of one row.
inline int partial_bytes(int V) { return vocab_tiles(V) * static_cast<int>(sizeof(Partial)); }

}  // namespace tk
