// head_loss.cu: cross-entropy and the fused PPO loss, with gradients, straight from hidden states.
//
// The (T, V) logits never exist. bfloat16: a first pass over the vocabulary leaves log-sum-exp and entropy
// of each row (partial sums, 12 bytes a row and tile), a second one forms the logits again, slab by slab of
// the vocabulary, turns them into dz in bfloat16 and multiplies: dh(row) += dz w, dw(slab) += dz^T h. So dw
// is touched once for each chunk of rows, which are thousands, and dh is carried from slab to slab in
// float32. Keeping logits instead would save a quarter of the FLOPs, but they are float32: chunks of some
// hundred rows, and all of dw read and written for each of them.
// FLOPs 8 T C V; bytes, besides operands that the cache holds: 12 V C a chunk of rows, 8 T C a slab, 10 T V
// of dz. Bound: the tensor cores.
// float32: chunks of rows whose logits fit the workspace, gradients in place.
#include "head.cuh"
#include "head_loss.cuh"

namespace tk {
namespace {

constexpr int kRowThreads = 256;
constexpr int kMostRows = 8192;      // of a chunk
constexpr int kLeastColumns = 2048;  // of a slab, while chunks can be made smaller instead

// One warp a row: log-prob, entropy, and what the gradient needs.
__global__ void __launch_bounds__(kRowThreads)
    loss_rows(RowGradient* gradients, float* entropies, float* logprobs, const Partial* partials, int tiles,
              const float* target_logits, const int32_t* targets, LossTerms terms, int first, int rows, int V) {
  const int row = static_cast<int>(blockIdx.x) * (kRowThreads / 32) + static_cast<int>(threadIdx.x) / 32;
  if (row >= rows) return;
  const Partial total = merge_tiles(partials + static_cast<int64_t>(row) * tiles, tiles);
  if (threadIdx.x % 32 != 0) return;
  const int target = targets[first + row];
  const float lse = log_sum(total), entropy = entropy_of(total);
  const float logp = target >= 0 && target < V ? target_logits[row] - lse : NAN;
  const RowLoss loss = row_loss(terms, first + row, logp, entropy);
  logprobs[first + row] = logp;
  entropies[row] = entropy;
  gradients[row] = row_gradient(lse, entropy, loss.g, loss.ge);
}

// One block a row of float32 logits, which become dL/dlogits.
__global__ void __launch_bounds__(kRowThreads)
    loss_rows_f32(float* logits, float* entropies, float* logprobs, const int32_t* targets, LossTerms terms, int first,
                  int V, float inv_temperature) {
  GPU_DYN_SMEM(shared);
  Partial* tiles = reinterpret_cast<Partial*>(shared);
  const int row = static_cast<int>(blockIdx.x), target = targets[first + row];
  float* z = logits + static_cast<int64_t>(row) * V;
  partition_row(tiles, V, [&](int v) { return __fmul_rn(z[v], inv_temperature); }, [](float) { return true; });
  const Partial total = merge_tiles(tiles, (V + kVocabTile - 1) / kVocabTile);
  const float lse = log_sum(total), entropy = entropy_of(total);
  const float logp = target >= 0 && target < V ? __fmul_rn(z[target], inv_temperature) - lse : NAN;
  __syncthreads();  // the target's logit is still needed until here
  const RowLoss loss = row_loss(terms, first + row, logp, entropy);
  const RowGradient gradient = row_gradient(lse, entropy, loss.g, loss.ge);
  for (int v = threadIdx.x; v < V; v += kRowThreads)
    z[v] = logit_gradient(gradient, __fmul_rn(z[v], inv_temperature), v == target, inv_temperature);
  if (threadIdx.x != 0) return;
  logprobs[first + row] = logp;
  entropies[row] = entropy;
}

// Adds the rows' statistics, one after the other, to sums that live from chunk to chunk: neither the chunks
// nor the launch show in the bits. The last chunk adds them to `stats`.
__global__ void __launch_bounds__(kRowThreads)
    sum_stats(double* sums, float* stats, LossTerms terms, const float* logprobs, const float* entropies, int first,
              int rows, bool is_last) {
  GPU_SHARED(float, terms_of, [kRowThreads][kHeadStats]);
  const int slot = threadIdx.x;
  double sum = slot < kHeadStats && first > 0 ? sums[slot] : 0.0;
  for (int base = 0; base < rows; base += kRowThreads) {
    const int row = base + static_cast<int>(threadIdx.x);
    __syncthreads();  // the rows before are summed
    if (row < rows) {
      const RowLoss loss = row_loss(terms, first + row, logprobs[first + row], entropies[row]);
      for (int k = 0; k < kHeadStats; ++k) terms_of[threadIdx.x][k] = loss.stats[k];
    }
    __syncthreads();
    if (slot >= kHeadStats) continue;
    for (int k = 0; k < min(kRowThreads, rows - base); ++k) {
      const float term = terms_of[k][slot];
      sum = slot == TK_STAT_GAP_MAX ? max_or_nan(static_cast<float>(sum), term) : sum + static_cast<double>(term);
    }
  }
  if (slot >= kHeadStats) return;
  sums[slot] = sum;
  if (!is_last) return;
  const float total = static_cast<float>(sum);
  stats[slot] = slot == TK_STAT_GAP_MAX ? max_or_nan(stats[slot], total) : stats[slot] + total;
}

// Rows of a chunk, columns of a slab: what the workspace holds.
struct Plan {
  int rows, columns;
  int64_t carry;  // floats
};

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// One slab if it fits, else the largest chunk whose slabs are not narrow.
Plan plan_chunks(const Head& head, uint64_t workspace_bytes) {
  const int64_t bytes = static_cast<int64_t>(workspace_bytes) - 16;  // for the alignment
  const int64_t partials = static_cast<int64_t>(sizeof(Partial)) * vocab_tiles(head.V);
  for (int64_t rows = std::min(head.T, kMostRows);; rows = (rows + 1) / 2) {
    if (rows * std::max(partials, 2 * round_up(head.V, 8)) <= bytes || rows == 1)
      return {static_cast<int>(rows), head.V, 0};
    const int64_t carry = carry_floats(head.C, rows);
    const int64_t left = bytes - carry * static_cast<int64_t>(sizeof(float));
    const int64_t columns = left / (2 * rows) / kVocabTile * kVocabTile;
    if (columns >= kLeastColumns && rows * partials <= left)
      return {static_cast<int>(rows), static_cast<int>(columns), carry};
  }
}

struct Outputs {
  float *stats, *logprobs, *dw;
  uint64_t dh;
  const int32_t* targets;
};

void loss_bf16(Stream& s, const Head& head, const Outputs& out, const LossTerms& terms, float inv_temperature,
               uint64_t workspace, uint64_t workspace_bytes) {
  const Plan plan = plan_chunks(head, workspace_bytes);
  const int tiles = vocab_tiles(head.V), C = head.C;
  const size_t chunk = static_cast<size_t>(plan.rows);
  RowGradient* gradients =
      reinterpret_cast<RowGradient*>(s.scratch.get<char>(chunk * (sizeof(RowGradient) + 2 * sizeof(float))));
  float* entropies = reinterpret_cast<float*>(gradients + chunk);
  float* target_logits = entropies + chunk;
  float* carry = f32(static_cast<uint64_t>(round_up(static_cast<int64_t>(workspace), 16)));
  Partial* partials = reinterpret_cast<Partial*>(carry + plan.carry);  // and later, in the same place:
  bf16* dz = reinterpret_cast<bf16*>(partials);
  const int64_t ld = round_up(plan.columns, 8), ld_w = packed_stride(C);
  const Temperature temperature{inv_temperature, nullptr};
  for (int t = 0; t < head.T; t += plan.rows) {
    const int rows = std::min(plan.rows, head.T - t);
    launch_head(s.queue, head.product(t, rows, 0, head.V, temperature),
                ScoreTile{partials, out.targets + t, target_logits});
    LAUNCH(loss_rows, static_cast<unsigned>((rows + 7) / 8), kRowThreads, 0, s.queue, gradients, entropies, out.logprobs,
           partials, tiles, target_logits, out.targets, terms, t, rows, head.V);
    LAUNCH(sum_stats, 1, kRowThreads, 0, s.queue, s.partials, out.stats, terms, out.logprobs, entropies, t, rows,
           t + rows == head.T);
    const Operand h{b16(head.h) + int64_t{t} * C, C, C};
    for (int v = 0; v < head.V; v += plan.columns) {
      const int columns = std::min(plan.columns, head.V - v);
      launch_head(s.queue, head.product(t, rows, v, columns, temperature),
                  GradientTile{gradients, out.targets + t, dz, ld, v});
      const RowsOut dh{b16(out.dh) + int64_t{t} * C, C, nullptr, false, carry, v > 0, v + columns < head.V};
      input_gradient(s.queue, dh, {b16(head.packed) + v * ld_w, ld_w, C}, {dz, ld, rows}, columns);
      weight_gradient(s.queue, out.dw + int64_t{v} * C, C, {dz, ld, columns}, h, rows);
    }
  }
}

void loss_f32(Stream& s, const Head& head, const Outputs& out, const LossTerms& terms, float inv_temperature,
              uint64_t workspace, uint64_t workspace_bytes) {
  constexpr int kRowBlock = 256, kVocabBlock = 4096;  // sums that the CPU backend starts afresh
  const int V = head.V, C = head.C;
  const int chunk = rows_that_fit(workspace_bytes, sizeof(float) * static_cast<uint64_t>(V), std::min(head.T, kMostRows));
  float* logits = f32(workspace);
  float* entropies = s.scratch.get<float>(static_cast<size_t>(chunk));
  for (int t = 0; t < head.T; t += chunk) {
    const int rows = std::min(chunk, head.T - t);
    const float* h = f32(head.h) + int64_t{t} * C;
    head.logits_f32(s.queue, logits, t, rows);
    launch_tile("loss_rows_f32", loss_rows_f32, rows, kRowThreads, partial_bytes(V), s.queue, logits, entropies,
                out.logprobs, out.targets, terms, t, V, inv_temperature);
    LAUNCH(sum_stats, 1, kRowThreads, 0, s.queue, s.partials, out.stats, terms, out.logprobs, entropies, t, rows,
           t + rows == head.T);
    multiply_f32(s.queue, {logits, V, 1, f32(head.packed), 1, C, f32(out.dh) + int64_t{t} * C, C, 1, nullptr, rows, C, V,
                           kVocabBlock, false});
    multiply_f32(s.queue, {logits, 1, V, h, 1, C, out.dw, C, 1, nullptr, V, C, rows, kRowBlock, true});
  }
}

void head_loss(Stream& s, const Head& head, const Outputs& out, const LossTerms& terms, float inv_temperature,
               uint64_t workspace, uint64_t workspace_bytes) {
  if (head.T == 0) return;
  check_targets(s, out.targets, head.T, head.V);
  (head.is_f32 ? loss_f32 : loss_bf16)(s, head, out, terms, inv_temperature, workspace, workspace_bytes);
}

}  // namespace
}  // namespace tk

