// decode.cu: the bookkeeping between two decode steps, one thread a row or word. A few bytes a row.
#include "pack.cuh"

namespace tk {
namespace {

constexpr int kBlock = 128;

struct DecodeState {
  int32_t *tokens, *positions, *remaining, *out_tokens, *out_count;
  float* out_logprobs;
};

__global__ void __launch_bounds__(kBlock) decode_advance(DecodeState state, const int32_t* sampled,
                                                         const float* sampled_logprobs, const int32_t* stop_ids,
                                                         int stops, int B, int capacity, Fault* fault) {
  const int b = static_cast<int>(blockIdx.x) * kBlock + static_cast<int>(threadIdx.x);
  if (b >= B || state.positions[b] < 0) return;
  const int token = sampled[b], count = state.out_count[b];
  if (count >= capacity) return report_fault(fault, kFaultCapacity, b, count, capacity);
  const int64_t at = static_cast<int64_t>(b) * capacity + count;
  state.out_count[b] = count + 1;
  state.out_tokens[at] = token;
  state.out_logprobs[at] = sampled_logprobs[b];
  state.tokens[b] = token;
  const int left = state.remaining[b] - 1;
  state.remaining[b] = left;
  bool stop = left <= 0;
  for (int i = 0; i < stops; ++i) stop = stop || stop_ids[i] == token;
  state.positions[b] = stop ? -1 : state.positions[b] + 1;
}

__global__ void __launch_bounds__(kBlock) write_words(int32_t* dst, const int2* pairs, int n, int size, Fault* fault) {
  const int i = static_cast<int>(blockIdx.x) * kBlock + static_cast<int>(threadIdx.x);
  if (i >= n) return;
  const int2 pair = pairs[i];
  if (pair.x < 0 || pair.x >= size) return report_fault(fault, kFaultWord, i, pair.x, size);
  dst[pair.x] = pair.y;
}

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_decode_advance(uint64_t stream, uint64_t tokens, uint64_t positions, uint64_t remaining, uint64_t out_tokens,
                          uint64_t out_logprobs, uint64_t out_count, uint64_t sampled, uint64_t sampled_logprobs,
                          uint64_t stop_ids, int32_t stops, int32_t B, int32_t capacity) {
  return launch(stream, [&](Stream& s) {
    if (B == 0) return;
    const DecodeState state{i32(tokens),     i32(positions), i32(remaining),
                            i32(out_tokens), i32(out_count), f32(out_logprobs)};
    LAUNCH(decode_advance, static_cast<unsigned>(ceil_div(B, kBlock)), kBlock, 0, s.queue, state, i32(sampled),
           f32(sampled_logprobs), i32(stop_ids), stops, B, capacity, s.faults.record());
  });
}

int32_t tk_write_words(uint64_t stream, uint64_t dst, uint64_t pairs, int32_t n, int32_t size) {
  return launch(stream, [&](Stream& s) {
    if (n == 0) return;
    LAUNCH(write_words, static_cast<unsigned>(ceil_div(n, kBlock)), kBlock, 0, s.queue, i32(dst), pointer<const int2>(pairs),
           n, size, s.faults.record());
  });
}

}  // extern "C"
