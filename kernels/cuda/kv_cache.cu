// kv_cache.cu: copies of blocks inside the paged KV cache. Bound: memory.
#include "pack.cuh"

namespace tk {
namespace {

constexpr int kBlock = 256;

// Sixteen bytes a thread; a block's bytes are a multiple of that.
__global__ void __launch_bounds__(kBlock) kv_copy_blocks(uint4* k, uint4* v, const int32_t* pairs, int n, int64_t words) {
  const int64_t total = n * words, stride = static_cast<int64_t>(gridDim.x) * kBlock;
  for (int64_t at = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; at < total; at += stride) {
    const int64_t pair = at / words, word = at % words;
    const int64_t from = pairs[2 * pair] * words + word, to = pairs[2 * pair + 1] * words + word;
    k[to] = k[from];
    v[to] = v[from];
  }
}

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_kv_copy_blocks(uint64_t stream, uint64_t k_cache, uint64_t v_cache, uint64_t pairs, int32_t n, int32_t Hk,
                          int32_t D, int32_t block, int32_t dtype) {
  return launch(stream, [&](Stream& s) {
    require((k_cache | v_cache) % 16 == 0, "the caches must be 16-byte aligned");
    if (n == 0) return;
    with_dtype(dtype, [&](auto element) {
      const int64_t bytes = static_cast<int64_t>(block) * Hk * D * sizeof(element);
      require(bytes % 16 == 0, "the bytes of a cache block must be a multiple of 16");
      const int64_t words = bytes / 16;
      LAUNCH(kv_copy_blocks, grid_for(n * words, kBlock), kBlock, 0, s.queue, pointer<uint4>(k_cache),
             pointer<uint4>(v_cache), i32(pairs), n, words);
    });
  });
}

}  // extern "C"
