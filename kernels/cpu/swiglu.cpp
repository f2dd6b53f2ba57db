// swiglu.cpp: y = silu(gate) * up and its gradient, gate_up(T, 2F) = [gate | up]. Bound: memory.
#include <algorithm>

#include "lanes.h"
#include "runtime.h"

namespace tk {
namespace {

f32x16 sigmoid(f32x16 x) {
  const f32x16 one = f32x16::set1(1.0f);
  return one / (one + exp(zero() - x));
}

// Runs body(t, begin, end) over pieces of rows first .. last - 1: a decode step has few rows, but long ones.
template <class F>
void for_row_pieces(int64_t first, int64_t last, int64_t C, double flops_per_element, F&& body) {
  constexpr int64_t kPiece = 1024;
  const int64_t pieces = ceil_div(C, kPiece);
#pragma omp parallel for collapse(2) schedule(static) if (flops_per_element * elements(last - first, C) > kSerialFlops)
  for (int64_t t = first; t < last; ++t)
    for (int64_t p = 0; p < pieces; ++p) body(t, p * kPiece, std::min(C, (p + 1) * kPiece));
}

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_swiglu_forward(uint64_t stream, uint64_t y, uint64_t gate_up, int32_t T, int32_t F, int32_t dtype) {
  return launch_rows(stream, dtype, T, [=](int64_t first, int64_t last) {
    for_row_pieces(first, last, F, 20.0, [&](int64_t t, int64_t begin, int64_t end) {
      const float *gate = f32(gate_up) + t * 2 * F, *up = gate + F;
      float* out = f32(y) + t * F;
      for_lanes(begin, end, [&](int64_t i, auto lanes) {
        const f32x16 g = lanes.load(gate + i);
        lanes.store(g * sigmoid(g) * lanes.load(up + i), out + i);
      });
    });
  });
}

// With s = sigmoid(g):  d(g s)/dg = s (1 + g (1 - s)).
int32_t tk_swiglu_backward(uint64_t stream, uint64_t dgate_up, uint64_t dy, uint64_t gate_up, int32_t T, int32_t F,
                           int32_t dtype) {
  return launch(stream, dtype, [=] {
    for_row_pieces(0, T, F, 30.0, [&](int64_t t, int64_t begin, int64_t end) {
      const float *gate = f32(gate_up) + t * 2 * F, *up = gate + F, *in = f32(dy) + t * F;
      float *dgate = f32(dgate_up) + t * 2 * F, *dup = dgate + F;
      const f32x16 one = f32x16::set1(1.0f);
      for_lanes(begin, end, [&](int64_t i, auto lanes) {
        const f32x16 g = lanes.load(gate + i), u = lanes.load(up + i), d = lanes.load(in + i), s = sigmoid(g);
        lanes.store(d * u * s * fma(g, one - s, one), dgate + i);
        lanes.store(d * (g * s), dup + i);
      });
    });
  });
}

}  // extern "C"
