// head_tile.cuh: logits of an LM head, one tile of 128 vocabulary entries by some rows at a time, on the
// tensor cores. What becomes of a tile is its epilogue's business: partial sums for scoring, logits for
// sampling, dL/dlogits for training. The sums have one order in every shape of the tile: within strips of
// 16 entries (one mma tile), then strip by strip.
#pragma once
#include "partition.cuh"
#include "tile.cuh"

namespace tk {

// Rows by the hundred, some dozens, and decoding's few.
using HeadLarge = TileShape<kVocabTile, 128, 32, 2, 4, 4>;
using HeadMedium = TileShape<kVocabTile, 64, 64, 4, 2, 3>;
using HeadFew = TileShape<kVocabTile, 16, 64, 8, 1, 4>;

// Temperature of a row: one for all, or that of sampling(B, 3), where 0 means greedy at temperature 1.
struct Temperature {
  float inverse;
  const float* sampling;
  DEV float of(int64_t row) const {
    if (!sampling) return inverse;
    const float t = sampling[row * 3];
    return t > 0.0f ? __fdiv_rn(1.0f, t) : 1.0f;
  }
};

// logits(rows, V') = h(rows, C) w(V', C)^T / temperature, for a part of the vocabulary.
struct HeadProduct {
  Operand w, h;
  int C;
  Temperature temperature;
};

// Adds over the eight lanes that hold the same columns of a strip (lane bits 2, 3, 4, in this order); each
// lane keeps the columns that are left to it in front: one of eight, or one of four twice.
template <int kCount, bool kAdd>
DEV void fold_columns(float (&x)[kCount]) {
  const int lane = threadIdx.x % 32;
  int count = kCount;
#pragma unroll
  for (int bit = 4; bit <= 16; bit *= 2) {
    if (count == 1) {
      if (kAdd) x[0] = __fadd_rn(x[0], __shfl_xor_sync(0xffffffffu, x[0], bit));
      continue;
    }
    count /= 2;
#pragma unroll
    for (int k = 0; k < kCount / 2; ++k) {
      if (k >= count) break;
      const bool upper = lane & bit;
      const float keep = upper ? x[k + count] : x[k], give = upper ? x[k] : x[k + count];
      x[k] = kAdd ? __fadd_rn(keep, __shfl_xor_sync(0xffffffffu, give, bit)) : keep;
    }
  }
}

// out(row, tile) of scaled logits z, whose first entry is v0 of V and whose first row is j0 of `rows`.
template <class Shape>
DEV void write_partials(Partial* out, int tiles, const Accumulator<Shape>& z, unsigned char* shared, int v0, int V,
                        int j0, int rows) {
  static_assert(Shape::kI == kVocabTile && (Shape::kColumns == 2 || Shape::kColumns == 4));
  constexpr int kCount = Shape::kColumns * 2, kStripsOfTile = kVocabTile / 16;
  static_assert(kStripsOfTile * Shape::kJ * sizeof(Partial) <= Shape::kSharedBytes);
  Partial* strips = reinterpret_cast<Partial*>(shared);  // (kStripsOfTile, kJ)
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_i = warp / Shape::kWarpsJ * Shape::kWarpI, warp_j = warp % Shape::kWarpsJ * Shape::kWarpJ;
  // The column that fold_columns leaves to this lane.
  const int column = kCount == 8 ? (lane >> 2 & 1) * 4 + (lane >> 3 & 1) * 2 + (lane >> 4 & 1)
                                 : (lane >> 2 & 1) * 2 + (lane >> 3 & 1);
  const int j = warp_j + column / 2 * 8 + lane % 4 * 2 + column % 2;
  __syncthreads();  // nobody reads operands any more
#pragma unroll
  for (int s = 0; s < Shape::kStrips; ++s) {
    const int v = v0 + warp_i + s * 16 + lane / 4;
    const bool first = v < V, second = v + 8 < V;
    float tops[kCount], sums[kCount], energies[kCount];
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      const float a = z[s][k / 2][k % 2], b = z[s][k / 2][k % 2 + 2];
      float top = fmaxf(first ? a : kNegativeInfinity, second ? b : kNegativeInfinity);
#pragma unroll
      for (int bit = 4; bit <= 16; bit *= 2) top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, bit));
      const float shift = shift_of(top);
      const float pa = first ? weight_of(a, shift) : 0.0f, pb = second ? weight_of(b, shift) : 0.0f;
      tops[k] = top;
      sums[k] = __fadd_rn(pa, pb);
      energies[k] = first ? __fmul_rn(a, pa) : 0.0f;
      if (second) energies[k] = __fmaf_rn(b, pb, energies[k]);
    }
    fold_columns<kCount, false>(tops);
    fold_columns<kCount, true>(sums);
    fold_columns<kCount, true>(energies);
    if (kCount == 8 || lane < 16) strips[(warp_i / 16 + s) * Shape::kJ + j] = {tops[0], sums[0], energies[0]};
  }
  __syncthreads();
  for (int row = threadIdx.x; row < Shape::kJ && j0 + row < rows; row += Shape::kThreads) {
    Partial total = strips[row];
    for (int s = 1; s < kStripsOfTile; ++s) total = merge(total, strips[s * Shape::kJ + row]);
    out[static_cast<int64_t>(j0 + row) * tiles + v0 / kVocabTile] = total;
  }
}

