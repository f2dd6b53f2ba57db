// scratch.cuh: device memory that an op needs only while it runs. Ops of a stream run one after the other,
// so they share one block; it grows on demand.
#pragma once
#include <algorithm>
#include <cstddef>
#include <vector>

#include "gpu.cuh"

namespace tk {

void check(cudaError_t status);

class Scratch {
 public:
  Scratch() = default;
  ~Scratch() {
    for (void* block : blocks_) cudaFree(block);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // At least `count` elements, uninitialised, valid for the kernels that one op launches.
  template <class T>
  T* get(size_t count) {
    const size_t bytes = count * sizeof(T);
    if (bytes > size_) grow(bytes);
    return static_cast<T*>(blocks_.back());
  }

 private:
  // Outgrown blocks live on: recorded graphs and queued kernels hold their addresses. Allocating while a
  // graph is recorded is allowed in relaxed mode, since the memory itself is no part of the graph.
  void grow(size_t bytes) {
    const size_t size = std::max({bytes, 2 * size_, size_t{1} << 20});
    cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    check(cudaThreadExchangeStreamCaptureMode(&mode));
    void* block = nullptr;
    const cudaError_t status = cudaMalloc(&block, size);
    check(cudaThreadExchangeStreamCaptureMode(&mode));
    check(status);
    blocks_.push_back(block);
    size_ = size;
  }

  std::vector<void*> blocks_;
  size_t size_ = 0;
};

}  // namespace tk
