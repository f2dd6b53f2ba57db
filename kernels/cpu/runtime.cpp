// runtime.cpp: library, device, memory, stream, event and graph functions of the ABI.
#include "runtime.h"

#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "cgroup.h"
#include "simd.h"

namespace tk {

namespace {
constexpr size_t kAlignment = 64;

// Physical memory, or the part of it that this process's container may use.
double memory_bytes() {
  const double bytes = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
  return std::min(bytes, cgroup_memory_bytes(""));
}
}  // namespace

Stream::Stream(Device& device) : device_(device), worker_([this] { run(device_.threads); }) {
  device_.streams.push_back(this);
}

Stream::~Stream() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
  }
  work_.notify_one();
  worker_.join();
  auto& open = device_.streams;
  open.erase(std::find(open.begin(), open.end(), this));
}

void Stream::submit(Op op) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (recording_) {
      recording_->ops.push_back(std::move(op));
      return;
    }
    queue_.push_back(std::move(op));
  }
  work_.notify_one();
}

void Stream::wait() {
  std::unique_lock<std::mutex> lock(mutex_);
  require(!recording_, "cannot wait for a stream while a graph is being recorded");
  idle_.wait(lock, [this] { return queue_.empty() && !busy_; });
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void Stream::rethrow() {
  wait();
  const std::lock_guard<std::mutex> lock(mutex_);
  std::rethrow_exception(last_error_);
}

void Stream::drain() {
  std::unique_lock<std::mutex> lock(mutex_);
  idle_.wait(lock, [this] { return queue_.empty() && !busy_; });
}

bool Stream::idle() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return queue_.empty() && !busy_ && !recording_ && !error_;
}

void Stream::begin_graph() {
  const std::lock_guard<std::mutex> lock(mutex_);
  require(!recording_, "a graph is already being recorded on this stream");
  recording_ = std::make_shared<Graph>();
}

std::shared_ptr<Graph> Stream::end_graph() {
  const std::lock_guard<std::mutex> lock(mutex_);
  require(recording_ != nullptr, "no graph is being recorded on this stream");
  return std::exchange(recording_, nullptr);
}

void Stream::run(int threads) {
  omp_set_num_threads(threads);
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    work_.wait(lock, [this] { return closing_ || !queue_.empty(); });
    if (queue_.empty()) return;  // closing, and everything has run
    Op op = std::move(queue_.front());
    queue_.pop_front();
    const bool failed = error_ != nullptr;  // after an error nothing runs until somebody has seen it
    busy_ = true;
    lock.unlock();
    std::exception_ptr error;
    if (!failed) {
      try {
        op.run(0, op.rows);
      } catch (...) {
        error = std::current_exception();
      }
    }
    op = {};
    lock.lock();
    busy_ = false;
    if (error) error_ = last_error_ = error;
    if (queue_.empty()) idle_.notify_all();
  }
}

