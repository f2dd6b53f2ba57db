// runtime.cu: library, device, memory, stream, event and graph functions of the ABI.
#include "runtime.cuh"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

namespace tk {

namespace {

// A handle that the CUDA runtime itself gave out.
template <class H>
H native(uint64_t handle) {
  return reinterpret_cast<H>(static_cast<uintptr_t>(handle));
}

[[noreturn]] void no_device(const std::string& reason) { throw std::runtime_error("no CUDA device: " + reason); }

std::string device_name(int index) { return std::string(kBackendName) + ":" + std::to_string(index); }

// Without a driver the runtime library speaks of a driver that is too old: say what is the case.
std::string reason_of(cudaError_t status) {
  int driver = 0;
  cudaGetLastError();
  if (cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0) return "no NVIDIA driver is installed";
  return cudaGetErrorString(status);
}

// Runs the body of an ABI function that frees something, which is gone when the context is.
template <class F>
int32_t released(F&& body) {
  return context_lost ? static_cast<int32_t>(TK_OK) : guarded(std::forward<F>(body));
}

bool recording(const Stream& stream) {
  cudaStreamCaptureStatus status;
  check(cudaStreamIsCapturing(stream.queue, &status));
  return status != cudaStreamCaptureStatusNone;
}

__global__ void fill_kernel(uint32_t* dst, uint32_t pattern, uint64_t count) {
  const uint64_t stride = static_cast<uint64_t>(gridDim.x) * blockDim.x;
  for (uint64_t i = static_cast<uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) dst[i] = pattern;
}

}  // namespace

Staging::Staging() {
  check(cudaMallocHost(reinterpret_cast<void**>(&memory_), 2 * kHalf));
  for (cudaEvent_t& event : drained_) check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
}

Staging::~Staging() {
  for (cudaEvent_t event : drained_) cudaEventDestroy(event);
  cudaFreeHost(memory_);
}

void Staging::upload(cudaStream_t stream, void* dst, const void* src, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    if (used_ == kHalf) {
      check(cudaEventRecord(drained_[half_], stream));
      half_ ^= 1;
      used_ = 0;
      check(cudaEventSynchronize(drained_[half_]));
    }
    const size_t n = std::min(bytes - done, kHalf - used_);
    char* staged = memory_ + half_ * kHalf + used_;
    std::memcpy(staged, static_cast<const char*>(src) + done, n);
    check(cudaMemcpyAsync(static_cast<char*>(dst) + done, staged, n, cudaMemcpyHostToDevice, stream));
    used_ += n;
    done += n;
  }
}

Faults::Faults() {
  check(cudaMalloc(reinterpret_cast<void**>(&record_), sizeof(Fault)));
  check(cudaMallocHost(reinterpret_cast<void**>(&fetched_), sizeof(Fault)));
  *fetched_ = {};
  check(cudaMemcpyAsync(record_, fetched_, sizeof(Fault), cudaMemcpyHostToDevice, nullptr));
  check(cudaStreamSynchronize(nullptr));
}

Faults::~Faults() {
  cudaFree(record_);
  cudaFreeHost(fetched_);
}

void Faults::fetch(cudaStream_t stream) {
  check(cudaMemcpyAsync(fetched_, record_, sizeof(Fault), cudaMemcpyDeviceToHost, stream));
}

void Faults::raise(cudaStream_t stream, const Fault& fault) {
  if (fault.kind == kNoFault) return;
  const std::string message = fault_message(fault);
  check(cudaMemsetAsync(record_, 0, sizeof(Fault), stream));
  throw std::out_of_range(message);
}

Readbacks::~Readbacks() {
  for (Copy* copy : all_) {
    cudaFreeHost(copy->memory);
    if (copy->copied) cudaEventDestroy(copy->copied);
    delete copy;
  }
}

Readbacks::Copy* Readbacks::begin(cudaStream_t stream, const Fault* record, const void* src, size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (idle_.empty()) {
    all_.push_back(new Copy);
    check(cudaEventCreateWithFlags(&all_.back()->copied, cudaEventDisableTiming));
    idle_.push_back(all_.back());
  }
  Copy* copy = idle_.back();
  if (copy->capacity < bytes) {
    check(cudaFreeHost(copy->memory));
    copy->memory = nullptr;
    copy->capacity = 0;
    check(cudaMallocHost(reinterpret_cast<void**>(&copy->memory), sizeof(Fault) + bytes));
    copy->capacity = bytes;
  }
  copy->bytes = bytes;
  check(cudaMemcpyAsync(copy->memory, record, sizeof(Fault), cudaMemcpyDeviceToHost, stream));
  check(cudaMemcpyAsync(copy->memory + sizeof(Fault), src, bytes, cudaMemcpyDeviceToHost, stream));
  check(cudaEventRecord(copy->copied, stream));
  idle_.pop_back();
  return copy;
}

