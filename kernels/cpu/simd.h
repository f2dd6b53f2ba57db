// simd.h: sixteen float lanes, the only vector type the CPU kernels use.
//
// One AVX-512 register, two AVX2 registers, or a plain loop: the arithmetic is the same lane by lane
// (explicit FMA, fixed reduction tree), so the three builds give the same bits.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__AVX512F__) || defined(__AVX2__)
// GCC 12 warns about its own headers: _mm512_undefined_ps() initialises a variable with itself.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

namespace tk {

constexpr int kLanes = 16;

inline float bf16_to_f32(uint16_t x) {
  const uint32_t bits = static_cast<uint32_t>(x) << 16;
  float y;
  std::memcpy(&y, &bits, sizeof y);
  return y;
}

// Round to nearest even; a NaN stays a (quiet) NaN instead of rounding up to infinity.
inline uint16_t f32_to_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const uint32_t rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  const uint32_t quiet = bits | 0x400000u;
  return static_cast<uint16_t>(((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded) >> 16);
}

#if defined(__AVX512F__) && defined(__AVX512DQ__)

#define TK_ISA "avx512"
struct f32x16 {
  __m512 v;
  static f32x16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static f32x16 load_partial(const float* p, int n) { return {_mm512_maskz_loadu_ps(mask(n), p)}; }
  static f32x16 set1(float x) { return {_mm512_set1_ps(x)}; }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store_partial(float* p, int n) const { _mm512_mask_storeu_ps(p, mask(n), v); }
  static __mmask16 mask(int n) { return static_cast<__mmask16>((1u << n) - 1u); }
};
inline f32x16 operator+(f32x16 a, f32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline f32x16 operator-(f32x16 a, f32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline f32x16 operator*(f32x16 a, f32x16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline f32x16 operator/(f32x16 a, f32x16 b) { return {_mm512_div_ps(a.v, b.v)}; }
inline f32x16 fma(f32x16 a, f32x16 b, f32x16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline f32x16 max(f32x16 a, f32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
inline f32x16 min(f32x16 a, f32x16 b) { return {_mm512_min_ps(a.v, b.v)}; }
inline f32x16 sqrt(f32x16 a) { return {_mm512_sqrt_ps(a.v)}; }
inline f32x16 round(f32x16 a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
// 2^n for integral n in [-126, 127].
inline f32x16 pow2(f32x16 n) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127)), 23))};
}
// kPaired bf16 stored as pairs of columns (i, i + kPaired / 2), widened to columns in order.
constexpr int kPaired = 2 * kLanes;
inline void widen_pairs(const uint16_t* p, f32x16 (&out)[2]) {
  const __m512i pairs = _mm512_loadu_si512(p);
  out[0] = {_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16))};
  out[1] = {_mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000u))))};
}
// out(j, i) = in(i, j) for 16 x 16 elements: pairs, quadruples, then whole 128-bit lanes change places.
inline void transpose16(float* out, int64_t ldout, const float* in, int64_t ldin) {
  __m512 r[16], t[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_ps(in + i * ldin);
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    const auto pairs = [&](int k) { return _mm512_castps_pd(t[i + k]); };
    r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(pairs(0), pairs(2)));
    r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(pairs(0), pairs(2)));
    r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(pairs(1), pairs(3)));
    r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(pairs(1), pairs(3)));
  }
  // r[4 g + c] now holds column 4 l + c of rows 4 g .. 4 g + 3 in its lane l.
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512 even = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88), odd = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xdd);
    const __m512 even8 = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x88);
    const __m512 odd8 = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xdd);
    _mm512_storeu_ps(out + c * ldout, _mm512_shuffle_f32x4(even, even8, 0x88));
    _mm512_storeu_ps(out + (4 + c) * ldout, _mm512_shuffle_f32x4(odd, odd8, 0x88));
    _mm512_storeu_ps(out + (8 + c) * ldout, _mm512_shuffle_f32x4(even, even8, 0xdd));
    _mm512_storeu_ps(out + (12 + c) * ldout, _mm512_shuffle_f32x4(odd, odd8, 0xdd));
  }
}
// Lanes 0 .. n - 1 of a, the others from b.
inline f32x16 first_lanes(int n, f32x16 a, f32x16 b) { return {_mm512_mask_mov_ps(b.v, f32x16::mask(n), a.v)}; }
// Lanes where x < limit become zero; a NaN stays.
inline f32x16 zero_below(f32x16 x, f32x16 limit, f32x16 value) {
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.v, limit.v, _CMP_NLT_UQ), value.v)};
}

