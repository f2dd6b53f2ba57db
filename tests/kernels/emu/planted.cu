// planted.cu: small kernels, each right or with one planted bug, which the emulator must not let pass.
// Usage: planted CASE right|bug. Exit code 0: the numbers are right, 1: they are wrong; a report of the
// emulator or of a sanitizer ends the process otherwise.
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "gpu.cuh"

namespace {

constexpr int kThreads = 128;

// out[0] = sum of in(kThreads): the second half of the block adds up what the first wrote.
template <bool kBug>
__global__ void sum_in_shared(float* out, const float* in) {
  GPU_SHARED(float, parts, [kThreads]);
  parts[threadIdx.x] = in[threadIdx.x];
  if (!kBug) __syncthreads();
  if (threadIdx.x != kThreads / 2) return;
  float sum = 0.0f;
  for (int i = 0; i < kThreads; ++i) sum += parts[i];
  out[0] = sum;
}

// Lane 31 is missing from the mask.
template <bool kBug>
__global__ void sum_of_warp(float* out, const float* in) {
  float x = in[threadIdx.x];
  for (int bit = 16; bit > 0; bit /= 2) x += __shfl_xor_sync(kBug ? 0x7fffffffu : 0xffffffffu, x, bit);
  if (threadIdx.x == 0) out[0] = x;
}

// Lane 31 does not take part, though the mask names it.
template <bool kBug>
__global__ void sum_without_a_lane(float* out, const float* in) {
  float x = in[threadIdx.x];
  if (kBug && threadIdx.x == 31) return;
  x = warp_sum(x);
  if (threadIdx.x == 0) out[0] = x;
}

// Copies through shared memory; the bug reads one group of copies too early.
template <bool kBug>
__global__ void copy_asynchronously(float* out, const float* in) {
  GPU_DYN_SMEM(bytes);
  auto* tile = reinterpret_cast<float*>(bytes);
  const int at = static_cast<int>(threadIdx.x) * 4;
  cp_async16(tile + at, in + at);
  cp_async_commit();
  cp_async16(tile + 4 * kThreads + at, in + at);
  cp_async_commit();
  cp_async_wait_group<kBug ? 2 : 1>();
  for (int i = 0; i < 4; ++i) out[at + i] = tile[at + i];
  cp_async_wait_group<0>();
}

// The bug never waits at all and does not even look at the copies.
template <bool kBug>
__global__ void leave_copies(float* out, const float* in) {
  GPU_DYN_SMEM(bytes);
  cp_async16(bytes + 16 * threadIdx.x, in + 4 * threadIdx.x);
  cp_async_commit();
  if (!kBug) cp_async_wait_group<0>();
  if (threadIdx.x < 1) out[0] = in[0];
}

// One element behind a static array, or behind the dynamic one.
template <bool kBug>
__global__ void overrun_static(float* out, const float* in) {
  GPU_SHARED(float, tile, [kThreads]);
  tile[threadIdx.x + (kBug && threadIdx.x == kThreads - 1)] = in[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x];
}
template <bool kBug>
__global__ void overrun_dynamic(float* out, const float* in) {
  GPU_DYN_SMEM(bytes);
  auto* tile = reinterpret_cast<float*>(bytes);
  for (int i = static_cast<int>(threadIdx.x); i < 4 * kThreads + kBug; i += kThreads) tile[i] = in[i % kThreads];
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x];
}

// One element behind an allocation.
template <bool kBug>
__global__ void overrun_global(float* out, const float* in) {
  out[threadIdx.x] = in[threadIdx.x + 3 * kThreads + kBug];
}

// Shared memory that nobody wrote.
template <bool kBug>
__global__ void read_unwritten(float* out, const float* in) {
  GPU_SHARED(float, tile, [kThreads]);
  if (!kBug || threadIdx.x % 2 == 0) tile[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x];
}

// A barrier that half of a warp does not reach.
template <bool kBug>
__global__ void diverge(float* out, const float* in) {
  if (!kBug || threadIdx.x % 32 < 16) __syncthreads();
  __syncwarp();
  out[threadIdx.x] = in[threadIdx.x];
}

// Lanes exchange values through shared memory without __syncwarp.
template <bool kBug>
__global__ void exchange_in_warp(float* out, const float* in) {
  GPU_SHARED(float, tile, [kThreads]);
  tile[threadIdx.x] = in[threadIdx.x];
  if (!kBug) __syncwarp();
  out[threadIdx.x] = tile[threadIdx.x ^ 1];
}

// Blocks count together.
template <bool kBug>
__global__ void count_over_blocks(int* count) {
  if (threadIdx.x > 0) return;
  if (kBug)
    *count += 1;
  else
    atomicAdd(count, 1);
}

// A tensor-core instruction by a part of a warp.
template <bool kBug>
__global__ void multiply(float* out) {
  float d[4] = {1.0f, 1.0f, 1.0f, 1.0f};
  const uint32_t a[4] = {};
  if (!kBug || threadIdx.x < 31) mma_m16n8k16(d, a, 0, 0);
  out[threadIdx.x] = d[0];
}

void expect(cudaError_t status) {
  if (status == cudaSuccess) return;
  std::fprintf(stderr, "CUDA: %s\n", cudaGetErrorString(status));
  std::exit(3);
}

struct Data {
  cudaStream_t stream;
  float *out, *in;
  std::vector<float> host = std::vector<float>(4 * kThreads), received = std::vector<float>(4 * kThreads, -1.0f);

