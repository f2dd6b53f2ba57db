// dots.cuh: dot products by mma.m16n8k16, as the kernels chain them, and by a published model of its
// rounding.
#pragma once
#include "probe.h"

namespace probe {

// out(M, N) = A(M, K) B(N, K)^T, one warp a 16 x 8 tile: one instruction each 16 of K, from zero. Fragments
// are read straight from memory by the PTX manual's tables. Rows of A and B are pairs of bfloat16.
__global__ void mma_dots(float* out, const uint32_t* a, const uint32_t* b, int N, int K) {
  const int lane = static_cast<int>(threadIdx.x), group = lane / 4, pair = lane % 4, words = K / 2;
  const int row = static_cast<int>(blockIdx.x) * 16 + group, column = static_cast<int>(blockIdx.y) * 8;
  const uint32_t* low = a + static_cast<int64_t>(row) * words + pair;
  const uint32_t* high = low + static_cast<int64_t>(8) * words;
  const uint32_t* right = b + static_cast<int64_t>(column + group) * words + pair;
  float d[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  for (int k = 0; k < words; k += 8) {
    const uint32_t left[4] = {low[k], high[k], low[k + 4], high[k + 4]};
    mma_m16n8k16(d, left, right[k], right[k + 4]);
  }
  float* to = out + static_cast<int64_t>(row) * N + column + 2 * pair;
  to[0] = d[0];
  to[1] = d[1];
  to[8 * N] = d[2];
  to[8 * N + 1] = d[3];
}

// A model of tensor cores: 16 exact products and the accumulator are aligned to the largest exponent, cut
// toward zero to float32's 23 bits and some extra ones, added as integers, and the sum is cut to 24 bits.
// Published for the H100: 2 extra bits (arXiv 2512.07004, 2511.10909).
struct Model {
  int extra;
  // Whether a product's exponent is that of its normal form, or the sum of its factors'.
  bool normal;
};

constexpr int kNoExponent = -1000;

DEV int exponent_of(uint32_t bits) { return static_cast<int>(bits >> 23 & 255) - 127; }
DEV int64_t cut(int64_t significand, int shift) {
  if (shift >= 0) return significand << shift;
  return shift > -63 ? significand >> -shift : 0;
}

// No subnormal numbers, infinities or NaN.
DEV float model_step(float c, const uint16_t* a, const uint16_t* b, Model model) {
  int exponents[16], top = c == 0.0f ? kNoExponent : exponent_of(__float_as_uint(c));
  int64_t products[16];
  for (int k = 0; k < 16; ++k) {
    const uint32_t x = static_cast<uint32_t>(a[k]) << 16, y = static_cast<uint32_t>(b[k]) << 16;
    const bool zero = (x & 0x7fffffffu) == 0 || (y & 0x7fffffffu) == 0;
    // Two numbers in [2^7, 2^8): the product has its binary point behind 14 bits.
    products[k] = zero ? 0 : static_cast<int64_t>((x >> 16 & 127) | 128) * ((y >> 16 & 127) | 128);
    exponents[k] = zero ? kNoExponent : exponent_of(x) + exponent_of(y);
    const int first = exponents[k] + (model.normal && products[k] >> 15 ? 1 : 0);
    top = first > top ? first : top;
    if ((x ^ y) >> 31) products[k] = -products[k];
  }
  int64_t sum = 0;
  for (int k = 0; k < 16; ++k) {
    const int shift = exponents[k] - top + 9 + model.extra;
    sum += products[k] < 0 ? -cut(-products[k], shift) : cut(products[k], shift);
  }
  if (c != 0.0f) {
    const uint32_t bits = __float_as_uint(c);
    const int64_t own = cut((bits & 0x7fffff) | 0x800000, exponent_of(bits) - top + model.extra);
    sum += bits >> 31 ? -own : own;
  }
  int64_t size = sum < 0 ? -sum : sum;
  int drop = 0;
  while (size >> (24 + drop)) ++drop;
  size = size >> drop << drop;
  const float value = ldexpf(static_cast<float>(size), top - 23 - model.extra);
  return sum < 0 ? -value : value;
}

__global__ void model_dots(float* out, const uint16_t* a, const uint16_t* b, int N, int K, Model model) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const uint16_t *row = a + i / N * K, *column = b + i % N * K;
  float sum = 0.0f;
  for (int k = 0; k < K; k += 16) sum = model_step(sum, row + k, column + k, model);
  out[i] = sum;
}

// Operands of a product and what mma makes of it.
struct Dots {
  int M, N, K;
  Buffer<uint16_t> a, b;
  std::vector<float> mma;

