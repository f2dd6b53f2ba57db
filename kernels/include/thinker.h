// thinker.h: the one C ABI between TypeScript and a compute backend (CPU, CUDA, emulator).
//
// Conventions
//  * Every function returns a status: 0 = ok, otherwise tk_last_error() holds one clear line.
//    No C++ exception crosses this boundary (it would abort the host process).
//  * A GPU reports what goes wrong inside a kernel at some later call, and some errors end its context.
//    The call that finds out returns TK_LOST; after it every call fails with a message that refers to
//    the first one, except that freeing and destroying succeed: all went with the context.
//    THINKER_CUDA_SYNC=1 in the environment waits after every kernel, so that the right call fails.
//  * Handles and device addresses are uint64_t. Sizes, counts and strides are int32_t unless a byte
//    count can pass 2 GiB. `const void*` / `void*` parameters are host buffers; everything else that
//    is an address points to memory of the device.
//  * Everything that takes a stream is enqueued and returns at once; argument errors are reported by
//    the call itself, execution errors by the next tk_stream_sync / tk_download.
//  * Shapes are row-major: (T, C) means T rows of C contiguous elements. T counts packed tokens.
//  * `dtype` is the type of activations, `w_dtype` that of compute weights (tk_linear_pack). Scalars
//    of the loss (log-probs, values, advantages), norm weights, biases, gradients of parameters and
//    optimizer state are float32 on every backend.
//  * An address of 0 means "absent" where a parameter is marked optional.
//
// Exactness contract: the bits of an output row depend on the row's inputs and on the reduction
// length only, never on the number of rows, on the thread count or on which of two ops (training or
// decode) computed it. See docs/numerics.md.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TK_API __attribute__((visibility("default")))
// Marks what waits for a stream: callers run it beside their main thread.
#define TK_WAITS TK_API
// A hash of all other code of this file, written by `deno task generate`.
#define TK_ABI_VERSION 1304718775

enum tk_status { TK_OK = 0, TK_ERROR = 1, TK_LOST = 2 };
enum tk_dtype { TK_F32 = 0, TK_BF16 = 1, TK_I32 = 2 };

// ---- library and device -------------------------------------------------------------------------

TK_API int32_t tk_abi_version(void);
// Copies the last error of any thread, NUL-terminated, into a host buffer.
TK_API int32_t tk_last_error(void* buffer, int32_t capacity);
// `index` chooses among GPUs; there is one CPU. `threads` = 0: as many as the machine (or OMP_NUM_THREADS)
// allows. CUDA ignores it.
TK_API int32_t tk_device_open(int32_t index, int32_t threads, void* device_out);
TK_API int32_t tk_device_close(uint64_t device);
// One JSON object: backend, name, isa, threads, memoryBytes, kvTile (block sizes are multiples of it), sync
// (whether every kernel is waited for).
TK_API int32_t tk_device_info(uint64_t device, void* buffer, int32_t capacity);

// ---- memory, streams, events, graphs ------------------------------------------------------------

TK_API int32_t tk_memory_alloc(uint64_t device, uint64_t bytes, void* address_out);
TK_API int32_t tk_memory_free(uint64_t device, uint64_t address);
TK_API int32_t tk_stream_create(uint64_t device, void* stream_out);
TK_API int32_t tk_stream_destroy(uint64_t stream);
// Blocks until everything enqueued so far has run; reports the first execution error.
TK_WAITS int32_t tk_stream_sync(uint64_t stream);
// The host buffer is consumed before the call returns.
TK_API int32_t tk_upload(uint64_t stream, uint64_t dst, const void* src, uint64_t bytes);
// Waits for the stream, then copies: the host buffer is complete when the call returns.
TK_WAITS int32_t tk_download(uint64_t stream, void* dst, uint64_t src, uint64_t bytes);
// Enqueues a copy to the host and returns: what is enqueued after it need not run before it is complete.
TK_API int32_t tk_readback_begin(uint64_t stream, uint64_t src, uint64_t bytes, void* readback_out);
// Waits for that copy, hands it over (as many bytes as it was begun with) and ends the handle.
TK_WAITS int32_t tk_readback_end(uint64_t stream, uint64_t readback, void* dst);
TK_API int32_t tk_copy(uint64_t stream, uint64_t dst, uint64_t src, uint64_t bytes);
// Writes the 32-bit pattern `count` times.
TK_API int32_t tk_fill(uint64_t stream, uint64_t dst, uint32_t pattern, uint64_t count);

