// partition.h: log-sum-exp and entropy of a row of logits, merged from vocabulary tiles in order: in training as in
// sampling, so a log-prob has the same bits in both.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "simd.h"

namespace tk {

constexpr int kVocabTile = 512;  // columns of one step of the running log-sum-exp
constexpr float kNegInf = -std::numeric_limits<float>::infinity();

// Running maximum m, s = sum e^(z - m), e = sum z e^(z - m) over the tiles seen so far.
struct Partition {
  float m = kNegInf, s = 0.0f, e = 0.0f;

  void add(const float* z, int n) {
    f32x16 top = f32x16::set1(kNegInf);
    int i = 0;
    for (; i + kLanes <= n; i += kLanes) top = max(top, f32x16::load(z + i));
    if (i < n) top = max(top, first_lanes(n - i, f32x16::load_partial(z + i, n - i), f32x16::set1(kNegInf)));
    const float tile_max = tk::max(top);
    if (tile_max == kNegInf) return;  // everything in the tile was truncated away
    const f32x16 shift = f32x16::set1(tile_max);
    f32x16 sums = zero(), energies = zero();
    for (i = 0; i < n; i += kLanes) {
      const int lanes = std::min(kLanes, n - i);
      const f32x16 x = f32x16::load_partial(z + i, lanes);
      const f32x16 p = first_lanes(lanes, exp(x - shift), zero());
      sums = sums + p;
      energies = fma(x, p, energies);
    }
    merge(tile_max, sum(sums), sum(energies));
  }
  void merge(float tile_max, float tile_sum, float tile_energy) {
    const float top = std::max(m, tile_max);
    const float keep = tk::exp(m - top), take = tk::exp(tile_max - top);
    s = s * keep + tile_sum * take;
    e = e * keep + tile_energy * take;
    m = top;
  }
  float lse() const { return m + std::log(s); }
  float entropy() const { return lse() - e / s; }
};

inline Partition partition_of(const float* z, int64_t V) {
  Partition total;
  for (int64_t v = 0; v < V; v += kVocabTile) total.add(z + v, static_cast<int>(std::min<int64_t>(kVocabTile, V - v)));
  return total;
}

}  // namespace tk
