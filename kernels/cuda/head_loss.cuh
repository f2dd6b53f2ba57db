// head_loss.cuh: what one row adds to cross-entropy or PPO, and the derivatives that its gradient needs.
#pragma once
#include <cmath>

#include "runtime.cuh"

namespace tk {

// Statistics that these losses have: slots 0 .. TK_STAT_GAP_MAX.
constexpr int kHeadStats = TK_STAT_GAP_MAX + 1;

struct RowLoss {
  float g, ge;  // dL / dlogp, dL / dentropy
  float stats[kHeadStats];
};

// Per-token inputs and coefficients; without advantages it is cross-entropy.
struct LossTerms {
  const float* weights;
  const float* advantages;
  const float* old_logprobs;
  const float* ref_logprobs;  // optional
  const float* is_weights;    // optional
  float clip_low, clip_high, entropy_coef, kl_coef;
  int kl_estimator;
};

// Estimators of KL(p || reference) from r = logp - reference: value and derivative by logp. k1 and k2 push
// along the gradient of KL(p || reference), k3 along that of KL(reference || p). The derivative of k1 itself
// would be 1, whose expectation over the policy is no gradient at all; r is its score-function gradient.
DEV void kl_estimate(int estimator, float r, float& value, float& derivative) {
  const float inverse = expf(-r);
  value = estimator == 1 ? r : estimator == 2 ? 0.5f * r * r : inverse - 1.0f + r;
  derivative = estimator == 3 ? 1.0f - inverse : r;
}

DEV RowLoss row_loss(const LossTerms& terms, int64_t t, float logp, float entropy) {
  RowLoss row = {};
  const float w = terms.weights[t];
  if (w == 0.0f) return row;  // not an action: its other numbers may be anything
  row.stats[TK_STAT_ENTROPY] = w * entropy;
  row.stats[TK_STAT_WEIGHT] = w;
  if (!terms.advantages) {
    row.g = -w;
    row.stats[TK_STAT_LOSS] = row.stats[TK_STAT_POLICY] = -w * logp;
    return row;
  }
  // Comparisons, not fminf: a NaN must come through.
  const float advantage = terms.advantages[t], correction = terms.is_weights ? terms.is_weights[t] : 1.0f;
  const float change = logp - terms.old_logprobs[t], ratio = expf(change);
  const float low = 1.0f - terms.clip_low, high = 1.0f + terms.clip_high;
  const float clipped = ratio < low ? low : high < ratio ? high : ratio;
  const bool cut = clipped * advantage < ratio * advantage;  // the clipped term is the minimum
  const float surrogate = -correction * (cut ? clipped * advantage : ratio * advantage);
  float kl = 0.0f, kl_slope = 0.0f;
  if (terms.ref_logprobs) kl_estimate(terms.kl_estimator, logp - terms.ref_logprobs[t], kl, kl_slope);
  row.g = w * ((cut ? 0.0f : -correction * advantage * ratio) + terms.kl_coef * kl_slope);
  row.ge = -w * terms.entropy_coef;
  row.stats[TK_STAT_POLICY] = w * surrogate;
  row.stats[TK_STAT_KL] = w * (ratio - 1.0f - change);
  row.stats[TK_STAT_KL_REF] = w * kl;
  row.stats[TK_STAT_LOSS] = w * (surrogate - terms.entropy_coef * entropy + terms.kl_coef * kl);
  row.stats[TK_STAT_CLIPPED] = cut ? w : 0.0f;
  row.stats[TK_STAT_GAP_MAX] = w > 0.0f ? fabsf(change) : 0.0f;
  return row;
}

// A NaN stays: a gap that is not a number must not look like no gap.
DEV float max_or_nan(float a, float b) { return std::isnan(a) || a > b ? a : b; }

}  // namespace tk