TK_API int32_t tk_event_create(uint64_t device, void* event_out);
TK_API int32_t tk_event_destroy(uint64_t event);
TK_API int32_t tk_event_record(uint64_t stream, uint64_t event);
TK_API int32_t tk_stream_wait_event(uint64_t stream, uint64_t event);
// Milliseconds (double, host buffer) between two events whose recording has completed.
TK_API int32_t tk_event_elapsed(uint64_t start, uint64_t end, void* milliseconds_out);

// Between begin and end, ops of this stream are recorded instead of run.
TK_API int32_t tk_graph_begin(uint64_t stream);
TK_API int32_t tk_graph_end(uint64_t stream, void* graph_out);
TK_API int32_t tk_graph_launch(uint64_t stream, uint64_t graph);
TK_API int32_t tk_graph_destroy(uint64_t graph);

// ---- linear -------------------------------------------------------------------------------------

// Compute weights: the backend's own layout and precision of a float32 master matrix w(N, K).
// The byte count is written to a host buffer (uint64).
TK_API int32_t tk_linear_packed_bytes(uint64_t device, int32_t N, int32_t K, int32_t w_dtype, void* bytes_out);
TK_API int32_t tk_linear_pack(uint64_t stream, uint64_t packed, uint64_t w, int32_t N, int32_t K, int32_t w_dtype);

// y(M, N) = [y +] x(M, K) w(N, K)^T [+ bias(N)]. bias optional.
TK_API int32_t tk_linear_forward(uint64_t stream, uint64_t y, uint64_t x, uint64_t packed, uint64_t bias,
                                 int32_t M, int32_t N, int32_t K, int32_t accumulate, int32_t dtype, int32_t w_dtype);
// dx(M, K) = [dx +] dy(M, N) w(N, K).
TK_API int32_t tk_linear_backward_input(uint64_t stream, uint64_t dx, uint64_t dy, uint64_t packed,
                                        int32_t M, int32_t N, int32_t K, int32_t accumulate, int32_t dtype, int32_t w_dtype);
// dw(N, K) += dy(M, N)^T x(M, K);  dbias(N) += sum over rows of dy (optional).
TK_API int32_t tk_linear_backward_weight(uint64_t stream, uint64_t dw, uint64_t dbias, uint64_t dy, uint64_t x,
                                         int32_t M, int32_t N, int32_t K, int32_t dtype);

// ---- layers -------------------------------------------------------------------------------------

// out(T, C) = table(V, C)[ids(T)], table in float32. Rows whose id is negative are zero.
TK_API int32_t tk_embedding_forward(uint64_t stream, uint64_t out, uint64_t ids, uint64_t table,
                                    int32_t T, int32_t V, int32_t C, int32_t dtype);
// dtable(V, C)[ids(t)] += dout(T, C)[t], rows added in order of t.
TK_API int32_t tk_embedding_backward(uint64_t stream, uint64_t dtable, uint64_t ids, uint64_t dout,
                                     int32_t T, int32_t V, int32_t C, int32_t dtype);

// s = x [+ residual];  y = s / sqrt(mean(s^2) + eps) * w(C);  rstd(T) is kept for the backward pass.
// residual and sum are optional (both or neither); sum may alias x or residual. rstd optional.
TK_API int32_t tk_rmsnorm_forward(uint64_t stream, uint64_t y, uint64_t sum, uint64_t rstd, uint64_t x,
                                  uint64_t residual, uint64_t w, int32_t T, int32_t C, float eps, int32_t dtype);