// Partial sums (rows, tiles), and the logit of each row's target.
struct ScoreTile {
  Partial* partials;
  const int32_t* targets;
  float* target_logits;

  template <class Shape>
  DEV void run(const HeadProduct& p, const Accumulator<Shape>& z, unsigned char* shared, int v0, int j0) const {
    for_elements<Shape>([&](int s, int c, int i, int j) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int row = j0 + j + h;
        if (row >= p.h.rows) continue;
        const int at = targets[row] - (v0 + i);
        if (at == 0) target_logits[row] = z[s][c][h];
        if (at == 8) target_logits[row] = z[s][c][h + 2];
      }
    });
    write_partials<Shape>(partials, (p.w.rows + kVocabTile - 1) / kVocabTile, z, shared, v0, p.w.rows, j0, p.h.rows);
  }
};

// Partial sums (rows, tiles) and logits (rows, V).
struct SampleTile {
  Partial* partials;
  float* logits;

  template <class Shape>
  DEV void run(const HeadProduct& p, const Accumulator<Shape>& z, unsigned char* shared, int v0, int j0) const {
    const int V = p.w.rows;
    for_elements<Shape>([&](int s, int c, int i, int j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int row = j0 + j + e % 2, v = v0 + i + e / 2 * 8;
        if (row < p.h.rows && v < V) logits[static_cast<int64_t>(row) * V + v] = z[s][c][e];
      }
    });
    write_partials<Shape>(partials, (V + kVocabTile - 1) / kVocabTile, z, shared, v0, V, j0, p.h.rows);
  }
};

// What a row's dL/dlogits needs: dz_v = [e^logp (base - ge logp) + g 1{v = target}] / temperature.
struct alignas(16) RowGradient {
  float lse, base, ge, g;
};
DEV RowGradient row_gradient(float lse, float entropy, float g, float ge) { return {lse, -(g + ge * entropy), ge, g}; }
DEV float logit_gradient(const RowGradient& row, float z, bool is_target, float inv_temperature) {
  const float logp = __fsub_rn(z, row.lse);
  const float spread = weight_of(z, row.lse) * __fmaf_rn(-row.ge, logp, row.base) * inv_temperature;
  return is_target ? spread + row.g * inv_temperature : spread;
}

// dz(rows, ld) bfloat16 of the entries first .. first + w.rows; columns behind them, up to ld, are zero.
struct GradientTile {
  const RowGradient* rows;
  const int32_t* targets;
  bf16* dz;
  int64_t ld;
  int first;

