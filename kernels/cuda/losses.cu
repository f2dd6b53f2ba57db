// losses.cu: the parts of PPO that see one number per token: value loss, advantages, whitening. All sums
// are in float64 and have one order.
//
// Bound: memory, 4 to 24 bytes a token. Nothing beside the forward pass that made the numbers.
#include <algorithm>

#include "fault.cuh"
#include "pack.cuh"

namespace tk {
namespace {

constexpr int kBlock = 256;

// The sum over a block's kBlock threads by one fixed tree; every thread gets it.
DEV double block_sum64(double x) {
  GPU_SHARED(double, parts, [kBlock]);
  __syncthreads();  // the last use of parts is over
  parts[threadIdx.x] = x;
  for (unsigned half = kBlock / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) parts[threadIdx.x] = __dadd_rn(parts[threadIdx.x], parts[threadIdx.x + half]);
  }
  __syncthreads();
  return parts[0];
}

// ---- value loss -------------------------------------------------------------------------------------

// One block: the sums of all tokens in one order, whatever the chip.
__global__ void __launch_bounds__(kBlock) value_loss(float* stats, float* dvalues, const float* values,
                                                     const float* old_values, const float* returns,
                                                     const float* weights, float clip, int tokens) {
  double loss = 0.0, cut = 0.0;
  for (int t = static_cast<int>(threadIdx.x); t < tokens; t += kBlock) {
    const double v = values[t], old = old_values[t], target = returns[t], w = weights[t], c = clip;
    const double near = fmin(fmax(v, old - c), old + c);
    const double free_error = v - target, near_error = near - target;
    const bool clipped = near_error * near_error > free_error * free_error;
    const double error = clipped ? near_error : free_error;
    loss += w * 0.5 * error * error;
    cut += clipped ? w : 0.0;
    // Where the clipped term is the larger one, v lies outside the clip range: no slope.
    dvalues[t] = clipped ? 0.0f : static_cast<float>(w * free_error);
  }
  loss = block_sum64(loss);
  cut = block_sum64(cut);
  if (threadIdx.x == 0) {
    stats[TK_STAT_VALUE] += static_cast<float>(loss);
    stats[TK_STAT_VALUE_CLIPPED] += static_cast<float>(cut);
  }
}

// ---- generalised advantage estimation ---------------------------------------------------------------

constexpr int kEach = 8;                   // consecutive tokens of a thread
constexpr int kSpan = kBlock * kEach;      // consecutive tokens of a block

// What a stretch of tokens does to the advantage that arrives at its end: A -> slope A + shift. A slope of
// 0 is a closed border and lets nothing through, not even a NaN.
struct Affine {
  double slope, shift;
};
DEV double apply(const Affine& f, double x) { return f.slope == 0.0 ? f.shift : f.slope * x + f.shift; }
// First `late`, then `early`: tokens are visited from the last to the first.
DEV Affine compose(const Affine& early, const Affine& late) {
  if (early.slope == 0.0) return early;
  return {early.slope * late.slope, apply(early, late.shift)};
}

struct Gae {
  const float *rewards, *values;
  const double* flow;  // (T): the factor on what comes from token t + 1
  double gamma, lambda;
  int tokens;

  DEV double delta(int t) const {
    const double f = flow[t], v = values[t];
    return f == 0.0 ? rewards[t] - v : rewards[t] + gamma * (f * values[t + 1]) - v;
  }
  DEV Affine step(int t) const { return {gamma * lambda * flow[t], delta(t)}; }
};

// flow(t) = 1 inside a segment; at a segment's end the product of the links up to the next token, 0 after
// the last one. Segments may be empty.
__global__ void __launch_bounds__(kBlock) gae_fill(double* flow, int tokens) {
  const int t = static_cast<int>(blockIdx.x) * kBlock + static_cast<int>(threadIdx.x);
  if (t < tokens) flow[t] = t + 1 < tokens ? 1.0 : 0.0;
}
__global__ void __launch_bounds__(kBlock) gae_links(double* flow, const int32_t* segments, const float* link, int S,
                                                    int tokens, Fault* fault) {
  const int s = static_cast<int>(blockIdx.x) * kBlock + static_cast<int>(threadIdx.x);
  if (s >= S) return;
  const int begin = segments[s], end = segments[s + 1];
  const bool wrong = begin > end || begin < 0 || end > tokens || (s == 0 && begin != 0) || (s + 1 == S && end != tokens);
  if (wrong) return report_fault(fault, kFaultSegments, s, begin, tokens);
  if (begin == end || end == tokens) return;
  double f = 1.0;
  for (int next = s; f != 0.0 && next < S && segments[next + 1] == end; ++next) f *= link[next];
  flow[end - 1] = f;
}

// Each thread composes its kEach tokens, the block composes its threads: suffixes by doubling distance.
DEV Affine block_suffix(const Gae& gae, int begin, Affine (&parts)[kBlock]) {
  const int thread = static_cast<int>(threadIdx.x), end = min(gae.tokens, begin + kEach);
  Affine mine{1.0, 0.0};
  for (int t = end - 1; t >= begin; --t) mine = compose(gae.step(t), mine);
  for (int distance = 1; distance < kBlock; distance *= 2) {
    __syncthreads();
    parts[thread] = mine;
    __syncthreads();
    if (thread + distance < kBlock) mine = compose(mine, parts[thread + distance]);
  }
  __syncthreads();
  parts[thread] = mine;
  __syncthreads();
  return mine;
}

__global__ void __launch_bounds__(kBlock) gae_compose(Affine* spans, Gae gae) {
  GPU_SHARED(Affine, parts, [kBlock]);
  const int thread = static_cast<int>(blockIdx.x) * kBlock + static_cast<int>(threadIdx.x);
  const Affine whole = block_suffix(gae, thread * kEach, parts);
  if (threadIdx.x == 0) spans[blockIdx.x] = whole;
}

// Turns the span's function into the advantage that arrives at its end.
__global__ void gae_arrive(Affine* spans, int count) {
  double arriving = 0.0;
  for (int i = count - 1; i >= 0; --i) {
    const Affine span = spans[i];
    spans[i].shift = arriving;
    arriving = apply(span, arriving);
  }
}

__global__ void __launch_bounds__(kBlock) gae_write(float* advantages, float* returns, const Affine* spans, Gae gae) {
  GPU_SHARED(Affine, parts, [kBlock]);
  const int thread = static_cast<int>(threadIdx.x);
  const int begin = (static_cast<int>(blockIdx.x) * kBlock + thread) * kEach;
  block_suffix(gae, begin, parts);
  double next = spans[blockIdx.x].shift;
  if (thread + 1 < kBlock) next = apply(parts[thread + 1], next);
  double out[kEach];
#pragma unroll
  for (int k = kEach - 1; k >= 0; --k) {
    if (begin + k >= gae.tokens) continue;
    next = apply(gae.step(begin + k), next);
    out[k] = next;
  }
#pragma unroll
  for (int k = 0; k < kEach; ++k) {
    const int t = begin + k;
    if (t >= gae.tokens) continue;
    const double v = gae.values[t];
    advantages[t] = static_cast<float>(out[k]);
    returns[t] = static_cast<float>(out[k] + v);
  }
}

// ---- whitening --------------------------------------------------------------------------------------

struct Moments {
  double mean, variance;
};

// Which element lands in which partial sum depends on T alone.
template <bool kVariance>
__global__ void __launch_bounds__(kBlock) moment_sums(double* partials, const float* x, const Moments* moments, int n) {
  const double mean = kVariance ? moments->mean : 0.0;
  double sum = 0.0;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kBlock;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; i < n; i += stride) {
    const double d = x[i] - mean;
    sum += kVariance ? d * d : d;
  }
  sum = block_sum64(sum);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

template <bool kVariance>
__global__ void __launch_bounds__(kBlock) merge_moments(Moments* moments, const double* partials, int count, int n) {
  double sum = 0.0;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kBlock) sum += partials[i];
  sum = block_sum64(sum);
  if (threadIdx.x == 0) (kVariance ? moments->variance : moments->mean) = sum / n;
}

