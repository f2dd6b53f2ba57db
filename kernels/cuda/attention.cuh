// attention.cuh: shapes and addresses that the attention kernels share.
//
// A row of qkv holds H query heads, Hk key heads and Hk value heads of D elements. One layer's paged cache
// is k_cache and v_cache, each (blocks, Hk, block, D) with blocks of a multiple of kKvTile positions, so a
// tile of keys is one contiguous piece.
#pragma once
#include "pack.cuh"
#include "sequences.cuh"

namespace tk {

struct Heads {
  int H, Hk, D;
  DEV int group() const { return H / Hk; }
  DEV int64_t row() const { return static_cast<int64_t>(H + 2 * Hk) * D; }
};

inline void check_heads(int32_t H, int32_t Hk, int32_t D) {
  require(Hk > 0 && H % Hk == 0, "the number of query heads must be a multiple of the number of kv heads");
  require(D > 0 && D % 16 == 0, "head_dim must be a multiple of 16");
  require(D <= 256, "head_dim must be at most 256");
}

inline void check_block(int32_t block) {
  require(block > 0 && block % kKvTile == 0,
          ("the KV block size must be a multiple of " + std::to_string(kKvTile)).c_str());
}

inline void check_scale(float scale) { require(scale > 0.0f, "the scale of attention must be positive"); }

// Keys and values of one kv head of one sequence, in the packed batch or in the cache.
template <class T>
struct PackedKeys {
  const T *k, *v;  // of the sequence's first token
  int64_t stride;

  DEV const T* key(int position) const { return k + position * stride; }
  DEV const T* value(int position) const { return v + position * stride; }
};

template <class T>
struct PagedKeys {
  const T *k, *v;        // the layer's cache
  const int32_t* table;  // blocks of the sequence
  int64_t block_stride;  // elements of a block
  int64_t head;          // offset of the kv head within a block
  int block;
  int64_t stride;        // D: between neighbours within a tile

  DEV int64_t offset(int position) const {
    return table[position / block] * block_stride + head + position % block * stride;
  }
  DEV const T* key(int position) const { return k + offset(position); }
  DEV const T* value(int position) const { return v + offset(position); }
};

// The paged cache of one layer and the rows that use it.
template <class T>
struct Cache {
  T *k, *v;
  const int32_t *tables, *row_seq, *positions;
  int block, max_blocks, Hk, D;

  DEV PagedKeys<T> keys(int row, int hk) const {
    return {k, v, tables + static_cast<int64_t>(row_seq[row]) * max_blocks, static_cast<int64_t>(Hk) * block * D,
            static_cast<int64_t>(hk) * block * D, block, D};
  }
  // The row's position, or -1 for a row to be left alone. One beyond the block table is a fault (reported if
  // `fault` is given).
  DEV int position(int row, Fault* fault) const {
    const int p = positions[row];
    if (p < block * max_blocks) return max(p, -1);
    if (fault) report_fault(fault, kFaultBlockTable, row, p, block * max_blocks);
    return -1;
  }
};

// Head dimensions that the tensor-core kernels are made for, in bfloat16; all others go through
// attention_simt.cu.
inline bool has_mma_kernels(int32_t D) { return D == 32 || D == 64 || D == 128; }
template <class F>
void with_mma_dim(int32_t D, F&& body) {
  if (D == 32)
    body(std::integral_constant<int, 32>{});
  else if (D == 64)
    body(std::integral_constant<int, 64>{});
  else
    body(std::integral_constant<int, 128>{});
}

// ---- the two families, called by attention.cu ---------------------------------------------------------

void attention_forward_mma(Stream& s, bf16* out, float* lse, const bf16* qkv, const Sequences& sequences,
                           const Heads& heads, float scale);
void attention_backward_mma(Stream& s, bf16* dqkv, const bf16* dout, const bf16* out, const float* lse,
                            const bf16* qkv, const Sequences& sequences, const Heads& heads, float scale);
// `decode`: no two rows are of one sequence, so there is no run of rows to look for.
void attention_paged_mma(Stream& s, bf16* out, const bf16* qkv, const Cache<bf16>& cache, int tokens, bool decode,
                         const Heads& heads, float scale);

// delta(rows) = sum over D of out * dout: the softmax's part of the backward pass.
template <class T>
void attention_delta(Stream& s, float* delta, const T* dout, const T* out, int64_t rows, int D);
template <class T>
void attention_forward_simt(Stream& s, T* out, float* lse, const T* qkv, const Sequences& sequences,
                            const Heads& heads, float scale);
template <class T>
void attention_backward_simt(Stream& s, T* dqkv, const T* dout, const T* out, const float* lse, const T* qkv,
                             const Sequences& sequences, const Heads& heads, float scale);
template <class T>
void attention_paged_simt(Stream& s, T* out, const T* qkv, const Cache<T>& cache, int tokens, const Heads& heads,
                          float scale);

}  // namespace tk
