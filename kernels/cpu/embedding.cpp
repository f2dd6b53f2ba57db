// embedding.cpp: rows of the float32 master table, and the gradient of the table. Bound: memory.
#include <algorithm>
#include <cstring>
#include <string>

#include "lanes.h"
#include "runtime.h"

namespace tk {
namespace {

void check_ids(const int32_t* ids, int64_t begin, int64_t end, int64_t V) {
  for (int64_t t = begin; t < end; ++t)
    if (ids[t] >= V)
      throw std::out_of_range("embedding: token " + std::to_string(t) + " has id " + std::to_string(ids[t]) +
                              ", but the table has " + std::to_string(V) + " rows");
}

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_embedding_forward(uint64_t stream, uint64_t out, uint64_t ids, uint64_t table, int32_t T, int32_t V,
                             int32_t C, int32_t dtype) {
  return launch_rows(stream, dtype, T, [=](int64_t begin, int64_t end) {
    const int32_t* id = i32(ids);
    check_ids(id, begin, end, V);
    const size_t bytes = static_cast<size_t>(C) * sizeof(float);
#pragma omp parallel for schedule(static) if (elements(end - begin, C) > kSerialFlops)
    for (int64_t t = begin; t < end; ++t) {
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
    check_ids(id, 0, T, V);
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

}  // extern "C"