__global__ void __launch_bounds__(kBlock) whiten(float* x, const Moments* moments, int n) {
  const double mean = moments->mean, scale = 1.0 / sqrt(fmax(moments->variance, 1e-8));
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kBlock;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; i < n; i += stride)
    x[i] = static_cast<float>((x[i] - mean) * scale);
}

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_value_loss(uint64_t stream, uint64_t stats, uint64_t dvalues, uint64_t values, uint64_t old_values,
                      uint64_t returns, uint64_t weights, float clip, int32_t T) {
  return launch(stream, [&](Stream& s) {
    LAUNCH(value_loss, 1, kBlock, 0, s.queue, f32(stats), f32(dvalues), f32(values), f32(old_values), f32(returns),
           f32(weights), clip, T);
  });
}

int32_t tk_gae(uint64_t stream, uint64_t advantages, uint64_t returns, uint64_t rewards, uint64_t values,
               uint64_t segments, uint64_t link, int32_t S, int32_t T, float gamma, float lambda) {
  return launch(stream, [&](Stream& s) {
    require(S >= 0 && (S > 0 || T == 0), "tokens without a segment");
    if (S == 0) return;
    const int64_t spans = ceil_div(T, kSpan);
    double* flow = s.scratch.get<double>(static_cast<size_t>(T + 2 * spans));
    auto* parts = reinterpret_cast<Affine*>(flow + T);
    const auto blocks = [](int64_t n) { return static_cast<unsigned>(ceil_div(n, kBlock)); };
    if (T > 0) LAUNCH(gae_fill, blocks(T), kBlock, 0, s.queue, flow, T);
    LAUNCH(gae_links, blocks(S), kBlock, 0, s.queue, flow, i32(segments), f32(link), S, T, s.faults.record());
    if (T == 0) return;
    const Gae gae{f32(rewards), f32(values), flow, gamma, lambda, T};
    LAUNCH(gae_compose, static_cast<unsigned>(spans), kBlock, 0, s.queue, parts, gae);
    LAUNCH(gae_arrive, 1, 1, 0, s.queue, parts, static_cast<int>(spans));
    LAUNCH(gae_write, static_cast<unsigned>(spans), kBlock, 0, s.queue, f32(advantages), f32(returns), parts, gae);
  });
}

int32_t tk_whiten(uint64_t stream, uint64_t x, int32_t T) {
  return launch(stream, [&](Stream& s) {
    if (T == 0) return;
    const int blocks = static_cast<int>(std::min<int64_t>(kReduceBlocks, ceil_div(T, 4 * kBlock)));
    const auto grid = static_cast<unsigned>(blocks);
    auto* moments = s.scratch.get<Moments>(1);
    LAUNCH(moment_sums<false>, grid, kBlock, 0, s.queue, s.partials, f32(x), moments, T);
    LAUNCH(merge_moments<false>, 1, kBlock, 0, s.queue, moments, s.partials, blocks, T);
    LAUNCH(moment_sums<true>, grid, kBlock, 0, s.queue, s.partials, f32(x), moments, T);
    LAUNCH(merge_moments<true>, 1, kBlock, 0, s.queue, moments, s.partials, blocks, T);
    LAUNCH(whiten, grid, kBlock, 0, s.queue, f32(x), moments, T);
  });
}

}  // extern "C"
