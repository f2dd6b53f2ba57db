// head_loss.cpp: cross-entropy and the fused PPO loss, with gradients, straight from hidden states.
//
// FLOPs 6 T C V: the logits are kept, not recomputed.
#include <algorithm>
#include <cmath>
#include <vector>

#include "head.h"

namespace tk {
namespace {

constexpr int kVocabBlock = 4096;  // columns of w transposed at a time for dh; a multiple of kPanel
static_assert(kVocabBlock % kPanel == 0);

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
  for_chunks(head, 0, head.T, [&](int64_t t, int64_t rows) {
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

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

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
