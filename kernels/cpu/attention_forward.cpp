// attention_forward.cpp: causal grouped-query attention over packed sequences.
//
// FLOPs: 4 D per (query, key) pair and query head.
#include <cmath>

#include "attend.h"

namespace tk {
namespace {

constexpr int kQueryChunk = 256;  // queries per parallel task of the forward pass

struct Task {
  int sequence, hk;
  int64_t begin, end;  // queries, within the sequence
};

void forward(float* out, float* lse, const float* qkv, const int32_t* cu, int B, Heads heads, float scale) {
  std::vector<Task> tasks;
  for (int b = 0; b < B; ++b)
    for (int hk = 0; hk < heads.Hk; ++hk)
      for (int64_t i = 0; i < cu[b + 1] - cu[b]; i += kQueryChunk)
        tasks.push_back({b, hk, i, std::min<int64_t>(cu[b + 1] - cu[b], i + kQueryChunk)});
  const int D = heads.D;
  int64_t longest = 0;
  for (const Task& task : tasks) longest = std::max(longest, task.end);
  const ThreadScratch keys(kScratchLocal, ceil_div(longest, kTile) * kTile * D);
#pragma omp parallel for schedule(dynamic)
  for (size_t n = 0; n < tasks.size(); ++n) {
    const Task task = tasks[n];
    const int64_t first = cu[task.sequence];
    const float* rows = qkv + first * heads.row();
    float* kt = keys.mine();
    transpose_tiles(kt, rows + heads.key(task.hk), heads.row(), task.end, D);
    const float* v = rows + heads.value(task.hk);
    for (int h = task.hk * heads.group(); h < (task.hk + 1) * heads.group(); ++h)
      for (int64_t i = task.begin; i < task.end; i += kQueries) {
        const int count = static_cast<int>(std::min<int64_t>(kQueries, task.end - i));
        Query query[kQueries];
        for (int r = 0; r < count; ++r)
          start(query[r], rows + (i + r) * heads.row() + h * D, out + ((first + i + r) * heads.H + h) * D, D);
        for (int64_t j = 0; j < i + count; j += kTile) {
          int valid[kQueries];
          for (int r = 0; r < count; ++r) valid[r] = static_cast<int>(std::min<int64_t>(kTile, i + r - j + 1));
          attend<false>(count, query, valid, {kt + j * D, v + j * heads.row()}, heads.row(), D, scale);
        }
        for (int r = 0; r < count; ++r) {
          finish(query[r], D);
          if (lse) lse[(first + i + r) * heads.H + h] = query[r].m + std::log(query[r].l);
        }
      }
  }
}

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_attention_forward(uint64_t stream, uint64_t out, uint64_t lse, uint64_t qkv, uint64_t cu_seqlens, int32_t B,
                             int32_t T, int32_t H, int32_t Hk, int32_t D, float scale, int32_t dtype) {
  const int32_t status = guarded([&] { check_heads(H, Hk, D); });
  if (status) return status;
  return launch(stream, dtype, [=] {
    check_packed(i32(cu_seqlens), B, T);
    forward(f32(out), f32(lse), f32(qkv), i32(cu_seqlens), B, {H, Hk, D}, scale);
  });
}

}  // extern "C"
