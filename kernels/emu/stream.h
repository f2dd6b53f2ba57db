// stream.h: streams, events and graphs. Work runs at once, or with THINKER_EMU_LAZY=1 only when something
// waits for it, which shows missing synchronisation. A captured graph is a list of closures.
#pragma once
#include <chrono>
#include <deque>
#include <functional>
#include <memory>

#include "device_memory.h"

namespace emu {

using Work = std::function<void()>;
using WorkList = std::vector<Work>;

struct Stream {
  std::deque<Work> queue;
  uint64_t issued = 0, done = 0;
  bool nonblocking = false;
  std::unique_ptr<WorkList> capture;  // what is recorded instead of run
};

struct Event {
  Stream* stream = nullptr;
  uint64_t position = 0;
  std::chrono::steady_clock::time_point time;
};

struct Graph {
  WorkList work;
};

struct Streams {
  std::vector<Stream*> all{&standard};
  Stream standard;
};
inline Streams streams;
inline cudaError_t last_error = cudaSuccess;
// The host API may be called from any thread.
inline std::recursive_mutex api_mutex;
struct ApiCall {
  const std::lock_guard<std::recursive_mutex> lock{api_mutex};
};

// As on a GPU, a kernel that fails ends all work, the next call that waits reports it, and after that every
// call fails.
enum class Health { kWorking, kFaulty, kLost };
inline Health health = Health::kWorking;

inline Stream* resolve(Stream* stream) { return stream ? stream : &streams.standard; }

inline cudaError_t fail(cudaError_t error) { return last_error = error; }

inline void run_until(Stream* s, uint64_t position) {
  while (s->done < position && !s->queue.empty()) {
    const Work work = std::move(s->queue.front());
    s->queue.pop_front();
    s->done++;
    if (health == Health::kWorking) work();
  }
}
inline void drain(Stream* s) { run_until(s, s->issued); }
inline void drain_all() {
  for (Stream* s : streams.all) drain(s);
}
// What a call that has waited returns.
inline cudaError_t waited() {
  if (health != Health::kWorking) health = Health::kLost;
  return health == Health::kLost ? fail(cudaErrorIllegalAddress) : cudaSuccess;
}
// CUDA refuses allocation and waiting while the calling thread records a graph, unless it asks for the
// relaxed mode.
inline cudaStreamCaptureMode capture_mode = cudaStreamCaptureModeGlobal;
inline bool capturing() {
  if (capture_mode == cudaStreamCaptureModeRelaxed) return false;
  for (const Stream* s : streams.all)
    if (s->capture) return true;
  return false;
}

inline void submit(Stream* given, Work work) {
  Stream* s = resolve(given);
  if (s->capture) {
    s->capture->push_back(std::move(work));
    return;
  }
  // The standard stream and blocking streams wait for one another.
  if (s == &streams.standard) {
    for (Stream* other : streams.all)
      if (other != s && !other->nonblocking) drain(other);
  } else if (!s->nonblocking) {
    drain(&streams.standard);
  }
  s->queue.push_back(std::move(work));
  s->issued++;
  if (!config.lazy) drain(s);
}

}  // namespace emu

// Begins every function of the host API that reaches the device.
#define EMU_API               \
  const ::emu::ApiCall call;  \
  if (::emu::health == ::emu::Health::kLost) return ::emu::fail(cudaErrorIllegalAddress)
