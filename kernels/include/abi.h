// abi.h: what the functions of every backend's ABI are made of: exceptions that become statuses, handles and
// addresses that become pointers.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>

#include "thinker.h"

namespace tk {

// The first error that ended the device and all that it held: its call returns TK_LOST.
struct DeviceLost : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What the last failed call of any thread had to say.
inline std::mutex last_error_mutex;
inline std::string last_error;

inline void set_last_error(const char* message) {
  const std::lock_guard<std::mutex> lock(last_error_mutex);
  last_error = message;
}

// The body of tk_last_error.
inline int32_t copy_last_error(void* buffer, int32_t capacity) {
  if (!buffer || capacity < 1) return TK_ERROR;
  const std::lock_guard<std::mutex> lock(last_error_mutex);
  std::snprintf(static_cast<char*>(buffer), static_cast<size_t>(capacity), "%s", last_error.c_str());
  return TK_OK;
}

// Runs the body of an ABI function: exceptions become a status and the last error.
template <class F>
int32_t guarded(F&& body) {
  try {
    body();
    return TK_OK;
  } catch (const DeviceLost& e) {
    set_last_error(e.what());
    return TK_LOST;
  } catch (const std::exception& e) {
    set_last_error(e.what());
  } catch (...) {
    set_last_error("unknown native error");
  }
  return TK_ERROR;
}

inline void require(bool ok, const char* message) {
  if (!ok) throw std::invalid_argument(message);
}

template <class T>
T* pointer(uint64_t address) {
  return reinterpret_cast<T*>(static_cast<uintptr_t>(address));
}
inline float* f32(uint64_t address) { return pointer<float>(address); }
inline int32_t* i32(uint64_t address) { return pointer<int32_t>(address); }

template <class T>
uint64_t handle(T* object) {
  return static_cast<uint64_t>(reinterpret_cast<uintptr_t>(object));
}
inline void write_u64(void* out, uint64_t value) {
  require(out != nullptr, "the out buffer is null");
  std::memcpy(out, &value, sizeof value);
}

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace tk
