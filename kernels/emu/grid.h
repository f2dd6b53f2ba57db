// grid.h: runs the blocks of one launch.
#pragma once
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "async_copy.h"
#include "collectives.h"

namespace emu {

constexpr size_t kPage = 4096, kSharedBytes = 320 << 10, kStaticShared = 48 << 10;

struct Grid {
  dim3 shape, block;
  size_t dynamic_shared;
  void (*invoke)(void*);
  void* closure;
  uint64_t blocks;
  std::vector<uint32_t> permutation;        // of the blocks, in random order
  std::vector<void*> shared_memory, stacks;  // sanitizer builds: not reused within a launch
  std::atomic<uint64_t> next{0};
};

// Everything that hangs off these pages is allocated the same way: LeakSanitizer does not look here.
inline char* map_pages(size_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) fatal("mmap of %zu bytes failed", bytes);
  return static_cast<char*>(p);
}

EMU_STATE inline void finish_fiber() {
  Fiber* f = self;
  Warp& w = *f->warp;
  Block& b = *f->block;
  if (f->copy_count)
    fatal("block (%u,%u,%u) thread %u returns with %d cp.async that it never waited for", b.index.x, b.index.y,
          b.index.z, f->thread_index.x, f->copy_count);
  const uint32_t bit = 1u << f->lane;
  set_blocked(w, bit);
  w.alive &= ~bit;
  b.alive--;
  order_release(b.order_end);
  // A return may complete what others wait for.
  for (uint32_t rest = w.arrived; rest; rest &= rest - 1) {
    const auto& slot = w.slots[__builtin_ctz(rest)];
    if (try_collective(w, slot.mask, slot.function)) break;
  }
  try_barrier(b);
  reschedule(true);
  __builtin_unreachable();
}

inline void fiber_main() {
  Fiber* f = current();
#ifdef EMU_ASAN
  const void* stack;
  size_t bytes;
  __sanitizer_finish_switch_fiber(nullptr, &stack, &bytes);
  if (!f->block->asan_host_stack) {
    f->block->asan_host_stack = stack;
    f->block->asan_host_stack_bytes = bytes;
  }
#endif
  order_acquire(f->block->order_start);
  f->block->invoke(f->block->closure);
  finish_fiber();
}

// Dynamic shared memory ends at a guard page (a redzone under ASan); GPU_SHARED variables stand apart.
EMU_STATE inline void prepare_shared(Block& b, Grid& g) {
  const size_t rounded = (g.dynamic_shared + 1023) & ~size_t{1023};
  if (kSanitized) {
    b.dynamic_shared = static_cast<char*>(aligned_alloc(1024, std::max<size_t>(rounded, 1024)));
    b.shared_memory = static_cast<char*>(aligned_alloc(1024, kStaticShared + 1024));
    g.shared_memory.push_back(b.dynamic_shared);
    g.shared_memory.push_back(b.shared_memory);
#ifdef EMU_ASAN
    __asan_poison_memory_region(b.dynamic_shared + g.dynamic_shared,
                                std::max<size_t>(rounded, 1024) - g.dynamic_shared);
    __asan_poison_memory_region(b.shared_memory, kStaticShared + 1024);
#endif
  } else {
    if (!b.shared_memory) {
      b.shared_memory = map_pages(kSharedBytes + kPage);
      mprotect(b.shared_memory + kSharedBytes, kPage, PROT_NONE);
    }
    b.dynamic_shared = b.shared_memory + kSharedBytes - rounded;
  }
  b.shared_top = b.shared_memory;
  b.variable_count = 0;
  poison(b.dynamic_shared, g.dynamic_shared);
}

