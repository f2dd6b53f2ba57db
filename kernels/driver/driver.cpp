// driver.cpp: whether NVIDIA's driver can be loaded, wherever the dynamic linker finds it. A library of its own,
// compiled in a moment: asked before minutes are spent on the kernels.
#include <dlfcn.h>

extern "C" __attribute__((visibility("default"))) int tk_driver_loads(void) {
  return dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL) != nullptr;
}
