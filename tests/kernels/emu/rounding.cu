// rounding.cu: runs mma_m16n8k16 or exp2_approx on the numbers of a file and writes what they give.
// Usage: rounding mma|exp2 IN OUT. Of mma, IN holds for each product a(16, 16) and b(16, 8) as bfloat16 and
// c(16, 8) as float32, each by rows, and OUT the sums as float32; of exp2, both hold float32 numbers.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "gpu.cuh"

namespace {

struct Product {
  uint16_t a[16][16], b[16][8];
  uint32_t c[16][8];
};
struct Sums {
  float d[16][8];
};

DEV uint32_t pair(uint16_t low, uint16_t high) { return low | static_cast<uint32_t>(high) << 16; }

// A block of one warp per product. Which lane holds what: the tables of mma.m16n8k16 in the PTX manual.
__global__ void multiply(Sums* out, const Product* in) {
  const Product& p = in[blockIdx.x];
  const int row = static_cast<int>(threadIdx.x) / 4, k = static_cast<int>(threadIdx.x) % 4 * 2;
  uint32_t a[4], b[2];
  float d[4];
  for (int part = 0; part < 4; ++part) {
    const uint16_t* pointer = &p.a[row + part % 2 * 8][k + part / 2 * 8];
    a[part] = pair(pointer[0], pointer[1]);
    d[part] = __uint_as_float(p.c[row + part / 2 * 8][k + part % 2]);
  }
  for (int part = 0; part < 2; ++part) b[part] = pair(p.b[k + part * 8][row], p.b[k + part * 8 + 1][row]);
  mma_m16n8k16(d, a, b[0], b[1]);
  for (int part = 0; part < 4; ++part) out[blockIdx.x].d[row + part / 2 * 8][k + part % 2] = d[part];
}

__global__ void raise(float* out, const float* in) { out[blockIdx.x] = exp2_approx(in[blockIdx.x]); }

void expect(cudaError_t status) {
  if (status == cudaSuccess) return;
  std::fprintf(stderr, "CUDA: %s\n", cudaGetErrorString(status));
  std::exit(3);
}

template <class In, class Out, class Launch>
std::vector<char> run(const std::vector<char>& in, Launch launch) {
  const size_t count = in.size() / sizeof(In);
  std::vector<char> out(count * sizeof(Out));
  void *device_in, *device_out;
  cudaStream_t stream;
  expect(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  expect(cudaMalloc(&device_in, in.size()));
  expect(cudaMalloc(&device_out, out.size()));
  expect(cudaMemcpyAsync(device_in, in.data(), in.size(), cudaMemcpyHostToDevice, stream));
  launch(stream, static_cast<unsigned>(count), static_cast<Out*>(device_out), static_cast<const In*>(device_in));
  expect(cudaMemcpyAsync(out.data(), device_out, out.size(), cudaMemcpyDeviceToHost, stream));
  expect(cudaStreamSynchronize(stream));
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc == 4 ? argv[1] : "";
  if (what != "mma" && what != "exp2") {
    std::fprintf(stderr, "usage: rounding mma|exp2 IN OUT\n");
    return 2;
  }
  std::ifstream file(argv[2], std::ios::binary);
  const std::vector<char> in{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const std::vector<char> out =
      what == "mma"
          ? run<Product, Sums>(in, [](cudaStream_t stream, unsigned count, Sums* to, const Product* from) {
              LAUNCH(multiply, count, 32, 0, stream, to, from);
            })
          : run<float, float>(in, [](cudaStream_t stream, unsigned count, float* to, const float* from) {
              LAUNCH(raise, count, 1, 0, stream, to, from);
            });
  std::ofstream(argv[3], std::ios::binary).write(out.data(), static_cast<std::streamsize>(out.size()));
  return 0;
}
