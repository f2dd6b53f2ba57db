// linear.cu: packing of weights and the forward product y(M, N) = x(M, K) w(N, K)^T.
//
// FLOPs 2 M N K; bytes 2 (N K + M K + M N) at least. Above some 300 rows the tensor cores are the bound,
// below them the weights' way through memory.
#include "linear.cuh"

namespace tk {
namespace {

// From training to decoding. The last two keep every multiprocessor busy when N is small.
using Large = TileShape<128, 128, 32, 2, 4, 4>;
using Medium = TileShape<64, 64, 64, 2, 2, 3>;
using Few = TileShape<64, 16, 128, 4, 1, 4>;
using Narrow = TileShape<16, 64, 128, 1, 4, 3>;
using NarrowFew = TileShape<16, 16, 128, 1, 1, 6>;

template <class Shape, bool kTransW, bool kAligned>
__global__ void __launch_bounds__(Shape::kThreads) rows_kernel(RowsOut out, Operand w, Operand x, int depth) {
  GPU_DYN_SMEM(shared);
  const int tiles_i = (w.rows + Shape::kI - 1) / Shape::kI, tiles_j = (x.rows + Shape::kJ - 1) / Shape::kJ;
  const TilePlace tile = grouped_tile(static_cast<int>(blockIdx.x), tiles_i, tiles_j);
  const int i0 = tile.i * Shape::kI, j0 = tile.j * Shape::kJ;
  // Accumulators in the order of the threads that hold them.
  float4* carry = reinterpret_cast<float4*>(out.carry) +
                  (static_cast<int64_t>(tile.j) * tiles_i + tile.i) * (Shape::kI * Shape::kJ / 4) + threadIdx.x;
  Accumulator<Shape> acc;
  clear<Shape>(acc);
  if (out.resume)
    for_elements<Shape>([&](int s, int c, int, int) {
      const float4 kept = carry[(s * Shape::kColumns + c) * Shape::kThreads];
      acc[s][c][0] = kept.x, acc[s][c][1] = kept.y, acc[s][c][2] = kept.z, acc[s][c][3] = kept.w;
    });
  multiply_tile<Shape, kTransW, false, kAligned>(acc, shared, w, i0, x, j0, depth);
  if (out.suspend) {
    for_elements<Shape>([&](int s, int c, int, int) {
      carry[(s * Shape::kColumns + c) * Shape::kThreads] =
          make_float4(acc[s][c][0], acc[s][c][1], acc[s][c][2], acc[s][c][3]);
    });
    return;
  }
  const bool in_pairs = out.ld % 2 == 0 && reinterpret_cast<uintptr_t>(out.out) % 4 == 0;
  for_elements<Shape>([&](int s, int c, int i, int j) {
    const Pairs pairs = pair_along_i(acc[s][c], i0 + i, j0 + j);
    if (pairs.j >= x.rows) return;
    const auto store = [&](const float (&v)[2], int at) {
      if (at >= w.rows) return;
      const bool both = at + 1 < w.rows;
      float low = v[0], high = v[1];
      if (out.bias) {
        low = __fadd_rn(low, out.bias[at]);
        if (both) high = __fadd_rn(high, out.bias[at + 1]);
      }
      bf16* to = out.out + pairs.j * out.ld + at;
      if (both && in_pairs) {
        uint32_t* word = reinterpret_cast<uint32_t*>(to);
        if (out.accumulate) {
          const uint32_t old = *word;
          low = __fadd_rn(bf16_lo(old), low), high = __fadd_rn(bf16_hi(old), high);
        }
        *word = pack_bf16(low, high);
        return;
      }
      to[0] = __float2bfloat16(out.accumulate ? __fadd_rn(__bfloat162float(to[0]), low) : low);
      if (both) to[1] = __float2bfloat16(out.accumulate ? __fadd_rn(__bfloat162float(to[1]), high) : high);
    };
    store(pairs.first, pairs.i);
    store(pairs.second, pairs.i + 8);
  });
}

template <class Shape>
int64_t tiles_of(int64_t I, int64_t J) {
  return (I + Shape::kI - 1) / Shape::kI * ((J + Shape::kJ - 1) / Shape::kJ);
}

template <class Shape, bool kTransW, bool kAligned>
void launch_rows(cudaStream_t queue, const RowsOut& out, const Operand& w, const Operand& x, int depth) {
  launch_tile("rows_kernel", rows_kernel<Shape, kTransW, kAligned>, tiles_of<Shape>(w.rows, x.rows), Shape::kThreads,
              Shape::kSharedBytes, queue, out, w, x, depth);
}

// Tiles that keep the multiprocessors of a large GPU busy. The choice of a shape changes no bit.
constexpr int64_t kFullGrid = 128;

}  // namespace

void multiply_rows(cudaStream_t queue, const RowsOut& out, const Operand& w, const Operand& x, int depth) {
  const int64_t I = w.rows, J = x.rows;
  if (J == 0) return;
  if (!is_aligned(x.data, x.ld)) return launch_rows<Medium, false, false>(queue, out, w, x, depth);
  if (J <= 16) {
    if (tiles_of<Few>(I, J) >= kFullGrid) return launch_rows<Few, false, true>(queue, out, w, x, depth);
    return launch_rows<NarrowFew, false, true>(queue, out, w, x, depth);
  }
  if (J > Medium::kJ && tiles_of<Large>(I, J) >= kFullGrid)
    return launch_rows<Large, false, true>(queue, out, w, x, depth);
  if (tiles_of<Medium>(I, J) >= kFullGrid) return launch_rows<Medium, false, true>(queue, out, w, x, depth);
  launch_rows<Narrow, false, true>(queue, out, w, x, depth);
}

// Carried sums stand in tiles of the shape that carries, so that shape is always the same.
int64_t carry_floats(int64_t I, int64_t J) { return tiles_of<Large>(I, J) * Large::kI * Large::kJ; }

void input_gradient(cudaStream_t queue, const RowsOut& out, const Operand& w, const Operand& dy, int depth) {
  if (dy.rows == 0) return;
  const bool large = out.resume || out.suspend || tiles_of<Large>(w.rows, dy.rows) >= kFullGrid;
  if (!is_aligned(dy.data, dy.ld)) return launch_rows<Medium, true, false>(queue, out, w, dy, depth);
  if (large) return launch_rows<Large, true, true>(queue, out, w, dy, depth);
  launch_rows<Medium, true, true>(queue, out, w, dy, depth);
}

namespace {

// packed(N, ld) bfloat16 from w(N, K) float32, zeros behind column K.
__global__ void __launch_bounds__(256) pack_kernel(bf16* packed, const float* w, int64_t N, int K, int ld) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; at < N * (ld / 2); at += stride) {
    const int64_t n = at / (ld / 2);
    const int k = static_cast<int>(at % (ld / 2)) * 2;
    const float low = k < K ? w[n * K + k] : 0.0f, high = k + 1 < K ? w[n * K + k + 1] : 0.0f;
    reinterpret_cast<uint32_t*>(packed)[at] = pack_bf16(low, high);
  }
}

