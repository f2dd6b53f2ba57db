// runtime.h: devices, streams and recorded graphs of the CPU backend, and the glue every op uses.
#pragma once
#include <omp.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "abi.h"

namespace tk {

// Work in a stream's order. Where `rows` is not 0, row r of what it writes depends on row r of what earlier ops with so
// many rows wrote, and on nothing else of theirs: it may run for parts of the rows, on threads that are not at the same
// op. So such ops share memory row by row or not at all.
struct Op {
  std::function<void(int64_t begin, int64_t end)> run;
  int64_t rows = 0;
};

class Stream;

struct Device {
  int threads;
  std::vector<Stream*> streams;  // the open ones: memory is freed only when none of them can use it any more
};

// Ops recorded between tk_graph_begin and tk_graph_end: replayed in order by one queue entry.
struct Graph {
  std::vector<Op> ops;
  void replay() const;
};

// One worker thread that runs ops in order; OpenMP parallelises inside an op.
class Stream {
 public:
  explicit Stream(Device& device);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Runs the op on the worker, or records it while a graph is open.
  void submit(Op op);
  void submit(std::function<void()> op) {
    submit(Op{[op = std::move(op)](int64_t, int64_t) { op(); }});
  }
  // True while nothing is queued, running, recorded or wrong: the caller may do the next op itself.
  bool idle();
  // Waits until the queue is empty; throws the first error that an op raised since the last wait.
  void wait();
  // The same for one whose op was dropped: throws the error that it was dropped for, though others have seen it.
  [[noreturn]] void rethrow();
  // Waits until the queue is empty; errors stay for `wait`.
  void drain();
  void begin_graph();
  std::shared_ptr<Graph> end_graph();

 private:
  void run(int threads);

  Device& device_;
  std::mutex mutex_;
  std::condition_variable work_, idle_;
  std::deque<Op> queue_;
  std::shared_ptr<Graph> recording_;
  std::exception_ptr error_, last_error_;
  bool busy_ = false, closing_ = false;
  std::thread worker_;
};

inline Stream& stream_of(uint64_t handle) {
  require(handle != 0, "stream handle is 0");
  return *pointer<Stream>(handle);
}

// The types of packed weights.
inline void check_weight_type(int32_t w_dtype) {
  require(w_dtype == TK_F32 || w_dtype == TK_BF16, "the CPU backend packs weights as float32 or bfloat16");
}

// Enqueues one op. The CPU backend computes in float32 only: other activation types are refused here.
template <class F>
int32_t launch(uint64_t stream, int32_t dtype, F&& op) {
  return guarded([&] {
    require(dtype == TK_F32, "the CPU backend computes in float32 activations");
    stream_of(stream).submit(std::function<void()>(std::forward<F>(op)));
  });
}
template <class F>
int32_t launch(uint64_t stream, F&& op) {
  return launch(stream, TK_F32, std::forward<F>(op));
}
// The same for op(begin, end), whose rows are independent of each other (see Op).
template <class F>
int32_t launch_rows(uint64_t stream, int32_t dtype, int64_t rows, F&& op) {
  return guarded([&] {
    require(dtype == TK_F32, "the CPU backend computes in float32 activations");
    stream_of(stream).submit(Op{std::forward<F>(op), rows});
  });
}

// Scratch memory of the calling thread, grown on demand and kept: 64-byte aligned, uninitialised.
// Slots are separate buffers, so that an op and a helper that it calls never share one.
enum ScratchSlot { kScratchPackA, kScratchPackB, kScratchLocal, kScratchSlots };
void* scratch(ScratchSlot slot, size_t bytes);
inline float* scratch_f32(ScratchSlot slot, size_t count) {
  return static_cast<float*>(scratch(slot, count * sizeof(float)));
}

// Scratch for every thread of the parallel region that follows. It is allocated before the region, by the thread
// that starts it: an exception inside a region would end the process.
class ThreadScratch {
 public:
  ThreadScratch(ScratchSlot slot, int64_t count)
      : each_(ceil_div(count, 16) * 16), data_(scratch_f32(slot, static_cast<size_t>(each_ * omp_get_max_threads()))) {}
  float* mine() const { return data_ + each_ * omp_get_thread_num(); }

 private:
  int64_t each_;
  float* data_;
};

// Below this many floating-point operations a parallel region costs more than it saves.
constexpr double kSerialFlops = 1e5;
inline double elements(int64_t rows, int64_t columns) {
  return static_cast<double>(rows) * static_cast<double>(columns);
}

}  // namespace tk