#elif defined(__AVX2__) && defined(__FMA__)

#define TK_ISA "avx2"
struct f32x16 {
  __m256 a, b;
  static f32x16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static f32x16 load_partial(const float* p, int n) {
    alignas(32) float t[kLanes] = {};
    std::memcpy(t, p, static_cast<size_t>(n) * sizeof(float));
    return load(t);
  }
  static f32x16 set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  void store(float* p) const { _mm256_storeu_ps(p, a); _mm256_storeu_ps(p + 8, b); }
  void store_partial(float* p, int n) const {
    alignas(32) float t[kLanes];
    store(t);
    std::memcpy(p, t, static_cast<size_t>(n) * sizeof(float));
  }
};
inline f32x16 operator+(f32x16 x, f32x16 y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
inline f32x16 operator-(f32x16 x, f32x16 y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
inline f32x16 operator*(f32x16 x, f32x16 y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
inline f32x16 operator/(f32x16 x, f32x16 y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
inline f32x16 fma(f32x16 x, f32x16 y, f32x16 z) { return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)}; }
inline f32x16 max(f32x16 x, f32x16 y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
inline f32x16 min(f32x16 x, f32x16 y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
inline f32x16 sqrt(f32x16 x) { return {_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b)}; }
inline f32x16 round(f32x16 x) {
  constexpr int mode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(x.a, mode), _mm256_round_ps(x.b, mode)};
}
inline __m256 pow2_half(__m256 n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}
inline f32x16 pow2(f32x16 n) { return {pow2_half(n.a), pow2_half(n.b)}; }
constexpr int kPaired = kLanes;
inline void widen_pairs(const uint16_t* p, f32x16 (&out)[1]) {
  const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  const __m256i high = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
  out[0] = {_mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)), _mm256_castsi256_ps(_mm256_and_si256(pairs, high))};
}
inline f32x16 first_lanes(int n, f32x16 x, f32x16 y) {
  alignas(32) float t[kLanes];
  y.store(t);
  x.store_partial(t, n);
  return f32x16::load(t);
}
inline f32x16 zero_below(f32x16 x, f32x16 limit, f32x16 value) {
  return {_mm256_and_ps(_mm256_cmp_ps(x.a, limit.a, _CMP_NLT_UQ), value.a),
          _mm256_and_ps(_mm256_cmp_ps(x.b, limit.b, _CMP_NLT_UQ), value.b)};
}

#else

#define TK_ISA "portable"
struct f32x16 {
  float v[kLanes];
  static f32x16 load(const float* p) { return load_partial(p, kLanes); }
  static f32x16 load_partial(const float* p, int n) {
    f32x16 r{};
    std::memcpy(r.v, p, static_cast<size_t>(n) * sizeof(float));
    return r;
  }
  static f32x16 set1(float x) {
    f32x16 r;
    for (float& lane : r.v) lane = x;
    return r;
  }
  void store(float* p) const { store_partial(p, kLanes); }
  void store_partial(float* p, int n) const { std::memcpy(p, v, static_cast<size_t>(n) * sizeof(float)); }
};
template <class F>
inline f32x16 lanewise(F f) {
  f32x16 r;
  for (int i = 0; i < kLanes; ++i) r.v[i] = f(i);
  return r;
}
inline f32x16 operator+(f32x16 a, f32x16 b) { return lanewise([&](int i) { return a.v[i] + b.v[i]; }); }
inline f32x16 operator-(f32x16 a, f32x16 b) { return lanewise([&](int i) { return a.v[i] - b.v[i]; }); }
inline f32x16 operator*(f32x16 a, f32x16 b) { return lanewise([&](int i) { return a.v[i] * b.v[i]; }); }
inline f32x16 operator/(f32x16 a, f32x16 b) { return lanewise([&](int i) { return a.v[i] / b.v[i]; }); }
inline f32x16 fma(f32x16 a, f32x16 b, f32x16 c) { return lanewise([&](int i) { return std::fma(a.v[i], b.v[i], c.v[i]); }); }
// Operand order follows x86: the second operand wins when either is NaN.
inline f32x16 max(f32x16 a, f32x16 b) { return lanewise([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; }); }
inline f32x16 min(f32x16 a, f32x16 b) { return lanewise([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; }); }
inline f32x16 sqrt(f32x16 a) { return lanewise([&](int i) { return std::sqrt(a.v[i]); }); }
inline f32x16 round(f32x16 a) { return lanewise([&](int i) { return std::nearbyintf(a.v[i]); }); }
inline f32x16 pow2(f32x16 n) {
  return lanewise([&](int i) {
    const uint32_t bits = static_cast<uint32_t>(static_cast<int32_t>(n.v[i]) + 127) << 23;
    float r;
    std::memcpy(&r, &bits, sizeof r);
    return r;
  });
}
constexpr int kPaired = kLanes;
inline void widen_pairs(const uint16_t* p, f32x16 (&out)[1]) {
  for (int i = 0; i < kLanes; ++i) out[0].v[i] = bf16_to_f32(p[2 * (i % (kLanes / 2)) + i / (kLanes / 2)]);
}
inline f32x16 first_lanes(int n, f32x16 a, f32x16 b) {
  return lanewise([&](int i) { return i < n ? a.v[i] : b.v[i]; });
}
inline f32x16 zero_below(f32x16 x, f32x16 limit, f32x16 value) {
  return lanewise([&](int i) { return x.v[i] < limit.v[i] ? 0.0f : value.v[i]; });
}

