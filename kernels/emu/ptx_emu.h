// ptx_emu.h: the wrappers of ptx.cuh in C++. The lane tables are those of the PTX manual.
#pragma once
#include "h100_rounding.h"

namespace emu {

// Eight addresses of a matrix, one pass if they fall into eight different 16-byte columns of the banks.
struct BankCount {
  std::mutex mutex;
  std::map<std::pair<std::string, int>, std::pair<uint64_t, uint64_t>> places;  // matrices, extra passes
  ~BankCount() {
    for (const auto& [place, count] : places)
      std::fprintf(stderr, "cuda emulator: ldmatrix at %s:%d: %llu matrices, %llu extra passes\n", place.first.c_str(),
                   place.second, static_cast<unsigned long long>(count.first),
                   static_cast<unsigned long long>(count.second));
  }
};
inline BankCount bank_count;

struct MatrixRow {
  uint32_t words[4];
  const void* address;
};
struct Words4 {
  uint32_t words[4];
};
// Each lane reads its own row, so that a sanitizer sees who read what.
EMU_ACCESS inline MatrixRow read_row(const void* address, const char* file, int line) {
  if (reinterpret_cast<uintptr_t>(address) % 16)
    fatal("%s:%d: ldmatrix of the row at %p, which is not aligned to 16 bytes", file, line, address);
  const auto* words = static_cast<const uint32_t*>(address);
  return {{words[0], words[1], words[2], words[3]}, address};
}

EMU_STATE inline void count_banks(Warp& w) {
  const std::lock_guard<std::mutex> lock(bank_count.mutex);
  auto& count = bank_count.places[{w.slots[0].file, w.slots[0].line}];
  for (int matrix = 0; matrix < 4; ++matrix) {
    int uses[8] = {}, most = 0;
    for (int row = 0; row < 8; ++row) {
      const auto address = reinterpret_cast<uintptr_t>(lane_in<MatrixRow>(w, matrix * 8 + row).address);
      most = std::max(most, ++uses[address / 16 % 8]);
    }
    count.first++;
    count.second += static_cast<uint64_t>(most - 1);
  }
}

// Lanes 8 i .. 8 i + 7 give the rows of matrix i. Lane l receives elements (l / 4, 2 (l % 4) + 0..1) of
// each matrix, or of its transpose.
template <bool kTransposed>
EMU_STATE void load_matrices(Warp& w, uint32_t mask) {
  if (mask != ~0u) fatal("ldmatrix by a part of a warp (lanes %08x)", mask);
  if (config.banks) count_banks(w);
  for (int lane = 0; lane < 32; ++lane) {
    for (int matrix = 0; matrix < 4; ++matrix) {
      uint32_t& out = lane_out<Words4>(w, lane).words[matrix];
      if (!kTransposed) {
        out = lane_in<MatrixRow>(w, matrix * 8 + lane / 4).words[lane % 4];
        continue;
      }
      const int column = lane / 4, row = matrix * 8 + lane % 4 * 2;
      const uint32_t low = lane_in<MatrixRow>(w, row).words[column / 2];
      const uint32_t high = lane_in<MatrixRow>(w, row + 1).words[column / 2];
      out = column % 2 ? low >> 16 | (high & 0xffff0000u) : (low & 0xffffu) | high << 16;
    }
  }
}

struct MmaIn {
  uint32_t a[4], b[2];
  float c[4];
};
struct Floats4 {
  float values[4];
};
// d(16, 8) += a(16, 16) b(16, 8), product by product, each sum rounded to nearest.
EMU_STATE inline void multiply_rounding_to_nearest(float (&d)[16][8], const float (&a)[16][16],
                                                   const float (&b)[16][8]) {
  using Row = float __attribute__((vector_size(32)));
  for (int i = 0; i < 16; ++i) {
    Row sum = *reinterpret_cast<Row*>(d[i]);
    for (int k = 0; k < 16; ++k) sum += a[i][k] * *reinterpret_cast<const Row*>(b[k]);
    *reinterpret_cast<Row*>(d[i]) = sum;
  }
}

// Lane l holds rows l / 4 and l / 4 + 8 of A, columns 2 (l % 4) + 0..1 and + 8..9; column l / 4 of B,
// the same k; D like the first half of A.
EMU_STATE inline void multiply_matrices(Warp& w, uint32_t mask) {
  if (mask != ~0u) fatal("mma by a part of a warp (lanes %08x)", mask);
  alignas(64) float a[16][16], b[16][8], d[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const MmaIn& in = lane_in<MmaIn>(w, lane);
    const int group = lane / 4, pair = lane % 4 * 2;
    for (int part = 0; part < 4; ++part) {
      const int row = group + part % 2 * 8, column = pair + part / 2 * 8;
      a[row][column] = emu_bits<float>(in.a[part] << 16);
      a[row][column + 1] = emu_bits<float>(in.a[part] & 0xffff0000u);
    }
    for (int part = 0; part < 2; ++part) {
      b[pair + part * 8][group] = emu_bits<float>(in.b[part] << 16);
      b[pair + part * 8 + 1][group] = emu_bits<float>(in.b[part] & 0xffff0000u);
    }
    for (int part = 0; part < 4; ++part) d[group + part / 2 * 8][pair + part % 2] = in.c[part];
  }
  if (config.rounding == Rounding::kH100)
    multiply_like_h100(d, a, b);
  else
    multiply_rounding_to_nearest(d, a, b);
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane / 4, pair = lane % 4 * 2;
    lane_out<Floats4>(w, lane) = {{d[group][pair], d[group][pair + 1], d[group + 8][pair], d[group + 8][pair + 1]}};
  }
}

}  // namespace emu

inline void cp_async16(void* dst, const void* src, bool valid = true, EMU_LOCATION) {
  emu::issue_copy(dst, src, 16, valid ? 16 : 0, file, line);
}
inline void cp_async_commit(EMU_LOCATION) { emu::commit_copies(file, line); }
template <int kLeft>
void cp_async_wait_group() {
  emu::wait_copies(kLeft);
}
inline void ldmatrix_x4(uint32_t (&r)[4], const void* row, EMU_LOCATION) {
  const auto out = emu::collective<emu::Words4>(~0u, emu::read_row(row, file, line), emu::load_matrices<false>,
                                                "ldmatrix", file, line);
  for (int i = 0; i < 4; ++i) r[i] = out.words[i];
}
inline void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row, EMU_LOCATION) {
  const auto out = emu::collective<emu::Words4>(~0u, emu::read_row(row, file, line), emu::load_matrices<true>,
                                                "ldmatrix.trans", file, line);
  for (int i = 0; i < 4; ++i) r[i] = out.words[i];
}
inline void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, EMU_LOCATION) {
  const emu::MmaIn in{{a[0], a[1], a[2], a[3]}, {b0, b1}, {d[0], d[1], d[2], d[3]}};
  const auto out = emu::collective<emu::Floats4>(~0u, in, emu::multiply_matrices, "mma", file, line);
  for (int i = 0; i < 4; ++i) d[i] = out.values[i];
}
inline float exp2_approx(float x) {
  return emu::config.rounding == emu::Rounding::kH100 ? emu::exp2_like_h100(x) : exp2f(x);
}
