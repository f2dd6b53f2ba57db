// sample.cu: draws one token a row from an LM head: temperature, top-k, top-p, without a sort.
//
// The tiles of the vocabulary leave logits and partial sums; then a block draws for one row. With plain
// temperature it reads the partial sums and one tile of logits. Top-k and top-p find their threshold by
// radix selection, eight bits of a float at a time, four passes over the row each.
// FLOPs 2 B C V; bytes 2 V C for the weights, 4 B V for the logits. Bound: memory, up to some 300 rows.
#include <cmath>

#include "head.cuh"

namespace tk {
namespace {

constexpr int kThreads = 256;
using Mass = unsigned long long;
static_assert(sizeof(Mass) == 8);

// Philox4x32-10 (Salmon et al., SC 2011): the first word of the block at this key and counter.
DEV uint32_t philox(uint64_t key, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint32_t n0 = __umulhi(0xCD9E8D57u, c2) ^ c1 ^ k0, n2 = __umulhi(0xD2511F53u, c0) ^ c3 ^ k1;
    c1 = 0xCD9E8D57u * c2;
    c3 = 0xD2511F53u * c0;
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c0;
}

// Floats in the order of their values, and back.
DEV uint32_t ordered_bits(float x) {
  const uint32_t u = __float_as_uint(x);
  return u >> 31 ? ~u : u | 0x80000000u;
}
DEV float from_ordered_bits(uint32_t u) { return __uint_as_float(u >> 31 ? u & 0x7fffffffu : ~u); }

// Histogram of one pass, and what the passes know so far.
struct Selection {
  Mass bins[256];
  Mass wanted;      // mass still to come from keys that begin with `prefix`
  uint32_t prefix;  // high bits of the threshold
};

// By a whole block: the greatest key for which the mass of all keys at or above it reaches `wanted` (> 0).
// item(v, key, mass) says what entry v weighs; integer masses add up to the same in any order.
template <class Item>
DEV uint32_t select_key(Selection& select, int V, Mass wanted, Item item) {
  if (threadIdx.x == 0) select.wanted = wanted, select.prefix = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    select.bins[threadIdx.x] = 0;
    __syncthreads();
    const uint32_t prefix = select.prefix;
    for (int v = threadIdx.x; v < V; v += kThreads) {
      uint32_t key;
      Mass mass;
      item(v, key, mass);
      if (mass > 0 && (shift == 24 || key >> (shift + 8) == prefix >> (shift + 8)))
        atomicAdd(&select.bins[key >> shift & 255], mass);
    }
    __syncthreads();
    if (threadIdx.x < 32) {  // lane l takes bins 255 - 8 l and the seven below
      const int top = 255 - 8 * static_cast<int>(threadIdx.x);
      Mass own = 0;
      for (int k = 0; k < 8; ++k) own += select.bins[top - k];
      Mass above = own;
      for (int step = 1; step < 32; step *= 2) {
        const Mass left = __shfl_up_sync(0xffffffffu, above, step);
        if (static_cast<int>(threadIdx.x) >= step) above += left;
      }
      const Mass missing = select.wanted;
      above -= own;
      __syncwarp();
      if (above < missing && missing <= above + own) {
        int k = 0;
        while (above + select.bins[top - k] < missing) above += select.bins[top - k++];
        select.wanted = missing - above;
        select.prefix = prefix | static_cast<uint32_t>(top - k) << shift;
      }
    }
    __syncthreads();
  }
  return select.prefix;
}

// A row of scaled logits and which of them may be drawn: at least `least` and of weight at least `border`.
struct Row {
  const float* z;
  float scale, least, border, top;
  DEV float logit(int v) const { return __fmul_rn(z[v], scale); }
  DEV bool keeps(float x) const { return !(x < least) && !(border > 0.0f && weight_of(x, top) < border); }
};

template <class F>
DEV float block_max(float* parts, int V, F f) {
  float top = kNegativeInfinity;
  for (int v = threadIdx.x; v < V; v += kThreads) top = fmaxf(top, f(v));
  top = warp_max(top);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = top;
  __syncthreads();
  for (int w = 0; w < kThreads / 32; ++w) top = fmaxf(top, parts[w]);
  return top;
}

// Keeps the top k, then of those the smallest set of probability >= top_p; equal logits together.
DEV void truncate_row(Row& row, Selection& select, float* parts, int V, float top_p, int64_t top_k) {
  if (top_k > 0 && top_k < V) {
    const auto item = [&](int v, uint32_t& key, Mass& mass) {
      key = ordered_bits(row.logit(v));
      mass = 1;
    };
    row.least = from_ordered_bits(select_key(select, V, static_cast<Mass>(top_k), item));
  }
  if (top_p >= 1.0f) return;
  row.top = block_max(parts, V, [&](int v) { return row.logit(v); });
  // Weights e^(z - top) in steps of 2^-44: 2^19 of them fit a Mass.
  const auto item = [&](int v, uint32_t& key, Mass& mass) {
    const float x = row.logit(v), weight = x < row.least ? 0.0f : weight_of(x, row.top);
    key = __float_as_uint(weight);
    mass = static_cast<Mass>(weight * 0x1p44f);
  };
  if (threadIdx.x == 0) select.wanted = 0;
  __syncthreads();
  Mass own = 0;
  for (int v = threadIdx.x; v < V; v += kThreads) {
    uint32_t key;
    Mass mass;
    item(v, key, mass);
    own += mass;
  }
  atomicAdd(&select.wanted, own);
  __syncthreads();
  const Mass total = select.wanted;
  __syncthreads();
  const double wanted = ceil(static_cast<double>(top_p) * static_cast<double>(total));
  const Mass needed = wanted < 1.0 ? 1 : min(static_cast<Mass>(wanted), total);
  row.border = __uint_as_float(select_key(select, V, needed, item));
}

// Lowest index among lanes; count where there is none.
DEV int warp_min(int x) {
  for (int bit = 16; bit > 0; bit /= 2) x = min(x, __shfl_xor_sync(0xffffffffu, x, bit));
  return x;
}

// By one warp: the first index of the largest logit; 0 if all are NaN.
DEV int argmax(const Row& row, const Partial* tiles, int count, int V, float top) {
  const int lane = threadIdx.x % 32;
  int tile = count;
  for (int i = lane; i < count && tile == count; i += 32)
    if (tiles[i].max == top) tile = i;
  tile = warp_min(tile);
  int best = V;
  for (int v = tile * kVocabTile + lane; v < min(V, (tile + 1) * kVocabTile) && best == V; v += 32)
    if (row.logit(v) == top) best = v;
  best = warp_min(best);
  return best < V ? best : 0;
}

// Sum over the lanes before this one.
DEV double sum_before(double x) {
  double sum = x;
  for (int step = 1; step < 32; step *= 2) {
    const double left = __shfl_up_sync(0xffffffffu, sum, step);
    if (static_cast<int>(threadIdx.x % 32) >= step) sum += left;
  }
  return sum - x;
}

// By one warp: the entry at quantile u of the kept ones, or -1 where rounding leaves the sum just under u.
// First lanes with their stretch of tiles, then tiles, then the entries of one tile.
DEV int invert_cdf(const Row& row, const Partial* tiles, int count, int V, const Partial& total, float u) {
  const int lane = threadIdx.x % 32, each = (count + 31) / 32;
  const double wanted = static_cast<double>(u) * static_cast<double>(total.sum);
  const auto mass = [&](int i) {
    return i < count ? static_cast<double>(tiles[i].sum * weight_of(tiles[i].max, shift_of(total.max))) : 0.0;
  };
  double own = 0.0;
  for (int i = lane * each; i < (lane + 1) * each; ++i) own += mass(i);
  double before = sum_before(own);
  const unsigned reached = __ballot_sync(0xffffffffu, wanted < before + own);
  if (reached == 0) return -1;
  int tile = lane * each;
  for (; tile < (lane + 1) * each - 1; ++tile) {  // the last one takes what rounding leaves
    const double m = mass(tile);
    if (wanted < before + m) break;
    before += m;
  }
  const int owner = __ffs(static_cast<int>(reached)) - 1;
  tile = __shfl_sync(0xffffffffu, tile, owner);
  before = __shfl_sync(0xffffffffu, before, owner);

  float p[4];
  double stretch = 0.0;
  int last = -1;  // with any weight
  for (int k = 0; k < 4; ++k) {
    const int v = tile * kVocabTile + lane * 4 + k;
    const float x = v < V ? row.logit(v) : kNegativeInfinity;
    p[k] = v < V && row.keeps(x) ? weight_of(x, shift_of(total.max)) : 0.0f;
    if (p[k] > 0.0f) last = v;
    stretch += static_cast<double>(p[k]);
  }
  before += sum_before(stretch);
  int found = V;
  for (int k = 0; k < 4; ++k) {
    before += static_cast<double>(p[k]);
    if (found == V && p[k] > 0.0f && wanted < before) found = tile * kVocabTile + lane * 4 + k;
  }
  found = warp_min(found);
  return found < V ? found : -warp_min(-last);
}

struct SampleArgs {
  int32_t* tokens;
  float* logprobs;
  const float* logits;
  const Partial* partials;  // of scaled logits, or null: the logits are not scaled yet
  const float* sampling;
  const uint4* keys;  // seed, sequence id: low words first
  const int32_t* positions;
  int V;
};

__global__ void __launch_bounds__(kThreads) sample_rows(SampleArgs a) {
  GPU_DYN_SMEM(shared);
  GPU_SHARED(Selection, select, [1]);
  GPU_SHARED(float, parts, [kThreads / 32]);
  Partial* tiles = reinterpret_cast<Partial*>(shared);
  const int index = static_cast<int>(blockIdx.x), V = a.V, count = (V + kVocabTile - 1) / kVocabTile;
  const int32_t position = a.positions[index];
  if (position < 0) return;
  const float temperature = a.sampling[index * 3], top_p = a.sampling[index * 3 + 1];
  const bool greedy = !(temperature > 0.0f);
  const int64_t top_k = static_cast<int64_t>(a.sampling[index * 3 + 2]);
  const float scale = a.partials || greedy ? 1.0f : __fdiv_rn(1.0f, temperature);
  Row row{a.logits + static_cast<int64_t>(index) * V, scale, kNegativeInfinity, 0.0f, 0.0f};

  bool truncated = !greedy && ((top_k > 0 && top_k < V) || top_p < 1.0f);
  if (truncated) {
    int nan = 0;
    for (int v = threadIdx.x; v < V; v += kThreads) nan |= std::isnan(row.z[v]);
    truncated = !__syncthreads_or(nan);  // a NaN has no order: let the log-prob show it
  }
  if (truncated) truncate_row(row, select[0], parts, V, top_p, top_k);
  if (a.partials && !truncated) {
    const Partial* from = a.partials + static_cast<int64_t>(index) * count;
    for (int i = threadIdx.x; i < count; i += kThreads) tiles[i] = from[i];
    __syncthreads();
  } else {
    partition_row(tiles, V, [&](int v) { return row.logit(v); }, [&](float x) { return row.keeps(x); });
  }
  if (threadIdx.x >= 32) return;

  const Partial total = merge_tiles(tiles, count);
  int token = -1;
  if (!greedy) {
    const uint4 key = a.keys[index];
    const uint64_t seed = key.x | static_cast<uint64_t>(key.y) << 32;
    const uint32_t bits = philox(seed, static_cast<uint32_t>(position), 0, key.z, key.w);
    token = invert_cdf(row, tiles, count, V, total, static_cast<float>(bits >> 8) * 0x1p-24f);
  }
  if (token < 0) token = argmax(row, tiles, count, V, total.max);
  if (threadIdx.x != 0) return;
  a.tokens[index] = token;
  a.logprobs[index] = row.logit(token) - log_sum(total);
}

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" int32_t tk_lm_head_sample(uint64_t stream, uint64_t tokens, uint64_t logprobs, uint64_t h, uint64_t packed,
                                     uint64_t sampling, uint64_t keys, uint64_t positions, int32_t B, int32_t C, int32_t V,
                                     uint64_t workspace, uint64_t workspace_bytes, int32_t dtype, int32_t w_dtype) {
  return launch(stream, [&](Stream& s) {
    const Head head = make_head(h, packed, B, C, V, workspace_bytes, dtype, w_dtype);
    require(keys % 16 == 0, "the keys must be 16-byte aligned");
    require(V <= 1 << 19, "sampling knows vocabularies up to 524288 entries");
    if (B == 0) return;
    const int chunk = rows_that_fit(workspace_bytes, sizeof(float) * static_cast<uint64_t>(V), B);
    const size_t count = static_cast<size_t>(chunk) * static_cast<size_t>(vocab_tiles(V));
    Partial* partials = head.is_f32 ? nullptr : s.scratch.get<Partial>(count);
    for (int row = 0; row < B; row += chunk) {
      const int rows = std::min(chunk, B - row);
      const float* settings = f32(sampling) + int64_t{row} * 3;
      if (head.is_f32)
        head.logits_f32(s.queue, f32(workspace), row, rows);
      else
        launch_head(s.queue, head.product(row, rows, 0, V, {1.0f, settings}), SampleTile{partials, f32(workspace)});
      const SampleArgs args{i32(tokens) + row, f32(logprobs) + row, f32(workspace), partials, settings,
                            pointer<const uint4>(keys) + row, i32(positions) + row, V};
      launch_tile("sample_rows", sample_rows, rows, kThreads, partial_bytes(V), s.queue, args);
    }
  });
}