  Data() {
    expect(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    expect(cudaMalloc(reinterpret_cast<void**>(&out), bytes()));
    expect(cudaMalloc(reinterpret_cast<void**>(&in), bytes()));
    for (size_t i = 0; i < host.size(); ++i) host[i] = static_cast<float>(i % 7 + 1);
    expect(cudaMemcpyAsync(in, host.data(), bytes(), cudaMemcpyHostToDevice, stream));
    expect(cudaMemsetAsync(out, 0, bytes(), stream));
  }
  size_t bytes() const { return host.size() * sizeof(float); }

  const std::vector<float>& result(bool wait = true) {
    expect(cudaGetLastError());
    expect(cudaMemcpyAsync(received.data(), out, bytes(), cudaMemcpyDeviceToHost, stream));
    if (wait) expect(cudaStreamSynchronize(stream));
    return received;
  }
  float sum(int n) const {
    float sum = 0.0f;
    for (int i = 0; i < n; ++i) sum += host[static_cast<size_t>(i)];
    return sum;
  }
  // out(i) == in(i + shift) for i < n.
  bool copied(int n, int shift = 0) {
    const std::vector<float>& got = result();
    for (int i = 0; i < n; ++i)
      if (got[static_cast<size_t>(i)] != host[static_cast<size_t>(i + shift)]) return false;
    return true;
  }
};

#define RUN(kernel, grid, shared, ...)                                                       \
  if (bug)                                                                                   \
    LAUNCH(kernel<true>, grid, kThreads, shared, d.stream, __VA_ARGS__);                     \
  else                                                                                       \
    LAUNCH(kernel<false>, grid, kThreads, shared, d.stream, __VA_ARGS__)

using Case = std::function<bool(Data&, bool)>;

const std::map<std::string, Case> cases = {
    {"missing-barrier",
     [](Data& d, bool bug) {
       RUN(sum_in_shared, 1, 0, d.out, d.in);
       return d.result()[0] == d.sum(kThreads);
     }},
    {"mask-without-lane",
     [](Data& d, bool bug) {
       RUN(sum_of_warp, 1, 0, d.out, d.in);
       return d.result()[0] == d.sum(32);
     }},
    {"lane-missing",
     [](Data& d, bool bug) {
       RUN(sum_without_a_lane, 1, 0, d.out, d.in);
       return d.result()[0] == d.sum(32);
     }},
    {"wait-too-weak",
     [](Data& d, bool bug) {
       RUN(copy_asynchronously, 1, 32 * kThreads, d.out, d.in);
       return d.copied(4 * kThreads);
     }},
    {"never-waited",
     [](Data& d, bool bug) {
       RUN(leave_copies, 1, 16 * kThreads, d.out, d.in);
       return d.result()[0] == d.host[0];
     }},
    {"overrun-static",
     [](Data& d, bool bug) {
       RUN(overrun_static, 1, 0, d.out, d.in);
       return d.copied(kThreads);
     }},
    {"overrun-dynamic",
     [](Data& d, bool bug) {
       RUN(overrun_dynamic, 1, 16 * kThreads, d.out, d.in);
       return d.copied(kThreads);
     }},
    {"overrun-global",
     [](Data& d, bool bug) {
       RUN(overrun_global, 1, 0, d.out, d.in);
       return d.copied(kThreads - 1, 3 * kThreads + bug);
     }},
    {"use-after-free",
     [](Data& d, bool bug) {
       if (bug) expect(cudaFree(d.in));
       LAUNCH(overrun_global<false>, 1, kThreads, 0, d.stream, d.out, d.in);
       return d.copied(kThreads, 3 * kThreads);
     }},
    {"uninitialised",
     [](Data& d, bool bug) {
       RUN(read_unwritten, 1, 0, d.out, d.in);
       return d.copied(kThreads);
     }},
    {"diverged-barrier",
     [](Data& d, bool bug) {
       RUN(diverge, 1, 0, d.out, d.in);
       return d.copied(kThreads);
     }},
    {"missing-syncwarp",
     [](Data& d, bool bug) {
       RUN(exchange_in_warp, 1, 0, d.out, d.in);
       return d.result()[0] == d.host[1];
     }},
    {"race-between-blocks",
     [](Data& d, bool bug) {
       RUN(count_over_blocks, 3, 0, reinterpret_cast<int*>(d.out));
       int count;
       std::memcpy(&count, d.result().data(), sizeof count);
       return count == 3;
     }},
    {"partial-mma",
     [](Data& d, bool bug) {
       if (bug)
         LAUNCH(multiply<true>, 1, 32, 0, d.stream, d.out);
       else
         LAUNCH(multiply<false>, 1, 32, 0, d.stream, d.out);
       return d.result()[5] == 1.0f;
     }},
    {"host-pointer",
     [](Data& d, bool bug) {
       LAUNCH(overrun_global<false>, 1, kThreads, 0, d.stream, d.out, bug ? d.host.data() : d.in);
       return d.copied(kThreads, 3 * kThreads);
     }},
    {"too-much-shared",
     [](Data& d, bool bug) {
       RUN(leave_copies, 1, bug ? 64 << 10 : 48 << 10, d.out, d.in);
       return d.result()[0] == d.host[0];
     }},
    {"unsynchronised-host",
     [](Data& d, bool bug) {
       LAUNCH(overrun_global<false>, 1, kThreads, 0, d.stream, d.out, d.in);
       const bool right = d.result(!bug)[0] == d.host[3 * kThreads];
       expect(cudaStreamSynchronize(d.stream));
       return right;
     }},
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 || !cases.count(argv[1])) {
    std::fprintf(stderr, "usage: planted CASE right|bug\n");
    return 2;
  }
  try {
    Data data;
    const bool right = cases.at(argv[1])(data, std::string(argv[2]) == "bug");
    std::fputs(right ? "right\n" : "wrong numbers\n", stderr);
    return right ? 0 : 1;
  } catch (const std::exception& error) {  // a launch that is refused
    std::fprintf(stderr, "%s\n", error.what());
    return 3;
  }
}