using namespace tk;

extern "C" {

int32_t tk_cross_entropy_loss(uint64_t stream, uint64_t stats, uint64_t logprobs, uint64_t dh, uint64_t dw, uint64_t h,
                              uint64_t packed, uint64_t targets, uint64_t weights, int32_t T, int32_t C, int32_t V,
                              uint64_t workspace, uint64_t workspace_bytes, int32_t dtype, int32_t w_dtype) {
  return launch(stream, [&](Stream& s) {
    const Head head = make_head(h, packed, T, C, V, workspace_bytes, dtype, w_dtype);
    const Outputs out{f32(stats), f32(logprobs), f32(dw), dh, i32(targets)};
    const LossTerms terms{f32(weights), nullptr, nullptr, nullptr, nullptr, 0.0f, 0.0f, 0.0f, 0.0f, 1};
    head_loss(s, head, out, terms, 1.0f, workspace, workspace_bytes);
  });
}

int32_t tk_ppo_loss(uint64_t stream, uint64_t stats, uint64_t logprobs, uint64_t dh, uint64_t dw, uint64_t h,
                    uint64_t packed, uint64_t targets, uint64_t weights, uint64_t advantages, uint64_t old_logprobs,
                    uint64_t ref_logprobs, uint64_t is_weights, float inv_temperature, float clip_low, float clip_high,
                    float entropy_coef, float kl_coef, int32_t kl_estimator, int32_t T, int32_t C, int32_t V,
                    uint64_t workspace, uint64_t workspace_bytes, int32_t dtype, int32_t w_dtype) {
  return launch(stream, [&](Stream& s) {
    const Head head = make_head(h, packed, T, C, V, workspace_bytes, dtype, w_dtype);
    require(advantages != 0 && old_logprobs != 0, "advantages and old log-probs are needed");
    require(kl_estimator >= 1 && kl_estimator <= 3, "kl_estimator must be 1, 2 or 3");
    const Outputs out{f32(stats), f32(logprobs), f32(dw), dh, i32(targets)};
    const LossTerms terms{f32(weights),    f32(advantages), f32(old_logprobs), f32(ref_logprobs), f32(is_weights),
                          clip_low,        clip_high,       entropy_coef,      kl_coef,           kl_estimator};
    head_loss(s, head, out, terms, inv_temperature, workspace, workspace_bytes);
  });
}

}  // extern "C"
