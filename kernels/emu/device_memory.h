// device_memory.h: device memory is one range of addresses, so that a device pointer can be told by sight.
#pragma once
#include <unistd.h>

#include "grid.h"

namespace emu {

// Addresses only: pages are taken when an allocation is written.
constexpr size_t kArenaBytes = size_t{256} << 30, kGap = 256;

inline size_t physical_bytes() {
  return static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

struct DeviceMemory {
  char *base = nullptr, *top = nullptr;
  std::map<char*, size_t> live;
  std::multimap<size_t, char*> freed;  // by size; ASan builds never reuse an address

  ~DeviceMemory() {
    if (base) munmap(base, kArenaBytes);
  }

  static size_t rounded(size_t bytes) { return (bytes + kGap - 1) / kGap * kGap; }

  bool owns(const void* p) const { return base && p >= base && p < base + kArenaBytes; }

  // Null when there is no room.
  char* allocate(size_t bytes) {
    if (bytes > physical_bytes()) return nullptr;
    if (!base) {
      void* range = mmap(nullptr, kArenaBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (range == MAP_FAILED) fatal("cannot reserve %zu bytes of addresses", kArenaBytes);
      base = top = static_cast<char*>(range);
    }
    char* p = nullptr;
    const auto reuse = freed.find(rounded(bytes));
    if (reuse != freed.end()) {
      p = reuse->second;
      freed.erase(reuse);
    } else {
      const size_t need = rounded(bytes) + kGap;
      if (need > static_cast<size_t>(base + kArenaBytes - top)) return nullptr;
      p = top;
      top += need;
    }
#ifdef EMU_ASAN
    __asan_poison_memory_region(p, rounded(bytes) + kGap);
    __asan_unpoison_memory_region(p, bytes);
#endif
    live[p] = bytes;
    open_pages(p, bytes);
    poison(p, bytes);
    return p;
  }

  bool release(char* p) {
    const auto found = live.find(p);
    if (found == live.end()) return false;
#ifdef EMU_ASAN
    __asan_poison_memory_region(p, found->second);
#else
    freed.insert({rounded(found->second), p});
#endif
    live.erase(found);
    return true;
  }

  // Under THINKER_EMU_PROTECT only kernels and copies may touch device memory.
  void allow(bool on) const {
    if (config.protect && top > base)
      mprotect(base, static_cast<size_t>(top - base), on ? PROT_READ | PROT_WRITE : PROT_NONE);
  }

 private:
  static void open_pages(char* p, size_t bytes) {
    const auto from = reinterpret_cast<uintptr_t>(p) & ~(kPage - 1);
    const auto to = (reinterpret_cast<uintptr_t>(p) + rounded(bytes) + kPage - 1) & ~(kPage - 1);
    mprotect(reinterpret_cast<void*>(from), to - from, PROT_READ | PROT_WRITE);
  }
};
inline DeviceMemory memory;

struct MemoryAccess {
  MemoryAccess() { memory.allow(true); }
  ~MemoryAccess() { memory.allow(false); }
};

}  // namespace emu
