// h100_rounding.h: the sums of an H100's tensor cores, bit by bit, and powers of two as inexact as its own.
//
// No manual says how mma rounds; two groups measured it and found the same: F. A. Khattak and M. Mikaitis,
// "Accurate Models of NVIDIA Tensor Cores" (arXiv 2512.07004), and P. Xie and others, "MMA-Sim" (arXiv
// 2511.10909). On Hopper one mma.m16n8k16 of bfloat16 adds c and all 16 products at once:
// - Products are exact, and not normalised: a product's exponent is the sum of its operands' exponents, so
//   its significand may be anything below 4. The exponent of a subnormal number is -126.
// - The largest exponent of the terms that are not zero, but at least -133, decides which bits count: each
//   term is cut off toward zero at 25 bits behind it, which is two more than float32 has. The rest is an
//   exact sum of integers: its order does not matter, and products with zero change nothing.
// - The sum is cut off toward zero to float32. A sum of zero is +0, one beyond the range is infinite.
// Chains of instructions therefore lose in magnitude, always, where rounding to nearest errs either way.
// tests/kernels/emu/rounding_test.ts compares with results that an H200, the same chip, has given.
#pragma once
#include <algorithm>
#include <cmath>

#include "bf16.h"

namespace emu {

// x = significand 2^(exponent - kBits).
struct Parts {
  int32_t significand, exponent;
};
constexpr int kExponentOfZero = -1024, kLeastExponent = -133, kExponentOfInfinity = 128;

template <int kBits>
EMU_STATE inline Parts parts_of(float x) {
  const auto bits = emu_bits<uint32_t>(x);
  const int biased = static_cast<int>(bits >> 23 & 0xff);
  const auto magnitude = static_cast<int32_t>(((bits & 0x7fffffu) | (biased ? 0x800000u : 0u)) >> (23 - kBits));
  if (magnitude == 0 && biased == 0) return {0, kExponentOfZero};
  return {bits >> 31 ? -magnitude : magnitude, std::max(biased, 1) - 127};
}

// A row of eight numbers.
using Ints = int32_t __attribute__((vector_size(32)));
struct PartsRow {
  Ints significand, exponent;
};
template <int kBits>
EMU_STATE inline PartsRow parts_of(const float (&x)[8]) {
  PartsRow row;
  for (int j = 0; j < 8; ++j) {
    const Parts parts = parts_of<kBits>(x[j]);
    row.significand[j] = parts.significand;
    row.exponent[j] = parts.exponent;
  }
  return row;
}

// The term in units of 2^(top - 25), cut off toward zero.
template <int kBits>
EMU_STATE inline Ints aligned(const PartsRow& term, const Ints& top) {
  const Ints sign = term.significand >> 31, distance = top - term.exponent;
  const Ints all = Ints{} + 31, shift = distance < all ? distance : all;  // a wider shift is undefined
  const Ints magnitude = (term.significand ^ sign) - sign;
  return ((magnitude << (25 - kBits) >> shift) ^ sign) - sign;
}

EMU_STATE inline float cut_off(double x) {
  constexpr uint64_t kBeyondFloat = 0x1fffffff;
  if (std::fabs(x) < 0x1p-126) return static_cast<float>(std::trunc(x * 0x1p149) * 0x1p-149);
  return static_cast<float>(emu_bits<double>(emu_bits<uint64_t>(x) & ~kBeyondFloat));
}

// d(16, 8) += a(16, 16) b(16, 8). An infinite operand, or one that is NaN, gives what IEEE says.
EMU_STATE inline void multiply_like_h100(float (&d)[16][8], const float (&a)[16][16], const float (&b)[16][8]) {
  PartsRow right[16];
  Ints largest = {};
  for (int k = 0; k < 16; ++k) {
    right[k] = parts_of<7>(b[k]);
    largest = right[k].exponent > largest ? right[k].exponent : largest;
  }
  for (int i = 0; i < 16; ++i) {
    const PartsRow c = parts_of<23>(d[i]);
    PartsRow products[16];
    Ints top = c.exponent > kLeastExponent ? c.exponent : Ints{} + kLeastExponent;
    Ints special = (c.exponent == kExponentOfInfinity) | (largest == kExponentOfInfinity);
    for (int k = 0; k < 16; ++k) {
      const Parts left = parts_of<7>(a[i][k]);
      products[k] = {left.significand * right[k].significand, left.exponent + right[k].exponent};
      top = products[k].exponent > top ? products[k].exponent : top;
      if (left.exponent == kExponentOfInfinity) special = ~Ints{};
    }
    // Two sums, because 17 terms of up to 27 bits may exceed 31.
    Ints sums[2] = {aligned<23>(c, top), {}};
    for (int k = 0; k < 16; ++k) sums[k / 8] += aligned<14>(products[k], top);
    for (int j = 0; j < 8; ++j) {
      double sum = d[i][j];
      if (special[j])
        for (int k = 0; k < 16; ++k) sum += static_cast<double>(a[i][k]) * static_cast<double>(b[k][j]);
      if (!std::isfinite(sum)) {
        d[i][j] = std::isnan(sum) ? emu_bits<float>(0x7fffffffu) : static_cast<float>(sum);
        continue;
      }
      const auto unit = emu_bits<double>(static_cast<uint64_t>(1023 + top[j] - 25) << 52);
      d[i][j] = cut_off((static_cast<double>(sums[0][j]) + static_cast<double>(sums[1][j])) * unit);
    }
  }
}

// ex2.approx.ftz promises 2 ulp and 2^0 = 1: whichever number within that, the same one for the same x.
inline float exp2_like_h100(float x) {
  const float exact = exp2f(x);
  if (!(exact < INFINITY) || std::fabs(x) < 0x1p-126f) return exact;
  if (exact < 0x1p-126f) return 0.0f;
  const uint32_t hash = emu_bits<uint32_t>(x) * 2654435761u >> 16;
  const float y = emu_bits<float>(emu_bits<uint32_t>(exact) + hash % 5 - 2);
  return y < 0x1p-126f ? 0.0f : y;
}

}  // namespace emu
