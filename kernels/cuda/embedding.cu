// embedding.cu: rows of the float32 master table, and the gradient of the table.
//
// Bound: memory. Forward reads 4 C and writes C elements of dtype a token; backward reads C elements of
// dtype a token and reads and writes 4 C bytes for every distinct id.
#include "pack.cuh"

namespace tk {
namespace {

constexpr int kBlock = 256;
constexpr int kColumns = kBlock * kPack;  // columns that a block of the backward pass adds up

template <class T, bool kWhole>
__global__ void __launch_bounds__(kBlock) embedding_forward(T* out, const int32_t* ids, const float* table, int tokens,
                                                            int V, int C, Fault* fault) {
  const int packs = (C + kPack - 1) / kPack;
  const int64_t n = static_cast<int64_t>(tokens) * packs, stride = static_cast<int64_t>(gridDim.x) * kBlock;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; i < n; i += stride) {
    const int t = static_cast<int>(i / packs), c = static_cast<int>(i % packs) * kPack, id = ids[t];
    Pack row = {};
    if (id >= V) {
      if (c == 0) report_fault(fault, kFaultTokenId, t, id, V);
    } else if (id >= 0) {
      row = load_pack<kWhole>(table + static_cast<int64_t>(id) * C + c, min(kPack, C - c));
    }
    store_pack<kWhole>(out + static_cast<int64_t>(t) * C + c, row, min(kPack, C - c));
  }
}

// Block (t, slab) adds up all rows with the id of token t, in order of the tokens, if t is the id's first
// token; other blocks have nothing to do. So every element of dtable is one sum in a fixed order, without
// atomics and without a sort. The ids are scanned by every block: 4 T bytes from the L2 cache.
template <class T, bool kWhole>
__global__ void __launch_bounds__(kBlock) embedding_backward(float* dtable, const int32_t* ids, const T* dout,
                                                             int tokens, int V, int C, Fault* fault) {
  GPU_SHARED(int, members, [kBlock]);
  GPU_SHARED(int, warp_members, [kBlock / 32]);
  const int t = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const int warp = thread / 32, lane = thread % 32;
  const int id = ids[t];
  if (id < 0) return;
  if (id >= V) {
    if (thread == 0 && blockIdx.y == 0) report_fault(fault, kFaultTokenId, t, id, V);
    return;
  }
  for (int begin = 0; begin < t; begin += kBlock) {
    const int u = begin + thread;
    if (__syncthreads_or(u < t && ids[u] == id)) return;
  }
  const int c = static_cast<int>(blockIdx.y) * kColumns + thread * kPack, count = min(kPack, C - c);
  float* into = dtable + static_cast<int64_t>(id) * C + c;
  Pack sum = {};
  if (count > 0) sum = load_pack<kWhole>(into, count);
  for (int begin = t; begin < tokens; begin += kBlock) {
    const int u = begin + thread;
    const bool member = u < tokens && ids[u] == id;
    const unsigned votes = __ballot_sync(0xffffffffu, member);
    if (lane == 0) warp_members[warp] = __popc(votes);
    __syncthreads();
    int before = 0, total = 0;
    for (int w = 0; w < kBlock / 32; ++w) {
      before += w < warp ? warp_members[w] : 0;
      total += warp_members[w];
    }
    if (member) members[before + __popc(votes & ((1u << lane) - 1))] = u;
    __syncthreads();
    if (count > 0) {
#pragma unroll 4
      for (int m = 0; m < total; ++m) {
        const Pack row = load_pack<kWhole>(dout + static_cast<int64_t>(members[m]) * C + c, count);
#pragma unroll
        for (int k = 0; k < kPack; ++k) sum.x[k] = __fadd_rn(sum.x[k], row.x[k]);
      }
    }
    __syncthreads();  // the next step overwrites the lists
  }
  if (count > 0) store_pack<kWhole>(into, sum, count);
}

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_embedding_forward(uint64_t stream, uint64_t out, uint64_t ids, uint64_t table, int32_t T, int32_t V,
                             int32_t C, int32_t dtype) {
  return launch(stream, [&](Stream& s) {
    if (T == 0) return;
    with_dtype(dtype, [&](auto element) {
      using E = decltype(element);
      with_flag(whole_packs(C, out | table), [&](auto whole) {
        LAUNCH((embedding_forward<E, whole.value>), grid_for(T * ceil_div(C, kPack), kBlock), kBlock, 0, s.queue,
               pointer<E>(out), i32(ids), f32(table), T, V, C, s.faults.record());
      });
    });
  });
}

int32_t tk_embedding_backward(uint64_t stream, uint64_t dtable, uint64_t ids, uint64_t dout, int32_t T, int32_t V,
                              int32_t C, int32_t dtype) {
  return launch(stream, [&](Stream& s) {
    if (T == 0) return;
    const dim3 grid(static_cast<unsigned>(T), static_cast<unsigned>(ceil_div(C, kColumns)));
    with_dtype(dtype, [&](auto element) {
      using E = decltype(element);
      with_flag(whole_packs(C, dtable | dout), [&](auto whole) {
        LAUNCH((embedding_backward<E, whole.value>), grid, kBlock, 0, s.queue, f32(dtable), i32(ids), pointer<E>(dout),
               T, V, C, s.faults.record());
      });
    });
  });
}

}  // extern "C"
