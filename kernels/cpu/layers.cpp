// layers.cpp: everything between the matrix products that is bound by memory: embedding, RMSNorm
// (of rows and of heads), SwiGLU, row gathers and casts.
#include <algorithm>
#include <initializer_list>
#include <string>

#include "lanes.h"
#include "runtime.h"

using namespace tk;

namespace {

double elements(int64_t rows, int64_t columns) { return static_cast<double>(rows) * static_cast<double>(columns); }

// Columns that one thread works on when an op is split over columns: whole cache lines.
constexpr int64_t kColumnBlock = 64;

void check_ids(const int32_t* ids, int64_t T, int64_t V) {
  for (int64_t t = 0; t < T; ++t)
    if (ids[t] >= V)
      throw std::out_of_range("embedding: token " + std::to_string(t) + " has id " + std::to_string(ids[t]) +
                              ", but the table has " + std::to_string(V) + " rows");
}

// y = s * w / sqrt(mean(s^2) + eps) from the row's sum of squares; returns the reciprocal root. y may be s.
float rmsnorm_scale_row(float* y, const float* s, float squares, const float* w, int64_t C, float eps) {
  const float rstd = 1.0f / std::sqrt(squares / static_cast<float>(C) + eps);
  const f32x16 r = f32x16::set1(rstd);
  for_lanes(0, C, [&](int64_t i, auto lanes) { lanes.store(lanes.load(s + i) * r * lanes.load(w + i), y + i); });
  return rstd;
}

float sum_of_squares(const float* s, int64_t C) {
  return reduce_lanes(C, [&](f32x16 acc, int64_t i, auto lanes) {
    const f32x16 v = lanes.load(s + i);
    return fma(v, v, acc);
  });
}

// Gradient through one normalised row; dx may be dy. With r = rstd and g = dy * w:
//   dx = r (g - x r^2 mean(g x)),  dw_part += dy x r
void rmsnorm_backward_row(float* dx, float* dw_part, const float* dy, const float* x, float rstd, const float* w,
                          int64_t C, bool accumulate) {
  const float dot = reduce_lanes(C, [&](f32x16 acc, int64_t i, auto lanes) {
    return fma(lanes.load(dy + i) * lanes.load(w + i), lanes.load(x + i), acc);
  });
  const f32x16 r = f32x16::set1(rstd);
  const f32x16 pull = f32x16::set1(-(dot / static_cast<float>(C)) * rstd * rstd);
  for_lanes(0, C, [&](int64_t i, auto lanes) {
    const f32x16 d = lanes.load(dy + i), s = lanes.load(x + i);
    f32x16 out = r * fma(s, pull, d * lanes.load(w + i));
    if (accumulate) out = lanes.load(dx + i) + out;
    lanes.store(out, dx + i);
    lanes.store(fma(d, s * r, lanes.load(dw_part + i)), dw_part + i);
  });
}

// A gradient that sums over rows: n elements at an address.
struct RowSum {
  uint64_t into;
  int64_t n;
};

// Runs body(t, part) for every row t; it adds the row's share of all the gradients, laid side by side, to
// part. Rows are summed in chunks of a fixed size and the chunks merged in order: the same bits whatever the
// number of threads. `work` is the number of elements of a row.
template <class F>
void sum_over_rows(std::initializer_list<RowSum> sums, int64_t T, int64_t work, F&& body) {
  constexpr int64_t kChunk = 64;
  const int64_t chunks = ceil_div(T, kChunk);
  int64_t width = 0;
  for (const RowSum& s : sums) width += s.n;
  float* parts = scratch_f32(kScratchLocal, static_cast<size_t>(chunks * width));
#pragma omp parallel if (8.0 * elements(T, work) > kSerialFlops)
  {
#pragma omp for schedule(static)
    for (int64_t k = 0; k < chunks; ++k) {
      float* part = parts + k * width;
      std::fill_n(part, width, 0.0f);
      for (int64_t t = k * kChunk; t < std::min<int64_t>(T, (k + 1) * kChunk); ++t) body(t, part);
    }
    const float* column = parts;
    for (const RowSum& s : sums) {
#pragma omp for schedule(static)
      for (int64_t c = 0; c < s.n; c += kColumnBlock)
        for_lanes(c, std::min<int64_t>(s.n, c + kColumnBlock), [&](int64_t i, auto lanes) {
          f32x16 total = zero();
          for (int64_t k = 0; k < chunks; ++k) total = total + lanes.load(column + k * width + i);
          lanes.store(lanes.load(f32(s.into) + i) + total, f32(s.into) + i);
        });
      column += s.n;
    }
  }
}

f32x16 sigmoid(f32x16 x) {
  const f32x16 one = f32x16::set1(1.0f);
  return one / (one + exp(zero() - x));
}

// Runs body(t, begin, end) over pieces of rows: a decode step has few rows, but long ones.
template <class F>
void for_row_pieces(int64_t T, int64_t C, double flops_per_element, F&& body) {
  constexpr int64_t kPiece = 1024;
  const int64_t pieces = ceil_div(C, kPiece);
#pragma omp parallel for collapse(2) schedule(static) if (flops_per_element * elements(T, C) > kSerialFlops)
  for (int64_t t = 0; t < T; ++t)
    for (int64_t p = 0; p < pieces; ++p) body(t, p * kPiece, std::min(C, (p + 1) * kPiece));
}

}  // namespace