  template <class Shape>
  DEV void run(const HeadProduct& p, const Accumulator<Shape>& z, unsigned char*, int v0, int j0) const {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int i = v0 + warp / Shape::kWarpsJ * Shape::kWarpI + lane / 4;
    const int j = j0 + warp % Shape::kWarpsJ * Shape::kWarpJ + lane % 4 * 2;
#pragma unroll
    for (int c = 0; c < Shape::kColumns; ++c) {
      RowGradient row[2];
      int target[2];
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const bool inside = j + c * 8 + h < p.h.rows;
        row[h] = inside ? rows[j + c * 8 + h] : RowGradient{0.0f, 0.0f, 0.0f, 0.0f};
        target[h] = inside ? targets[j + c * 8 + h] - first : -1;
      }
#pragma unroll
      for (int s = 0; s < Shape::kStrips; ++s) {
        float d[4];
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int v = i + s * 16 + e / 2 * 8;
          const float gradient = logit_gradient(row[e % 2], z[s][c][e], v == target[e % 2], p.temperature.inverse);
          d[e] = v < p.w.rows ? gradient : 0.0f;
        }
        const Pairs pairs = pair_along_i(d, i + s * 16, j + c * 8);
        if (pairs.j >= p.h.rows) continue;
        bf16* out = dz + pairs.j * ld;
        if (pairs.i < ld) *reinterpret_cast<uint32_t*>(out + pairs.i) = pack_bf16(pairs.first[0], pairs.first[1]);
        if (pairs.i + 8 < ld)
          *reinterpret_cast<uint32_t*>(out + pairs.i + 8) = pack_bf16(pairs.second[0], pairs.second[1]);
      }
    }
  }
};

template <class Shape, bool kAligned, class Epilogue>
__global__ void __launch_bounds__(Shape::kThreads) head_kernel(HeadProduct p, Epilogue epilogue) {
  GPU_DYN_SMEM(shared);
  const int tiles_i = (p.w.rows + Shape::kI - 1) / Shape::kI, tiles_j = (p.h.rows + Shape::kJ - 1) / Shape::kJ;
  const TilePlace tile = grouped_tile(static_cast<int>(blockIdx.x), tiles_i, tiles_j);
  const int v0 = tile.i * Shape::kI, j0 = tile.j * Shape::kJ;
  Accumulator<Shape> z;
  clear<Shape>(z);
  multiply_tile<Shape, false, false, kAligned>(z, shared, p.w, v0, p.h, j0, p.C);
  const int j = j0 + static_cast<int>(threadIdx.x) / 32 % Shape::kWarpsJ * Shape::kWarpJ + threadIdx.x % 4 * 2;
#pragma unroll
  for (int c = 0; c < Shape::kColumns; ++c)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float scale = j + c * 8 + h < p.h.rows ? p.temperature.of(j + c * 8 + h) : 1.0f;
#pragma unroll
      for (int s = 0; s < Shape::kStrips; ++s) {
        z[s][c][h] = __fmul_rn(z[s][c][h], scale);
        z[s][c][h + 2] = __fmul_rn(z[s][c][h + 2], scale);
      }
    }
  epilogue.template run<Shape>(p, z, shared, v0, j0);
}

template <class Shape, bool kAligned, class Epilogue>
void launch_head_shape(cudaStream_t queue, const HeadProduct& p, const Epilogue& epilogue) {
  const int64_t blocks = ((p.w.rows + Shape::kI - 1) / Shape::kI) * int64_t{(p.h.rows + Shape::kJ - 1) / Shape::kJ};
  launch_tile("head_kernel", head_kernel<Shape, kAligned, Epilogue>, blocks, Shape::kThreads,
              Shape::kSharedBytes, queue, p, epilogue);
}

// The number of rows chooses the shape, which changes no bit.
template <class Epilogue>
void launch_head(cudaStream_t queue, const HeadProduct& p, const Epilogue& epilogue) {
  if (!is_aligned(p.h.data, p.h.ld)) return launch_head_shape<HeadMedium, false>(queue, p, epilogue);
  if (p.h.rows <= 16) return launch_head_shape<HeadFew, true>(queue, p, epilogue);
  if (p.h.rows <= 64) return launch_head_shape<HeadMedium, true>(queue, p, epilogue);
  launch_head_shape<HeadLarge, true>(queue, p, epilogue);
}

}  // namespace tk
