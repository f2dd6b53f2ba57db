// decode.cpp: the bookkeeping between two decode steps.
#include <algorithm>
#include <string>

#include "runtime.h"

using namespace tk;

extern "C" {

int32_t tk_decode_advance(uint64_t stream, uint64_t tokens, uint64_t positions, uint64_t remaining, uint64_t out_tokens,
                          uint64_t out_logprobs, uint64_t out_count, uint64_t sampled, uint64_t sampled_logprobs,
                          uint64_t stop_ids, int32_t stops, int32_t B, int32_t capacity) {
  return launch_rows(stream, TK_F32, B, [=](int64_t begin, int64_t end) {
    const int32_t* stop = i32(stop_ids);
    for (int64_t b = begin; b < end; ++b) {
      int32_t& position = i32(positions)[b];
      if (position < 0) continue;
      const int32_t token = i32(sampled)[b];
      if (i32(out_count)[b] >= capacity)
        throw std::out_of_range("row " + std::to_string(b) + " has no room for more than " + std::to_string(capacity) +
                                " tokens");
      const int64_t at = b * capacity + i32(out_count)[b]++;
      i32(out_tokens)[at] = token;
      f32(out_logprobs)[at] = f32(sampled_logprobs)[b];
      i32(tokens)[b] = token;
      ++position;
      if (--i32(remaining)[b] <= 0 || std::find(stop, stop + stops, token) != stop + stops) position = -1;
    }
  });
}

int32_t tk_write_words(uint64_t stream, uint64_t dst, uint64_t pairs, int32_t n, int32_t size) {
  return launch(stream, [=] {
    for (int64_t i = 0; i < n; ++i) {
      const int32_t index = i32(pairs)[2 * i];
      if (index < 0 || index >= size)
        throw std::out_of_range("word " + std::to_string(index) + " is written, but there are " + std::to_string(size));
      i32(dst)[index] = i32(pairs)[2 * i + 1];
    }
  });
}

}  // extern "C"
