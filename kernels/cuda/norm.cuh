// norm.cuh: the arithmetic of RMSNorm on one pack of a row, shared by norms of whole rows and of heads.
//   y = s r w  with  r = 1 / sqrt(mean(s^2) + eps)
//   ds = r (g - s r^2 mean(g s))  with  g = dy w;   dw += dy s r
#pragma once
#include "pack.cuh"

namespace tk {

DEV float add_squares(const Pack& s, float sum) {
#pragma unroll
  for (int k = 0; k < kPack; ++k) sum = __fmaf_rn(s.x[k], s.x[k], sum);
  return sum;
}
DEV float reciprocal_root(float squares, int C, float eps) {
  return __fdiv_rn(1.0f, __fsqrt_rn(__fadd_rn(__fdiv_rn(squares, static_cast<float>(C)), eps)));
}
DEV Pack normalised(const Pack& s, float r, const Pack& w) {
  Pack y;
#pragma unroll
  for (int k = 0; k < kPack; ++k) y.x[k] = __fmul_rn(__fmul_rn(s.x[k], r), w.x[k]);
  return y;
}

// The row's sum of g s.
DEV float add_dot(const Pack& dy, const Pack& w, const Pack& s, float sum) {
#pragma unroll
  for (int k = 0; k < kPack; ++k) sum = __fmaf_rn(__fmul_rn(dy.x[k], w.x[k]), s.x[k], sum);
  return sum;
}
// -r^2 mean(g s).
DEV float norm_pull(float dot, int C, float r) {
  return __fmul_rn(__fmul_rn(-__fdiv_rn(dot, static_cast<float>(C)), r), r);
}
DEV Pack norm_gradient(const Pack& dy, const Pack& w, const Pack& s, float r, float pull) {
  Pack ds;
#pragma unroll
  for (int k = 0; k < kPack; ++k) ds.x[k] = __fmul_rn(r, __fmaf_rn(s.x[k], pull, __fmul_rn(dy.x[k], w.x[k])));
  return ds;
}
DEV void add_weight_gradient(Pack& dw, const Pack& dy, const Pack& s, float r) {
#pragma unroll
  for (int k = 0; k < kPack; ++k) dw.x[k] = __fmaf_rn(dy.x[k], __fmul_rn(s.x[k], r), dw.x[k]);
}

}  // namespace tk
