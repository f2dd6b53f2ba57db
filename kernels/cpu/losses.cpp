// losses.cpp: the parts of PPO that see one number per token: value loss, advantages, whitening.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "runtime.h"

using namespace tk;

namespace {

// Sum of term(i) over i < n in double. Chunks of a fixed size are merged in order, so the bits do not
// depend on the number of threads.
template <class F>
double chunked_sum(int64_t n, F&& term) {
  constexpr int64_t kChunk = 4096;
  const int64_t chunks = ceil_div(n, kChunk);
  std::vector<double> parts(static_cast<size_t>(chunks), 0.0);
#pragma omp parallel for schedule(static) if (static_cast<double>(n) > kSerialFlops)
  for (int64_t k = 0; k < chunks; ++k) {
    double part = 0.0;
    for (int64_t i = k * kChunk; i < std::min(n, (k + 1) * kChunk); ++i) part += term(i);
    parts[static_cast<size_t>(k)] = part;
  }
  double total = 0.0;
  for (const double part : parts) total += part;
  return total;
}

void check_segments(const int32_t* segments, int64_t S, int64_t T) {
  bool ordered = segments[0] == 0 && segments[S] == T;
  for (int64_t s = 0; s < S; ++s) ordered = ordered && segments[s] <= segments[s + 1];
  if (!ordered)
    throw std::invalid_argument("gae: segments must rise from 0 to " + std::to_string(T) + ", the number of tokens");
}

}  // namespace

extern "C" {

// Serial: T numbers are nothing beside the forward pass that made them, and the sums stay in order.
int32_t tk_value_loss(uint64_t stream, uint64_t stats, uint64_t dvalues, uint64_t values, uint64_t old_values,
                      uint64_t returns, uint64_t weights, float clip, int32_t T) {
  return launch(stream, [=] {
    double loss = 0.0, cut = 0.0;
    for (int64_t t = 0; t < T; ++t) {
      const double v = f32(values)[t], old = f32(old_values)[t], target = f32(returns)[t], w = f32(weights)[t];
      const double c = clip, near = std::min(std::max(v, old - c), old + c);
      const double free_error = v - target, near_error = near - target;
      const bool clipped = near_error * near_error > free_error * free_error;
      const double error = clipped ? near_error : free_error;
      loss += w * 0.5 * error * error;
      cut += clipped ? w : 0.0;
      // Where the clipped term is the larger one, v lies outside the clip range: no slope.
      f32(dvalues)[t] = clipped ? 0.0f : static_cast<float>(w * free_error);
    }
    f32(stats)[TK_STAT_VALUE] += static_cast<float>(loss);
    f32(stats)[TK_STAT_VALUE_CLIPPED] += static_cast<float>(cut);
  });
}

int32_t tk_gae(uint64_t stream, uint64_t advantages, uint64_t returns, uint64_t rewards, uint64_t values,
               uint64_t segments, uint64_t link, int32_t S, int32_t T, float gamma, float lambda) {
  return guarded([&] { require(S >= 0 && (S > 0 || T == 0), "tokens without a segment"); }) ||
         launch(stream, [=] {
           if (S == 0) return;
           const int32_t* border = i32(segments);
           check_segments(border, S, T);
           double next_value = 0.0, next_advantage = 0.0;  // of token t + 1; nothing follows the last segment
           for (int64_t s = S - 1; s >= 0; --s) {
             const double factor = f32(link)[s];
             // A closed border lets nothing through, not even a NaN.
             next_value = factor == 0.0 ? 0.0 : factor * next_value;
             next_advantage = factor == 0.0 ? 0.0 : factor * next_advantage;
             for (int64_t t = border[s + 1] - 1; t >= border[s]; --t) {
               const double v = f32(values)[t];
               const double delta = f32(rewards)[t] + gamma * next_value - v;
               next_advantage = delta + static_cast<double>(gamma) * lambda * next_advantage;
               next_value = v;
               f32(advantages)[t] = static_cast<float>(next_advantage);
               f32(returns)[t] = static_cast<float>(next_advantage + v);
             }
           }
         });
}

int32_t tk_whiten(uint64_t stream, uint64_t x, int32_t T) {
  return launch(stream, [=] {
    float* a = f32(x);
    const double mean = chunked_sum(T, [a](int64_t i) { return static_cast<double>(a[i]); }) / T;
    const double variance = chunked_sum(T, [a, mean](int64_t i) { return (a[i] - mean) * (a[i] - mean); }) / T;
    const double scale = 1.0 / std::sqrt(std::max(variance, 1e-8));
#pragma omp parallel for schedule(static) if (static_cast<double>(T) > kSerialFlops)
    for (int64_t i = 0; i < T; ++i) a[i] = static_cast<float>((a[i] - mean) * scale);
  });
}

}  // extern "C"
