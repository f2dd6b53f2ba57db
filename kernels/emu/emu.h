// emu.h: CUDA C++ kernels run on a CPU, for tests (x86-64 Linux, g++ or clang++, -x c++ -std=c++17).
//
// Every CUDA thread is a fiber with a stack of its own; the fibers of a block live on one OS thread,
// blocks are spread over OS threads. A fiber gives way only at a synchronising operation. Warp
// operations and barriers are rendezvous that check masks and who is missing; asynchronous copies land
// only when they are waited for; fresh memory holds NaN bits. So a kernel whose order of operations is
// wrong gives wrong numbers or stops with a report. What this cannot tell: speed, and whether the PTX
// behind the wrappers of ptx.cuh is right.
//
// Environment (read when the library is loaded):
//   THINKER_EMU_ORDER=forward|reverse|random  order of threads, warps and blocks
//   THINKER_EMU_ROUNDING=nearest|h100         sums of mma and 2^x: as on a CPU, or as on an H100
//   THINKER_EMU_SEED=n                        seed of the random order
//   THINKER_EMU_WORKERS=n                     OS threads (default: all; 1 in sanitizer builds)
//   THINKER_EMU_LAZY=1                        stream work runs only when something waits for it
//   THINKER_EMU_PROTECT=1                     host access to device memory faults
//   THINKER_EMU_INTERBLOCK=1                  ThreadSanitizer builds: races between blocks too (slow)
//   THINKER_EMU_FAULT=name[:n]                the n-th run of a kernel fails as an illegal access does on a GPU
//   THINKER_EMU_BANKS=1                       counts bank conflicts of ldmatrix by source line
#pragma once
#ifdef __CUDACC__
#error "emu.h is for host compilers; include gpu.cuh"
#endif
#if !defined(__x86_64__) || !defined(__linux__)
#error "the CUDA emulator needs x86-64 Linux"
#endif

#include "types.h"
#include "config.h"
#include "fiber.h"
#include "collectives.h"
#include "async_copy.h"
#include "grid.h"
#include "device_memory.h"
#include "stream.h"
#include "launch.h"
#include "host_api.h"
#include "intrinsics.h"
#include "bf16.h"
#include "h100_rounding.h"
#include "ptx_emu.h"