#endif

#if !defined(__AVX512F__) || !defined(__AVX512DQ__)
inline void transpose16(float* out, int64_t ldout, const float* in, int64_t ldin) {
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) out[j * ldout + i] = in[i * ldin + j];
}
#endif

inline f32x16 zero() { return f32x16::set1(0.0f); }

// Reductions fold lanes i and i + 8, then 4, 2, 1: one tree for every build.
template <class F>
inline float fold(f32x16 x, F f) {
  alignas(64) float t[kLanes];
  x.store(t);
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) t[i] = f(t[i], t[i + half]);
  return t[0];
}

#if defined(__AVX512F__) && defined(__AVX512DQ__)
inline float sum(f32x16 x) {
  const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(x.v), _mm512_extractf32x8_ps(x.v, 1));
  const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(c, _mm_shuffle_ps(c, c, 1)));
}
inline float max(f32x16 x) {
  const __m256 a = _mm256_max_ps(_mm512_castps512_ps256(x.v), _mm512_extractf32x8_ps(x.v, 1));
  const __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_max_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_max_ss(c, _mm_shuffle_ps(c, c, 1)));
}
#else
inline float sum(f32x16 x) { return fold(x, [](float a, float b) { return a + b; }); }
inline float max(f32x16 x) { return fold(x, [](float a, float b) { return a > b ? a : b; }); }
#endif

// The one exponential of the CPU backend: e^x = 2^n e^r with |r| <= ln2 / 2, a degree-6 polynomial for
// e^r (relative error below 2 ulp). Results below e^-87 flush to zero, so exp(-inf) = 0 exactly, and
// exp(0) = 1 exactly.
inline f32x16 exp(f32x16 x) {
  const f32x16 low = f32x16::set1(-87.0f);
  const f32x16 c = min(f32x16::set1(88.0f), max(low, x));  // this operand order lets a NaN through
  const f32x16 n = round(c * f32x16::set1(1.44269504088896341f));
  f32x16 r = fma(n, f32x16::set1(-0.693359375f), c);  // ln2 split in two: the first product is exact
  r = fma(n, f32x16::set1(2.12194440e-4f), r);
  f32x16 p = f32x16::set1(1.0f / 720.0f);
  p = fma(p, r, f32x16::set1(1.0f / 120.0f));
  p = fma(p, r, f32x16::set1(1.0f / 24.0f));
  p = fma(p, r, f32x16::set1(1.0f / 6.0f));
  p = fma(p, r, f32x16::set1(0.5f));
  p = fma(p, r, f32x16::set1(1.0f));
  p = fma(p, r, f32x16::set1(1.0f));
  return zero_below(x, low, p * pow2(n));
}
inline float exp(float x) {
  alignas(64) float t[kLanes];
  exp(f32x16::set1(x)).store(t);
  return t[0];
}

}  // namespace tk
