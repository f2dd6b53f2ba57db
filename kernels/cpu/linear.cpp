// linear.cpp: a linear layer: packing of its weight, and its three products.
#include "gemm.h"

using namespace tk;

namespace {

void check_weight(int32_t N, int32_t K, int32_t w_dtype) {
  require(N > 0 && K > 0, "N and K must be positive");
  check_weight_type(w_dtype);
}

}  // namespace

extern "C" {

int32_t tk_linear_packed_bytes(uint64_t, int32_t N, int32_t K, int32_t w_dtype, void* bytes_out) {
  return guarded([&] {
    check_weight(N, K, w_dtype);
    const uint64_t elements = static_cast<uint64_t>(panels_of(N)) * static_cast<uint64_t>(K) * kPanel;
    const uint64_t bytes = elements * static_cast<uint64_t>(Panels{nullptr, w_dtype}.element_bytes());
    std::memcpy(bytes_out, &bytes, sizeof bytes);
  });
}

int32_t tk_linear_pack(uint64_t stream, uint64_t packed, uint64_t w, int32_t N, int32_t K, int32_t w_dtype) {
  return guarded([&] {
    check_weight(N, K, w_dtype);
    stream_of(stream).submit([=] { pack_panels(pointer<void>(packed), f32(w), N, K, w_dtype); });
  });
}

int32_t tk_linear_forward(uint64_t stream, uint64_t y, uint64_t x, uint64_t packed, uint64_t bias, int32_t M, int32_t N,
                          int32_t K, int32_t accumulate, int32_t dtype, int32_t w_dtype) {
  const int32_t status = guarded([&] { check_weight(N, K, w_dtype); });
  if (status) return status;
  return launch_rows(stream, dtype, M, [=](int64_t begin, int64_t end) {
    const Epilogue out{f32(y) + begin * N, N, f32(bias), accumulate != 0};
    gemm(f32(x) + begin * K, K, {pointer<void>(packed), w_dtype}, end - begin, N, K, out);
  });
}

int32_t tk_linear_backward_input(uint64_t stream, uint64_t dx, uint64_t dy, uint64_t packed, int32_t M, int32_t N,
                                 int32_t K, int32_t accumulate, int32_t dtype, int32_t w_dtype) {
  const int32_t status = guarded([&] { check_weight(N, K, w_dtype); });
  if (status) return status;
  return launch(stream, dtype, [=] {
    float* panels = scratch_f32(kScratchPackB, static_cast<size_t>(panels_of(K) * N * kPanel));
    transpose_panels(panels, {pointer<void>(packed), w_dtype}, N, K);
    gemm(f32(dy), N, {panels, TK_F32}, M, K, N, Epilogue{f32(dx), K, nullptr, accumulate != 0});
  });
}

int32_t tk_linear_backward_weight(uint64_t stream, uint64_t dw, uint64_t dbias, uint64_t dy, uint64_t x, int32_t M,
                                  int32_t N, int32_t K, int32_t dtype) {
  return launch(stream, dtype, [=] {
    accumulate_outer(f32(dw), f32(dy), N, f32(x), M, N, K);
    if (!dbias) return;
#pragma omp parallel for schedule(static) if (static_cast<double>(M) * N > kSerialFlops)
    for (int64_t n = 0; n < N; n += kLanes) {
      const int lanes = static_cast<int>(std::min<int64_t>(kLanes, N - n));
      f32x16 sum = zero();
      for (int64_t m = 0; m < M; ++m) sum = sum + f32x16::load_partial(f32(dy) + m * N + n, lanes);
      (f32x16::load_partial(f32(dbias) + n, lanes) + sum).store_partial(f32(dbias) + n, lanes);
    }
  });
}

}  // extern "C"
