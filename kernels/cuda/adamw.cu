// adamw.cu: gradient norm and AdamW over flat float32 buffers, each one pass over memory.
//
// Bound: the norm reads 4 bytes an element, AdamW reads 16 and writes 12.
#include <algorithm>
#include <cmath>

#include "runtime.cuh"

namespace tk {
namespace {

constexpr int kBlock = 256;

// kWidth floats that travel in one memory instruction.
template <int kWidth>
struct alignas(kWidth * sizeof(float)) Pack {
  float x[kWidth];
};

// The sum over a block's threads by one fixed tree; thread 0 has the result.
__device__ double block_sum(double x) {
  GPU_SHARED(double, parts, [kBlock]);
  parts[threadIdx.x] = x;
  for (int half = kBlock / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < static_cast<unsigned>(half)) parts[threadIdx.x] += parts[threadIdx.x + half];
  }
  return threadIdx.x == 0 ? parts[0] : 0.0;  // the others would read it while it is written
}

// Stage 1: which element lands in which partial sum depends on n and the vector width only.
template <int kWidth>
__global__ void __launch_bounds__(kBlock) square_sums(double* partials, const float* grads, uint64_t n) {
  const uint64_t stride = static_cast<uint64_t>(kReduceBlocks) * kBlock;
  const uint64_t first = static_cast<uint64_t>(blockIdx.x) * kBlock + threadIdx.x;
  const uint64_t packs = n / kWidth;
  double sum = 0.0;
  for (uint64_t i = first; i < packs; i += stride) {
    const auto g = reinterpret_cast<const Pack<kWidth>*>(grads)[i];
#pragma unroll
    for (int k = 0; k < kWidth; ++k) sum = __fma_rn(static_cast<double>(g.x[k]), static_cast<double>(g.x[k]), sum);
  }
  for (uint64_t i = packs * kWidth + first; i < n; i += stride)
    sum = __fma_rn(static_cast<double>(grads[i]), static_cast<double>(grads[i]), sum);
  sum = block_sum(sum);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

// Stage 2: one block merges the partial sums.
__global__ void __launch_bounds__(kBlock) merge_norm(float* norm, const double* partials) {
  double sum = 0.0;
  for (int i = threadIdx.x; i < kReduceBlocks; i += kBlock) sum += partials[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) *norm = static_cast<float>(sqrt(sum));
}

// What one step needs to know, computed once on the host.
struct Step {
  float beta1, beta2, rest1, rest2;  // rest = 1 - beta
  float rate, root;                  // lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
  float eps, decay, max_norm;        // decay = lr * weight_decay
};

// Explicit rounding, no contraction left to the compiler: the CPU backend computes the same bits.
__device__ void update(float& p, float grad, float& m, float& v, float scale, const Step& s) {
  const float g = __fmul_rn(grad, scale);
  m = __fmaf_rn(s.beta1, m, __fmul_rn(s.rest1, g));
  v = __fmaf_rn(s.beta2, v, __fmul_rn(s.rest2, __fmul_rn(g, g)));
  const float change = __fdiv_rn(__fmul_rn(s.rate, m), __fmaf_rn(__fsqrt_rn(v), s.root, s.eps));
  p = __fsub_rn(p, __fmaf_rn(s.decay, p, change));
}

template <int kWidth>
__global__ void __launch_bounds__(kBlock) adamw(float* params, const float* grads, float* m, float* v,
                                                const float* norm, uint64_t n, Step s) {
  const float length = *norm;
  if (!std::isfinite(length)) return;
  const float scale = fminf(1.0f, __fdiv_rn(s.max_norm, length));
  const uint64_t stride = static_cast<uint64_t>(gridDim.x) * kBlock;
  const uint64_t first = static_cast<uint64_t>(blockIdx.x) * kBlock + threadIdx.x;
  const uint64_t packs = n / kWidth;
  for (uint64_t i = first; i < packs; i += stride) {
    auto p = reinterpret_cast<Pack<kWidth>*>(params)[i];
    const auto g = reinterpret_cast<const Pack<kWidth>*>(grads)[i];
    auto m1 = reinterpret_cast<Pack<kWidth>*>(m)[i];
    auto v1 = reinterpret_cast<Pack<kWidth>*>(v)[i];
#pragma unroll
    for (int k = 0; k < kWidth; ++k) update(p.x[k], g.x[k], m1.x[k], v1.x[k], scale, s);
    reinterpret_cast<Pack<kWidth>*>(params)[i] = p;
    reinterpret_cast<Pack<kWidth>*>(m)[i] = m1;
    reinterpret_cast<Pack<kWidth>*>(v)[i] = v1;
  }
  for (uint64_t i = packs * kWidth + first; i < n; i += stride) update(params[i], grads[i], m[i], v[i], scale, s);
}

bool aligned(uint64_t addresses) { return addresses % sizeof(Pack<4>) == 0; }

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_grad_norm(uint64_t stream, uint64_t norm, uint64_t grads, uint64_t n) {
  return launch(stream, [&](Stream& s) {
    if (aligned(grads))
      LAUNCH(square_sums<4>, kReduceBlocks, kBlock, 0, s.queue, s.partials, f32(grads), n);
    else
      LAUNCH(square_sums<1>, kReduceBlocks, kBlock, 0, s.queue, s.partials, f32(grads), n);
    LAUNCH(merge_norm, 1, kBlock, 0, s.queue, f32(norm), s.partials);
  });
}

int32_t tk_adamw(uint64_t stream, uint64_t params, uint64_t grads, uint64_t m, uint64_t v, uint64_t norm, uint64_t n,
                 float lr, float beta1, float beta2, float eps, float weight_decay, float max_norm, int32_t t) {
  return launch(stream, [&](Stream& s) {
    require(t >= 1, "t counts from 1");
    require(max_norm > 0.0f, "max_norm must be positive");
    const Step step{beta1,
                    beta2,
                    1.0f - beta1,
                    1.0f - beta2,
                    static_cast<float>(lr / (1.0 - std::pow(static_cast<double>(beta1), t))),
                    static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(static_cast<double>(beta2), t))),
                    eps,
                    lr * weight_decay,
                    max_norm};
    if (aligned(params | grads | m | v))
      LAUNCH(adamw<4>, grid_for(n / 4 + 1, kBlock), kBlock, 0, s.queue, f32(params), f32(grads), f32(m), f32(v),
             f32(norm), n, step);
    else
      LAUNCH(adamw<1>, grid_for(n, kBlock), kBlock, 0, s.queue, f32(params), f32(grads), f32(m), f32(v), f32(norm), n,
             step);
  });
}

}  // extern "C"
