// linear.cuh: the matrix products that other kernels build on. Both families keep a fixed order of
// summation: an element's bits do not depend on the launch.
#pragma once
#include "tile.cuh"

namespace tk {

// Refuses all but float32 with float32 and bfloat16 with bfloat16.
void check_types(int32_t dtype, int32_t w_dtype);

// Elements between rows of a packed bfloat16 matrix with K columns: 16-byte rows, zeros behind column K.
inline int64_t packed_stride(int64_t K) { return (K + 7) / 8 * 8; }

// float32 on plain cores: out(i, j) = [out +] sum over r of a(i, r) b(j, r) [+ bias(j)], by strides. Every
// `chunk` of r is one chain of fused multiply-adds in order; chunks are added in order.
struct Product {
  const float* a;
  int64_t a_i, a_r;
  const float* b;
  int64_t b_j, b_r;
  float* out;
  int64_t out_i, out_j;
  const float* bias;
  int I, J, R, chunk;
  bool accumulate;
};
void multiply_f32(cudaStream_t queue, const Product& p);

// Where a product with bfloat16 activations goes: out(j, i) = [out +] sum [+ bias(i)], rows of `ld`.
// `carry` keeps sums in float32 between launches over parts of the reduced index: started from it when
// `resume`, left there instead of in `out` when `suspend`. It holds carry_floats(I, J) floats.
struct RowsOut {
  bf16* out;
  int64_t ld;
  const float* bias;
  bool accumulate;
  float* carry;
  bool resume, suspend;
};
int64_t carry_floats(int64_t I, int64_t J);

// out(j, i) from x(J, depth) and w(I, depth).
void multiply_rows(cudaStream_t queue, const RowsOut& out, const Operand& w, const Operand& x, int depth);
// dx(j, i) from dy(J, depth) and w(depth, I): w.rows is I, its data (depth, ld).
void input_gradient(cudaStream_t queue, const RowsOut& out, const Operand& w, const Operand& dy, int depth);
// dw(i, j) += sum over r of dy(r, i) x(r, j), float32 rows of ld_dw: dy.rows is I, x.rows is J.
void weight_gradient(cudaStream_t queue, float* dw, int64_t ld_dw, const Operand& dy, const Operand& x, int depth);

}  // namespace tk