EMU_STATE inline void prepare_fiber(Block& b, Grid& g, int i) {
  Fiber& f = b.fiber[i];
  f.block = &b;
  f.warp = &b.warp[i / 32];
  f.lane = i % 32;
  f.copy_count = f.group_count = f.atomic_count = 0;
  f.fenced = false;
  f.what = nullptr;
  const auto thread = static_cast<unsigned>(i);
  f.thread_index = {thread % g.block.x, thread / g.block.x % g.block.y, thread / (g.block.x * g.block.y)};
  if (!f.stack || config.interblock) {
    f.stack = map_pages(kStackBytes + kPage) + kPage;
    mprotect(f.stack - kPage, kPage, PROT_NONE);
    if (config.interblock) g.stacks.push_back(f.stack - kPage);
  }
  // Staggered, so that the stacks of a warp do not fall into the same cache sets.
  const auto top = reinterpret_cast<uintptr_t>(f.stack + kStackBytes - (i % 61) * 320 - 64) & ~uintptr_t{63};
  auto** stack = reinterpret_cast<void**>(top);
  *--stack = nullptr;
  *--stack = reinterpret_cast<void*>(&fiber_main);  // taken by swap_stacks
  f.stack_pointer = stack;
#ifdef EMU_ASAN
  __asan_unpoison_memory_region(f.stack, kStackBytes);
#endif
#ifdef EMU_TSAN
  if (!f.tsan_fiber || config.interblock) {
    f.tsan_fiber = __tsan_create_fiber(0);
    __tsan_set_fiber_name(f.tsan_fiber, ("CUDA thread " + std::to_string(i)).c_str());
  }
#endif
}

EMU_STATE inline void run_block(Block& b, Grid& g, uint64_t linear) {
  b.index = {static_cast<unsigned>(linear % g.shape.x), static_cast<unsigned>(linear / g.shape.x % g.shape.y),
             static_cast<unsigned>(linear / g.shape.x / g.shape.y)};
  b.grid = g.shape;
  b.shape = g.block;
  b.threads = b.alive = static_cast<int>(g.block.x * g.block.y * g.block.z);
  b.warps = (b.threads + 31) / 32;
  b.warps_ready = b.warps == 32 ? ~0u : (1u << b.warps) - 1;
  b.invoke = g.invoke;
  b.closure = g.closure;
  b.random.state = config.seed * 0x9e3779b97f4a7c15ull + linear * 0xbf58476d1ce4e5b9ull + 1;
  // Uniformly random switching finds few missing barriers: a warp must also be able to run far ahead.
  constexpr unsigned kSticky[4] = {0, 12, 15, 16};
  b.sticky = kSticky[b.random.below(4)];
  b.host.block = &b;
  b.asan_host_stack = nullptr;
  b.barrier = Barrier{};
  prepare_shared(b, g);
#ifdef EMU_TSAN
  if (!b.points || config.interblock)
    b.points = reinterpret_cast<OrderPoints*>(map_pages(sizeof(OrderPoints)));
  b.host.tsan_fiber = __tsan_get_current_fiber();
#endif
  for (int i = 0; i < b.warps; ++i) {
    Warp& w = b.warp[i];
    const int lanes = std::min(32, b.threads - i * 32);
    w.ready = w.alive = lanes == 32 ? ~0u : (1u << lanes) - 1;
    w.arrived = 0;
    w.index = i;
    w.block = &b;
    w.fibers = &b.fiber[i * 32];
  }
  for (int i = 0; i < b.threads; ++i) prepare_fiber(b, g, i);
  order_release(b.order_start);
  const bool reverse = config.order == Order::kReverse;
  Warp& w = b.warp[pick(b.warps_ready, reverse ? 0 : 31, b.random)];
  Fiber* first = &w.fibers[pick(w.ready, reverse ? 0 : 31, b.random)];
  Fiber* saved = self;
  switch_to(&b.host, first);
  self = saved;
  if (!config.interblock) order_acquire(b.order_end);
#ifdef EMU_TSAN
  if (config.interblock) {
    for (int i = 0; i < b.threads; ++i) {
      __tsan_destroy_fiber(b.fiber[i].tsan_fiber);
      b.fiber[i].tsan_fiber = nullptr;
    }
  }
#endif
}