// dx(T, C) = [dx +] gradient through the norm;  dw(C) += ...  x is the normalised input s.
TK_API int32_t tk_rmsnorm_backward(uint64_t stream, uint64_t dx, uint64_t dw, uint64_t dy, uint64_t x,
                                   uint64_t rstd, uint64_t w, int32_t T, int32_t C, int32_t accumulate, int32_t dtype);

// Per-head RMSNorm of q and k (Qwen3), before RoPE. out(T, (H + 2 Hk) D) = qkv with each q head normalised
// and scaled by wq(D), each k head by wk(D); v is copied. out and qkv are distinct. rstd(T, H + Hk) float32,
// q heads first, is kept for the backward pass (optional).
TK_API int32_t tk_qk_norm_forward(uint64_t stream, uint64_t out, uint64_t rstd, uint64_t qkv, uint64_t wq, uint64_t wk,
                                  int32_t T, int32_t H, int32_t Hk, int32_t D, float eps, int32_t dtype);
// dqkv, in place: the gradient through the norm on its q and k parts. dwq(D), dwk(D) += ...
// qkv is the input of the forward pass.
TK_API int32_t tk_qk_norm_backward(uint64_t stream, uint64_t dqkv, uint64_t dwq, uint64_t dwk, uint64_t qkv, uint64_t rstd,
                                   uint64_t wq, uint64_t wk, int32_t T, int32_t H, int32_t Hk, int32_t D, int32_t dtype);

// Rotary embedding, half-split pairs (i, i + D/2), in place on the q and k parts of
// qkv(T, (H + 2 Hk) D). cos_sin(P, D): D/2 cosines then D/2 sines of each position.
// inverse = 1 rotates back: the backward pass.
TK_API int32_t tk_rope(uint64_t stream, uint64_t qkv, uint64_t positions, uint64_t cos_sin,
                       int32_t T, int32_t H, int32_t Hk, int32_t D, int32_t P, int32_t inverse, int32_t dtype);
// The same rotation, fused with the write of k and v into the paged cache of one layer.
// Row t belongs to sequence row_seq(t), whose blocks are block_tables(S, max_blocks)[row_seq(t)].
// Rows with a negative position are left alone.
TK_API int32_t tk_rope_kv_write(uint64_t stream, uint64_t qkv, uint64_t positions, uint64_t cos_sin,
                                uint64_t k_cache, uint64_t v_cache, uint64_t block_tables, uint64_t row_seq,
                                int32_t T, int32_t H, int32_t Hk, int32_t D, int32_t P, int32_t block,
                                int32_t max_blocks, int32_t dtype);
// Copies blocks inside one layer's cache: pairs(n, 2) int32 = (source, destination).
TK_API int32_t tk_kv_copy_blocks(uint64_t stream, uint64_t k_cache, uint64_t v_cache, uint64_t pairs,
                                 int32_t n, int32_t Hk, int32_t D, int32_t block, int32_t dtype);

// Causal grouped-query attention over packed sequences. qkv(T, (H + 2 Hk) D) after RoPE, cu_seqlens(B + 1)
// int32 on the device, out(T, H D), lse(T, H) float32 (optional).
TK_API int32_t tk_attention_forward(uint64_t stream, uint64_t out, uint64_t lse, uint64_t qkv, uint64_t cu_seqlens,
                                    int32_t B, int32_t T, int32_t H, int32_t Hk, int32_t D, float scale, int32_t dtype);
// dqkv is overwritten.
TK_API int32_t tk_attention_backward(uint64_t stream, uint64_t dqkv, uint64_t dout, uint64_t out, uint64_t lse,
                                     uint64_t qkv, uint64_t cu_seqlens, int32_t B, int32_t T, int32_t H, int32_t Hk,
                                     int32_t D, float scale, int32_t dtype);
// The same attention with keys and values from the paged cache (prefill and decode): row t attends to
// positions 0 .. positions(t) of its sequence. Rows with a negative position get zeros. `decode`: no two rows
// belong to one sequence (a hint: it changes no bit).
TK_API int32_t tk_attention_paged(uint64_t stream, uint64_t out, uint64_t qkv, uint64_t k_cache, uint64_t v_cache,
                                  uint64_t block_tables, uint64_t row_seq, uint64_t positions, int32_t T, int32_t H,
                                  int32_t Hk, int32_t D, int32_t block, int32_t max_blocks, int32_t decode, float scale,
                                  int32_t dtype);

