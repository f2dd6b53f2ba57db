// runtime.cuh: devices and streams of the CUDA backend, and the glue every op uses.
#pragma once
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "abi.h"
#include "fault.cuh"
#include "gpu.cuh"

namespace tk {

// KV-cache block sizes are multiples of it.
constexpr int kKvTile = 64;

// Reductions over a whole buffer use this many blocks on every GPU: the number of partial sums, and so
// the bits of the result, do not depend on the chip.
constexpr int kReduceBlocks = 1024;

struct Device {
  int index;
};

// The device that a handle names, made current on the calling thread: any thread may call the ABI.
inline Device& device_of(uint64_t handle) {
  require(handle != 0, "device handle is 0");
  require_context();
  Device& device = *pointer<Device>(handle);
  check(cudaSetDevice(device.index));
  return device;
}

// Pinned memory that uploads pass through, so that the caller's buffer is free at once while the copy
// waits for its turn in the stream. One half fills up while the other drains.
class Staging {
 public:
  Staging();
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  void upload(cudaStream_t stream, void* dst, const void* src, size_t bytes);

 private:
  static constexpr size_t kHalf = size_t{4} << 20;
  char* memory_ = nullptr;
  cudaEvent_t drained_[2] = {};
  int half_ = 0;
  size_t used_ = 0;
};

// The first thing that a kernel of the stream found wrong, and how the host learns of it.
class Faults {
 public:
  Faults();
  ~Faults();
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;
  // For kernels, which call report_fault.
  Fault* record() const { return record_; }
  // Enqueues the copy that `raise` looks at once the stream has been waited for.
  void fetch(cudaStream_t stream);
  void raise(cudaStream_t stream) { raise(stream, *fetched_); }
  void raise(cudaStream_t stream, const Fault& fault);

 private:
  Fault* record_ = nullptr;   // device
  Fault* fetched_ = nullptr;  // pinned
};

// Copies to the host that the caller does not wait for at once: pinned memory, with the fault record of that moment
// in front. Ended ones are used again. Any thread may begin or end one.
class Readbacks {
 public:
  struct Copy {
    char* memory = nullptr;
    size_t capacity = 0, bytes = 0;
    cudaEvent_t copied = nullptr;
  };
  Readbacks() = default;
  ~Readbacks();
  Readbacks(const Readbacks&) = delete;
  Readbacks& operator=(const Readbacks&) = delete;
  Copy* begin(cudaStream_t stream, const Fault* record, const void* src, size_t bytes);
  // Waits for the copy and hands it over; returns what kernels had found wrong by then.
  Fault end(Copy* copy, void* dst);

 private:
  std::mutex mutex_;
  std::vector<Copy*> all_, idle_;
};

// Device memory that an op needs only while it runs. Ops of a stream run one after the other, so they share
// it; it grows on demand. Outgrown blocks live as long as the stream: recorded graphs and queued kernels
// hold their addresses.
class Scratch {
 public:
  Scratch() = default;
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  // At least `count` elements, uninitialised, for the kernels of one op.
  template <class T>
  T* get(size_t count) {
    if (count * sizeof(T) > size_) grow(count * sizeof(T));
    return static_cast<T*>(blocks_.back());
  }

 private:
  void grow(size_t bytes);
  std::vector<void*> blocks_;
  size_t size_ = 0;
};

struct Stream {
  int device;
  cudaStream_t queue;
  double* partials;  // kReduceBlocks sums of the reduction in flight
  Staging staging;
  Faults faults;
  Readbacks readbacks;
  Scratch scratch;
};

// The stream that a handle names, its device made current on the calling thread.
inline Stream& stream_of(uint64_t handle) {
  require(handle != 0, "stream handle is 0");
  require_context();
  Stream& stream = *pointer<Stream>(handle);
  check(cudaSetDevice(stream.device));
  return stream;
}

// Runs body(stream), which launches kernels.
template <class F>
int32_t launch(uint64_t stream, F&& body) {
  return guarded([&] { body(stream_of(stream)); });
}

// A grid for a loop with a grid-wide stride over n elements: enough blocks to fill any chip, no more.
inline unsigned grid_for(uint64_t n, unsigned block) {
  constexpr uint64_t kMost = 4096;
  const uint64_t blocks = (n + block - 1) / block;
  return static_cast<unsigned>(blocks < 1 ? 1 : blocks < kMost ? blocks : kMost);
}

}  // namespace tk