  Dots(int M, int N, int K, const std::vector<uint16_t>& left, const std::vector<uint16_t>& right)
      : M(M), N(N), K(K), a(left), b(right) {
    const Buffer<float> out(static_cast<size_t>(M) * N);
    LAUNCH(mma_dots, dim3(M / 16, N / 8), 32, 0, queue(), out.data(), words(a), words(b), N, K);
    mma = out.host("mma");
  }
  static const uint32_t* words(const Buffer<uint16_t>& x) { return reinterpret_cast<const uint32_t*>(x.data()); }
};

// Small whole numbers, whose dots are exact in any order, and the dots.
struct Exact {
  std::vector<uint16_t> a, b;
  std::vector<float> dots;

  Exact(int M, int N, int K) : a(numbers(M * K, 1)), b(numbers(N * K, 2)), dots(static_cast<size_t>(M) * N) {
    for (int i = 0; i < M; ++i)
      for (int j = 0; j < N; ++j) {
        float sum = 0.0f;
        for (int k = 0; k < K; ++k) sum += value(a[i * K + k]) * value(b[j * K + k]);
        dots[static_cast<size_t>(i) * N + j] = sum;
      }
  }
  static std::vector<uint16_t> numbers(int n, uint32_t seed) {
    Random random(seed);
    std::vector<uint16_t> out(static_cast<size_t>(n));
    for (auto& x : out) x = bf16_of(static_cast<float>(random.between(-9, 9)));
    return out;
  }
  static float value(uint16_t bits) {
    const uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float x;
    std::memcpy(&x, &wide, sizeof x);
    return x;
  }
};

inline bool mma_right() {
  const Exact exact(32, 16, 48);
  return differences(Dots(32, 16, 48, exact.a, exact.b).mma, exact.dots) == 0;
}

constexpr const char* kKinds[] = {"even", "wide", "cancelling"};

// A matrix of random bfloat16. even: exponents as of uniform numbers; wide: from 2^-12 to 2^12; cancelling:
// products of neighbours along K cancel but for a last bit here and there.
inline std::vector<uint16_t> random_matrix(int rows, int K, int kind, bool right, uint32_t seed) {
  Random random(seed);
  std::vector<uint16_t> out(static_cast<size_t>(rows) * K);
  for (size_t i = 0; i < out.size(); ++i) {
    const uint32_t word = random.bits();
    int down = 0;  // uniform numbers: each halving of the exponent is half as likely
    while (kind != 1 && down < 12 && (word >> (9 + down) & 1)) ++down;
    const int exponent = kind == 1 ? random.between(-12, 12) : -1 - down;
    out[i] = static_cast<uint16_t>((word >> 31) << 15 | static_cast<uint32_t>(exponent + 127) << 7 | (word & 127));
    if (kind == 2 && i % 2 == 1) {
      const uint16_t noise = right && (word >> 24) % 4 == 0 ? 1 : 0;
      out[i] = static_cast<uint16_t>((out[i - 1] ^ (right ? 0x8000 : 0)) ^ noise);
    }
  }
  return out;
}

// Calls body(kind, dots) for every kind of numbers and every K: a million dots each.
template <class Body>
void for_random_dots(Body body) {
  const std::vector<int> depths = micro() ? std::vector<int>{16, 64} : std::vector<int>{16, 64, 1536, 8960};
  const int size = micro() ? 256 : 1024, other = micro() ? 64 : 1024;
  for (int kind = 0; kind < 3; ++kind)
    for (const int K : depths) {
      const uint32_t seed = static_cast<uint32_t>(100 * kind + K);
      body(kKinds[kind], Dots(other, size, K, random_matrix(other, K, kind, false, seed),
                              random_matrix(size, K, kind, true, seed + 7)));
    }
}

// How many dots of mma differ from each model's, with 0 to 3 extra bits.
inline void compare_models(const char* kind, const Dots& dots) {
  const size_t count = dots.mma.size();
  const Buffer<float> out(count);
  size_t different[2][4];
  for (const bool normal : {false, true})
    for (int extra = 0; extra < 4; ++extra) {
      LAUNCH(model_dots, static_cast<unsigned>(count / 256), 256, 0, queue(), out.data(), dots.a.data(),
             dots.b.data(), dots.N, dots.K, (Model{extra, normal}));
      different[normal][extra] = differences(out.host("model"), dots.mma);
    }
  const auto& [sums, normals] = different;
  say("mma rounding",
      "\"numbers\":\"%s\",\"k\":%d,\"dots\":%zu,\"different\":{\"exponents_added\":[%zu,%zu,%zu,%zu],"
      "\"exponents_of_products\":[%zu,%zu,%zu,%zu]}",
      kind, dots.K, count, sums[0], sums[1], sums[2], sums[3], normals[0], normals[1], normals[2], normals[3]);
}

}  // namespace probe
