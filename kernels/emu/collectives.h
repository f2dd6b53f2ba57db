// collectives.h: operations in which the threads of a warp or of a block meet.
#pragma once
#include <algorithm>

#include "fiber.h"

namespace emu {

template <class T>
T& lane_in(Warp& w, int lane) {
  return *reinterpret_cast<T*>(w.in[lane]);
}
template <class T>
T& lane_out(Warp& w, int lane) {
  return *reinterpret_cast<T*>(w.out[lane]);
}

// Loops stand in the functions themselves: TSan would see what a lambda touches.

// Computes a warp operation if every live lane that it names has come; lanes that returned are excused.
EMU_STATE inline bool try_collective(Warp& w, uint32_t named, Collective function) {
  const uint32_t mask = named & w.alive;
  if (!mask || (w.arrived & mask) != mask) return false;
  const int first = __builtin_ctz(mask);
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    const auto &a = w.slots[lane], &b = w.slots[first];
    if (a.mask == named && a.function == function && a.line == b.line) continue;
    fatal(
        "block (%u,%u,%u) warp %d: lanes %d (%s:%d, mask %08x) and %d (%s:%d, mask %08x) are in different warp "
        "operations",
        w.block->index.x, w.block->index.y, w.block->index.z, w.index, lane, a.file, a.line, a.mask, first, b.file,
        b.line, b.mask);
  }
  function(w, mask);
  w.arrived &= ~mask;
  set_ready(w, mask);
  return true;
}

// One lane's part in a warp operation: deposits, waits for the others, takes its result.
template <class Out, class In>
EMU_STATE inline Out collective(uint32_t mask, const In& in, Collective function, const char* what, const char* file,
                                int line) {
  static_assert(sizeof(In) <= 64 && sizeof(Out) <= 64, "a lane's slot holds 64 bytes");
  Fiber* f = self;
  Warp& w = *f->warp;
  const uint32_t bit = 1u << f->lane;
  if (!(mask & bit))
    fatal("%s:%d: lane %d calls %s with mask %08x, which does not name it", file, line, f->lane, what, mask);
  lane_in<In>(w, f->lane) = in;
  w.slots[f->lane] = {mask, function, file, line};
  w.arrived |= bit;
  if (!try_collective(w, mask, function)) {
    note(f, what, file, line);
    set_blocked(w, bit);
    reschedule();
  }
  return lane_out<Out>(w, f->lane);
}

struct ShuffleIn {
  uint64_t value;
  int source;
};
EMU_STATE inline void shuffle_lanes(Warp& w, uint32_t mask) {
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest), source = lane_in<ShuffleIn>(w, lane).source;
    // The value of a lane that takes no part is undefined: NaN bits.
    lane_out<uint64_t>(w, lane) = mask >> source & 1 ? lane_in<ShuffleIn>(w, source).value : ~0ull;
  }
}
template <class T>
EMU_STATE inline T shuffle(uint32_t mask, T value, int source, const char* what, const char* file, int line) {
  static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
  ShuffleIn in{0, source};
  std::memcpy(&in.value, &value, sizeof(T));
  const uint64_t out = collective<uint64_t>(mask, in, shuffle_lanes, what, file, line);
  T result;
  std::memcpy(&result, &out, sizeof(T));
  return result;
}

EMU_STATE inline void ballot_lanes(Warp& w, uint32_t mask) {
  uint32_t votes = 0;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    votes |= static_cast<uint32_t>(lane_in<int>(w, lane) != 0) << lane;
  }
  for (uint32_t rest = mask; rest; rest &= rest - 1) lane_out<uint2>(w, __builtin_ctz(rest)) = {votes, mask};
}

EMU_STATE inline void sync_lanes(Warp& w, uint32_t mask) {
  w.sync_generation[__builtin_ctz(w.slots[__builtin_ctz(mask)].mask)]++;
}
EMU_STATE inline void sync_warp(uint32_t mask, const char* file, int line) {
  Warp& w = *self->warp;
  const int key = mask ? __builtin_ctz(mask) : 0;
  void* point = w.block->points->warp[w.index][key][w.sync_generation[key] & 1];
  order_release(point);
  collective<int>(mask, 0, sync_lanes, "__syncwarp", file, line);
  order_acquire(point);
}

// Opens the block's barrier if all live threads have come.
EMU_STATE inline bool try_barrier(Block& b) {
  Barrier& barrier = b.barrier;
  if (!barrier.arrived || barrier.arrived < b.alive) return false;
  barrier.result = barrier.votes;
  barrier.votes = barrier.arrived = 0;
  barrier.generation++;
  for (int i = 0; i < b.warps; ++i) {
    if (!barrier.waiting[i]) continue;
    set_ready(b.warp[i], barrier.waiting[i]);
    barrier.waiting[i] = 0;
  }
  return true;
}
// Waits for the whole block; the number of threads that voted other than 0.
EMU_STATE inline int sync_block(int vote, const char* what, const char* file, int line) {
  Fiber* f = self;
  Block& b = *f->block;
  void* point = b.points->barrier[b.barrier.generation & 1];
  b.barrier.arrived++;
  b.barrier.votes += vote != 0;
  order_release(point);
  b.barrier.waiting[f->warp->index] |= 1u << f->lane;
  note(f, what, file, line);
  set_blocked(*f->warp, 1u << f->lane);
  if (!try_barrier(b) || config.order != Order::kForward) reschedule();
  order_acquire(point);
  return b.barrier.result;
}

}  // namespace emu
