// tile.cuh: the tensor-core tile that every bfloat16 product is made of: acc(i, j) = sum over r of
// A(i, r) B(j, r).
//
// One instruction, mma.m16n8k16, does all of them: the weight is always its A operand (16 rows), the
// activations its B operand (8 columns), and r ascends in steps of 16 from a zero accumulator. So an
// element's bits depend on its row, its column and the reduced length alone, whatever the shape of the
// tile. Shared memory is a ring of stages filled by cp.async and read by ldmatrix; 16-byte chunks are
// XORed with the row number, which leaves neither of the two a bank conflict.
//
// Bound: a tile does 2 I J FLOPs for 2 (I + J) loaded bytes an r: 64 FLOP/byte out of L2 at 128 x 128,
// tensor cores' work; at 64 x 16 and below (decoding) it is a stream of weights, memory's.
#pragma once
#include "runtime.cuh"

namespace tk {

using bf16 = __nv_bfloat16;

inline bf16* b16(uint64_t address) { return pointer<bf16>(address); }

// A matrix in global memory. Element (i, r) is data[i * ld + r], or data[r * ld + i] where a kernel takes
// it as transposed. Rows past `rows` count as zero.
struct Operand {
  const bf16* data;
  int64_t ld;
  int rows;
};

// I x J outputs, kR of the reduced index at a time; kWarpsI x kWarpsJ warps share them.
template <int I, int J, int R, int WarpsI, int WarpsJ, int Stages>
struct TileShape {
  static constexpr int kI = I, kJ = J, kR = R, kWarpsI = WarpsI, kWarpsJ = WarpsJ, kStages = Stages;
  static constexpr int kThreads = 32 * WarpsI * WarpsJ;
  static constexpr int kWarpI = I / WarpsI, kWarpJ = J / WarpsJ;  // of one warp
  static constexpr int kStrips = kWarpI / 16, kColumns = kWarpJ / 8;  // mma tiles of one warp
  static constexpr int kBytesA = I * R * 2, kBytesB = J * R * 2;
  static constexpr int kSharedBytes = Stages * (kBytesA + kBytesB);
  static_assert(kWarpI % 16 == 0 && kWarpJ % 16 == 0 && R % 16 == 0);
};

template <class Shape>
using Accumulator = float[Shape::kStrips][Shape::kColumns][4];

// Byte offset of a 16-byte chunk in a tile whose rows have kRowBytes.
template <int kRowBytes>
DEV int swizzled(int row, int chunk) {
  if constexpr (kRowBytes >= 128) return row * kRowBytes + ((chunk ^ (row & 7)) << 4);
  if constexpr (kRowBytes == 64) return row * kRowBytes + ((chunk ^ (row >> 1 & 3)) << 4);
  return row * kRowBytes + ((chunk ^ (row >> 2 & 1)) << 4);
}

// Eight neighbours in memory, of which `count` exist, written as one chunk; the others are zero.
DEV void gather_chunk(unsigned char* to, const bf16* from, int count) {
  float v[8];
#pragma unroll
  for (int k = 0; k < 8; ++k) v[k] = k < count ? __bfloat162float(from[k]) : 0.0f;
  *reinterpret_cast<uint4*>(to) =
      make_uint4(pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3]), pack_bf16(v[4], v[5]), pack_bf16(v[6], v[7]));
}

// Loads rows i0 .. i0 + kExtent of an operand, reduced indices r0 .. r0 + kR, into one stage. Aligned: every
// row of the operand starts on 16 bytes and is padded to a multiple of them. Otherwise: element by element.
template <int kExtent, int kR, int kThreads, bool kTransposed, bool kAligned>
DEV void load_stage(unsigned char* stage, const Operand& x, int i0, int r0, int depth) {
  constexpr int kChunks = (kTransposed ? kExtent : kR) / 8, kAll = kExtent * kR / 8;
  constexpr int kEach = (kAll + kThreads - 1) / kThreads;
  const auto load = [&](int index) {
    if (kAll % kThreads != 0 && index >= kAll) return;
    const int row = index / kChunks, chunk = index % kChunks;
    const int i = i0 + (kTransposed ? chunk * 8 : row), r = r0 + (kTransposed ? row : chunk * 8);
    const bool inside = i < x.rows && r < depth;
    const bf16* from = x.data + (kTransposed ? r * x.ld + i : i * x.ld + r);
    unsigned char* to = stage + swizzled<kChunks * 16>(row, chunk);
    if constexpr (kAligned)
      cp_async16(to, inside ? from : x.data, inside);
    else
      gather_chunk(to, from, inside ? (kTransposed ? x.rows - i : depth - r) : 0);
  };
  if constexpr (kAligned) {
#pragma unroll
    for (int n = 0; n < kEach; ++n) load(static_cast<int>(threadIdx.x) + n * kThreads);
  } else {
#pragma unroll 1
    for (int n = 0; n < kEach; ++n) load(static_cast<int>(threadIdx.x) + n * kThreads);
  }
}

