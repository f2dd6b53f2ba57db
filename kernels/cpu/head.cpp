// head.cpp: the LM head and everything that needs logits: log-probs, sampling, cross-entropy, PPO.
//
// The (T, V) logits never exist. Rows are taken in chunks whose logits fit the workspace; the three
// products (logits, dh, dw) of a chunk share it. Every row's log-sum-exp is merged from vocabulary
// tiles of kVocabTile columns in order, in training as in sampling, so a log-prob has the same bits
// in both.
//
// FLOPs: forward 2 T C V; with gradients 6 T C V (the logits are kept, not recomputed).
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "gemm.h"

namespace tk {
namespace {

constexpr int kVocabTile = 512;     // columns of one step of the running log-sum-exp
constexpr int kVocabBlock = 4096;   // columns of w transposed at a time for dh; a multiple of kPanel
static_assert(kVocabBlock % kPanel == 0);
constexpr float kNegInf = -std::numeric_limits<float>::infinity();

struct Head {
  const float* h;       // (T, C)
  Panels packed;        // (V, C)
  int64_t T, C, V;
  float* logits;        // workspace: (chunk, V)
  int64_t chunk;        // rows at a time
};

Head make_head(uint64_t h, uint64_t packed, int32_t w_dtype, int64_t T, int64_t C, int64_t V, uint64_t workspace,
               uint64_t bytes) {
  return {f32(h), {pointer<void>(packed), w_dtype}, T, C, V, f32(workspace), static_cast<int64_t>(bytes / sizeof(float)) / V};
}

void check_head(int32_t C, int32_t V, uint64_t workspace_bytes, int32_t dtype, int32_t w_dtype) {
  require(dtype == TK_F32, "the CPU backend computes in float32 activations");
  check_weight_type(w_dtype);
  require(C > 0 && V > 0, "C and V must be positive");
  if (workspace_bytes / sizeof(float) < static_cast<uint64_t>(V))
    throw std::invalid_argument("the workspace of " + std::to_string(workspace_bytes) + " bytes holds no row of " +
                                std::to_string(V) + " logits");
}

// Targets come from device memory, so this is an execution error: a wrong one would read foreign memory.
void check_targets(const int32_t* targets, int64_t T, int64_t V) {
  for (int64_t t = 0; t < T; ++t)
    if (targets[t] < 0 || targets[t] >= V)
      throw std::out_of_range("token " + std::to_string(t) + " has target " + std::to_string(targets[t]) +
                              ", but the vocabulary has " + std::to_string(V) + " entries");
}

// Calls body(first row, rows) for each chunk, after its logits * inv_temperature stand in the workspace.
template <class Body>
void for_chunks(const Head& head, Body body) {
  for (int64_t t = 0; t < head.T; t += head.chunk) {
    const int64_t rows = std::min(head.chunk, head.T - t);
    const Epilogue out{head.logits, head.V, nullptr, false};
    gemm(head.h + t * head.C, head.C, head.packed, rows, head.V, head.C, out);
    body(t, rows);
  }
}

// Calls body(r) for each row in parallel. It may throw: an exception inside a parallel region would end the process.
template <class Body>
void for_rows(int64_t rows, int64_t V, Body body) {
  std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic, 4) if (static_cast<double>(rows) * V > kSerialFlops / 16)
  for (int64_t r = 0; r < rows; ++r) try {
      body(r);
    } catch (...) {
#pragma omp critical(tk_head_failure)
      failure = std::current_exception();
    }
  if (failure) std::rethrow_exception(failure);
}

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

Partition partition_of(const float* z, int64_t V) {
  Partition total;
  for (int64_t v = 0; v < V; v += kVocabTile) total.add(z + v, static_cast<int>(std::min<int64_t>(kVocabTile, V - v)));
  return total;
}

void scale_row(float* z, int64_t V, float factor) {
  if (factor == 1.0f) return;
  for (int64_t v = 0; v < V; v += kLanes) {
    const int n = static_cast<int>(std::min<int64_t>(kLanes, V - v));
    (f32x16::load_partial(z + v, n) * f32x16::set1(factor)).store_partial(z + v, n);
  }
}

// Turns a row of scaled logits into dL/dlogits, for dL/dlogp(target) = g and dL/dentropy = ge:
//   dz_v = [g (1{v = target} - p_v) - ge p_v (log p_v + H)] * inv_temperature
void logits_gradient(float* z, int64_t V, int32_t target, float g, float ge, float lse, float entropy,
                     float inv_temperature) {
  const f32x16 shift = f32x16::set1(lse), coefficient = f32x16::set1(-ge), base = f32x16::set1(-(g + ge * entropy));
  const f32x16 factor = f32x16::set1(inv_temperature);
  for (int64_t v = 0; v < V; v += kLanes) {
    const int n = static_cast<int>(std::min<int64_t>(kLanes, V - v));
    const f32x16 logp = f32x16::load_partial(z + v, n) - shift;
    (exp(logp) * fma(coefficient, logp, base) * factor).store_partial(z + v, n);
  }
  z[target] += g * inv_temperature;
}

// What one row adds to the loss, and the derivatives that its gradient needs.
struct RowLoss {
  float g = 0.0f;   // dL / dlogp
  float ge = 0.0f;  // dL / dentropy
  float stats[TK_STAT_COUNT] = {};
};

// dh(rows, C) = dlogits(rows, V) w(V, C), in blocks of the vocabulary that bound the transposed copy of w.
void hidden_gradient(const Head& head, float* dh, int64_t rows) {
  for (int64_t v = 0; v < head.V; v += kVocabBlock) {
    const int64_t columns = std::min<int64_t>(kVocabBlock, head.V - v);
    float* panels = scratch_f32(kScratchLocal, static_cast<size_t>(panels_of(head.C) * columns * kPanel));
    transpose_panels(panels, head.packed.at(v * head.C), columns, head.C);
    const Epilogue out{dh, head.C, nullptr, v > 0};
    gemm(head.logits + v, head.V, {panels, TK_F32}, rows, head.C, columns, out);
  }
}

// A NaN stays: a gap that is not a number must not look like no gap.
float max_or_nan(float a, float b) { return std::isnan(a) || a > b ? a : b; }

// loss(row, logp, entropy) -> RowLoss. Writes log-probs, dh, dw and stats.
template <class Loss>
void head_loss(const Head& head, float* stats, float* logprobs, float* dh, float* dw, const int32_t* targets,
               float inv_temperature, Loss loss) {
  std::vector<RowLoss> rows_loss(static_cast<size_t>(std::min(head.chunk, head.T)));
  double sums[TK_STAT_COUNT] = {};
  float gap = 0.0f;
  check_targets(targets, head.T, head.V);
  for_chunks(head, [&](int64_t t, int64_t rows) {
    for_rows(rows, head.V, [&](int64_t r) {
      float* z = head.logits + r * head.V;
      scale_row(z, head.V, inv_temperature);
      const Partition p = partition_of(z, head.V);
      const int32_t target = targets[t + r];
      const float lse = p.lse(), entropy = p.entropy(), logp = z[target] - lse;
      logprobs[t + r] = logp;
      RowLoss& row = rows_loss[static_cast<size_t>(r)];
      row = loss(t + r, logp, entropy);
      logits_gradient(z, head.V, target, row.g, row.ge, lse, entropy, inv_temperature);
    });
    for (int64_t r = 0; r < rows; ++r) {  // in order: the sums do not depend on threads
      const RowLoss& row = rows_loss[static_cast<size_t>(r)];
      for (int i = 0; i < TK_STAT_COUNT; ++i) sums[i] += row.stats[i];
      gap = max_or_nan(gap, row.stats[TK_STAT_GAP_MAX]);
    }
    hidden_gradient(head, dh + t * head.C, rows);
    accumulate_outer(dw, head.logits, head.V, head.h + t * head.C, rows, head.V, head.C);
  });
  for (int i = 0; i < TK_STAT_COUNT; ++i)
    if (i != TK_STAT_GAP_MAX) stats[i] += static_cast<float>(sums[i]);
  stats[TK_STAT_GAP_MAX] = max_or_nan(stats[TK_STAT_GAP_MAX], gap);
}

// Estimators of KL(p || reference) from r = logp - reference: value and derivative by logp. k1 and k2
// push along the gradient of KL(p || reference), k3 along that of KL(reference || p). The derivative of
// k1 itself would be 1, whose expectation over the policy is no gradient at all; r is its score-function
// gradient.
struct Kl {
  float value, derivative;
};
Kl kl_estimate(int estimator, float r) {
  if (estimator == 1) return {r, r};
  if (estimator == 2) return {0.5f * r * r, r};
  const float inverse = std::exp(-r);
  return {inverse - 1.0f + r, 1.0f - inverse};
}

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

int32_t tk_lm_head_logprobs(uint64_t stream, uint64_t logprobs, uint64_t entropy, uint64_t h, uint64_t packed,
                            uint64_t targets, float inv_temperature, int32_t T, int32_t C, int32_t V, uint64_t workspace,
                            uint64_t workspace_bytes, int32_t dtype, int32_t w_dtype) {
  return guarded([&] {
    check_head(C, V, workspace_bytes, dtype, w_dtype);
    stream_of(stream).submit([=] {
      const Head head = make_head(h, packed, w_dtype, T, C, V, workspace, workspace_bytes);
      check_targets(i32(targets), T, V);
      for_chunks(head, [&](int64_t t, int64_t rows) {
        for_rows(rows, V, [&](int64_t r) {
          float* z = head.logits + r * V;
          scale_row(z, V, inv_temperature);
          const Partition p = partition_of(z, V);
          f32(logprobs)[t + r] = z[i32(targets)[t + r]] - p.lse();
          if (entropy) f32(entropy)[t + r] = p.entropy();
        });
      });
    });
  });
}

int32_t tk_lm_head_sample(uint64_t stream, uint64_t tokens, uint64_t logprobs, uint64_t h, uint64_t packed,
                          uint64_t sampling, uint64_t sequence_ids, uint64_t positions, uint64_t seed, int32_t B, int32_t C,
                          int32_t V, uint64_t workspace, uint64_t workspace_bytes, int32_t dtype, int32_t w_dtype) {
  return guarded([&] {
    check_head(C, V, workspace_bytes, dtype, w_dtype);
    stream_of(stream).submit([=] {
      const Head head = make_head(h, packed, w_dtype, B, C, V, workspace, workspace_bytes);
      for_chunks(head, [&](int64_t t, int64_t rows) {
        for_rows(rows, V, [&](int64_t r) {
          const int64_t row = t + r;
          const int32_t position = i32(positions)[row];
          if (position < 0) return;
          const float* s = f32(sampling) + row * 3;
          const uint32_t low = static_cast<uint32_t>(i32(sequence_ids)[2 * row]);
          const uint32_t high = static_cast<uint32_t>(i32(sequence_ids)[2 * row + 1]);
          const uint32_t bits = philox(seed, static_cast<uint32_t>(position), 0, low, high);
          const float u = static_cast<float>(bits >> 8) * 0x1p-24f;
          const Sampled drawn = sample_row(head.logits + r * V, V, s[0], s[1], static_cast<int64_t>(s[2]), u);
          i32(tokens)[row] = drawn.token;
          f32(logprobs)[row] = drawn.logprob;
        });
      });
    });
  });
}

int32_t tk_decode_advance(uint64_t stream, uint64_t tokens, uint64_t positions, uint64_t remaining, uint64_t out_tokens,
                          uint64_t out_logprobs, uint64_t out_count, uint64_t sampled, uint64_t sampled_logprobs,
                          uint64_t stop_ids, int32_t stops, int32_t B, int32_t capacity) {
  return launch(stream, [=] {
    const int32_t* stop = i32(stop_ids);
    for (int64_t b = 0; b < B; ++b) {
      int32_t& position = i32(positions)[b];
      if (position < 0) continue;
      const int32_t token = i32(sampled)[b];
      if (i32(out_count)[b] >= capacity)
        throw std::out_of_range("row " + std::to_string(b) + " has no room for more than " + std::to_string(capacity) +
                                " tokens");
      const int64_t at = b * capacity + i32(out_count)[b]++;
      i32(out_tokens)[at] = token;
      f32(out_logprobs)[at] = f32(sampled_logprobs)[b];
      i32(tokens)[b] = token;
      ++position;
      if (--i32(remaining)[b] <= 0 || std::find(stop, stop + stops, token) != stop + stops) position = -1;
    }
  });
}

int32_t tk_cross_entropy_loss(uint64_t stream, uint64_t stats, uint64_t logprobs, uint64_t dh, uint64_t dw, uint64_t h,
                              uint64_t packed, uint64_t targets, uint64_t weights, int32_t T, int32_t C, int32_t V,
                              uint64_t workspace, uint64_t workspace_bytes, int32_t dtype, int32_t w_dtype) {
  return guarded([&] {
    check_head(C, V, workspace_bytes, dtype, w_dtype);
    stream_of(stream).submit([=] {
      const auto loss = [=](int64_t t, float logp, float entropy) {
        const float w = f32(weights)[t];
        if (w == 0.0f) return RowLoss{};
        RowLoss row;
        row.g = -w;
        row.stats[TK_STAT_LOSS] = row.stats[TK_STAT_POLICY] = -w * logp;
        row.stats[TK_STAT_ENTROPY] = w * entropy;
        row.stats[TK_STAT_WEIGHT] = w;
        return row;
      };
      const Head head = make_head(h, packed, w_dtype, T, C, V, workspace, workspace_bytes);
      head_loss(head, f32(stats), f32(logprobs), f32(dh), f32(dw), i32(targets), 1.0f, loss);
    });
  });
}

int32_t tk_ppo_loss(uint64_t stream, uint64_t stats, uint64_t logprobs, uint64_t dh, uint64_t dw, uint64_t h,
                    uint64_t packed, uint64_t targets, uint64_t weights, uint64_t advantages, uint64_t old_logprobs,
                    uint64_t ref_logprobs, uint64_t is_weights, float inv_temperature, float clip_low, float clip_high,
                    float entropy_coef, float kl_coef, int32_t kl_estimator, int32_t T, int32_t C, int32_t V,
                    uint64_t workspace, uint64_t workspace_bytes, int32_t dtype, int32_t w_dtype) {
  return guarded([&] {
    check_head(C, V, workspace_bytes, dtype, w_dtype);
    require(kl_estimator >= 1 && kl_estimator <= 3, "kl_estimator must be 1, 2 or 3");
    stream_of(stream).submit([=] {
      const auto loss = [=](int64_t t, float logp, float entropy) {
        const float w = f32(weights)[t], advantage = f32(advantages)[t];
        if (w == 0.0f) return RowLoss{};  // not an action: its old log-prob and advantage may be anything
        const float correction = is_weights ? f32(is_weights)[t] : 1.0f;
        const float change = logp - f32(old_logprobs)[t];
        const float ratio = std::exp(change);
        const float clipped = std::clamp(ratio, 1.0f - clip_low, 1.0f + clip_high);
        const bool cut = clipped * advantage < ratio * advantage;  // the clipped term is the minimum
        const float surrogate = -correction * std::min(ratio * advantage, clipped * advantage);
        Kl reference{0.0f, 0.0f};
        if (ref_logprobs) reference = kl_estimate(kl_estimator, logp - f32(ref_logprobs)[t]);
        RowLoss row;
        row.g = w * ((cut ? 0.0f : -correction * advantage * ratio) + kl_coef * reference.derivative);
        row.ge = -w * entropy_coef;
        row.stats[TK_STAT_POLICY] = w * surrogate;
        row.stats[TK_STAT_ENTROPY] = w * entropy;
        row.stats[TK_STAT_KL] = w * (ratio - 1.0f - change);
        row.stats[TK_STAT_KL_REF] = w * reference.value;
        row.stats[TK_STAT_LOSS] = w * (surrogate - entropy_coef * entropy + kl_coef * reference.value);
        row.stats[TK_STAT_CLIPPED] = cut ? w : 0.0f;
        row.stats[TK_STAT_WEIGHT] = w;
        row.stats[TK_STAT_GAP_MAX] = w > 0.0f ? std::fabs(change) : 0.0f;
        return row;
      };
      const Head head = make_head(h, packed, w_dtype, T, C, V, workspace, workspace_bytes);
      head_loss(head, f32(stats), f32(logprobs), f32(dh), f32(dw), i32(targets), inv_temperature, loss);
    });
  });
}

}  // extern "C"
