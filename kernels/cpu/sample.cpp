// sample.cpp: draws one token a row from an LM head: temperature, top-k, top-p, without a sort of the vocabulary.
//
// FLOPs 2 B C V.
#include <algorithm>
#include <functional>
#include <numeric>
#include <vector>

#include "head.h"

namespace tk {
namespace {

// Philox4x32-10 (Salmon et al., SC 2011): the first word of the block at this key and counter.
uint32_t philox(uint64_t key, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53u} * c0, b = uint64_t{0xCD9E8D57u} * c2;
    const uint32_t n0 = static_cast<uint32_t>(b >> 32) ^ c1 ^ k0, n2 = static_cast<uint32_t>(a >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(b);
    c3 = static_cast<uint32_t>(a);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c0;
}

int32_t argmax(const float* z, int64_t V) {
  return static_cast<int32_t>(std::max_element(z, z + V) - z);
}

// The least of the weights that, largest first, are needed to reach the wanted sum: a quickselect that
// halves the candidates, so no sort of the vocabulary.
float nucleus_border(std::vector<float> weights, double wanted) {
  auto first = weights.begin(), last = weights.end();  // the border is in here; larger weights add up to `kept`
  double kept = 0.0;
  while (last - first > 1) {
    const auto middle = first + (last - first) / 2;
    std::nth_element(first, middle, last, std::greater<float>());
    const double larger = std::accumulate(first, middle, 0.0);
    if (kept + larger >= wanted) {
      last = middle;
    } else {
      kept += larger;
      first = middle;
    }
  }
  return *first;
}

// Sets logits outside the top k, then outside the smallest set of probability >= top_p, to -inf.
// Equal logits are kept or dropped together.
void truncate_row(float* z, int64_t V, float top_p, int64_t top_k) {
  const bool all = top_k <= 0 || top_k >= V;
  if (all && top_p >= 1.0f) return;
  if (std::any_of(z, z + V, [](float x) { return std::isnan(x); })) return;  // no order: let the log-prob show it
  if (!all) {
    std::vector<float> copy(z, z + V);
    std::nth_element(copy.begin(), copy.begin() + (top_k - 1), copy.end(), std::greater<float>());
    const float threshold = copy[static_cast<size_t>(top_k - 1)];
    for (int64_t v = 0; v < V; ++v)
      if (z[v] < threshold) z[v] = kNegInf;
  }
  if (top_p >= 1.0f) return;
  const f32x16 top = f32x16::set1(z[argmax(z, V)]);
  std::vector<float> weights(static_cast<size_t>(V));
  for (int64_t v = 0; v < V; v += kLanes) {
    const int n = static_cast<int>(std::min<int64_t>(kLanes, V - v));
    exp(f32x16::load_partial(z + v, n) - top).store_partial(weights.data() + v, n);
  }
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  const float border = nucleus_border(weights, static_cast<double>(top_p) * total);
  for (int64_t v = 0; v < V; ++v)
    if (weights[static_cast<size_t>(v)] < border) z[v] = kNegInf;
}

// The token at quantile u of softmax(z), by inversion: tiles first, then inside the tile.
int32_t invert_cdf(const float* z, int64_t V, float lse, float u) {
  double cumulative = 0.0;
  for (int64_t v = 0; v < V; v += kLanes) {
    const int n = static_cast<int>(std::min<int64_t>(kLanes, V - v));
    alignas(64) float p[kLanes];
    exp(f32x16::load_partial(z + v, n) - f32x16::set1(lse)).store(p);
    for (int i = 0; i < n; ++i) {
      cumulative += static_cast<double>(p[i]);
      if (static_cast<double>(u) < cumulative) return static_cast<int32_t>(v + i);
    }
  }
  return argmax(z, V);  // rounding left the total just under u: not the last entry, which may be padding
}

struct Sampled {
  int32_t token;
  float logprob;
};

Sampled sample_row(float* z, int64_t V, float temperature, float top_p, int64_t top_k, float u) {
  if (temperature <= 0.0f) {
    const int32_t token = argmax(z, V);
    return {token, z[token] - partition_of(z, V).lse()};
  }
  scale_row(z, V, 1.0f / temperature);
  truncate_row(z, V, top_p, top_k);
  const float lse = partition_of(z, V).lse();
  const int32_t token = invert_cdf(z, V, lse, u);
  return {token, z[token] - lse};
}

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_lm_head_sample(uint64_t stream, uint64_t tokens, uint64_t logprobs, uint64_t h, uint64_t packed,
                          uint64_t sampling, uint64_t keys, uint64_t positions, int32_t B, int32_t C, int32_t V,
                          uint64_t workspace, uint64_t workspace_bytes, int32_t dtype, int32_t w_dtype) {
  return guarded([&] {
    check_head(C, V, workspace_bytes, dtype, w_dtype);
    // Rows are independent if each has logits of its own.
    const bool fits = workspace_bytes / sizeof(float) / static_cast<uint64_t>(V) >= static_cast<uint64_t>(B);
    const auto sample = [=](int64_t begin, int64_t end) {
      Head head = make_head(h, packed, w_dtype, B, C, V, workspace, workspace_bytes);
      if (fits) head.logits += begin * V;
      for_chunks(head, begin, end, [&](int64_t t, int64_t rows) {
        for_rows(rows, V, [&](int64_t r) {
          const int64_t row = t + r;
          const int32_t position = i32(positions)[row];
          if (position < 0) return;
          const float* s = f32(sampling) + row * 3;
          const auto* key = pointer<const uint32_t>(keys) + 4 * row;
          const uint64_t seed = key[0] | static_cast<uint64_t>(key[1]) << 32;
          const uint32_t bits = philox(seed, static_cast<uint32_t>(position), 0, key[2], key[3]);
          const float u = static_cast<float>(bits >> 8) * 0x1p-24f;
          const Sampled drawn = sample_row(head.logits + r * V, V, s[0], s[1], static_cast<int64_t>(s[2]), u);
          i32(tokens)[row] = drawn.token;
          f32(logprobs)[row] = drawn.logprob;
        });
      });
    };
    if (fits)
      stream_of(stream).submit(Op{sample, B});
    else
      stream_of(stream).submit([=] { sample(0, B); });
  });
}

}  // extern "C"
