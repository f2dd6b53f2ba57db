// head.h: rows of an LM head in chunks, which log-probs, losses and sampling share.
//
// The (T, V) logits never exist. Rows are taken in chunks whose logits fit the workspace; the three products
// (logits, dh, dw) of a chunk share it.
#pragma once
#include <algorithm>
#include <exception>
#include <string>

#include "gemm.h"
#include "partition.h"

namespace tk {

struct Head {
  const float* h;       // (T, C)
  Panels packed;        // (V, C)
  int64_t T, C, V;
  float* logits;        // workspace: (chunk, V)
  int64_t chunk;        // rows at a time
};

inline Head make_head(uint64_t h, uint64_t packed, int32_t w_dtype, int64_t T, int64_t C, int64_t V, uint64_t workspace,
                      uint64_t bytes) {
  return {f32(h), {pointer<void>(packed), w_dtype}, T, C, V, f32(workspace), static_cast<int64_t>(bytes / sizeof(float)) / V};
}

inline void check_head(int32_t C, int32_t V, uint64_t workspace_bytes, int32_t dtype, int32_t w_dtype) {
  require(dtype == TK_F32, "the CPU backend computes in float32 activations");
  check_weight_type(w_dtype);
  require(C > 0 && V > 0, "C and V must be positive");
  if (workspace_bytes / sizeof(float) < static_cast<uint64_t>(V))
    throw std::invalid_argument("the workspace of " + std::to_string(workspace_bytes) + " bytes holds no row of " +
                                std::to_string(V) + " logits");
}

// Targets come from device memory, so this is an execution error: a wrong one would read foreign memory.
inline void check_targets(const int32_t* targets, int64_t T, int64_t V) {
  for (int64_t t = 0; t < T; ++t)
    if (targets[t] < 0 || targets[t] >= V)
      throw std::out_of_range("token " + std::to_string(t) + " has target " + std::to_string(targets[t]) +
                              ", but the vocabulary has " + std::to_string(V) + " entries");
}

// Calls body(first row, rows) for each chunk of rows begin .. end - 1, after its logits stand in the workspace.
template <class Body>
void for_chunks(const Head& head, int64_t begin, int64_t end, Body body) {
  for (int64_t t = begin; t < end; t += head.chunk) {
    const int64_t rows = std::min(head.chunk, end - t);
    const Epilogue out{head.logits, head.V, nullptr, false};
    gemm(head.h + t * head.C, head.C, head.packed, rows, head.V, head.C, out);
    body(t, rows);
  }
}

// Calls body(r) for each row in parallel. It may throw: an exception inside a parallel region would end the process.
template <class Body>
void for_rows(int64_t rows, int64_t V, Body body) {
  std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic, 4) if (static_cast<double>(rows) * V > kSerialFlops / 16)
  for (int64_t r = 0; r < rows; ++r) try {
      body(r);
    } catch (...) {
#pragma omp critical(tk_head_failure)
      failure = std::current_exception();
    }
  if (failure) std::rethrow_exception(failure);
}

inline void scale_row(float* z, int64_t V, float factor) {
  if (factor == 1.0f) return;
  for (int64_t v = 0; v < V; v += kLanes) {
    const int n = static_cast<int>(std::min<int64_t>(kLanes, V - v));
    (f32x16::load_partial(z + v, n) * f32x16::set1(factor)).store_partial(z + v, n);
  }
}

}  // namespace tk
