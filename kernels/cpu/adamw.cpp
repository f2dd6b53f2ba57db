// adamw.cpp: gradient norm and AdamW over flat float32 buffers, each one pass over memory.
#include <algorithm>
#include <cmath>
#include <vector>

#include "lanes.h"
#include "runtime.h"

using namespace tk;

namespace {
// Elements that one thread takes at a time. The norm sums inside a chunk in float32 and merges the chunks
// in order in double: the bits do not depend on the number of threads.
constexpr int64_t kChunk = 16384;
}  // namespace

extern "C" {

int32_t tk_grad_norm(uint64_t stream, uint64_t norm, uint64_t grads, uint64_t n) {
  return launch(stream, [=] {
    const int64_t count = static_cast<int64_t>(n), chunks = ceil_div(count, kChunk);
    std::vector<double> parts(static_cast<size_t>(chunks), 0.0);
#pragma omp parallel for schedule(static) if (2.0 * static_cast<double>(n) > kSerialFlops)
    for (int64_t k = 0; k < chunks; ++k) {
      const float* g = f32(grads) + k * kChunk;
      parts[static_cast<size_t>(k)] =
          reduce_lanes(std::min(kChunk, count - k * kChunk), [g](f32x16 acc, int64_t i, auto lanes) {
            const f32x16 x = lanes.load(g + i);
            return fma(x, x, acc);
          });
    }
    double total = 0.0;
    for (const double part : parts) total += part;
    f32(norm)[0] = static_cast<float>(std::sqrt(total));
  });
}

// m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
// p -= lr (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + weight_decay p)
int32_t tk_adamw(uint64_t stream, uint64_t params, uint64_t grads, uint64_t m, uint64_t v, uint64_t norm, uint64_t n,
                 float lr, float beta1, float beta2, float eps, float weight_decay, float max_norm, int32_t t) {
  return guarded([&] {
    require(t >= 1, "t counts from 1");
    require(max_norm > 0.0f, "max_norm must be positive");
  }) || launch(stream, [=] {
    const float length = f32(norm)[0];
    if (!std::isfinite(length)) return;
    const f32x16 scale = f32x16::set1(std::min(1.0f, max_norm / length));
    const f32x16 b1 = f32x16::set1(beta1), b2 = f32x16::set1(beta2);
    const f32x16 a1 = f32x16::set1(1.0f - beta1), a2 = f32x16::set1(1.0f - beta2);
    const f32x16 step = f32x16::set1(static_cast<float>(lr / (1.0 - std::pow(static_cast<double>(beta1), t))));
    const f32x16 root = f32x16::set1(static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(static_cast<double>(beta2), t))));
    const f32x16 epsilon = f32x16::set1(eps), decay = f32x16::set1(lr * weight_decay);
    const int64_t count = static_cast<int64_t>(n);
#pragma omp parallel for schedule(static) if (12.0 * static_cast<double>(n) > kSerialFlops)
    for (int64_t begin = 0; begin < count; begin += kChunk)
      for_lanes(begin, std::min(count, begin + kChunk), [&](int64_t i, auto lanes) {
        const f32x16 g = lanes.load(f32(grads) + i) * scale;
        const f32x16 m1 = fma(b1, lanes.load(f32(m) + i), a1 * g);
        const f32x16 v1 = fma(b2, lanes.load(f32(v) + i), a2 * (g * g));
        const f32x16 p = lanes.load(f32(params) + i);
        lanes.store(m1, f32(m) + i);
        lanes.store(v1, f32(v) + i);
        lanes.store(p - fma(decay, p, step * m1 / fma(sqrt(v1), root, epsilon)), f32(params) + i);
      });
  });
}

}  // extern "C"
