// layouts.cuh: what the wrappers of ptx.cuh do on this chip, against plain arithmetic.
#pragma once
#include "probe.h"

namespace probe {

// Four 8x8 matrices whose element (row, column) of matrix m is 64 m + 8 row + column.
__global__ void load_matrices(uint32_t* plain, uint32_t* transposed) {
  GPU_DYN_SMEM(shared);
  auto* elements = reinterpret_cast<uint16_t*>(shared);
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = lane; i < 256; i += 32) elements[i] = static_cast<uint16_t>(i);
  __syncwarp();
  uint32_t r[4];
  ldmatrix_x4(r, elements + 8 * lane);
  for (int m = 0; m < 4; ++m) plain[m * 32 + lane] = r[m];
  ldmatrix_x4_trans(r, elements + 8 * lane);
  for (int m = 0; m < 4; ++m) transposed[m * 32 + lane] = r[m];
}

inline bool matrices_right() {
  const Buffer<uint32_t> plain(128), transposed(128);
  LAUNCH(load_matrices, 1, 32, 512, queue(), plain.data(), transposed.data());
  const auto by_rows = plain.host("ldmatrix"), by_columns = transposed.host("ldmatrix");
  bool right = true;
  for (int i = 0; i < 128; ++i) {
    const uint32_t m = i / 32 * 64, row = i % 32 / 4, pair = i % 4 * 2;
    const uint32_t low = m + 8 * row + pair, turned = m + 8 * pair + row;
    right &= by_rows[i] == (low | (low + 1) << 16) && by_columns[i] == (turned | (turned + 8) << 16);
  }
  return right;
}

constexpr int kCopyThreads = 128;
inline __device__ __host__ bool is_copied(int thread) { return thread % 3 != 0; }

// Two groups of copies; every third thread copies nothing and gets zeros.
__global__ void copy_groups(uint4* out, const uint4* in) {
  GPU_DYN_SMEM(shared);
  auto* slots = reinterpret_cast<uint4*>(shared);
  const int thread = static_cast<int>(threadIdx.x);
  cp_async16(slots + thread, in + thread, is_copied(thread));
  cp_async_commit();
  cp_async16(slots + kCopyThreads + thread, in + kCopyThreads + thread, is_copied(thread));
  cp_async_commit();
  cp_async_wait_group<1>();
  out[thread] = slots[thread];
  cp_async_wait_group<0>();
  out[kCopyThreads + thread] = slots[kCopyThreads + thread];
}

inline bool copies_right() {
  std::vector<uint4> in(2 * kCopyThreads);
  for (unsigned i = 0; i < in.size(); ++i) in[i] = make_uint4(4 * i + 1, 4 * i + 2, 4 * i + 3, 4 * i + 4);
  const Buffer<uint4> source(in), target(in.size());
  LAUNCH(copy_groups, 1, kCopyThreads, static_cast<int>(in.size() * sizeof(uint4)), queue(), target.data(),
         source.data());
  const auto out = target.host("cp.async");
  bool right = true;
  for (size_t i = 0; i < in.size(); ++i) {
    const uint4 expected = is_copied(static_cast<int>(i % kCopyThreads)) ? in[i] : make_uint4(0, 0, 0, 0);
    right &= std::memcmp(&out[i], &expected, sizeof expected) == 0;
  }
  return right;
}

__global__ void exponentials(float* y, const float* x, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) y[i] = exp2_approx(x[i]);
}

// The largest error of ex2.approx in units in the last place, over [-126, 126] and, densely, [-1, 0).
inline void exponential_error() {
  const int n = micro() ? 1 << 14 : 1 << 22;
  std::vector<float> x(static_cast<size_t>(n));
  Random random(1);
  for (int i = 0; i < n; ++i) {
    const float unit = static_cast<float>(random.bits() >> 8) * 0x1p-24f;
    x[static_cast<size_t>(i)] = i % 2 ? unit - 1.0f : 252.0f * unit - 126.0f;
  }
  const Buffer<float> in(x), out(x.size());
  LAUNCH(exponentials, static_cast<unsigned>(n / 256), 256, 0, queue(), out.data(), in.data(), n);
  const auto y = out.host("ex2.approx");
  double most = 0, at = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double exact = std::exp2(static_cast<double>(x[i]));
    const double error = std::fabs(y[i] - exact) / std::ldexp(1.0, std::ilogb(exact) - 23);
    if (!(error <= most)) most = error, at = x[i];  // NaN counts
  }
  say("ex2.approx", "\"values\":%d,\"max_ulp\":%.3f,\"at\":%.9g", n, most, at);
}

// Bytes read and written a second by copies within device memory.
inline void copy_bandwidth(size_t memory) {
  const size_t bytes = micro() ? 1 << 20 : std::min<size_t>(size_t{2} << 30, memory / 8);
  const int copies = micro() ? 2 : 20;
  const Buffer<char> from(bytes), to(bytes);
  cudaEvent_t start, end;
  check(cudaEventCreate(&start), "copy");
  check(cudaEventCreate(&end), "copy");
  float best = 1e30f;
  for (int round = 0; round < 3; ++round) {
    check(cudaEventRecord(start, queue()), "copy");
    for (int i = 0; i < copies; ++i)
      check(cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToDevice, queue()), "copy");
    check(cudaEventRecord(end, queue()), "copy");
    finish("copy");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start, end), "copy");
    best = std::min(best, milliseconds);
  }
  say("copy", "\"bytes\":%zu,\"rate\":%.6g,\"unit\":\"B/s\"", bytes, 2e3 * bytes * copies / best);
}

}  // namespace probe
