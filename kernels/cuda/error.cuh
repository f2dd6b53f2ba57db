// error.cuh: errors of CUDA as exceptions. A kernel that cannot be launched is named at once; one that fails
// while it runs shows at some later call, unless THINKER_CUDA_SYNC waits after every launch. Included by
// gpu.cuh, whose LAUNCH calls `launched`.
#pragma once
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "abi.h"

namespace tk {

// Whether an error has ended the GPU's context. All contexts of the process count as one.
inline std::atomic<bool> context_lost{false};

// Whether every kernel is waited for: THINKER_CUDA_SYNC=1.
inline const bool sync_launches = [] {
  const char* value = std::getenv("THINKER_CUDA_SYNC");
  return value && *value && std::strcmp(value, "0");
}();

// Errors after which every call of the process fails.
inline bool ends_context(cudaError_t status) {
  switch (status) {
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorContextIsDestroyed:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure: return true;
    default: return false;
  }
}

// After the context is lost nothing is worth a call.
inline void require_context() {
  if (context_lost) throw std::runtime_error("not run, because the GPU failed before: see the first error");
}

// `kernel` is the one to blame, empty where that is not known.
[[noreturn]] inline void fail(cudaError_t status, const std::string& kernel = "") {
  cudaGetLastError();  // otherwise the next call would report this error again
  const std::string message = kernel + "CUDA: " + cudaGetErrorString(status);
  if (!ends_context(status)) throw std::runtime_error(message);
  if (context_lost.exchange(true)) require_context();
  throw DeviceLost(message + "; the GPU context is lost");
}

inline void check(cudaError_t status) {
  if (status != cudaSuccess) fail(status);
}

// "kernel adamw<<<(64, 1, 1), (256, 1, 1), 0>>>: ". `text` is what LAUNCH was given, maybe in parentheses and
// with template arguments, which say nothing where they are parameters of the caller.
inline std::string describe_launch(const char* text, dim3 grid, dim3 block, size_t shared_bytes) {
  text += std::strspn(text, "(");
  const auto triple = [](dim3 d) {
    return "(" + std::to_string(d.x) + ", " + std::to_string(d.y) + ", " + std::to_string(d.z) + ")";
  };
  return "kernel " + std::string(text, std::strcspn(text, "<)")) + "<<<" + triple(grid) + ", " + triple(block) + ", " +
         std::to_string(shared_bytes) + ">>>: ";
}

// After every launch.
inline void launched(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t queue) {
  cudaError_t status = cudaGetLastError();
  if (status == cudaSuccess && !sync_launches) return;
  if (status == cudaSuccess) {
    cudaStreamCaptureStatus capture;
    check(cudaStreamIsCapturing(queue, &capture));
    if (capture == cudaStreamCaptureStatusNone) status = cudaStreamSynchronize(queue);
  }
  if (status == cudaSuccess) return;
  // An earlier kernel may have ended the context.
  const bool known = sync_launches || !ends_context(status);
  fail(status, known ? describe_launch(kernel, grid, block, shared_bytes) : "");
}

}  // namespace tk
