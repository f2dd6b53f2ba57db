// partition.cuh: log-sum-exp and entropy of a row of logits, merged from vocabulary tiles of 128 in one
// order. Training, scoring and sampling share it, so a log-prob has the same bits in all of them.
#pragma once
#include "runtime.cuh"

namespace tk {

constexpr int kVocabTile = 128;
constexpr float kNegativeInfinity = -INFINITY;

inline int vocab_tiles(int64_t V) { return static_cast<int>((V + kVocabTile - 1) / kVocabTile); }

// Of some logits z: their maximum, and sum and sum of z, both weighted with e^(z - max). A NaN among them
// shows in the sums.
struct Partial {
  float max, sum, energy;
};

// e^(z - shift); the only exponential of this file's sums.
DEV float weight_of(float z, float shift) {
  constexpr float kLog2e = 1.4426950408889634f;
  return exp2_approx(__fmul_rn(__fsub_rn(z, shift), kLog2e));
}
// What logits are shifted by: a maximum of -inf (nothing there) would make NaN of -inf.
DEV float shift_of(float max) { return max == kNegativeInfinity ? 0.0f : max; }

DEV Partial nothing() { return {kNegativeInfinity, 0.0f, 0.0f}; }

// Of two disjoint sets; merge(a, b) has the bits of merge(b, a).
DEV Partial merge(const Partial& a, const Partial& b) {
  const float top = fmaxf(a.max, b.max), shift = shift_of(top);
  const float wa = weight_of(a.max, shift), wb = weight_of(b.max, shift);
  return {top, __fadd_rn(__fmul_rn(a.sum, wa), __fmul_rn(b.sum, wb)),
          __fadd_rn(__fmul_rn(a.energy, wa), __fmul_rn(b.energy, wb))};
}

DEV Partial merge_lanes(Partial x) {
  for (int bit = 16; bit > 0; bit /= 2)
    x = merge(x, {__shfl_xor_sync(0xffffffffu, x.max, bit), __shfl_xor_sync(0xffffffffu, x.sum, bit),
                  __shfl_xor_sync(0xffffffffu, x.energy, bit)});
  return x;
}

// By a whole warp, which all gets the result: lane l takes tiles l, l + 32, ... in order, then the lanes merge.
DEV Partial merge_tiles(const Partial* tiles, int count) {
  Partial total = nothing();
  for (int i = threadIdx.x % 32; i < count; i += 32) total = merge(total, tiles[i]);
  return merge_lanes(total);
}

DEV float log_sum(const Partial& p) { return p.max + logf(p.sum); }
DEV float entropy_of(const Partial& p) { return log_sum(p) - p.energy / p.sum; }

// The tile of a row in memory, by a whole warp. `logit` maps a vocabulary index to a logit, `kept` says
// whether it counts.
template <class Logit, class Kept>
DEV Partial tile_partial(int tile, int V, Logit logit, Kept kept) {
  constexpr int kEach = kVocabTile / 32;
  float z[kEach], top = kNegativeInfinity;
  bool counts[kEach];
#pragma unroll
  for (int k = 0; k < kEach; ++k) {
    const int v = tile * kVocabTile + k * 32 + static_cast<int>(threadIdx.x % 32);
    counts[k] = v < V;
    z[k] = counts[k] ? logit(v) : 0.0f;
    counts[k] = counts[k] && kept(z[k]);
    if (counts[k]) top = fmaxf(top, z[k]);
  }
  top = warp_max(top);
  const float shift = shift_of(top);
  float sum = 0.0f, energy = 0.0f;
#pragma unroll
  for (int k = 0; k < kEach; ++k) {
    if (!counts[k]) continue;
    const float p = weight_of(z[k], shift);
    sum = __fadd_rn(sum, p);
    energy = __fmaf_rn(z[k], p, energy);
  }
  return {top, warp_sum(sum), warp_sum(energy)};
}

// All tiles of a row by a whole block, whose warps take turns; ends with a barrier.
template <class Logit, class Kept>
DEV void partition_row(Partial* tiles, int V, Logit logit, Kept kept) {
  const int count = (V + kVocabTile - 1) / kVocabTile, warps = static_cast<int>(blockDim.x) / 32;
  for (int i = static_cast<int>(threadIdx.x) / 32; i < count; i += warps) {
    const Partial p = tile_partial(i, V, logit, kept);
    if (threadIdx.x % 32 == 0) tiles[i] = p;
  }
  __syncthreads();
}

}  // namespace tk
