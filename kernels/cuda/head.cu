// head.cu: log-probs of given tokens under an LM head.
//
// FLOPs 2 T C V; bytes 2 V C for the weights once a launch, 12 for each row and vocabulary tile. The logits
// stay in registers. Bound: the tensor cores from some 300 rows on, the weights' way through memory below.
#include "head.cuh"

namespace tk {
namespace {

constexpr int kRowThreads = 256;

// The least bad index, so that the report is the same on every run.
__global__ void __launch_bounds__(kRowThreads) check_targets_kernel(const int32_t* targets, int T, int V, Fault* fault) {
  GPU_SHARED(int, first, [1]);
  if (threadIdx.x == 0) first[0] = T;
  __syncthreads();
  for (int t = threadIdx.x; t < T; t += kRowThreads)
    if (targets[t] < 0 || targets[t] >= V) {
      atomicMin(&first[0], t);
      break;
    }
  __syncthreads();
  if (threadIdx.x == 0 && first[0] < T) report_fault(fault, kFaultTarget, first[0], targets[first[0]], V);
}

// One warp a row: merges its partial sums.
__global__ void __launch_bounds__(kRowThreads)
    score_rows(float* logprobs, const Partial* partials, int tiles, const float* target_logits, const int32_t* targets,
               int rows, int V) {
  const int row = static_cast<int>(blockIdx.x) * (kRowThreads / 32) + static_cast<int>(threadIdx.x) / 32;
  if (row >= rows) return;
  const Partial total = merge_tiles(partials + static_cast<int64_t>(row) * tiles, tiles);
  if (threadIdx.x % 32 != 0) return;
  const bool known = targets[row] >= 0 && targets[row] < V;
  logprobs[row] = known ? target_logits[row] - log_sum(total) : NAN;
}

// One block a row of float32 logits.
__global__ void __launch_bounds__(kRowThreads)
    score_rows_f32(float* logprobs, const float* logits, const int32_t* targets, int V, float inv_temperature) {
  GPU_DYN_SMEM(shared);
  Partial* tiles = reinterpret_cast<Partial*>(shared);
  const int row = static_cast<int>(blockIdx.x);
  const float* z = logits + static_cast<int64_t>(row) * V;
  partition_row(tiles, V, [&](int v) { return __fmul_rn(z[v], inv_temperature); }, [](float) { return true; });
  if (threadIdx.x >= 32) return;
  const Partial total = merge_tiles(tiles, (V + kVocabTile - 1) / kVocabTile);
  if (threadIdx.x != 0) return;
  const bool known = targets[row] >= 0 && targets[row] < V;
  logprobs[row] = known ? __fmul_rn(z[targets[row]], inv_temperature) - log_sum(total) : NAN;
}

}  // namespace

Head make_head(uint64_t h, uint64_t packed, int32_t T, int32_t C, int32_t V, uint64_t workspace_bytes, int32_t dtype,
               int32_t w_dtype) {
  check_types(dtype, w_dtype);
  require(C > 0 && V > 0, "C and V must be positive");
  require(dtype == TK_F32 || workspace_bytes >= 64, "a workspace for bfloat16 needs at least 64 bytes");
  if (workspace_bytes / sizeof(float) < static_cast<uint64_t>(V))
    throw std::invalid_argument("the workspace of " + std::to_string(workspace_bytes) + " bytes holds no row of " +
                                std::to_string(V) + " logits");
  return {h, packed, T, C, V, dtype == TK_F32};
}

int rows_that_fit(uint64_t workspace_bytes, uint64_t bytes_each, int rows) {
  return static_cast<int>(std::min<uint64_t>(workspace_bytes / bytes_each, static_cast<uint64_t>(rows)));
}

void check_targets(Stream& stream, const int32_t* targets, int T, int V) {
  LAUNCH(check_targets_kernel, 1, kRowThreads, 0, stream.queue, targets, T, V, stream.faults.record());
}

}  // namespace tk

using namespace tk;

extern "C" int32_t tk_lm_head_logprobs(uint64_t stream, uint64_t logprobs, uint64_t h, uint64_t packed, uint64_t targets,
                                       float inv_temperature, int32_t T, int32_t C, int32_t V, uint64_t workspace,
                                       uint64_t workspace_bytes, int32_t dtype, int32_t w_dtype) {
  return launch(stream, [&](Stream& s) {
    const Head head = make_head(h, packed, T, C, V, workspace_bytes, dtype, w_dtype);
    if (T == 0) return;
    check_targets(s, i32(targets), T, V);
    const int tiles = vocab_tiles(V);
    const uint64_t bytes_each = head.is_f32 ? sizeof(float) * static_cast<uint64_t>(V) : sizeof(Partial) * static_cast<uint64_t>(tiles);
    const int chunk = rows_that_fit(workspace_bytes, bytes_each, T);
    float* target_logits = head.is_f32 ? nullptr : s.scratch.get<float>(static_cast<size_t>(chunk));
    for (int t = 0; t < T; t += chunk) {
      const int rows = std::min(chunk, T - t);
      if (head.is_f32) {
        head.logits_f32(s.queue, f32(workspace), t, rows);
        launch_tile("score_rows_f32", score_rows_f32, rows, kRowThreads, partial_bytes(V), s.queue,
                    f32(logprobs) + t, static_cast<const float*>(f32(workspace)),
                    static_cast<const int32_t*>(i32(targets) + t), V, inv_temperature);
        continue;
      }
      Partial* partials = pointer<Partial>(workspace);
      launch_head(s.queue, head.product(t, rows, 0, V, {inv_temperature, nullptr}),
                  ScoreTile{partials, i32(targets) + t, target_logits});
      LAUNCH(score_rows, static_cast<unsigned>((rows + 7) / 8), kRowThreads, 0, s.queue, f32(logprobs) + t, partials,
             tiles, target_logits, i32(targets) + t, rows, V);
    }
  });
}
