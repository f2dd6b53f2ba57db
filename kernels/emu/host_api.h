// host_api.h: the part of CUDA's runtime API that the backend uses.
#pragma once
#include "launch.h"

using cudaStream_t = emu::Stream*;
using cudaEvent_t = emu::Event*;
using cudaGraph_t = emu::Graph*;
using cudaGraphExec_t = emu::Graph*;

// ---- device ---------------------------------------------------------------------------------------

inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int device) {
  EMU_API;
  return device ? emu::fail(cudaErrorInvalidDevice) : cudaSuccess;
}
inline cudaError_t cudaDriverGetVersion(int* version) {
  *version = 0;
  return cudaSuccess;
}
// An Ampere chip: the kernels of the sm_80 family.
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
  *p = {};
  std::strcpy(p->name, "CUDA emulator");
  p->major = 8;
  p->multiProcessorCount = 4;
  p->maxThreadsPerMultiProcessor = 2048;
  p->totalGlobalMem = emu::physical_bytes();
  p->sharedMemPerBlockOptin = emu::kMaxShared;
  p->l2CacheSize = 40 << 20;
  return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount: *value = 4; break;
    case cudaDevAttrComputeCapabilityMajor: *value = 8; break;
    case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = emu::kMaxShared; break;
  }
  return cudaSuccess;
}
inline cudaError_t cudaGetLastError() {
  EMU_API;
  const cudaError_t error = emu::last_error;
  emu::last_error = cudaSuccess;
  return error;
}
inline const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorInvalidResourceHandle: return "invalid resource handle";
    case cudaErrorNotReady: return "device not ready";
    case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    default: return "unknown error";
  }
}
template <class... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute, int value) {
  EMU_API;
  if (value > emu::kMaxShared) return emu::fail(cudaErrorInvalidValue);
  emu::shared_limits[reinterpret_cast<const void*>(kernel)] = static_cast<size_t>(value);
  return cudaSuccess;
}

// ---- memory ---------------------------------------------------------------------------------------

inline cudaError_t cudaMalloc(void** out, size_t bytes) {
  EMU_API;
  if (emu::capturing()) return emu::fail(cudaErrorStreamCaptureUnsupported);
  const emu::MemoryAccess access;
  *out = bytes ? emu::memory.allocate(bytes) : nullptr;
  return *out || !bytes ? cudaSuccess : emu::fail(cudaErrorMemoryAllocation);
}
inline cudaError_t cudaFree(void* p) {
  EMU_API;
  if (!p) return cudaSuccess;
  if (emu::capturing()) return emu::fail(cudaErrorStreamCaptureUnsupported);
  emu::drain_all();
  if (!emu::memory.release(static_cast<char*>(p))) return emu::fail(cudaErrorInvalidValue);
  return emu::waited();
}
inline cudaError_t cudaMallocHost(void** out, size_t bytes) {
  EMU_API;
  *out = std::malloc(bytes);
  return *out ? cudaSuccess : emu::fail(cudaErrorMemoryAllocation);
}
inline cudaError_t cudaFreeHost(void* p) {
  EMU_API;
  std::free(p);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* dst, const void* src, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  EMU_API;
  if (bytes == 0) return cudaSuccess;
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind != cudaMemcpyDefault && (emu::memory.owns(dst) != to_device || emu::memory.owns(src) != from_device))
    return emu::fail(cudaErrorInvalidValue);
  emu::submit(stream, [=] {
    const emu::MemoryAccess access;
    std::memmove(dst, src, bytes);
  });
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* dst, int value, size_t bytes, cudaStream_t stream) {
  EMU_API;
  if (bytes == 0) return cudaSuccess;
  if (!emu::memory.owns(dst)) return emu::fail(cudaErrorInvalidValue);
  emu::submit(stream, [=] {
    const emu::MemoryAccess access;
    std::memset(dst, value, bytes);
  });
  return cudaSuccess;
}

// ---- streams and events ---------------------------------------------------------------------------

inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned flags) {
  EMU_API;
  *out = new emu::Stream;
  (*out)->nonblocking = flags == cudaStreamNonBlocking;
  emu::streams.all.push_back(*out);
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  EMU_API;
  if (emu::resolve(stream)->capture) return emu::fail(cudaErrorStreamCaptureUnsupported);
  emu::drain(emu::resolve(stream));
  return emu::waited();
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  EMU_API;
  emu::drain(stream);
  auto& all = emu::streams.all;
  all.erase(std::find(all.begin(), all.end(), stream));
  delete stream;
  return cudaSuccess;
}
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned) {
  EMU_API;
  *out = new emu::Event;
  return cudaSuccess;
}
inline cudaError_t cudaEventCreate(cudaEvent_t* out) { return cudaEventCreateWithFlags(out, cudaEventDefault); }
inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
  EMU_API;
  delete event;
  return cudaSuccess;
}
// Branches of a graph (an event recorded during a capture, waited for on another stream) are not emulated.
inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  EMU_API;
  emu::Stream* s = emu::resolve(stream);
  if (s->capture) return emu::fail(cudaErrorStreamCaptureUnsupported);
  emu::submit(s, [=] { event->time = std::chrono::steady_clock::now(); });
  event->stream = s;
  event->position = s->issued;
  return cudaSuccess;
}
inline cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  EMU_API;
  if (event->stream) emu::run_until(event->stream, event->position);
  return emu::waited();
}
inline cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  EMU_API;
  if (emu::resolve(stream)->capture) return emu::fail(cudaErrorStreamCaptureUnsupported);
  emu::Stream* other = event->stream;
  const uint64_t position = event->position;
  if (other) emu::submit(stream, [=] { emu::run_until(other, position); });
  return cudaSuccess;
}
inline cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  EMU_API;
  if (!start->stream || !end->stream) return emu::fail(cudaErrorInvalidResourceHandle);
  if (start->stream->done < start->position || end->stream->done < end->position) return emu::fail(cudaErrorNotReady);
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return cudaSuccess;
}

// ---- graphs ---------------------------------------------------------------------------------------

inline cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  EMU_API;
  *status = emu::resolve(stream)->capture ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
inline cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  EMU_API;
  std::swap(*mode, emu::capture_mode);
  return cudaSuccess;
}
inline cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  EMU_API;
  if (!stream || stream->capture) return emu::fail(cudaErrorStreamCaptureUnsupported);
  stream->capture = std::make_unique<emu::WorkList>();
  return cudaSuccess;
}
inline cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* out) {
  EMU_API;
  if (!stream || !stream->capture) return emu::fail(cudaErrorInvalidValue);
  *out = new emu::Graph{std::move(*stream->capture)};
  stream->capture.reset();
  return cudaSuccess;
}
inline cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* out, cudaGraph_t graph, unsigned long long) {
  EMU_API;
  *out = new emu::Graph(*graph);
  return cudaSuccess;
}
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  EMU_API;
  for (const emu::Work& work : graph->work) emu::submit(stream, work);
  return cudaSuccess;
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  EMU_API;
  delete graph;
  return cudaSuccess;
}
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  EMU_API;
  delete graph;
  return cudaSuccess;
}