// Storage of a GPU_SHARED variable: the same for all threads of a block, NaN bits at first.
EMU_STATE inline void* shared_variable(const void* tag, size_t bytes, size_t alignment) {
  Block& b = *self->block;
  for (int i = 0; i < b.variable_count; ++i)
    if (b.variables[i].tag == tag) return b.variables[i].memory;
  const size_t align = std::max<size_t>(alignment, 16);
  char* p = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(b.shared_top) + align - 1) & ~(align - 1));
  b.shared_top = p + bytes + 32;  // a gap between variables
  if (b.variable_count == 32 || b.shared_top > b.shared_memory + kStaticShared)
    fatal("a block declares more than 32 variables or 48 KB of static shared memory");
#ifdef EMU_ASAN
  __asan_unpoison_memory_region(p, bytes);
#endif
  for (size_t i = 0; i < bytes; ++i) reinterpret_cast<volatile char*>(p)[i] = static_cast<char>(0xff);
  b.variables[b.variable_count++] = {tag, p};
  return p;
}

// Blocks with their stacks, kept for the next launch until the library is unloaded.
struct IdleBlocks {
  std::mutex mutex;
  std::vector<Block*> list;
  ~IdleBlocks() {
    for (Block* b : list) {
      for (Fiber& f : b->fiber)
        if (f.stack) munmap(f.stack - kPage, kStackBytes + kPage);
      if (!kSanitized && b->shared_memory) munmap(b->shared_memory, kSharedBytes + kPage);
      munmap(b, sizeof(Block));
    }
  }
};
inline IdleBlocks idle;
inline OrderPoints unused_points;

inline void run_worker(Grid& g) {
  Block* block;
  {
    const std::lock_guard<std::mutex> lock(idle.mutex);
    if (idle.list.empty()) {
      block = reinterpret_cast<Block*>(map_pages(sizeof(Block)));
#ifndef EMU_TSAN
      block->points = &unused_points;
#endif
    } else {
      block = idle.list.back();
      idle.list.pop_back();
    }
  }
  for (uint64_t i; (i = g.next.fetch_add(1)) < g.blocks;) {
    const bool reverse = config.order == Order::kReverse;
    run_block(*block, g, !g.permutation.empty() ? g.permutation[i] : reverse ? g.blocks - 1 - i : i);
  }
  const std::lock_guard<std::mutex> lock(idle.mutex);
  idle.list.push_back(block);
}

inline void run_grid(dim3 shape, dim3 block, size_t dynamic_shared, void (*invoke)(void*), void* closure) {
  Grid g{shape, block, dynamic_shared, invoke, closure, uint64_t{shape.x} * shape.y * shape.z, {}, {}, {}};
  if (config.order == Order::kRandom) {
    for (uint64_t i = 0; i < g.blocks; ++i) g.permutation.push_back(static_cast<uint32_t>(i));
    Random random{config.seed * 77 + 13};
    for (uint64_t i = g.blocks; i > 1; --i)
      std::swap(g.permutation[i - 1], g.permutation[random.below(static_cast<uint32_t>(i))]);
  }
  std::vector<std::thread> workers;
  for (uint64_t i = 1; i < std::min<uint64_t>(static_cast<uint64_t>(config.workers), g.blocks); ++i)
    workers.emplace_back([&] { run_worker(g); });
  run_worker(g);
  for (std::thread& worker : workers) worker.join();
  if (config.interblock) {
    order_acquire(idle.list.back()->order_end);
    for (Block* b : idle.list)
      for (Fiber& f : b->fiber) f.stack = nullptr;
  }
  for (void* p : g.shared_memory) {
#ifdef EMU_ASAN
    __asan_unpoison_memory_region(p, 1024);
#endif
    std::free(p);
  }
  for (void* p : g.stacks) munmap(p, kStackBytes + kPage);
}

}  // namespace emu

#define GPU_SHARED(T, name, dims)                                            \
  static const char emu_tag_##name = 0;                                      \
  using emu_type_##name = T dims;                                            \
  auto& name = *static_cast<emu_type_##name*>(::emu::shared_variable(        \
      &emu_tag_##name, sizeof(emu_type_##name), alignof(emu_type_##name)))
#define GPU_DYN_SMEM(name) unsigned char* name = reinterpret_cast<unsigned char*>(::emu::self->block->dynamic_shared)