// y(T, F) = silu(gate) * up, with gate_up(T, 2F) = [gate | up].
TK_API int32_t tk_swiglu_forward(uint64_t stream, uint64_t y, uint64_t gate_up, int32_t T, int32_t F, int32_t dtype);
TK_API int32_t tk_swiglu_backward(uint64_t stream, uint64_t dgate_up, uint64_t dy, uint64_t gate_up,
                                  int32_t T, int32_t F, int32_t dtype);

// out(n, C) = x[index(n)];  scatter: dx(T, C) rows index(n) += dout(n, C) (indices are distinct).
TK_API int32_t tk_gather_rows(uint64_t stream, uint64_t out, uint64_t x, uint64_t index, int32_t n, int32_t C, int32_t dtype);
TK_API int32_t tk_scatter_add_rows(uint64_t stream, uint64_t dx, uint64_t dout, uint64_t index, int32_t n, int32_t C, int32_t dtype);
// dst(n) = src(n) converted between float32 and bfloat16 (round to nearest even).
TK_API int32_t tk_cast(uint64_t stream, uint64_t dst, uint64_t src, int32_t n, int32_t dst_dtype, int32_t src_dtype);

// ---- LM head: the (T, V) logits never exist; tiles live in the workspace ---------------------------

// log p(target) under softmax(h w^T * inv_temperature).
TK_API int32_t tk_lm_head_logprobs(uint64_t stream, uint64_t logprobs, uint64_t h, uint64_t packed, uint64_t targets,
                                   float inv_temperature, int32_t T, int32_t C, int32_t V, uint64_t workspace,
                                   uint64_t workspace_bytes, int32_t dtype, int32_t w_dtype);
// Samples one token a row. sampling(B, 3) float32 = temperature (0: greedy), top_p, top_k (0: all).
// The random number depends on (seed, sequence id, position) alone: Philox4x32-10. keys(B, 4) int32 = low and
// high word of the seed, low and high word of the sequence id. The log-prob is that of the distribution the token was drawn from
// (greedy: the softmax at temperature 1). Rows with a negative position are skipped.
TK_API int32_t tk_lm_head_sample(uint64_t stream, uint64_t tokens, uint64_t logprobs, uint64_t h, uint64_t packed,
                                 uint64_t sampling, uint64_t keys, uint64_t positions, int32_t B, int32_t C, int32_t V,
                                 uint64_t workspace, uint64_t workspace_bytes, int32_t dtype, int32_t w_dtype);
// After sampling, for rows with position >= 0: append the token and its log-prob to
// out_tokens / out_logprobs (B, capacity) at out_count(B), feed it next (tokens), position + 1,
// remaining - 1; a stop token or a spent budget sets position = -1.
TK_API int32_t tk_decode_advance(uint64_t stream, uint64_t tokens, uint64_t positions, uint64_t remaining,
                                 uint64_t out_tokens, uint64_t out_logprobs, uint64_t out_count, uint64_t sampled,
                                 uint64_t sampled_logprobs, uint64_t stop_ids, int32_t stops, int32_t B, int32_t capacity);
// dst(size) int32: dst(index) = value for pairs(n, 2) int32 = (index, value), whose indices are distinct. How the
// host changes single words of the state of a decode loop, all in one upload.
TK_API int32_t tk_write_words(uint64_t stream, uint64_t dst, uint64_t pairs, int32_t n, int32_t size);

// ---- losses -------------------------------------------------------------------------------------