extern "C" {

int32_t tk_embedding_forward(uint64_t stream, uint64_t out, uint64_t ids, uint64_t table, int32_t T, int32_t V,
                             int32_t C, int32_t dtype) {
  return launch(stream, dtype, [=] {
    const int32_t* id = i32(ids);
    check_ids(id, T, V);
    const size_t bytes = static_cast<size_t>(C) * sizeof(float);
#pragma omp parallel for schedule(static) if (elements(T, C) > kSerialFlops)
    for (int64_t t = 0; t < T; ++t) {
      float* row = f32(out) + t * C;
      if (id[t] < 0)
        std::memset(row, 0, bytes);
      else
        std::memcpy(row, f32(table) + static_cast<int64_t>(id[t]) * C, bytes);
    }
  });
}

// Split over columns, not over tokens: each element of dtable is one sum in order of t.
int32_t tk_embedding_backward(uint64_t stream, uint64_t dtable, uint64_t ids, uint64_t dout, int32_t T, int32_t V,
                              int32_t C, int32_t dtype) {
  return launch(stream, dtype, [=] {
    const int32_t* id = i32(ids);
    check_ids(id, T, V);
#pragma omp parallel for schedule(static) if (elements(T, C) > kSerialFlops)
    for (int64_t c = 0; c < C; c += kColumnBlock)
      for (int64_t t = 0; t < T; ++t) {
        if (id[t] < 0) continue;
        float* into = f32(dtable) + static_cast<int64_t>(id[t]) * C;
        const float* row = f32(dout) + t * C;
        for_lanes(c, std::min<int64_t>(C, c + kColumnBlock), [&](int64_t i, auto lanes) {
          lanes.store(lanes.load(into + i) + lanes.load(row + i), into + i);
        });
      }
  });
}

int32_t tk_rmsnorm_forward(uint64_t stream, uint64_t y, uint64_t sum, uint64_t rstd, uint64_t x, uint64_t residual,
                           uint64_t w, int32_t T, int32_t C, float eps, int32_t dtype) {
  return guarded([&] {
    require((sum != 0) == (residual != 0), "residual and sum go together");
    require(C > 0, "C must be positive");
  }) || launch(stream, dtype, [=] {
#pragma omp parallel for schedule(static) if (4.0 * elements(T, C) > kSerialFlops)
    for (int64_t t = 0; t < T; ++t) {
      const float* in = f32(x) + t * C;
      float* s = residual ? f32(sum) + t * C : nullptr;
      const float* other = residual ? f32(residual) + t * C : nullptr;
      const float squares = reduce_lanes(C, [&](f32x16 acc, int64_t i, auto lanes) {
        f32x16 v = lanes.load(in + i);
        if (s) {
          v = v + lanes.load(other + i);
          lanes.store(v, s + i);
        }
        return fma(v, v, acc);
      });
      const float scale = rmsnorm_scale_row(f32(y) + t * C, s ? s : in, squares, f32(w), C, eps);
      if (rstd) f32(rstd)[t] = scale;
    }
  });
}

int32_t tk_rmsnorm_backward(uint64_t stream, uint64_t dx, uint64_t dw, uint64_t dy, uint64_t x, uint64_t rstd,
                            uint64_t w, int32_t T, int32_t C, int32_t accumulate, int32_t dtype) {
  return launch(stream, dtype, [=] {
    sum_over_rows({{dw, C}}, T, C, [=](int64_t t, float* part) {
      rmsnorm_backward_row(f32(dx) + t * C, part, f32(dy) + t * C, f32(x) + t * C, f32(rstd)[t], f32(w), C,
                           accumulate != 0);
    });
  });
}

// 4 (H + Hk) D flops and 8 (H + 2 Hk) D bytes a token: bound by memory.
int32_t tk_qk_norm_forward(uint64_t stream, uint64_t out, uint64_t rstd, uint64_t qkv, uint64_t wq, uint64_t wk,
                           int32_t T, int32_t H, int32_t Hk, int32_t D, float eps, int32_t dtype) {
  return guarded([&] {
    require(D > 0, "D must be positive");
    require(out != qkv, "out and qkv must be distinct");
  }) || launch(stream, dtype, [=] {
    const int64_t heads = H + Hk, row = (heads + Hk) * static_cast<int64_t>(D);
#pragma omp parallel for schedule(static) if (4.0 * elements(T, row) > kSerialFlops)
    for (int64_t t = 0; t < T; ++t) {
      const float* in = f32(qkv) + t * row;
      float* normed = f32(out) + t * row;
      for (int64_t h = 0; h < heads; ++h) {
        const float* head = in + h * D;
        const float* w = f32(h < H ? wq : wk);
        const float scale = rmsnorm_scale_row(normed + h * D, head, sum_of_squares(head, D), w, D, eps);
        if (rstd) f32(rstd)[t * heads + h] = scale;
      }
      std::memcpy(normed + heads * D, in + heads * D, static_cast<size_t>(Hk) * D * sizeof(float));
    }
  });
}

// 12 (H + Hk) D flops and 12 (H + Hk) D bytes a token: bound by memory.
int32_t tk_qk_norm_backward(uint64_t stream, uint64_t dqkv, uint64_t dwq, uint64_t dwk, uint64_t qkv, uint64_t rstd,
                            uint64_t wq, uint64_t wk, int32_t T, int32_t H, int32_t Hk, int32_t D, int32_t dtype) {
  return launch(stream, dtype, [=] {
    const int64_t heads = H + Hk, row = (heads + Hk) * static_cast<int64_t>(D);
    sum_over_rows({{dwq, D}, {dwk, D}}, T, heads * D, [=](int64_t t, float* part) {
      for (int64_t h = 0; h < heads; ++h) {
        float* d = f32(dqkv) + t * row + h * D;
        rmsnorm_backward_row(d, h < H ? part : part + D, d, f32(qkv) + t * row + h * D, f32(rstd)[t * heads + h],
                             f32(h < H ? wq : wk), D, false);
      }
    });
  });
}

int32_t tk_swiglu_forward(uint64_t stream, uint64_t y, uint64_t gate_up, int32_t T, int32_t F, int32_t dtype) {
  return launch(stream, dtype, [=] {
    for_row_pieces(T, F, 20.0, [&](int64_t t, int64_t begin, int64_t end) {
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
    for_row_pieces(T, F, 30.0, [&](int64_t t, int64_t begin, int64_t end) {
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

int32_t tk_gather_rows(uint64_t stream, uint64_t out, uint64_t x, uint64_t index, int32_t n, int32_t C, int32_t dtype) {
  return launch(stream, dtype, [=] {
#pragma omp parallel for schedule(static) if (elements(n, C) > kSerialFlops)
    for (int64_t r = 0; r < n; ++r)
      std::memcpy(f32(out) + r * C, f32(x) + static_cast<int64_t>(i32(index)[r]) * C,
                  static_cast<size_t>(C) * sizeof(float));
  });
}

int32_t tk_scatter_add_rows(uint64_t stream, uint64_t dx, uint64_t dout, uint64_t index, int32_t n, int32_t C,
                            int32_t dtype) {
  return launch(stream, dtype, [=] {
#pragma omp parallel for schedule(static) if (elements(n, C) > kSerialFlops)
    for (int64_t r = 0; r < n; ++r) {
      float* into = f32(dx) + static_cast<int64_t>(i32(index)[r]) * C;
      const float* row = f32(dout) + r * C;
      for_lanes(0, C, [&](int64_t i, auto lanes) {
        lanes.store(lanes.load(into + i) + lanes.load(row + i), into + i);
      });
    }
  });
}

int32_t tk_cast(uint64_t stream, uint64_t dst, uint64_t src, int32_t n, int32_t dst_dtype, int32_t src_dtype) {
  return guarded([&] {
    const bool narrow = dst_dtype == TK_BF16 && src_dtype == TK_F32;
    require(narrow || (dst_dtype == TK_F32 && src_dtype == TK_BF16), "only between float32 and bfloat16");
    stream_of(stream).submit([=] {
      const float* from = f32(src);
      const uint16_t* from16 = pointer<uint16_t>(src);
      float* to = f32(dst);
      uint16_t* to16 = pointer<uint16_t>(dst);
      if (narrow) {
#pragma omp parallel for simd schedule(static) if (n > kSerialFlops)
        for (int64_t i = 0; i < n; ++i) to16[i] = f32_to_bf16(from[i]);
      } else {
#pragma omp parallel for simd schedule(static) if (n > kSerialFlops)
        for (int64_t i = 0; i < n; ++i) to[i] = bf16_to_f32(from16[i]);
      }
    });
  });
}

}  // extern "C"
