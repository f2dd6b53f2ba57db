// kv_cache.cpp: copies of blocks inside the paged KV cache. Bound: memory.
#include <algorithm>

#include "runtime.h"

using namespace tk;

extern "C" {

int32_t tk_kv_copy_blocks(uint64_t stream, uint64_t k_cache, uint64_t v_cache, uint64_t pairs, int32_t n, int32_t Hk,
                          int32_t D, int32_t block, int32_t dtype) {
  return launch(stream, dtype, [=] {
    const int64_t floats = static_cast<int64_t>(block) * Hk * D;
#pragma omp parallel for schedule(static) if (n * floats > 1 << 15)
    for (int64_t i = 0; i < n; ++i) {
      const int64_t from = i32(pairs)[2 * i], to = i32(pairs)[2 * i + 1];
      std::copy_n(f32(k_cache) + from * floats, floats, f32(k_cache) + to * floats);
      std::copy_n(f32(v_cache) + from * floats, floats, f32(v_cache) + to * floats);
    }
  });
}

}  // extern "C"
