// async_copy.h: cp.async. A copy may land at any time between issue and wait, so its destination is
// spoiled at issue and written at the wait: reading too early shows, and so does overwriting a buffer
// that is still in use.
#pragma once
#include "fiber.h"

namespace emu {

EMU_ACCESS inline void perform(const AsyncCopy& c) {
  auto* dst = static_cast<volatile char*>(c.dst);
  for (unsigned i = 0; i < c.bytes; ++i) dst[i] = i < c.valid ? static_cast<const char*>(c.src)[i] : 0;
}

EMU_ACCESS inline void spoil(const AsyncCopy& c) {
  if (c.valid) {  // a wild source shows here, not at the wait
    (void)*static_cast<const volatile char*>(c.src);
    (void)static_cast<const volatile char*>(c.src)[c.valid - 1];
  }
  auto* dst = static_cast<volatile char*>(c.dst);
  for (unsigned i = 0; i < c.bytes; ++i) dst[i] = static_cast<char>(0xff);
}

EMU_STATE inline void issue_copy(void* dst, const void* src, unsigned bytes, unsigned valid, const char* file,
                                 int line) {
  Fiber* f = self;
  const auto address = [](const void* p) { return reinterpret_cast<uintptr_t>(p); };
  if ((address(dst) | (valid ? address(src) : 0)) % bytes)
    fatal("%s:%d: cp.async of %u bytes is not aligned: destination %p, source %p", file, line, bytes, dst, src);
  if (f->copy_count == 256) fatal("%s:%d: more than 256 cp.async in flight in one thread", file, line);
  const AsyncCopy copy{dst, src, bytes, valid};
  spoil(copy);
  f->copies[f->copy_count++] = copy;
}

EMU_STATE inline void commit_copies(const char* file, int line) {
  Fiber* f = self;
  if (f->group_count == 64) fatal("%s:%d: more than 64 groups of cp.async in flight", file, line);
  f->groups[f->group_count++] = f->copy_count;
}

// All but the newest `left` groups have landed.
EMU_STATE inline void wait_copies(int left) {
  Fiber* f = self;
  const int groups = std::max(f->group_count - left, 0);
  const int done = groups ? f->groups[groups - 1] : 0;
  for (int i = 0; i < done; ++i) perform(f->copies[i]);
  for (int i = done; i < f->copy_count; ++i) f->copies[i - done] = f->copies[i];
  f->copy_count -= done;
  f->group_count -= groups;
  for (int i = 0; i < f->group_count; ++i) f->groups[i] = f->groups[i + groups] - done;
}

}  // namespace emu
