// rows.cpp: row gathers and scatters, and casts between element types. Bound: memory.
#include <cstring>

#include "lanes.h"
#include "runtime.h"

using namespace tk;

extern "C" {

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
