// wgmma.cuh: bits of wgmma m64nNk16 against mma.m16n8k16, on Hopper. Written from the PTX manual and checked
// by ptxas alone until it has run: so the placement of operands is tried with whole numbers first, in both
// readings of the descriptor's strides, and bits are compared only where those came out right.
#pragma once
#include <string>

#include "dots.cuh"

namespace probe {

#ifdef __CUDACC__

// A matrix in shared memory, by rows of K, without swizzle: 8 x 8 blocks of 128 bytes in a row each, `lead`
// bytes from one to the next along K, `stride` bytes to the next 8 rows.
DEV uint64_t descriptor(const void* shared, int lead, int stride) {
  return static_cast<uint64_t>(shared_address(shared) >> 4 & 0x3fff) | static_cast<uint64_t>(lead >> 4) << 16 |
         static_cast<uint64_t>(stride >> 4) << 32;
}

#define LIST_4 "%0, %1, %2, %3"
#define LIST_32 \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15" \
  ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define LIST_64 LIST_32 \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47" \
  ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define LIST_128 LIST_64 \
  ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79" \
  ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95" \
  ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111" \
  ", %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define SUMS_4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define SUMS_32(i) \
  SUMS_4(i), SUMS_4(i + 4), SUMS_4(i + 8), SUMS_4(i + 12), SUMS_4(i + 16), SUMS_4(i + 20), SUMS_4(i + 24), SUMS_4(i + 28)
#define SUMS_64(i) SUMS_32(i), SUMS_32(i + 32)
#define SUMS_128(i) SUMS_64(i), SUMS_64(i + 64)
// One statement from fence to wait: the accumulators belong to the tensor cores in between.
#define WGMMA(n, list, left, right, flags)                                                          \
  "{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\nwgmma.fence.sync.aligned;\n"                             \
  "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32.bf16.bf16 {" list "}, " left ", " right ", p, " flags ";\n" \
  "wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;\n}\n"

// d(64, N) += a(64, 16) b(N, 16)^T by one warpgroup.
template <int N>
struct Wgmma;
#define DEFINE_WGMMA(n, count, r0, r1, r2, r3, r4)                                                                    \
  template <>                                                                                                       \
  struct Wgmma<n> {                                                                                                 \
    DEV static void shared(float (&d)[count], uint64_t a, uint64_t b) {                                             \
      asm volatile(WGMMA(n, LIST_##count, r0, r1, "1, 1, 0, 0") : SUMS_##count(0) : "l"(a), "l"(b) : "memory");     \
    }                                                                                                               \
    DEV static void registers(float (&d)[count], const uint32_t (&a)[4], uint64_t b) {                              \
      asm volatile(WGMMA(n, LIST_##count, "{" r0 ", " r1 ", " r2 ", " r3 "}", r4, "1, 1, 0")                        \
                   : SUMS_##count(0)                                                                                \
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b)                                             \
                   : "memory");                                                                                     \
    }                                                                                                               \
  }
DEFINE_WGMMA(8, 4, "%4", "%5", "%6", "%7", "%8");
DEFINE_WGMMA(64, 32, "%32", "%33", "%34", "%35", "%36");
DEFINE_WGMMA(128, 64, "%64", "%65", "%66", "%67", "%68");
DEFINE_WGMMA(256, 128, "%128", "%129", "%130", "%131", "%132");

constexpr int kBlockBytes = 128, kBytesA = 64 * 16 * 2;

// Sixteen columns of `rows` rows: a row is two chunks of 16 bytes, in two blocks that lie side by side.
DEV void load_operand(unsigned char* shared, const uint32_t* from, int rows, int words, int k) {
  for (int i = static_cast<int>(threadIdx.x); i < rows * 2; i += 128) {
    const int row = i / 2, chunk = i % 2;
    const uint4 data = *reinterpret_cast<const uint4*>(from + static_cast<int64_t>(row) * words + k + chunk * 4);
    *reinterpret_cast<uint4*>(shared + (row / 8 * 2 + chunk) * kBlockBytes + row % 8 * 16) = data;
  }
}

// The dots of mma_dots, one warpgroup a 64 x kN tile.
template <int kN, bool kRegisters>
__global__ void __launch_bounds__(128) wgmma_dots(float* out, const uint32_t* a, const uint32_t* b, int N, int K,
                                                  int lead, int stride) {
  // The instruction exists for sm_90a alone; elsewhere this kernel is never launched.
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  GPU_DYN_SMEM(shared);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32, words = K / 2;
  const int row = static_cast<int>(blockIdx.x) * 64 + warp * 16 + lane / 4;
  const int column = static_cast<int>(blockIdx.y) * kN;
  const uint32_t* tile_a = a + static_cast<int64_t>(blockIdx.x) * 64 * words;
  const uint32_t* tile_b = b + static_cast<int64_t>(column) * words;
  const uint32_t* low = a + static_cast<int64_t>(row) * words + lane % 4;
  const uint32_t* high = low + static_cast<int64_t>(8) * words;
  float d[kN / 2];
#pragma unroll
  for (int i = 0; i < kN / 2; ++i) d[i] = 0.0f;
  for (int k = 0; k < words; k += 8) {
    __syncthreads();  // nobody reads the last step any more
    load_operand(shared, tile_a, 64, words, k);
    load_operand(shared + kBytesA, tile_b, kN, words, k);
    // Tensor cores read through another path than these stores went.
    asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory");
    __syncthreads();
    const uint64_t right = descriptor(shared + kBytesA, lead, stride);
    if constexpr (kRegisters) {
      const uint32_t left[4] = {low[k], high[k], low[k + 4], high[k + 4]};
      Wgmma<kN>::registers(d, left, right);
    } else {
      Wgmma<kN>::shared(d, descriptor(shared, lead, stride), right);
    }
  }
  float* to = out + static_cast<int64_t>(row) * N + column + lane % 4 * 2;
#pragma unroll
  for (int j = 0; j < kN / 8; ++j) {
    to[8 * j] = d[4 * j];
    to[8 * j + 1] = d[4 * j + 1];
    to[8 * N + 8 * j] = d[4 * j + 2];
    to[8 * N + 8 * j + 1] = d[4 * j + 3];
  }
#endif
}

// One form of the instruction, and how its placement came out.
struct WgmmaForm {
  int n;
  const char* left;
  void (*kernel)(float*, const uint32_t*, const uint32_t*, int, int, int, int);
  int lead = 0, stride = 0;  // the strides that gave right numbers
  std::vector<float> run(const Dots& dots, int lead_bytes, int stride_bytes) const {
    const Buffer<float> out(dots.mma.size());
    LAUNCH(kernel, dim3(dots.M / 64, dots.N / n), 128, kBytesA + n * 32, queue(), out.data(), Dots::words(dots.a),
           Dots::words(dots.b), dots.N, dots.K, lead_bytes, stride_bytes);
    return out.host("wgmma");
  }
};

inline std::vector<WgmmaForm> wgmma_forms() {
  return {{8, "shared", wgmma_dots<8, false>},     {8, "registers", wgmma_dots<8, true>},
          {64, "shared", wgmma_dots<64, false>},   {64, "registers", wgmma_dots<64, true>},
          {128, "shared", wgmma_dots<128, false>}, {128, "registers", wgmma_dots<128, true>},
          {256, "shared", wgmma_dots<256, false>}, {256, "registers", wgmma_dots<256, true>}};
}

// Whole numbers first: a wrong place of an operand or a result cannot give the right ones.
inline void find_strides(WgmmaForm& form) {
  const Exact exact(128, 256, 48);
  const Dots dots(128, 256, 48, exact.a, exact.b);
  const char* result = "layout wrong";
  if (differences(form.run(dots, kBlockBytes, 2 * kBlockBytes), exact.dots) == 0) {
    form.lead = kBlockBytes, form.stride = 2 * kBlockBytes, result = "right";
  } else if (differences(form.run(dots, 2 * kBlockBytes, kBlockBytes), exact.dots) == 0) {
    form.lead = 2 * kBlockBytes, form.stride = kBlockBytes, result = "right with the strides exchanged";
  }
  say("wgmma layout", "\"n\":%d,\"a\":\"%s\",\"result\":\"%s\"", form.n, form.left, result);
}

inline void compare_wgmma(int major, int minor) {
  if (major != 9 || minor != 0) {
    say("wgmma", "\"result\":\"not this chip: compute capability %d.%d\"", major, minor);
    return;
  }
  auto forms = wgmma_forms();
  for (auto& form : forms) find_strides(form);
  for_random_dots([&](const char* kind, const Dots& dots) {
    std::string counts;
    for (const auto& form : forms) {
      if (!form.stride) continue;
      const size_t different = differences(form.run(dots, form.lead, form.stride), dots.mma);
      counts += (counts.empty() ? "\"n" : ",\"n") + std::to_string(form.n) + " " + form.left + "\":" +
                std::to_string(different);
    }
    say("wgmma bits", "\"numbers\":\"%s\",\"k\":%d,\"dots\":%zu,\"different\":{%s}", kind, dots.K,
        dots.mma.size(), counts.c_str());
  });
}

#else

inline void compare_wgmma(int, int) { say("wgmma", "\"result\":\"not on the emulator\""); }

#endif

}  // namespace probe
