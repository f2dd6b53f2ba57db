// product_f32.cu: the float32 matrix product on plain cores. It is the path of correctness, not of speed: in
// the order of the CPU backend, so the bits are the CPU's, and the slow reference beside the bfloat16 tiles.
//
// FLOPs 2 I J R; bound: shared memory, 8 loads for 16 multiply-adds.
#include "linear.cuh"

namespace tk {
namespace {

constexpr int kTile = 64, kDepth = 16, kThreads = 256;

// 64 x 64 outputs a block, 4 x 4 a thread.
__global__ void __launch_bounds__(kThreads) multiply_kernel(Product p) {
  GPU_SHARED(float, a, [kDepth][kTile + 4]);
  GPU_SHARED(float, b, [kDepth][kTile + 4]);
  const int tiles_i = (p.I + kTile - 1) / kTile;
  const int i0 = static_cast<int>(blockIdx.x) % tiles_i * kTile;
  const int j0 = static_cast<int>(blockIdx.x) / tiles_i * kTile;
  const int ti = threadIdx.x / 16, tj = threadIdx.x % 16;
  float total[4][4];
  for (int u = 0; u < 4; ++u)
    for (int v = 0; v < 4; ++v) {
      const int i = i0 + ti + 16 * u, j = j0 + tj + 16 * v;
      total[u][v] = p.accumulate && i < p.I && j < p.J ? p.out[i * p.out_i + j * p.out_j] : 0.0f;
    }
  for (int first = 0; first < p.R; first += p.chunk) {
    const int last = min(p.R, first + p.chunk);
    float acc[4][4] = {};
    for (int r0 = first; r0 < last; r0 += kDepth) {
      __syncthreads();  // everybody is done with the step before
      for (int n = threadIdx.x; n < kTile * kDepth; n += kThreads) {
        // Neighbouring threads read along the axis that is contiguous.
        const int row_a = p.a_r == 1 ? n / kDepth : n % kTile, r_a = p.a_r == 1 ? n % kDepth : n / kTile;
        const int row_b = p.b_r == 1 ? n / kDepth : n % kTile, r_b = p.b_r == 1 ? n % kDepth : n / kTile;
        const bool inside_a = i0 + row_a < p.I && r0 + r_a < last, inside_b = j0 + row_b < p.J && r0 + r_b < last;
        a[r_a][row_a] = inside_a ? p.a[(i0 + row_a) * p.a_i + (r0 + r_a) * p.a_r] : 0.0f;
        b[r_b][row_b] = inside_b ? p.b[(j0 + row_b) * p.b_j + (r0 + r_b) * p.b_r] : 0.0f;
      }
      __syncthreads();
      const int depth = min(kDepth, last - r0);
      for (int r = 0; r < depth; ++r)
#pragma unroll
        for (int u = 0; u < 4; ++u)
#pragma unroll
          for (int v = 0; v < 4; ++v) acc[u][v] = __fmaf_rn(a[r][ti + 16 * u], b[r][tj + 16 * v], acc[u][v]);
    }
    for (int u = 0; u < 4; ++u)
      for (int v = 0; v < 4; ++v) {
        const int j = j0 + tj + 16 * v;
        if (first == 0 && p.bias && j < p.J) acc[u][v] = __fadd_rn(acc[u][v], p.bias[j]);
        total[u][v] = first > 0 || p.accumulate ? __fadd_rn(total[u][v], acc[u][v]) : acc[u][v];
      }
  }
  for (int u = 0; u < 4; ++u)
    for (int v = 0; v < 4; ++v) {
      const int i = i0 + ti + 16 * u, j = j0 + tj + 16 * v;
      if (i < p.I && j < p.J) p.out[i * p.out_i + j * p.out_j] = total[u][v];
    }
}

}  // namespace

void multiply_f32(cudaStream_t queue, const Product& p) {
  if (p.I == 0 || p.J == 0) return;
  const int64_t blocks = ((p.I + kTile - 1) / kTile) * int64_t{(p.J + kTile - 1) / kTile};
  require(blocks <= 0x7fffffff, "the matrices are too large for one launch");
  LAUNCH(multiply_kernel, static_cast<unsigned>(blocks), kThreads, 0, queue, p);
}

}  // namespace tk