Fault Readbacks::end(Copy* copy, void* dst) {
  check(cudaEventSynchronize(copy->copied));
  Fault fault;
  std::memcpy(&fault, copy->memory, sizeof fault);
  std::memcpy(dst, copy->memory + sizeof fault, copy->bytes);
  const std::lock_guard<std::mutex> lock(mutex_);
  idle_.push_back(copy);
  return fault;
}

Scratch::~Scratch() {
  for (void* block : blocks_) cudaFree(block);
}

// Allocating while a graph is recorded needs the relaxed mode: the memory is no part of the graph.
void Scratch::grow(size_t bytes) {
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

}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_abi_version(void) { return TK_ABI_VERSION; }

int32_t tk_last_error(void* buffer, int32_t capacity) { return copy_last_error(buffer, capacity); }

int32_t tk_device_open(int32_t index, int32_t, void* device_out) {
  return guarded([&] {
    require_context();
    // Drivers before 12.3 cannot load a kernel while a graph is recorded, which is when many are first met.
    setenv("CUDA_MODULE_LOADING", "EAGER", 0);
    int count = 0;
    cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess) no_device(reason_of(status));
    if (index < 0 || index >= count)
      no_device("there is no " + device_name(index) + " (devices: " + std::to_string(count) + ", the first is " +
                device_name(0) + ")");
    status = cudaSetDevice(index);
    if (status == cudaSuccess) status = cudaFree(nullptr);  // creates the context, or says why it cannot
    if (status != cudaSuccess) no_device(reason_of(status));
    int major = 0, minor = 0;
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index));
    check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index));
    if (major < 8)
      no_device("compute capability " + std::to_string(major) + "." + std::to_string(minor) +
                " of device " + std::to_string(index) + " is below 8.0");
    write_u64(device_out, handle(new Device{index}));
  });
}

int32_t tk_device_close(uint64_t device) {
  return guarded([&] { delete pointer<Device>(device); });
}

int32_t tk_device_info(uint64_t device, void* buffer, int32_t capacity) {
  return guarded([&] {
    require(buffer && capacity > 0, "the info buffer is empty");
    cudaDeviceProp p;
    check(cudaGetDeviceProperties(&p, device_of(device).index));
    const int n = std::snprintf(static_cast<char*>(buffer), static_cast<size_t>(capacity),
                                "{\"backend\":\"%s\",\"name\":\"%s\",\"isa\":\"sm_%d%d\",\"threads\":%d,"
                                "\"memoryBytes\":%zu,\"kvTile\":%d,\"sync\":%s}",
                                kBackendName, p.name, p.major, p.minor, p.multiProcessorCount * p.maxThreadsPerMultiProcessor,
                                p.totalGlobalMem, kKvTile, sync_launches ? "true" : "false");
    require(n < capacity, "the info buffer is too small");
  });
}

int32_t tk_memory_alloc(uint64_t device, uint64_t bytes, void* address_out) {
  return guarded([&] {
    device_of(device);
    void* p = nullptr;
    const cudaError_t status = cudaMalloc(&p, bytes ? bytes : 1);  // address 0 would mean "absent"
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      throw std::runtime_error("out of memory: could not allocate " + std::to_string(bytes) + " bytes");
    }
    check(status);
    write_u64(address_out, handle(p));
  });
}

int32_t tk_memory_free(uint64_t device, uint64_t address) {
  return released([&] {
    device_of(device);
    check(cudaFree(pointer<void>(address)));
  });
}

int32_t tk_stream_create(uint64_t device, void* stream_out) {
  return guarded([&] {
    const int index = device_of(device).index;  // current before anything is allocated
    auto stream = std::make_unique<Stream>();
    stream->device = index;
    check(cudaStreamCreateWithFlags(&stream->queue, cudaStreamNonBlocking));
    check(cudaMalloc(reinterpret_cast<void**>(&stream->partials), kReduceBlocks * sizeof(double)));
    write_u64(stream_out, handle(stream.release()));
  });
}
int32_t tk_stream_destroy(uint64_t stream) {
  return released([&] {
    const std::unique_ptr<Stream> s(&stream_of(stream));
    check(cudaStreamSynchronize(s->queue));
    check(cudaFree(s->partials));
    check(cudaStreamDestroy(s->queue));
  });
}
int32_t tk_stream_sync(uint64_t stream) {
  return guarded([&] {
    Stream& s = stream_of(stream);
    s.faults.fetch(s.queue);
    check(cudaStreamSynchronize(s.queue));
    s.faults.raise(s.queue);
  });
}