// acc += the tile at rows i0 of a and j0 of b. Ends with all copies landed, but other warps may still read
// shared memory.
template <class Shape, bool kTransA, bool kTransB, bool kAligned>
DEV void multiply_tile(Accumulator<Shape>& acc, unsigned char* shared, const Operand& a, int i0, const Operand& b,
                       int j0, int depth) {
  using S = Shape;
  constexpr int kStage = S::kBytesA + S::kBytesB;
  constexpr int kRowA = (kTransA ? S::kI : S::kR) * 2, kRowB = (kTransB ? S::kJ : S::kR) * 2;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_i = warp / S::kWarpsJ * S::kWarpI, warp_j = warp % S::kWarpsJ * S::kWarpJ;
  const int steps = (depth + S::kR - 1) / S::kR;
  const auto load = [&](int step) {
    unsigned char* stage = shared + step % S::kStages * kStage;
    load_stage<S::kI, S::kR, S::kThreads, kTransA, kAligned>(stage, a, i0, step * S::kR, depth);
    load_stage<S::kJ, S::kR, S::kThreads, kTransB, kAligned>(stage + S::kBytesA, b, j0, step * S::kR, depth);
  };
#pragma unroll
  for (int s = 0; s < S::kStages - 1; ++s) {
    if (s < steps) load(s);
    cp_async_commit();
  }
  for (int step = 0; step < steps; ++step) {
    cp_async_wait_group<S::kStages - 2>();
    __syncthreads();  // this stage is there for all, and all are done with the one before
    if (step + S::kStages - 1 < steps) load(step + S::kStages - 1);
    cp_async_commit();
    const unsigned char* stage_a = shared + step % S::kStages * kStage;
    const unsigned char* stage_b = stage_a + S::kBytesA;
#pragma unroll
    for (int k = 0; k < S::kR / 16; ++k) {
      uint32_t fa[S::kStrips][4], fb[S::kColumns / 2][4];
#pragma unroll
      for (int s = 0; s < S::kStrips; ++s) {
        const int i = warp_i + s * 16;
        if constexpr (kTransA)
          ldmatrix_x4_trans(fa[s], stage_a + swizzled<kRowA>(k * 16 + lane % 8 + lane / 16 * 8, i / 8 + (lane / 8 & 1)));
        else
          ldmatrix_x4(fa[s], stage_a + swizzled<kRowA>(i + lane % 16, k * 2 + lane / 16));
      }
#pragma unroll
      for (int c = 0; c < S::kColumns / 2; ++c) {
        const int j = warp_j + c * 16;
        if constexpr (kTransB)
          ldmatrix_x4_trans(fb[c], stage_b + swizzled<kRowB>(k * 16 + lane % 16, j / 8 + lane / 16));
        else
          ldmatrix_x4(fb[c], stage_b + swizzled<kRowB>(j + lane % 8 + lane / 16 * 8, k * 2 + (lane / 8 & 1)));
      }
#pragma unroll
      for (int s = 0; s < S::kStrips; ++s)
#pragma unroll
        for (int c = 0; c < S::kColumns; ++c)
          mma_m16n8k16(acc[s][c], fa[s], fb[c / 2][c % 2 * 2], fb[c / 2][c % 2 * 2 + 1]);
    }
  }
  cp_async_wait_group<0>();
}

// Calls body(strip, column, i, j) for each mma tile of the calling thread: its four elements stand at
// (i, j), (i, j + 1), (i + 8, j), (i + 8, j + 1) of the block's tile.
template <class Shape, class Body>
DEV void for_elements(Body body) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int i = warp / Shape::kWarpsJ * Shape::kWarpI + lane / 4;
  const int j = warp % Shape::kWarpsJ * Shape::kWarpJ + lane % 4 * 2;
#pragma unroll
  for (int s = 0; s < Shape::kStrips; ++s)
#pragma unroll
    for (int c = 0; c < Shape::kColumns; ++c) body(s, c, i + s * 16, j + c * 8);
}

template <class Shape>
DEV void clear(Accumulator<Shape>& acc) {
#pragma unroll
  for (int s = 0; s < Shape::kStrips; ++s)
#pragma unroll
    for (int c = 0; c < Shape::kColumns; ++c)
#pragma unroll
      for (int e = 0; e < 4; ++e) acc[s][c][e] = 0.0f;
}

// The output of a row of B lies along i, of which a thread holds single elements: neighbouring lanes
// exchange halves, and each has two pairs along i: (low, low + 1) and (low + 8, low + 9) of column `j`.
struct Pairs {
  float first[2], second[2];
  int i, j;
};
DEV Pairs pair_along_i(const float (&d)[4], int i, int j) {
  const bool odd = i & 1;
  const float a = __shfl_xor_sync(0xffffffffu, odd ? d[0] : d[1], 4);
  const float b = __shfl_xor_sync(0xffffffffu, odd ? d[2] : d[3], 4);
  if (odd) return {{a, d[1]}, {b, d[3]}, i - 1, j + 1};
  return {{d[0], a}, {d[2], b}, i, j};
}

// Blocks that run at the same time share rows of both operands: groups of kGroup tiles along i.
struct TilePlace {
  int i, j;
};
DEV TilePlace grouped_tile(int block, int tiles_i, int tiles_j) {
  constexpr int kGroup = 8;
  const int first = block / (kGroup * tiles_j) * kGroup;
  const int height = min(kGroup, tiles_i - first), inside = block - first * tiles_j;
  return {first + inside % height, inside / height};
}

// True when a matrix with rows of `ld` elements at this address can be copied in 16-byte chunks.
inline bool is_aligned(const void* data, int64_t ld) {
  return reinterpret_cast<uintptr_t>(data) % 16 == 0 && ld % 8 == 0;
}

// Launches a kernel that needs more shared memory than the default limit; `name` is for messages.
template <class... Params, class... Args>
void launch_tile(const char* name, void (*kernel)(Params...), int64_t blocks, int threads, int shared_bytes,
                 cudaStream_t queue, Args... args) {
  require(blocks <= 0x7fffffff, "the matrices are too large for one launch");
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes));
  LAUNCH_AS(name, kernel, static_cast<unsigned>(blocks), threads, shared_bytes, queue, args...);
}

}  // namespace tk
