// rows.cu: row gathers and scatters, and casts between element types. Bound: memory, each element is read
// and written once (the scatter reads its target too).
#include "pack.cuh"

namespace tk {
namespace {

constexpr int kBlock = 256;

// kScatter: dx rows index(n) += dout(n); otherwise out(n) = x[index(n)].
template <class T, bool kWhole, bool kScatter>
__global__ void __launch_bounds__(kBlock) indexed_rows(T* to, const T* from, const int32_t* index, int rows, int C) {
  const int packs = (C + kPack - 1) / kPack;
  const int64_t n = static_cast<int64_t>(rows) * packs, stride = static_cast<int64_t>(gridDim.x) * kBlock;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; i < n; i += stride) {
    const int64_t r = i / packs;
    const int c = static_cast<int>(i % packs) * kPack, count = min(kPack, C - c);
    const int64_t dense = r * C + c, sparse = static_cast<int64_t>(index[r]) * C + c;
    if constexpr (kScatter) {
      Pack sum = load_pack<kWhole>(to + sparse, count);
      const Pack row = load_pack<kWhole>(from + dense, count);
#pragma unroll
      for (int k = 0; k < kPack; ++k) sum.x[k] = __fadd_rn(sum.x[k], row.x[k]);
      store_pack<kWhole>(to + sparse, sum, count);
    } else {
      store_pack<kWhole>(to + dense, load_pack<kWhole>(from + sparse, count), count);
    }
  }
}

template <class To, class From, bool kWhole>
__global__ void __launch_bounds__(kBlock) cast(To* dst, const From* src, int n) {
  const int stride = static_cast<int>(gridDim.x) * kBlock, packs = (n + kPack - 1) / kPack;
  for (int i = static_cast<int>(blockIdx.x) * kBlock + static_cast<int>(threadIdx.x); i < packs; i += stride) {
    const int at = i * kPack, count = min(kPack, n - at);
    if (kWhole && count == kPack)
      store_pack<true>(dst + at, load_pack<true>(src + at));
    else
      store_pack<false>(dst + at, load_pack<false>(src + at, count), count);
  }
}

template <bool kScatter>
int32_t move_rows(uint64_t stream, uint64_t to, uint64_t from, uint64_t index, int32_t n, int32_t C, int32_t dtype) {
  return launch(stream, [&](Stream& s) {
    if (n == 0) return;
    with_dtype(dtype, [&](auto element) {
      using E = decltype(element);
      with_flag(whole_packs(C, to | from), [&](auto whole) {
        LAUNCH((indexed_rows<E, whole.value, kScatter>), grid_for(n * ceil_div(C, kPack), kBlock), kBlock, 0, s.queue,
               pointer<E>(to), pointer<E>(from), i32(index), n, C);
      });
    });
  });
}

template <class To, class From>
void launch_cast(Stream& s, uint64_t dst, uint64_t src, int32_t n) {
  with_flag((dst | src) % 16 == 0, [&](auto whole) {
    LAUNCH((cast<To, From, whole.value>), grid_for(static_cast<uint64_t>(ceil_div(n, kPack)), kBlock), kBlock, 0,
           s.queue, pointer<To>(dst), pointer<From>(src), n);
  });
}

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_gather_rows(uint64_t stream, uint64_t out, uint64_t x, uint64_t index, int32_t n, int32_t C, int32_t dtype) {
  return move_rows<false>(stream, out, x, index, n, C, dtype);
}

int32_t tk_scatter_add_rows(uint64_t stream, uint64_t dx, uint64_t dout, uint64_t index, int32_t n, int32_t C,
                            int32_t dtype) {
  return move_rows<true>(stream, dx, dout, index, n, C, dtype);
}

int32_t tk_cast(uint64_t stream, uint64_t dst, uint64_t src, int32_t n, int32_t dst_dtype, int32_t src_dtype) {
  return launch(stream, [&](Stream& s) {
    const bool narrow = dst_dtype == TK_BF16 && src_dtype == TK_F32;
    require(narrow || (dst_dtype == TK_F32 && src_dtype == TK_BF16), "only between float32 and bfloat16");
    if (n == 0) return;
    if (narrow)
      launch_cast<bf16, float>(s, dst, src, n);
    else
      launch_cast<float, bf16>(s, dst, src, n);
  });
}

}  // extern "C"
