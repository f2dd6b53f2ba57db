// head.cpp: log-probs of given tokens under an LM head. FLOPs 2 T C V.
#include "head.h"

using namespace tk;

extern "C" {

int32_t tk_lm_head_logprobs(uint64_t stream, uint64_t logprobs, uint64_t h, uint64_t packed, uint64_t targets,
                            float inv_temperature, int32_t T, int32_t C, int32_t V, uint64_t workspace,
                            uint64_t workspace_bytes, int32_t dtype, int32_t w_dtype) {
  return guarded([&] {
    check_head(C, V, workspace_bytes, dtype, w_dtype);
    stream_of(stream).submit([=] {
      const Head head = make_head(h, packed, w_dtype, T, C, V, workspace, workspace_bytes);
      check_targets(i32(targets), T, V);
      for_chunks(head, 0, T, [&](int64_t t, int64_t rows) {
        for_rows(rows, V, [&](int64_t r) {
          float* z = head.logits + r * V;
          scale_row(z, V, inv_temperature);
          f32(logprobs)[t + r] = z[i32(targets)[t + r]] - partition_of(z, V).lse();
        });
      });
    });
  });
}

}  // extern "C"
