// attention.h: heads, key tiles and the paged KV cache: what attention and RoPE share.
//
// A key tile is stored transposed, (D, 16): lane j is key j, each score is one FMA chain over D.
// Layout of one layer's cache, blocks of `block` positions (a multiple of 16):
//   k_cache (blocks, Hk, block / 16, D, 16)     v_cache (blocks, Hk, block, D)
#pragma once
#include <algorithm>
#include <string>

#include "runtime.h"
#include "simd.h"

namespace tk {

constexpr int kTile = kLanes;  // keys of a tile

// Shapes shared by the packed kernels: row stride of qkv, offsets of k and v, queries per kv head.
struct Heads {
  int H, Hk, D;
  int64_t row() const { return static_cast<int64_t>(H + 2 * Hk) * D; }
  int64_t key(int hk) const { return static_cast<int64_t>(H + hk) * D; }
  int64_t value(int hk) const { return static_cast<int64_t>(H + Hk + hk) * D; }
  int group() const { return H / Hk; }
};

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

inline void check_heads(int32_t H, int32_t Hk, int32_t D) {
  require(Hk > 0 && H % Hk == 0, "the number of query heads must be a multiple of the number of kv heads");
  require(D > 0 && D % kLanes == 0, "head_dim must be a multiple of 16");
}

inline void check_block(int32_t block) {
  require(block > 0 && block % kTile == 0, "the KV block size must be a multiple of 16");
}

// Indices come from device memory, so these two are execution errors: without them a wrong index
// would read or write memory of somebody else.
inline void check_positions(const int32_t* positions, int64_t first, int64_t last, int64_t low, int64_t end,
                            const char* table) {
  for (int64_t t = first; t < last; ++t)
    if (positions[t] < low || positions[t] >= end)
      throw std::out_of_range("token " + std::to_string(t) + " has position " + std::to_string(positions[t]) + ", but " +
                              table + " ends at " + std::to_string(end));
}

inline void check_packed(const int32_t* cu, int B, int64_t T) {
  require(std::is_sorted(cu, cu + B + 1) && cu[0] == 0, "cu_seqlens must begin with 0 and never decrease");
  if (cu[B] != T)
    throw std::out_of_range("cu_seqlens ends at " + std::to_string(cu[B]) + ", but there are " + std::to_string(T) +
                            " tokens");
}

}  // namespace tk
