// fiber.h: CUDA threads as fibers, and the scheduler of one block.
#pragma once
#include <sys/mman.h>

#include <map>
#include <string>
#include <tuple>

#include "config.h"
#include "types.h"

namespace emu {

constexpr int kMaxThreads = 1024, kMaxWarps = 32, kMaxShared = 227 * 1024;

struct Block;
struct Warp;
// Computes the results of all lanes in `mask` from what they deposited.
using Collective = void (*)(Warp&, uint32_t mask);

struct AsyncCopy {
  void* dst;
  const void* src;
  unsigned bytes, valid;  // the bytes after `valid` are zeros
};

struct Fiber {
  void* stack_pointer;
  Block* block;
  Warp* warp;
  int lane;
  uint3 thread_index;
  char* stack;
  const char *what, *file;  // where it waits, for the report of a deadlock
  int line;
  AsyncCopy copies[256];  // issued, not yet waited for
  int copy_count;
  int groups[64], group_count;  // ends of committed groups within `copies`
  void *asan_fake_stack, *tsan_fiber, *atomics[4];
  int atomic_count;
  bool fenced;
};

struct Warp {
  uint32_t ready, alive, arrived;  // one bit a lane
  int index;
  Block* block;
  Fiber* fibers;  // 32 of them
  struct Slot {
    uint32_t mask;
    Collective function;
    const char* file;
    int line;
  } slots[32];
  alignas(64) unsigned char in[32][64], out[32][64];
  unsigned sync_generation[32];
};

struct Barrier {
  int arrived, votes, result;
  unsigned generation;
  uint32_t waiting[kMaxWarps];
};

// Addresses that carry order for TSan. They alternate by generation: with a single one a fast thread's
// next arrival would hide races.
struct OrderPoints {
  char barrier[2][8], warp[kMaxWarps][32][2][8];
};

struct Block {
  uint3 index;
  dim3 shape, grid;
  int threads, warps, alive;
  uint32_t warps_ready;
  unsigned sticky;  // random order: how often out of 16 a warp runs on; varies by block
  Random random;
  void (*invoke)(void*);
  void* closure;
  char* dynamic_shared;
  struct {
    const void* tag;
    char* memory;
  } variables[32];  // GPU_SHARED variables
  int variable_count;
  char *shared_memory, *shared_top;
  Warp warp[kMaxWarps];
  Barrier barrier;
  Fiber fiber[kMaxThreads], host;
  const void* asan_host_stack;
  size_t asan_host_stack_bytes;
  OrderPoints* points;
  char order_start[8], order_end[8];
};

// The running fiber. One word: a library loaded at run time can have that much static thread storage.
__attribute__((tls_model("initial-exec"))) inline thread_local Fiber* self = nullptr;
EMU_STATE inline Fiber* current() { return self; }

// The next set bit after `last` in the order in force.
EMU_STATE inline int pick(uint32_t mask, int last, Random& random) {
  if (config.order == Order::kRandom) {
    for (int skip = static_cast<int>(random.below(__builtin_popcount(mask))); skip > 0; --skip) mask &= mask - 1;
    return __builtin_ctz(mask);
  }
  if (config.order == Order::kReverse) {
    const uint32_t low = mask & ((1u << last) - 1);
    return 31 - __builtin_clz(low ? low : mask);
  }
  const uint32_t high = last >= 31 ? 0 : mask & (~0u << (last + 1));
  return __builtin_ctz(high ? high : mask);
}

[[noreturn]] EMU_STATE inline void deadlock(Block& b) {
  std::fprintf(stderr, "cuda emulator: deadlock in block (%u,%u,%u): no thread can run\n", b.index.x, b.index.y,
               b.index.z);
  std::map<std::tuple<std::string, std::string, int>, std::pair<int, int>> places;
  for (int i = 0; i < b.threads; ++i) {
    const Fiber& f = b.fiber[i];
    if (!(b.warp[i / 32].alive >> (i % 32) & 1)) continue;
    auto& place = places[{f.what ? f.what : "?", f.file ? f.file : "?", f.line}];
    if (place.first++ == 0) place.second = i;
  }
  for (const auto& [place, count] : places)
    std::fprintf(stderr, "  %d threads, the first is %d, wait in %s at %s:%d\n", count.first, count.second,
                 std::get<0>(place).c_str(), std::get<1>(place).c_str(), std::get<2>(place));
  std::fprintf(stderr, "  %d threads have returned\n", b.threads - b.alive);
  std::abort();
}

// Switches stacks. Everything that a call may clobber is dead here because its caller is never inlined;
// a jump instead of a return keeps the return-address predictor in step.
static inline __attribute__((always_inline)) void swap_stacks(void** save, void* load) {
  asm volatile(
      "subq $128, %%rsp\n\tpushq %%rbp\n\tpushq %%rbx\n\tleaq 1f(%%rip), %%rax\n\tpushq %%rax\n\t"
      "movq %%rsp, (%0)\n\tmovq %1, %%rsp\n\tpopq %%rax\n\tjmp *%%rax\n"
      "1:\tpopq %%rbx\n\tpopq %%rbp\n\taddq $128, %%rsp"
      : "+D"(save), "+S"(load)::"rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory",
        "cc");
}

__attribute__((noipa)) EMU_STATE inline void switch_to(Fiber* from, Fiber* to, bool dying = false) {
  self = to;
#ifdef EMU_ASAN
  const bool host = to == &to->block->host;
  __sanitizer_start_switch_fiber(dying ? nullptr : &from->asan_fake_stack,
                                 host ? to->block->asan_host_stack : to->stack,
                                 host ? to->block->asan_host_stack_bytes : kStackBytes);
#endif
#ifdef EMU_TSAN
  __tsan_switch_to_fiber(to->tsan_fiber, __tsan_switch_to_fiber_no_sync);
#endif
  (void)dying;
  swap_stacks(&from->stack_pointer, to->stack_pointer);
#ifdef EMU_ASAN
  __sanitizer_finish_switch_fiber(from->asan_fake_stack, nullptr, nullptr);
#endif
}

EMU_STATE inline void set_ready(Warp& w, uint32_t lanes) {
  w.ready |= lanes;
  w.block->warps_ready |= 1u << w.index;
}
EMU_STATE inline void set_blocked(Warp& w, uint32_t lanes) {
  w.ready &= ~lanes;
  if (!w.ready) w.block->warps_ready &= ~(1u << w.index);
}

// Runs another thread of the block, or the caller again if it is ready.
__attribute__((noinline)) EMU_STATE inline void reschedule(bool dying = false) {
  Fiber* from = self;
  Block& b = *from->block;
  Warp* w = from->warp;
  if (!w->ready || (config.order == Order::kRandom && b.random.below(16) >= b.sticky)) {
    if (!b.warps_ready) {
      if (b.alive) deadlock(b);
      switch_to(from, &b.host, dying);
      return;
    }
    w = &b.warp[pick(b.warps_ready, w->index, b.random)];
  }
  const int last = w == from->warp ? from->lane : config.order == Order::kReverse ? 0 : 31;
  Fiber* to = &w->fibers[pick(w->ready, last, b.random)];
  if (to != from) switch_to(from, to, dying);
}

// Marks where the calling thread waits and gives way.
EMU_STATE inline void note(Fiber* f, const char* what, const char* file, int line) {
  f->what = what;
  f->file = file;
  f->line = line;
}

}  // namespace emu