void check_weight(int32_t N, int32_t K, int32_t w_dtype) {
  require(N > 0 && K > 0, "N and K must be positive");
  require(w_dtype == TK_F32 || w_dtype == TK_BF16, "weights are packed as float32 or bfloat16");
}

}  // namespace

void check_types(int32_t dtype, int32_t w_dtype) {
  require(dtype == TK_F32 || dtype == TK_BF16, "activations are float32 or bfloat16");
  require(dtype == w_dtype, "activations and packed weights must have the same type, float32 or bfloat16");
}

}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_linear_packed_bytes(uint64_t, int32_t N, int32_t K, int32_t w_dtype, void* bytes_out) {
  return guarded([&] {
    check_weight(N, K, w_dtype);
    const uint64_t rows = static_cast<uint64_t>(N);
    const uint64_t bytes = w_dtype == TK_F32 ? rows * static_cast<uint64_t>(K) * sizeof(float)
                                             : rows * static_cast<uint64_t>(packed_stride(K)) * sizeof(bf16);
    std::memcpy(bytes_out, &bytes, sizeof bytes);
  });
}

int32_t tk_linear_pack(uint64_t stream, uint64_t packed, uint64_t w, int32_t N, int32_t K, int32_t w_dtype) {
  return launch(stream, [&](Stream& s) {
    check_weight(N, K, w_dtype);
    if (w_dtype == TK_F32) {
      const size_t bytes = static_cast<size_t>(N) * static_cast<size_t>(K) * sizeof(float);
      check(cudaMemcpyAsync(f32(packed), f32(w), bytes, cudaMemcpyDeviceToDevice, s.queue));
      return;
    }
    const int ld = static_cast<int>(packed_stride(K));
    LAUNCH(pack_kernel, grid_for(static_cast<uint64_t>(N) * (ld / 2), 256), 256, 0, s.queue, b16(packed), f32(w),
           int64_t{N}, K, ld);
  });
}

int32_t tk_linear_forward(uint64_t stream, uint64_t y, uint64_t x, uint64_t packed, uint64_t bias, int32_t M, int32_t N,
                          int32_t K, int32_t accumulate, int32_t dtype, int32_t w_dtype) {
  return launch(stream, [&](Stream& s) {
    check_weight(N, K, w_dtype);
    check_types(dtype, w_dtype);
    if (dtype == TK_F32) {
      multiply_f32(s.queue, {f32(x), K, 1, f32(packed), K, 1, f32(y), N, 1, f32(bias), M, N, K, K, accumulate != 0});
      return;
    }
    const RowsOut out{b16(y), N, f32(bias), accumulate != 0, nullptr, false, false};
    multiply_rows(s.queue, out, {b16(packed), packed_stride(K), N}, {b16(x), K, M}, K);
  });
}

int32_t tk_linear_backward_input(uint64_t stream, uint64_t dx, uint64_t dy, uint64_t packed, int32_t M, int32_t N,
                                 int32_t K, int32_t accumulate, int32_t dtype, int32_t w_dtype) {
  return launch(stream, [&](Stream& s) {
    check_weight(N, K, w_dtype);
    check_types(dtype, w_dtype);
    if (dtype == TK_F32) {
      multiply_f32(s.queue, {f32(dy), N, 1, f32(packed), 1, K, f32(dx), K, 1, nullptr, M, K, N, N, accumulate != 0});
      return;
    }
    const RowsOut out{b16(dx), K, nullptr, accumulate != 0, nullptr, false, false};
    input_gradient(s.queue, out, {b16(packed), packed_stride(K), K}, {b16(dy), N, M}, N);
  });
}

}  // extern "C"