// Slots of stats (float32, accumulated): see enum. Sums are weighted by weights(T); maxima are not.
enum tk_stat {
  TK_STAT_LOSS = 0,          // what is differentiated
  TK_STAT_POLICY = 1,        // clipped surrogate, or cross-entropy
  TK_STAT_ENTROPY = 2,
  TK_STAT_KL = 3,            // k3 estimate of KL(old || new) against old_logprobs
  TK_STAT_KL_REF = 4,        // chosen estimator against ref_logprobs
  TK_STAT_CLIPPED = 5,       // weight of tokens whose ratio the clip cut off
  TK_STAT_WEIGHT = 6,        // sum of weights
  TK_STAT_GAP_MAX = 7,       // max |logprob - old_logprob| over tokens with weight > 0
  TK_STAT_VALUE = 8,         // clipped value loss
  TK_STAT_VALUE_CLIPPED = 9,
  TK_STAT_COUNT = 16
};

// L = -sum w log p(target). logprobs(T), dh(T, C) overwritten; dw(V, C) accumulated.
TK_API int32_t tk_cross_entropy_loss(uint64_t stream, uint64_t stats, uint64_t logprobs, uint64_t dh, uint64_t dw,
                                     uint64_t h, uint64_t packed, uint64_t targets, uint64_t weights, int32_t T, int32_t C,
                                     int32_t V, uint64_t workspace, uint64_t workspace_bytes, int32_t dtype, int32_t w_dtype);
// PPO straight from hidden states and the LM head: clipped surrogate, entropy bonus, KL to a reference,
// statistics and gradients, one pass over tiles of rows.
//   rho = exp(logp - old);  L = sum w [ -is min(rho A, clip(rho, 1 - clip_low, 1 + clip_high) A)
//                                       - entropy_coef H + kl_coef KL(logp, ref) ]
// is_weights (truncated importance weights) and ref_logprobs are optional. kl_estimator: 1, 2 or 3
// (1 and 2: gradient of KL(policy || ref), 3: of KL(ref || policy)).
TK_API int32_t tk_ppo_loss(uint64_t stream, uint64_t stats, uint64_t logprobs, uint64_t dh, uint64_t dw, uint64_t h,
                           uint64_t packed, uint64_t targets, uint64_t weights, uint64_t advantages, uint64_t old_logprobs,
                           uint64_t ref_logprobs, uint64_t is_weights, float inv_temperature, float clip_low, float clip_high,
                           float entropy_coef, float kl_coef, int32_t kl_estimator, int32_t T, int32_t C, int32_t V,
                           uint64_t workspace, uint64_t workspace_bytes, int32_t dtype, int32_t w_dtype);
// L = sum w 0.5 max((v - R)^2, (clip(v, old - c, old + c) - R)^2);  dvalues(T) overwritten.
TK_API int32_t tk_value_loss(uint64_t stream, uint64_t stats, uint64_t dvalues, uint64_t values, uint64_t old_values,
                             uint64_t returns, uint64_t weights, float clip, int32_t T);
// Generalised advantage estimation over S segments of consecutive tokens, segments(S + 1) int32.
// link(S) float32: factor by which value and advantage of the NEXT segment flow back over the border
// (0 = the segment ends an episode or is its own credit-assignment unit).
TK_API int32_t tk_gae(uint64_t stream, uint64_t advantages, uint64_t returns, uint64_t rewards, uint64_t values,
                      uint64_t segments, uint64_t link, int32_t S, int32_t T, float gamma, float lambda);
// x = (x - mean) / sqrt(max(var, 1e-8)) over all T elements.
TK_API int32_t tk_whiten(uint64_t stream, uint64_t x, int32_t T);

// ---- optimizer ----------------------------------------------------------------------------------

// norm(1) = sqrt(sum g^2) over n elements.
TK_API int32_t tk_grad_norm(uint64_t stream, uint64_t norm, uint64_t grads, uint64_t n);
// AdamW with bias correction on flat float32 buffers. The gradient is scaled by
// min(1, max_norm / norm); a norm that is not finite skips the update. t counts from 1.
TK_API int32_t tk_adamw(uint64_t stream, uint64_t params, uint64_t grads, uint64_t m, uint64_t v, uint64_t norm,
                        uint64_t n, float lr, float beta1, float beta2, float eps, float weight_decay, float max_norm, int32_t t);

#ifdef __cplusplus
}
#endif
