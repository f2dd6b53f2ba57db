// probe.cu: what this chip does with the instructions that the kernels are made of, as lines of JSON. The
// exit code is 1 if a wrapper's layout is wrong; how the chip rounds is a result, not a failure. Compiled by
// nvcc, or by a C++ compiler for the emulator.
#include "layouts.cuh"
#include "wgmma.cuh"

int main() {
  using namespace probe;
  cudaDeviceProp device;
  check(cudaGetDeviceProperties(&device, 0), "device");
  say("device", "\"name\":\"%s\",\"capability\":\"%d.%d\",\"multiprocessors\":%d,\"memory\":%zu", device.name,
      device.major, device.minor, device.multiProcessorCount, device.totalGlobalMem);
  bool all = true;
  const auto layout = [&](const char* op, bool right) {
    say(op, "\"result\":\"%s\"", right ? "right" : "layout wrong");
    all &= right;
  };
  layout("ldmatrix", matrices_right());
  layout("cp.async", copies_right());
  layout("mma", mma_right());
  exponential_error();
  copy_bandwidth(device.totalGlobalMem);
  if (all) {
    for_random_dots(compare_models);
    compare_wgmma(device.major, device.minor);
  }
  return all ? 0 : 1;
}
