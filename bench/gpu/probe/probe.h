// probe.h: device memory, random numbers and lines of JSON for the parts of the probe.
#pragma once
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "gpu.cuh"

namespace probe {

// On the emulator sizes are of no interest, only that everything runs.
inline bool micro() { return std::strcmp(kBackendName, "emu") == 0; }

// One line of JSON, written at once; `format` has what follows the op.
inline void say(const char* op, const char* format, ...) {
  std::printf("{\"part\":\"probe\",\"op\":\"%s\",", op);
  va_list rest;
  va_start(rest, format);
  std::vprintf(format, rest);
  va_end(rest);
  std::printf("}\n");
  std::fflush(stdout);
}

// After a CUDA error nothing else can be measured by this process.
inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  say(what, "\"result\":\"error\",\"error\":\"%s\"", cudaGetErrorString(error));
  std::exit(1);
}

inline cudaStream_t queue() {
  static const cudaStream_t stream = [] {
    cudaStream_t s;
    check(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "stream");
    return s;
  }();
  return stream;
}

// Waits for the kernels of `what`.
inline void finish(const char* what) {
  check(cudaGetLastError(), what);
  check(cudaStreamSynchronize(queue()), what);
}

// Device memory.
template <class T>
class Buffer {
 public:
  explicit Buffer(size_t count) : count_(count) {
    check(cudaMalloc(reinterpret_cast<void**>(&data_), count * sizeof(T)), "allocation");
    // NaN, in every type: what no kernel wrote shows.
    check(cudaMemsetAsync(data_, 0xff, count * sizeof(T), queue()), "allocation");
  }
  explicit Buffer(const std::vector<T>& host) : Buffer(host.size()) {
    check(cudaMemcpyAsync(data_, host.data(), count_ * sizeof(T), cudaMemcpyHostToDevice, queue()), "upload");
    finish("upload");
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { cudaFree(data_); }

  T* data() const { return data_; }
  std::vector<T> host(const char* what) const {
    std::vector<T> out(count_);
    check(cudaMemcpyAsync(out.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost, queue()), what);
    finish(what);
    return out;
  }

 private:
  T* data_ = nullptr;
  size_t count_;
};

// The same numbers on every run.
class Random {
 public:
  explicit Random(uint32_t seed) : state_(seed * 2654435761u + 1u) {}
  uint32_t bits() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return state_;
  }
  // Whole numbers in [low, high].
  int between(int low, int high) { return low + static_cast<int>(bits() >> 8) % (high - low + 1); }

 private:
  uint32_t state_;
};

inline uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
// A float that bfloat16 can hold, as its bits.
inline uint16_t bf16_of(float x) { return static_cast<uint16_t>(bits_of(x) >> 16); }

inline size_t differences(const std::vector<float>& a, const std::vector<float>& b) {
  size_t count = 0;
  for (size_t i = 0; i < a.size(); ++i) count += bits_of(a[i]) != bits_of(b[i]);
  return count;
}

}  // namespace probe