namespace {

// A thread with so many rows of its own is bound by arithmetic even where it reads all weights itself.
constexpr int64_t kOwnRows = 32;

// Each thread takes its part of the rows through all ops, without waiting for the others in between.
void run_apart(const Op* first, const Op* last) {
  std::exception_ptr failure;
#pragma omp parallel
  {
    const int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads();
    const int64_t begin = first->rows * thread / threads, end = first->rows * (thread + 1) / threads;
    try {
      for (const Op* op = first; op != last; ++op) op->run(begin, end);
    } catch (...) {
#pragma omp critical(tk_replay_failure)
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

void Graph::replay() const {
  const Op *op = ops.data(), *end = op + ops.size();
  while (op != end) {
    const Op* last = op + 1;
    while (last != end && op->rows > 0 && last->rows == op->rows) ++last;
    if (last - op > 1 && op->rows >= kOwnRows * omp_get_max_threads())
      run_apart(op, last);
    else
      std::for_each(op, last, [](const Op& each) { each.run(0, each.rows); });
    op = last;
  }
}

void* scratch(ScratchSlot slot, size_t bytes) {
  struct Buffer {
    void* data = nullptr;
    size_t size = 0;
    ~Buffer() { std::free(data); }
  };
  thread_local Buffer buffers[kScratchSlots];
  Buffer& b = buffers[slot];
  if (b.size < bytes) {
    std::free(b.data);
    b.size = static_cast<size_t>(ceil_div(static_cast<int64_t>(bytes), 4096)) * 4096;
    b.data = std::aligned_alloc(kAlignment, b.size);
    if (!b.data) {
      b.size = 0;
      throw std::bad_alloc();
    }
  }
  return b.data;
}

namespace {

// A copy to the host that waits for its turn. Its op may be dropped after an error: `over` says that it is gone.
struct Readback {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<char> bytes;
  bool complete = false, over = false;
};

// A point in a stream's order. Recording marks it pending; the stream's worker marks it done.
struct Event {
  std::mutex mutex;
  std::condition_variable changed;
  int64_t recorded = 0, completed = 0;
  std::chrono::steady_clock::time_point time;
};

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_abi_version(void) { return TK_ABI_VERSION; }

int32_t tk_last_error(void* buffer, int32_t capacity) { return copy_last_error(buffer, capacity); }

int32_t tk_device_open(int32_t index, int32_t threads, void* device_out) {
  return guarded([&] {
    require(index == 0, "the CPU backend has one device: index must be 0");
    require(threads >= 0, "threads must not be negative");
    write_u64(device_out, handle(new Device{threads > 0 ? threads : omp_get_max_threads(), {}}));
  });
}

int32_t tk_device_close(uint64_t device) {
  return guarded([&] { delete pointer<Device>(device); });
}

int32_t tk_device_info(uint64_t device, void* buffer, int32_t capacity) {
  return guarded([&] {
    require(buffer && capacity > 0, "the info buffer is empty");
    const double memory = memory_bytes();
    const int n = std::snprintf(static_cast<char*>(buffer), static_cast<size_t>(capacity),
                                "{\"backend\":\"cpu\",\"name\":\"CPU\",\"isa\":\"%s\",\"threads\":%d,"
                                "\"memoryBytes\":%.0f,\"kvTile\":%d,\"sync\":false}",
                                TK_ISA, pointer<Device>(device)->threads, memory, kLanes);
    require(n < capacity, "the info buffer is too small");
  });
}

int32_t tk_memory_alloc(uint64_t, uint64_t bytes, void* address_out) {
  return guarded([&] {
    const size_t rounded = static_cast<size_t>((bytes + kAlignment - 1) / kAlignment * kAlignment);
    void* p = rounded >= bytes ? std::aligned_alloc(kAlignment, rounded ? rounded : kAlignment) : nullptr;
    if (!p) throw std::runtime_error("out of memory: could not allocate " + std::to_string(bytes) + " bytes");
    write_u64(address_out, handle(p));
  });
}

int32_t tk_memory_free(uint64_t device, uint64_t address) {
  return guarded([&] {
    for (Stream* stream : pointer<Device>(device)->streams) stream->drain();
    std::free(pointer<void>(address));
  });
}

int32_t tk_stream_create(uint64_t device, void* stream_out) {
  return guarded([&] { write_u64(stream_out, handle(new Stream(*pointer<Device>(device)))); });
}
int32_t tk_stream_destroy(uint64_t stream) {
  return guarded([&] { delete &stream_of(stream); });
}
int32_t tk_stream_sync(uint64_t stream) {
  return guarded([&] { stream_of(stream).wait(); });
}

int32_t tk_upload(uint64_t stream, uint64_t dst, const void* src, uint64_t bytes) {
  return guarded([&] {
    if (bytes == 0) return;
    require(src != nullptr, "the source buffer is null");
    // One copy instead of two where the order allows it: what loading a model waits for.
    if (stream_of(stream).idle()) {
      std::memcpy(pointer<void>(dst), src, bytes);
      return;
    }
    const auto* from = static_cast<const char*>(src);
    auto staged = std::make_shared<std::vector<char>>(from, from + bytes);
    stream_of(stream).submit([dst, staged] { std::memcpy(pointer<void>(dst), staged->data(), staged->size()); });
  });
}
int32_t tk_download(uint64_t stream, void* dst, uint64_t src, uint64_t bytes) {
  return guarded([&] {
    stream_of(stream).wait();
    if (bytes > 0) std::memcpy(dst, pointer<void>(src), bytes);
  });
}
int32_t tk_readback_begin(uint64_t stream, uint64_t src, uint64_t bytes, void* readback_out) {
  return guarded([&] {
    auto shared = std::make_shared<Readback>();
    shared->bytes.resize(bytes);
    // Ends with the op, run or dropped.
    const std::shared_ptr<void> end(nullptr, [shared](void*) {
      const std::lock_guard<std::mutex> lock(shared->mutex);
      shared->over = true;
      shared->changed.notify_all();
    });
    stream_of(stream).submit([shared, end, src] {
      std::memcpy(shared->bytes.data(), pointer<void>(src), shared->bytes.size());
      shared->complete = true;
    });
    write_u64(readback_out, handle(new std::shared_ptr<Readback>(std::move(shared))));
  });
}
int32_t tk_readback_end(uint64_t stream, uint64_t readback, void* dst) {
  return guarded([&] {
    const std::unique_ptr<std::shared_ptr<Readback>> owner(pointer<std::shared_ptr<Readback>>(readback));
    Readback& r = **owner;
    std::unique_lock<std::mutex> lock(r.mutex);
    r.changed.wait(lock, [&] { return r.over; });
    if (!r.complete) stream_of(stream).rethrow();
    std::memcpy(dst, r.bytes.data(), r.bytes.size());
  });
}
int32_t tk_copy(uint64_t stream, uint64_t dst, uint64_t src, uint64_t bytes) {
  return launch(stream, [=] { std::memmove(pointer<void>(dst), pointer<void>(src), bytes); });
}
int32_t tk_fill(uint64_t stream, uint64_t dst, uint32_t pattern, uint64_t count) {
  return launch(stream, [=] {
    auto* out = pointer<uint32_t>(dst);
#pragma omp parallel for simd if (count > (1u << 16))
    for (uint64_t i = 0; i < count; ++i) out[i] = pattern;
  });
}

int32_t tk_event_create(uint64_t, void* event_out) {
  return guarded([&] { write_u64(event_out, handle(new Event)); });
}
int32_t tk_event_destroy(uint64_t event) {
  return guarded([&] { delete pointer<Event>(event); });
}
int32_t tk_event_record(uint64_t stream, uint64_t event) {
  return guarded([&] {
    Event* e = pointer<Event>(event);
    int64_t ticket;
    {
      const std::lock_guard<std::mutex> lock(e->mutex);
      ticket = ++e->recorded;
    }
    stream_of(stream).submit([e, ticket] {
      const std::lock_guard<std::mutex> lock(e->mutex);
      e->time = std::chrono::steady_clock::now();
      e->completed = ticket;
      e->changed.notify_all();
    });
  });
}
int32_t tk_stream_wait_event(uint64_t stream, uint64_t event) {
  return guarded([&] {
    Event* e = pointer<Event>(event);
    int64_t ticket;
    {
      const std::lock_guard<std::mutex> lock(e->mutex);
      ticket = e->recorded;
    }
    stream_of(stream).submit([e, ticket] {
      std::unique_lock<std::mutex> lock(e->mutex);
      e->changed.wait(lock, [&] { return e->completed >= ticket; });
    });
  });
}
int32_t tk_event_elapsed(uint64_t start, uint64_t end, void* milliseconds_out) {
  return guarded([&] {
    Event *a = pointer<Event>(start), *b = pointer<Event>(end);
    require(a->completed > 0 && b->completed > 0, "an event was not recorded, or its stream has not reached it");
    const double ms = std::chrono::duration<double, std::milli>(b->time - a->time).count();
    std::memcpy(milliseconds_out, &ms, sizeof ms);
  });
}

int32_t tk_graph_begin(uint64_t stream) {
  return guarded([&] { stream_of(stream).begin_graph(); });
}
int32_t tk_graph_end(uint64_t stream, void* graph_out) {
  return guarded([&] { write_u64(graph_out, handle(new std::shared_ptr<Graph>(stream_of(stream).end_graph()))); });
}
int32_t tk_graph_launch(uint64_t stream, uint64_t graph) {
  return guarded([&] {
    const std::shared_ptr<Graph> g = *pointer<std::shared_ptr<Graph>>(graph);
    stream_of(stream).submit([g] { g->replay(); });
  });
}
int32_t tk_graph_destroy(uint64_t graph) {
  return guarded([&] { delete pointer<std::shared_ptr<Graph>>(graph); });
}

}  // extern "C"
