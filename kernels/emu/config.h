// config.h: settings, fatal reports, random numbers, and what AddressSanitizer and ThreadSanitizer need.
#pragma once
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#ifdef __clang__
#define noipa noinline
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define EMU_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#define EMU_TSAN 1
#include <sanitizer/tsan_interface.h>
// Under TSan the emulator's own state is touched by EMU_STATE functions only, which TSan does not see,
// and the kernel's memory by instrumented ones only (EMU_ACCESS): otherwise races of the emulator are
// reported, or those of the kernel are not.
#define EMU_STATE __attribute__((noinline, no_sanitize("thread")))
#define EMU_ACCESS __attribute__((noinline))
#else
#define EMU_STATE
#define EMU_ACCESS
#endif

namespace emu {

#if defined(EMU_ASAN) || defined(EMU_TSAN)
constexpr bool kSanitized = true;
constexpr size_t kStackBytes = 256 << 10;
#else
constexpr bool kSanitized = false;
constexpr size_t kStackBytes = 64 << 10;
#endif

[[noreturn]] __attribute__((format(printf, 1, 2))) inline void fatal(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::fputs("cuda emulator: ", stderr);
  std::vfprintf(stderr, format, arguments);
  std::fputc('\n', stderr);
  std::fflush(stderr);
  std::abort();
}

enum class Order { kForward, kReverse, kRandom };
enum class Rounding { kNearest, kH100 };

// THINKER_EMU_FAULT=NAME[:N]: the N-th (first) kernel to run whose name holds NAME fails.
struct PlannedFault {
  std::string name;
  int runs = 1;
  bool strikes(const char* kernel) { return !name.empty() && std::strstr(kernel, name.c_str()) && --runs == 0; }
};

struct Config {
  PlannedFault fault;
  Order order = Order::kForward;
  Rounding rounding = Rounding::kNearest;
  int workers = 1;
  uint64_t seed = 1;
  bool lazy, protect, interblock, banks;

  Config() : lazy(flag("LAZY")), protect(flag("PROTECT")), interblock(flag("INTERBLOCK")), banks(flag("BANKS")) {
    const char* name = value("ORDER");
    if (!name || !std::strcmp(name, "forward"))
      order = Order::kForward;
    else if (!std::strcmp(name, "reverse"))
      order = Order::kReverse;
    else if (!std::strcmp(name, "random"))
      order = Order::kRandom;
    else
      fatal("THINKER_EMU_ORDER is \"%s\", not forward, reverse or random", name);
    name = value("ROUNDING");
    if (name && !std::strcmp(name, "h100"))
      rounding = Rounding::kH100;
    else if (name && std::strcmp(name, "nearest"))
      fatal("THINKER_EMU_ROUNDING is \"%s\", not nearest or h100", name);
    if (const char* text = value("SEED")) seed = std::strtoull(text, nullptr, 10);
    if (const char* text = value("FAULT")) {
      const char* colon = std::strchr(text, ':');
      fault.name = colon ? std::string(text, colon) : text;
      if (colon) fault.runs = std::atoi(colon + 1);
    }
    workers = value("WORKERS") ? std::atoi(value("WORKERS")) : 0;
    if (workers < 1) workers = static_cast<int>(std::thread::hardware_concurrency());
    // Both keep lists of memory for the length of a launch, without a lock.
    if (kSanitized || interblock || workers < 1) workers = 1;
  }

 private:
  static const char* value(const char* name) {
    const char* found = std::getenv((std::string("THINKER_EMU_") + name).c_str());
    return found && *found ? found : nullptr;
  }
  static bool flag(const char* name) {
    const char* text = value(name);
    return text && std::strcmp(text, "0");
  }
};
inline Config config;

// xorshift64: a schedule needs no better.
struct Random {
  uint64_t state;
  EMU_STATE uint32_t below(uint32_t n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return static_cast<uint32_t>((state >> 33) % n);
  }
};

// Order between threads as TSan should see it: what one releases at an address, another acquires.
#ifdef EMU_TSAN
EMU_STATE inline void order_release(void* at) { __tsan_release(at); }
EMU_STATE inline void order_acquire(void* at) { __tsan_acquire(at); }
#else
inline void order_release(void*) {}
inline void order_acquire(void*) {}
#endif

// Fresh memory is all ones: NaN in every float format, -1 in every integer.
inline void poison(void* memory, size_t bytes) {
  if (bytes) std::memset(memory, 0xff, bytes);
}

}  // namespace emu
