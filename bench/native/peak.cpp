// peak.cpp: what this machine can do at best, measured while benchmarks run.
//
// Usage: peak THREADS BYTES. Reads commands from standard input, one a line, and answers each with one
// number: "fma S" multiplies and adds in registers for S seconds (FLOP/s), "read S" streams over a
// buffer of BYTES for about S seconds (bytes/s). Ends with its input.
#include <omp.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif
typedef float Vector __attribute__((vector_size(kBytes)));
constexpr int kLanes = kBytes / sizeof(float);

// One thread reads its CPU time, which other work on the machine hardly touches; a team reads the wall clock.
clockid_t clock_id = CLOCK_MONOTONIC;

double now() {
  timespec t;
  clock_gettime(clock_id, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Keeps the compiler from dropping what nobody reads.
template <class T>
void use(const T& value) {
  asm volatile("" : : "m"(value));
}

// Starts the threads, or wakes them: that is no part of what is measured.
void gather(int threads) {
#pragma omp parallel num_threads(threads)
  {
  }
}

// Twelve independent chains hide the latency of the FMA on every core that has two units.
double fma_rate(int threads, double seconds) {
  constexpr int kChains = 12, kSteps = 4096;
  double flops = 0.0;
  gather(threads);
  const double begin = now();
#pragma omp parallel num_threads(threads) reduction(+ : flops)
  {
    Vector chain[kChains], factor, term;
    for (int l = 0; l < kLanes; ++l) factor[l] = 0.9999f, term[l] = 0.0001f;
    for (Vector& c : chain) c = term;
    do {  // at least once: on a busy machine a thread may start when the time is over
      for (int step = 0; step < kSteps; ++step)
#pragma GCC unroll 12
        for (int i = 0; i < kChains; ++i) chain[i] = chain[i] * factor + term;
      flops += 2.0 * kSteps * kChains * kLanes;
    } while (now() - begin < seconds);
    use(chain);
  }
  return flops / (now() - begin);
}

// A buffer larger than every cache. Each thread reads its own part of it, on and on from where it stopped,
// so nothing that is read was read a short while ago; threads never wait for each other.
class Buffer {
 public:
  Buffer(int threads, size_t bytes) : threads_(threads), slices_(bytes / kSlice / static_cast<size_t>(threads)) {
    const size_t size = static_cast<size_t>(threads) * slices_ * kSlice;
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || size == 0) {
      std::fprintf(stderr, "peak: cannot get %zu bytes\n", bytes);
      std::exit(1);
    }
#ifdef MADV_HUGEPAGE
    madvise(memory, size, MADV_HUGEPAGE);
#endif
    data_ = static_cast<char*>(memory);
    std::memset(data_, 1, size);
  }

  double read_rate(double seconds) {
    double bytes = 0.0;
    size_t next = 0;
    gather(threads_);
    const double begin = now();
#pragma omp parallel num_threads(threads_) reduction(+ : bytes) reduction(max : next)
    {
      const size_t first = static_cast<size_t>(omp_get_thread_num()) * slices_;
      next = next_;
      do {
        read(data_ + (first + next++ % slices_) * kSlice);
        bytes += static_cast<double>(kSlice);
      } while (now() - begin < seconds);
    }
    next_ = next % slices_;
    return bytes / (now() - begin);
  }

 private:
  // Four streams side by side, fetched ahead: the fastest way to read that was found.
  static void read(const char* slice) {
    constexpr int kStreams = 4, kLine = 64;
    constexpr size_t kAhead = 512, kPart = kSlice / kStreams;
    Vector sum[kStreams] = {};
    for (size_t at = 0; at < kPart; at += kLine)
#pragma GCC unroll 4
      for (size_t s = 0; s < kStreams; ++s) {
        const char* line = slice + s * kPart + at;
        __builtin_prefetch(line + kAhead);
#pragma GCC unroll 4
        for (int i = 0; i < kLine; i += kBytes) sum[s] += *reinterpret_cast<const Vector*>(line + i);
      }
    use(sum[0] + sum[1] + sum[2] + sum[3]);
  }

  static constexpr size_t kSlice = size_t{4} << 20;
  int threads_;
  size_t slices_, next_ = 0;
  char* data_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: peak THREADS BYTES\n");
    return 2;
  }
  const int threads = std::atoi(argv[1]);
  if (threads == 1) clock_id = CLOCK_PROCESS_CPUTIME_ID;
  Buffer buffer(threads, std::strtoull(argv[2], nullptr, 10));
  char command[16];
  double seconds;
  while (std::scanf("%15s %lf", command, &seconds) == 2) {
    const bool fma = std::strcmp(command, "fma") == 0;
    std::printf("%.6g\n", fma ? fma_rate(threads, seconds) : buffer.read_rate(seconds));
    std::fflush(stdout);
  }
  return 0;
}
