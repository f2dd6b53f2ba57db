// attention.cu: the attention functions of the ABI. bfloat16 with a head_dim of 32, 64 or 128 goes to the
// tensor cores, everything else to plain cores.
#include "attention.cuh"

using namespace tk;

namespace {

void check_aligned(uint64_t addresses) { require(addresses % 16 == 0, "attention needs 16-byte aligned addresses"); }

bool on_tensor_cores(int32_t D, int32_t dtype) { return dtype == TK_BF16 && has_mma_kernels(D); }

}  // namespace

extern "C" {

int32_t tk_attention_forward(uint64_t stream, uint64_t out, uint64_t lse, uint64_t qkv, uint64_t cu_seqlens, int32_t B,
                             int32_t T, int32_t H, int32_t Hk, int32_t D, float scale, int32_t dtype) {
  return launch(stream, [&](Stream& s) {
    check_heads(H, Hk, D);
    check_scale(scale);
    check_aligned(out | qkv);
    if (T == 0) return;
    const Sequences sequences{i32(cu_seqlens), B, T, s.faults.record()};
    const Heads heads{H, Hk, D};
    if (on_tensor_cores(D, dtype))
      return attention_forward_mma(s, pointer<bf16>(out), f32(lse), pointer<bf16>(qkv), sequences, heads, scale);
    with_dtype(dtype, [&](auto element) {
      using E = decltype(element);
      attention_forward_simt(s, pointer<E>(out), f32(lse), pointer<E>(qkv), sequences, heads, scale);
    });
  });
}

int32_t tk_attention_backward(uint64_t stream, uint64_t dqkv, uint64_t dout, uint64_t out, uint64_t lse, uint64_t qkv,
                              uint64_t cu_seqlens, int32_t B, int32_t T, int32_t H, int32_t Hk, int32_t D, float scale,
                              int32_t dtype) {
  return launch(stream, [&](Stream& s) {
    check_heads(H, Hk, D);
    check_scale(scale);
    check_aligned(dqkv | dout | out | qkv);
    if (T == 0) return;
    const Sequences sequences{i32(cu_seqlens), B, T, s.faults.record()};
    const Heads heads{H, Hk, D};
    if (on_tensor_cores(D, dtype))
      return attention_backward_mma(s, pointer<bf16>(dqkv), pointer<bf16>(dout), pointer<bf16>(out), f32(lse),
                                    pointer<bf16>(qkv), sequences, heads, scale);
    with_dtype(dtype, [&](auto element) {
      using E = decltype(element);
      attention_backward_simt(s, pointer<E>(dqkv), pointer<E>(dout), pointer<E>(out), f32(lse), pointer<E>(qkv),
                              sequences, heads, scale);
    });
  });
}

int32_t tk_attention_paged(uint64_t stream, uint64_t out, uint64_t qkv, uint64_t k_cache, uint64_t v_cache,
                           uint64_t block_tables, uint64_t row_seq, uint64_t positions, int32_t T, int32_t H, int32_t Hk,
                           int32_t D, int32_t block, int32_t max_blocks, int32_t decode, float scale, int32_t dtype) {
  return launch(stream, [&](Stream& s) {
    check_heads(H, Hk, D);
    check_block(block);
    check_scale(scale);
    check_aligned(out | qkv | k_cache | v_cache);
    if (T == 0) return;
    const Heads heads{H, Hk, D};
    with_dtype(dtype, [&](auto element) {
      using E = decltype(element);
      const Cache<E> cache{pointer<E>(k_cache), pointer<E>(v_cache), i32(block_tables), i32(row_seq), i32(positions),
                           block,               max_blocks,          Hk,                D};
      if constexpr (std::is_same_v<E, bf16>) {
        if (has_mma_kernels(D))
          return attention_paged_mma(s, pointer<E>(out), pointer<E>(qkv), cache, T, decode != 0, heads, scale);
      }
      attention_paged_simt(s, pointer<E>(out), pointer<E>(qkv), cache, T, heads, scale);
    });
  });
}

}  // extern "C"
