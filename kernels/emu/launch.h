// launch.h: GPU_LAUNCH, with the limits that CUDA checks.
#pragma once
#include <type_traits>

#include "stream.h"

namespace emu {

// Dynamic shared memory above 48 KB, as asked for with cudaFuncSetAttribute.
inline std::map<const void*, size_t> shared_limits;

template <class T>
bool is_host_pointer(const T& value) {
  if constexpr (std::is_pointer_v<T>)
    return value && !memory.owns(value);
  else
    return false;
}

template <class... Parameters>
struct Closure {
  void (*kernel)(Parameters...);
  std::tuple<std::decay_t<Parameters>...> arguments;
};
template <class Indices, class... Parameters>
struct Invoke;
template <size_t... I, class... Parameters>
struct Invoke<std::index_sequence<I...>, Parameters...> {
  EMU_STATE static void run(void* p) {
    auto* closure = static_cast<Closure<Parameters...>*>(p);
    closure->kernel(std::get<I>(closure->arguments)...);
  }
};

template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t dynamic_shared,
            Stream* stream, Arguments&&... arguments) {
  const ApiCall call;
  if (health == Health::kLost) {
    fail(cudaErrorIllegalAddress);
    return;
  }
  const auto limit = shared_limits.find(reinterpret_cast<const void*>(kernel));
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > kMaxThreads || block.z > 64 || grid.x == 0 || grid.y == 0 || grid.z == 0 ||
      grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535) {
    fail(cudaErrorInvalidConfiguration);
    return;
  }
  if (dynamic_shared > (limit == shared_limits.end() ? kStaticShared : limit->second)) {
    fail(cudaErrorInvalidValue);
    return;
  }
  std::tuple<std::decay_t<Parameters>...> copies(std::forward<Arguments>(arguments)...);
  int bad = 0, number = 0;
  std::apply([&](auto&... x) { ((number++, is_host_pointer(x) ? bad = number : 0), ...); }, copies);
  if (bad) fatal("kernel launch: argument %d is a pointer that is not device memory", bad);
  submit(stream, [=] {
    if (config.fault.strikes(name)) {
      health = Health::kFaulty;
      return;
    }
    Closure<Parameters...> closure{kernel, copies};
    const MemoryAccess access;
    run_grid(grid, block, dynamic_shared, Invoke<std::index_sequence_for<Parameters...>, Parameters...>::run, &closure);
  });
}

}  // namespace emu

#define GPU_LAUNCH(name, kernel, grid, block, shared_bytes, stream, ...) \
  ::emu::launch(name, kernel, grid, block, shared_bytes, stream, ##__VA_ARGS__)
