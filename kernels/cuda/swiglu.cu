// swiglu.cu: y = silu(gate) * up and its gradient, gate_up(T, 2F) = [gate | up].
//
// Bound: memory. Forward moves 3 F elements a token, backward 5 F; about 10 and 15 FLOPs an element and one
// exponential.
#include "pack.cuh"

namespace tk {
namespace {

constexpr int kBlock = 256;

DEV float sigmoid(float x) { return __fdiv_rn(1.0f, __fadd_rn(1.0f, expf(-x))); }

// Calls body(t, f, count) for the packs of a (T, F) array that are this thread's.
template <class Body>
DEV void for_packs(int tokens, int F, Body&& body) {
  const int packs = (F + kPack - 1) / kPack;
  const int64_t n = static_cast<int64_t>(tokens) * packs, stride = static_cast<int64_t>(gridDim.x) * kBlock;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; i < n; i += stride) {
    const int f = static_cast<int>(i % packs) * kPack;
    body(i / packs, f, min(kPack, F - f));
  }
}

template <class T, bool kWhole>
__global__ void __launch_bounds__(kBlock) swiglu_forward(T* y, const T* gate_up, int tokens, int F) {
  for_packs(tokens, F, [&](int64_t t, int f, int count) {
    const T* gate = gate_up + t * 2 * F + f;
    const Pack g = load_pack<kWhole>(gate, count), u = load_pack<kWhole>(gate + F, count);
    Pack out;
#pragma unroll
    for (int k = 0; k < kPack; ++k) out.x[k] = __fmul_rn(__fmul_rn(g.x[k], sigmoid(g.x[k])), u.x[k]);
    store_pack<kWhole>(y + t * F + f, out, count);
  });
}

// With s = sigmoid(g):  d(g s)/dg = s (1 + g (1 - s)).
template <class T, bool kWhole>
__global__ void __launch_bounds__(kBlock) swiglu_backward(T* dgate_up, const T* dy, const T* gate_up, int tokens, int F) {
  for_packs(tokens, F, [&](int64_t t, int f, int count) {
    const T* gate = gate_up + t * 2 * F + f;
    const Pack g = load_pack<kWhole>(gate, count), u = load_pack<kWhole>(gate + F, count);
    const Pack d = load_pack<kWhole>(dy + t * F + f, count);
    Pack dgate, dup;
#pragma unroll
    for (int k = 0; k < kPack; ++k) {
      const float s = sigmoid(g.x[k]), slope = __fmaf_rn(g.x[k], __fsub_rn(1.0f, s), 1.0f);
      dgate.x[k] = __fmul_rn(__fmul_rn(__fmul_rn(d.x[k], u.x[k]), s), slope);
      dup.x[k] = __fmul_rn(d.x[k], __fmul_rn(g.x[k], s));
    }
    T* to = dgate_up + t * 2 * F + f;
    store_pack<kWhole>(to, dgate, count);
    store_pack<kWhole>(to + F, dup, count);
  });
}

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_swiglu_forward(uint64_t stream, uint64_t y, uint64_t gate_up, int32_t T, int32_t F, int32_t dtype) {
  return launch(stream, [&](Stream& s) {
    if (T == 0) return;
    with_dtype(dtype, [&](auto element) {
      using E = decltype(element);
      with_flag(whole_packs(F, y | gate_up), [&](auto whole) {
        LAUNCH((swiglu_forward<E, whole.value>), grid_for(T * ceil_div(F, kPack), kBlock), kBlock, 0, s.queue,
               pointer<E>(y), pointer<E>(gate_up), T, F);
      });
    });
  });
}

int32_t tk_swiglu_backward(uint64_t stream, uint64_t dgate_up, uint64_t dy, uint64_t gate_up, int32_t T, int32_t F,
                           int32_t dtype) {
  return launch(stream, [&](Stream& s) {
    if (T == 0) return;
    with_dtype(dtype, [&](auto element) {
      using E = decltype(element);
      with_flag(whole_packs(F, dgate_up | dy | gate_up), [&](auto whole) {
        LAUNCH((swiglu_backward<E, whole.value>), grid_for(T * ceil_div(F, kPack), kBlock), kBlock, 0, s.queue,
               pointer<E>(dgate_up), pointer<E>(dy), pointer<E>(gate_up), T, F);
      });
    });
  });
}

}  // extern "C"