int32_t tk_upload(uint64_t stream, uint64_t dst, const void* src, uint64_t bytes) {
  return guarded([&] {
    if (bytes == 0) return;
    require(src != nullptr, "the source buffer is null");
    Stream& s = stream_of(stream);
    require(!recording(s), "an upload cannot be part of a graph: the host buffer is gone when it runs");
    s.staging.upload(s.queue, pointer<void>(dst), src, bytes);
  });
}
int32_t tk_download(uint64_t stream, void* dst, uint64_t src, uint64_t bytes) {
  return guarded([&] {
    Stream& s = stream_of(stream);
    if (bytes > 0) check(cudaMemcpyAsync(dst, pointer<void>(src), bytes, cudaMemcpyDeviceToHost, s.queue));
    s.faults.fetch(s.queue);
    check(cudaStreamSynchronize(s.queue));
    s.faults.raise(s.queue);
  });
}
int32_t tk_readback_begin(uint64_t stream, uint64_t src, uint64_t bytes, void* readback_out) {
  return guarded([&] {
    require(bytes > 0, "there is nothing to read back");
    Stream& s = stream_of(stream);
    require(!recording(s), "a copy to the host cannot be part of a graph");
    write_u64(readback_out, handle(s.readbacks.begin(s.queue, s.faults.record(), pointer<void>(src), bytes)));
  });
}
int32_t tk_readback_end(uint64_t stream, uint64_t readback, void* dst) {
  return guarded([&] {
    Stream& s = stream_of(stream);
    s.faults.raise(s.queue, s.readbacks.end(pointer<Readbacks::Copy>(readback), dst));
  });
}
int32_t tk_copy(uint64_t stream, uint64_t dst, uint64_t src, uint64_t bytes) {
  return launch(stream, [&](Stream& s) {
    check(cudaMemcpyAsync(pointer<void>(dst), pointer<void>(src), bytes, cudaMemcpyDeviceToDevice, s.queue));
  });
}
int32_t tk_fill(uint64_t stream, uint64_t dst, uint32_t pattern, uint64_t count) {
  return launch(stream, [&](Stream& s) {
    LAUNCH(fill_kernel, grid_for(count, 256), 256, 0, s.queue, pointer<uint32_t>(dst), pattern, count);
  });
}

int32_t tk_event_create(uint64_t device, void* event_out) {
  return guarded([&] {
    device_of(device);
    cudaEvent_t event;
    check(cudaEventCreate(&event));
    write_u64(event_out, handle(event));
  });
}
int32_t tk_event_destroy(uint64_t event) {
  return released([&] { check(cudaEventDestroy(native<cudaEvent_t>(event))); });
}
int32_t tk_event_record(uint64_t stream, uint64_t event) {
  return guarded([&] { check(cudaEventRecord(native<cudaEvent_t>(event), stream_of(stream).queue)); });
}
int32_t tk_stream_wait_event(uint64_t stream, uint64_t event) {
  return guarded([&] { check(cudaStreamWaitEvent(stream_of(stream).queue, native<cudaEvent_t>(event), 0)); });
}
int32_t tk_event_elapsed(uint64_t start, uint64_t end, void* milliseconds_out) {
  return guarded([&] {
    float ms = 0.0f;
    const cudaError_t status = cudaEventElapsedTime(&ms, native<cudaEvent_t>(start), native<cudaEvent_t>(end));
    if (status == cudaErrorNotReady || status == cudaErrorInvalidResourceHandle) {
      cudaGetLastError();
      throw std::runtime_error("an event was not recorded, or its stream has not reached it");
    }
    check(status);
    const double milliseconds = ms;
    std::memcpy(milliseconds_out, &milliseconds, sizeof milliseconds);
  });
}

int32_t tk_graph_begin(uint64_t stream) {
  return guarded([&] {
    Stream& s = stream_of(stream);
    require(!recording(s), "a graph is already being recorded on this stream");
    check(cudaStreamBeginCapture(s.queue, cudaStreamCaptureModeThreadLocal));
  });
}
int32_t tk_graph_end(uint64_t stream, void* graph_out) {
  return guarded([&] {
    Stream& s = stream_of(stream);
    require(recording(s), "no graph is being recorded on this stream");
    cudaGraph_t graph;
    check(cudaStreamEndCapture(s.queue, &graph));
    cudaGraphExec_t executable;
    const cudaError_t status = cudaGraphInstantiateWithFlags(&executable, graph, 0);
    cudaGraphDestroy(graph);
    check(status);
    write_u64(graph_out, handle(executable));
  });
}
int32_t tk_graph_launch(uint64_t stream, uint64_t graph) {
  return guarded([&] { check(cudaGraphLaunch(native<cudaGraphExec_t>(graph), stream_of(stream).queue)); });
}
int32_t tk_graph_destroy(uint64_t graph) {
  return released([&] { check(cudaGraphExecDestroy(native<cudaGraphExec_t>(graph))); });
}

}  // extern "C"
