// linear_weight_grad.cu: dw(N, K) += dy(M, N)^T x(M, K) and dbias(N) += column sums of dy, in float32.
//
// FLOPs 2 M N K; bytes 2 (M N + M K) + 8 N K. Bound: the tensor cores from some hundred rows on, dw's
// read-modify-write below. No split over rows: every element is one chain, added to dw once.
#include "linear.cuh"

namespace tk {
namespace {

using Large = TileShape<128, 128, 32, 2, 4, 4>;
using Small = TileShape<64, 64, 64, 2, 2, 3>;
constexpr int64_t kFullGrid = 128;

template <class Shape, bool kAligned>
__global__ void __launch_bounds__(Shape::kThreads)
    weight_gradient_kernel(float* dw, int64_t ld_dw, Operand dy, Operand x, int depth) {
  GPU_DYN_SMEM(shared);
  const int tiles_i = (dy.rows + Shape::kI - 1) / Shape::kI, tiles_j = (x.rows + Shape::kJ - 1) / Shape::kJ;
  const TilePlace tile = grouped_tile(static_cast<int>(blockIdx.x), tiles_i, tiles_j);
  const int i0 = tile.i * Shape::kI, j0 = tile.j * Shape::kJ;
  Accumulator<Shape> acc;
  clear<Shape>(acc);
  multiply_tile<Shape, true, true, kAligned>(acc, shared, dy, i0, x, j0, depth);
  const bool in_pairs = ld_dw % 2 == 0 && reinterpret_cast<uintptr_t>(dw) % 8 == 0;
  for_elements<Shape>([&](int s, int c, int i, int j) {
    const int column = j0 + j;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = i0 + i + half * 8;
      if (row >= dy.rows || column >= x.rows) continue;
      float* to = dw + row * ld_dw + column;
      const float low = acc[s][c][half * 2], high = acc[s][c][half * 2 + 1];
      if (in_pairs && column + 1 < x.rows) {
        float2* pair = reinterpret_cast<float2*>(to);
        const float2 old = *pair;
        *pair = make_float2(__fadd_rn(old.x, low), __fadd_rn(old.y, high));
        continue;
      }
      to[0] = __fadd_rn(to[0], low);
      if (column + 1 < x.rows) to[1] = __fadd_rn(to[1], high);
    }
  });
}

template <class Shape, bool kAligned>
void launch_gradient(cudaStream_t queue, float* dw, int64_t ld_dw, const Operand& dy, const Operand& x, int depth) {
  const int64_t blocks = ((dy.rows + Shape::kI - 1) / Shape::kI) * int64_t{(x.rows + Shape::kJ - 1) / Shape::kJ};
  launch_tile("weight_gradient_kernel", weight_gradient_kernel<Shape, kAligned>, blocks, Shape::kThreads,
              Shape::kSharedBytes, queue, dw, ld_dw, dy, x, depth);
}

// A block sums kBiasColumns columns: rows y, y + kBiasRows, ... in order, then the kBiasRows sums in order.
constexpr int kBiasColumns = 32, kBiasRows = 16;
__global__ void __launch_bounds__(kBiasColumns* kBiasRows)
    bias_gradient_bf16(float* dbias, const bf16* dy, int M, int N) {
  GPU_SHARED(float, parts, [kBiasRows][kBiasColumns]);
  const int x = threadIdx.x % kBiasColumns, y = threadIdx.x / kBiasColumns;
  const int n = static_cast<int>(blockIdx.x) * kBiasColumns + x;
  float sum = 0.0f;
  if (n < N)
    for (int m = y; m < M; m += kBiasRows) sum = __fadd_rn(sum, __bfloat162float(dy[static_cast<int64_t>(m) * N + n]));
  parts[y][x] = sum;
  __syncthreads();
  if (y > 0 || n >= N) return;
  for (int k = 1; k < kBiasRows; ++k) sum = __fadd_rn(sum, parts[k][x]);
  dbias[n] = __fadd_rn(dbias[n], sum);
}

// One chain over the rows, as on the CPU.
__global__ void __launch_bounds__(128) bias_gradient_f32(float* dbias, const float* dy, int M, int N) {
  const int n = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (n >= N) return;
  float sum = 0.0f;
  for (int m = 0; m < M; ++m) sum = __fadd_rn(sum, dy[static_cast<int64_t>(m) * N + n]);
  dbias[n] = __fadd_rn(dbias[n], sum);
}

}  // namespace

void weight_gradient(cudaStream_t queue, float* dw, int64_t ld_dw, const Operand& dy, const Operand& x, int depth) {
  if (depth == 0) return;
  if (!is_aligned(dy.data, dy.ld) || !is_aligned(x.data, x.ld))
    return launch_gradient<Small, false>(queue, dw, ld_dw, dy, x, depth);
  const int64_t large = ((dy.rows + Large::kI - 1) / Large::kI) * int64_t{(x.rows + Large::kJ - 1) / Large::kJ};
  if (large >= kFullGrid) return launch_gradient<Large, true>(queue, dw, ld_dw, dy, x, depth);
  launch_gradient<Small, true>(queue, dw, ld_dw, dy, x, depth);
}

}  // namespace tk

using namespace tk;

extern "C" int32_t tk_linear_backward_weight(uint64_t stream, uint64_t dw, uint64_t dbias, uint64_t dy, uint64_t x,
                                             int32_t M, int32_t N, int32_t K, int32_t dtype) {
  return launch(stream, [&](Stream& s) {
    require(N > 0 && K > 0, "N and K must be positive");
    require(dtype == TK_F32 || dtype == TK_BF16, "activations are float32 or bfloat16");
    if (M == 0) return;
    if (dtype == TK_F32) {
      constexpr int kRowBlock = 256;  // rows summed before dw is touched again
      multiply_f32(s.queue, {f32(dy), 1, N, f32(x), 1, K, f32(dw), K, 1, nullptr, N, K, M, kRowBlock, true});
      if (dbias) LAUNCH(bias_gradient_f32, static_cast<unsigned>((N + 127) / 128), 128, 0, s.queue, f32(dbias), f32(dy), M, N);
      return;
    }
    weight_gradient(s.queue, f32(dw), K, {b16(dy), N, N}, {b16(x), K, K}, M);
    if (dbias)
      LAUNCH(bias_gradient_bf16, static_cast<unsigned>((N + kBiasColumns - 1) / kBiasColumns), kBiasColumns * kBiasRows, 0,
             s.queue, f32(dbias), b16(dy), M, N);
  });
}
