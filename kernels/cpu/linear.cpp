// linear.cpp: packing of weights, and the three products of a linear layer.
#include <omp.h>

#include "gemm.h"

namespace tk {

void transpose_panels(float* panels, const float* packed, int64_t N, int64_t K) {
#pragma omp parallel for schedule(static) if (static_cast<double>(N) * static_cast<double>(K) > kSerialFlops)
  for (int64_t kp = 0; kp < panels_of(K); ++kp) {
    float* out = panels + kp * N * kPanel;
    const int64_t columns = std::min<int64_t>(kPanel, K - kp * kPanel);
    for (int64_t n = 0; n < N; ++n) {
      const float* in = packed + (n / kPanel * K + kp * kPanel) * kPanel + n % kPanel;
      for (int64_t c = 0; c < columns; ++c) out[n * kPanel + c] = in[c * kPanel];
      for (int64_t c = columns; c < kPanel; ++c) out[n * kPanel + c] = 0.0f;
    }
  }
}

void accumulate_outer(float* dw, const float* dy, int64_t ldy, const float* x, int64_t M, int64_t N, int64_t K) {
  constexpr int64_t kBlock = 256;      // rows reduced in registers before dw is touched again
  constexpr int64_t kStride = kLanes;  // of the packed dy tile; >= kRows
  static_assert(kRows <= kStride);
  const RowTiles tiles(N);
  const int64_t n_panels = panels_of(K);
  // Blocks whose x is packed at a time: few barriers, bounded scratch.
  const int64_t group = std::max<int64_t>(1, (32 << 20) / (static_cast<int64_t>(sizeof(float)) * kBlock * n_panels * kPanel));
  const int64_t blocks = ceil_div(M, kBlock), panel_floats = kBlock * kPanel;
  float* packed = scratch_f32(kScratchPackB, static_cast<size_t>(std::min(group, blocks) * n_panels * panel_floats));
  const double flops = 2.0 * static_cast<double>(M) * static_cast<double>(N) * static_cast<double>(K);
  for (int64_t first = 0; first < blocks; first += group) {
    const int64_t last = std::min(blocks, first + group);
#pragma omp parallel if (flops > kSerialFlops)
    {
#pragma omp for collapse(2) schedule(static)
      for (int64_t b = first; b < last; ++b)
        for (int64_t p = 0; p < n_panels; ++p) {
          const int columns = static_cast<int>(std::min<int64_t>(kPanel, K - p * kPanel));
          for (int64_t m = b * kBlock; m < std::min(M, (b + 1) * kBlock); ++m) {
            float* out = packed + ((b - first) * n_panels + p) * panel_floats + (m - b * kBlock) * kPanel;
            std::memcpy(out, x + m * K + p * kPanel, static_cast<size_t>(columns) * sizeof(float));
            for (int c = columns; c < kPanel; ++c) out[c] = 0.0f;
          }
        }
#pragma omp for schedule(dynamic)
      for (int64_t t = 0; t < tiles.tiles; ++t) {
        const int64_t n0 = tiles.begin(t);
        const int height = tiles.rows(t);
        const Epilogue out{dw, K, nullptr, true};
        float* a = scratch_f32(kScratchPackA, static_cast<size_t>(kBlock * kStride));
        for (int64_t b = first; b < last; ++b) {
          const int64_t rows = std::min(kBlock, M - b * kBlock);
          for (int64_t m = 0; m < rows; ++m)
            f32x16::load_partial(dy + (b * kBlock + m) * ldy + n0, height).store(a + m * kStride);
          for (int64_t p = 0; p < n_panels; ++p) {
            const int columns = static_cast<int>(std::min<int64_t>(kPanel, K - p * kPanel));
            const float* panel = packed + ((b - first) * n_panels + p) * panel_floats;
            gemm_rows<true>(height, a, kStride, panel, rows, out, n0, p * kPanel, columns);
          }
        }
      }
    }
  }
}

}  // namespace tk

using namespace tk;

namespace {
void check_weight(int32_t N, int32_t K, int32_t w_dtype) {
  require(N > 0 && K > 0, "N and K must be positive");
  require(w_dtype == TK_F32, "the CPU backend packs float32 weights");
}
}  // namespace

extern "C" {

int32_t tk_linear_packed_bytes(uint64_t, int32_t N, int32_t K, int32_t w_dtype, void* bytes_out) {
  return guarded([&] {
    check_weight(N, K, w_dtype);
    const uint64_t bytes = static_cast<uint64_t>(panels_of(N)) * static_cast<uint64_t>(K) * kPanel * sizeof(float);
    std::memcpy(bytes_out, &bytes, sizeof bytes);
  });
}

int32_t tk_linear_pack(uint64_t stream, uint64_t packed, uint64_t w, int32_t N, int32_t K, int32_t w_dtype) {
  return guarded([&] {
    check_weight(N, K, w_dtype);
    stream_of(stream).submit([=] {
#pragma omp parallel for schedule(static) if (static_cast<double>(N) * K > kSerialFlops)
      for (int64_t p = 0; p < panels_of(N); ++p) {
        float* out = f32(packed) + p * K * kPanel;
        const int64_t columns = std::min<int64_t>(kPanel, N - p * kPanel);
        for (int64_t c = 0; c < kPanel; ++c)
          for (int64_t k = 0; k < K; ++k) out[k * kPanel + c] = c < columns ? f32(w)[(p * kPanel + c) * K + k] : 0.0f;
      }
    });
  });
}

int32_t tk_linear_forward(uint64_t stream, uint64_t y, uint64_t x, uint64_t packed, uint64_t bias, int32_t M, int32_t N,
                          int32_t K, int32_t accumulate, int32_t dtype, int32_t w_dtype) {
  return guarded([&] {
    check_weight(N, K, w_dtype);
    require(dtype == TK_F32, "the CPU backend computes in float32 activations");
    stream_of(stream).submit([=] {
      gemm(f32(x), K, f32(packed), M, N, K, Epilogue{f32(y), N, f32(bias), accumulate != 0}, omp_get_max_threads());
    });
  });
}

int32_t tk_linear_backward_input(uint64_t stream, uint64_t dx, uint64_t dy, uint64_t packed, int32_t M, int32_t N,
                                 int32_t K, int32_t accumulate, int32_t dtype, int32_t w_dtype) {
  return guarded([&] {
    check_weight(N, K, w_dtype);
    require(dtype == TK_F32, "the CPU backend computes in float32 activations");
    stream_of(stream).submit([=] {
      float* panels = scratch_f32(kScratchPackB, static_cast<size_t>(panels_of(K) * N * kPanel));
      transpose_panels(panels, f32(packed), N, K);
      gemm(f32(dy), N, panels, M, K, N, Epilogue{f32(dx), K, nullptr, accumulate != 0}, omp_get_max_threads());
    });
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
