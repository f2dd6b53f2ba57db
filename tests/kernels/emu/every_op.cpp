// every_op.cpp: calls every op of the CUDA backend once in each precision, for a sanitizer to watch. The
// op tests check the numbers; here only races and wild accesses count. Inputs are small random numbers.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "thinker.h"

namespace {

uint64_t device, stream;

void ok(int32_t status, const char* call) {
  if (status == 0) return;
  char message[512];
  tk_last_error(message, sizeof message);
  std::fprintf(stderr, "%s: %s\n", call, message);
  std::exit(1);
}
#define RUN(call) ok(call, #call)

uint64_t memory(uint64_t bytes) {
  uint64_t address = 0;
  RUN(tk_memory_alloc(device, bytes, &address));
  RUN(tk_fill(stream, address, 0, bytes / 4));  // the sanitizer watches every byte past the end
  return address;
}
uint64_t zeros(int n) { return memory(4 * static_cast<uint64_t>(n)); }

template <class T>
uint64_t put(const std::vector<T>& values) {
  const uint64_t address = memory(values.size() * sizeof(T));
  RUN(tk_upload(stream, address, values.data(), values.size() * sizeof(T)));
  return address;
}
uint64_t floats(int n, float low = -1.0f, float high = 1.0f) {
  static uint32_t state = 1;
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) {
    state = state * 1664525u + 1013904223u;
    v = low + (high - low) * static_cast<float>(state >> 8) / 16777216.0f;
  }
  return put(values);
}
uint64_t ints(int n, int limit) {
  std::vector<int32_t> values(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i) values[static_cast<size_t>(i)] = i * 7 % limit;
  return put(values);
}

// n activations of the dtype.
uint64_t activations(int n, int32_t dtype) {
  const uint64_t source = floats(n);
  if (dtype == TK_F32) return source;
  const uint64_t out = memory(2 * static_cast<uint64_t>(n) + 2);
  RUN(tk_cast(stream, out, source, n, TK_BF16, TK_F32));
  return out;
}
uint64_t packed(int N, int K, int32_t dtype) {
  uint64_t bytes = 0;
  RUN(tk_linear_packed_bytes(device, N, K, dtype, &bytes));
  const uint64_t out = memory(bytes);
  RUN(tk_linear_pack(stream, out, floats(N * K), N, K, dtype));
  return out;
}

void linear(int32_t t, int M, int N, int K) {
  const uint64_t w = packed(N, K, t), x = activations(M * K, t), y = activations(M * N, t);
  RUN(tk_linear_forward(stream, y, x, w, floats(N), M, N, K, 1, t, t));
  RUN(tk_linear_backward_input(stream, activations(M * K, t), y, w, M, N, K, 1, t, t));
  RUN(tk_linear_backward_weight(stream, zeros(N * K), zeros(N), y, x, M, N, K, t));
}

void layers(int32_t t) {
  const int T = 37, C = 72, V = 11;
  const uint64_t ids = ints(T, V), x = activations(T * C, t), sum = activations(T * C, t), w = floats(C);
  const uint64_t y = activations(T * C, t), rstd = zeros(T), wide = activations(T * 2 * C, t);
  RUN(tk_embedding_forward(stream, y, ids, floats(V * C), T, V, C, t));
  RUN(tk_embedding_backward(stream, zeros(V * C), ids, x, T, V, C, t));
  RUN(tk_rmsnorm_forward(stream, y, sum, rstd, x, y, w, T, C, 1e-6f, t));
  RUN(tk_rmsnorm_backward(stream, activations(T * C, t), zeros(C), x, sum, rstd, w, T, C, 1, t));
  RUN(tk_swiglu_forward(stream, y, wide, T, C, t));
  RUN(tk_swiglu_backward(stream, activations(T * 2 * C, t), y, wide, T, C, t));
  RUN(tk_gather_rows(stream, activations(5 * C, t), x, ints(5, 100), 5, C, t));
  RUN(tk_scatter_add_rows(stream, x, activations(5 * C, t), ints(5, 100), 5, C, t));
}

void attention(int32_t t, int H, int Hk, int D) {
  const int T = 150, wide = (H + 2 * Hk) * D, P = 200, block = 64, blocks = 3;
  const uint64_t cu = put(std::vector<int32_t>{0, 70, 71, T}), table = floats(P * D);
  const uint64_t qkv = activations(T * wide, t), normed = activations(T * wide, t), rstd = zeros(T * (H + Hk));
  const uint64_t wq = floats(D), wk = floats(D), out = activations(T * H * D, t), lse = zeros(T * H);
  const uint64_t dqkv = activations(T * wide, t), positions = ints(T, P);
  RUN(tk_qk_norm_forward(stream, normed, rstd, qkv, wq, wk, T, H, Hk, D, 1e-6f, t));
  RUN(tk_rope(stream, normed, positions, table, T, H, Hk, D, P, 0, t));
  RUN(tk_attention_forward(stream, out, lse, normed, cu, 3, T, H, Hk, D, 0.1f, t));
  RUN(tk_attention_backward(stream, dqkv, activations(T * H * D, t), out, lse, normed, cu, 3, T, H, Hk, D, 0.1f, t));
  RUN(tk_qk_norm_backward(stream, dqkv, zeros(D), zeros(D), qkv, rstd, wq, wk, T, H, Hk, D, t));
  const int cached = blocks * Hk * block * D;
  const uint64_t k = activations(cached, t), v = activations(cached, t);
  const uint64_t tables = put(std::vector<int32_t>{0, 2}), rows = zeros(100);
  std::vector<int32_t> places(100);
  for (int i = 0; i < 100; ++i) places[static_cast<size_t>(i)] = i;
  const uint64_t at = put(places);
  RUN(tk_rope_kv_write(stream, qkv, at, table, k, v, tables, rows, 100, H, Hk, D, P, block, 2, t));
  RUN(tk_attention_paged(stream, out, qkv, k, v, tables, rows, at, 100, H, Hk, D, block, 2, 0, 0.1f, t));
  RUN(tk_attention_paged(stream, out, qkv, k, v, tables, rows, put(std::vector<int32_t>{99}), 1, H, Hk, D, block, 2,
                         1, 0.1f, t));
  RUN(tk_kv_copy_blocks(stream, k, v, put(std::vector<int32_t>{0, 1}), 1, Hk, D, block, t));
}

void head(int32_t t) {
  const int T = 21, C = 40, V = 300;
  const uint64_t w = packed(V, C, t), h = activations(T * C, t), targets = ints(T, V), logprobs = zeros(T);
  const uint64_t bytes = 1 << 20, workspace = memory(bytes), dh = activations(T * C, t), dw = zeros(V * C);
  const uint64_t weights = floats(T, 0.0f, 1.0f), stats = zeros(TK_STAT_COUNT), tokens = zeros(T);
  RUN(tk_lm_head_logprobs(stream, logprobs, h, w, targets, 1.0f, T, C, V, workspace, bytes, t, t));
  for (const std::vector<float>& row : {std::vector<float>{1.0f, 1.0f, 0.0f}, std::vector<float>{0.7f, 0.9f, 20.0f}}) {
    std::vector<float> sampling;
    for (int i = 0; i < T; ++i) sampling.insert(sampling.end(), row.begin(), row.end());
    RUN(tk_lm_head_sample(stream, tokens, logprobs, h, w, put(sampling), ints(4 * T, 100), ints(T, 100), T, C, V,
                          workspace, bytes, t, t));
  }
  RUN(tk_cross_entropy_loss(stream, stats, logprobs, dh, dw, h, w, targets, weights, T, C, V, workspace, bytes, t, t));
  RUN(tk_ppo_loss(stream, stats, zeros(T), dh, dw, h, w, targets, weights, floats(T), logprobs, logprobs, weights, 1.0f,
                  0.2f, 0.2f, 0.01f, 0.1f, 3, T, C, V, workspace, bytes, t, t));
}

void scalars() {
  const int T = 100, B = 5;
  const uint64_t segments = put(std::vector<int32_t>{0, 30, 31, T}), link = put(std::vector<float>{0.5f, 0.0f, 0.0f});
  const uint64_t advantages = zeros(T), values = floats(T), norm = zeros(1);
  RUN(tk_gae(stream, advantages, zeros(T), floats(T), values, segments, link, 3, T, 0.9f, 0.8f));
  RUN(tk_whiten(stream, advantages, T));
  RUN(tk_value_loss(stream, zeros(TK_STAT_COUNT), zeros(T), values, floats(T), advantages, floats(T), 0.2f, T));
  RUN(tk_decode_advance(stream, ints(B, 9), ints(B, 9), put(std::vector<int32_t>(B, 3)), zeros(B * 4), zeros(B * 4),
                        zeros(B), ints(B, 9), floats(B), put(std::vector<int32_t>{7}), 1, B, 4));
  const uint64_t words = zeros(B);
  RUN(tk_write_words(stream, words, put(std::vector<int32_t>{0, 5, B - 1, 6}), 2, B));
  uint64_t readback = 0;
  std::vector<int32_t> back(B);
  RUN(tk_readback_begin(stream, words, back.size() * sizeof(int32_t), &readback));
  RUN(tk_readback_end(stream, readback, back.data()));
  const uint64_t params = floats(3000), grads = floats(3000);
  RUN(tk_grad_norm(stream, norm, grads, 3000));
  RUN(tk_adamw(stream, params, grads, zeros(3000), zeros(3000), norm, 3000, 1e-3f, 0.9f, 0.95f, 1e-8f, 0.1f, 1.0f, 1));
}

}  // namespace

int main() {
  ok(tk_device_open(0, 0, &device), "tk_device_open");
  RUN(tk_stream_create(device, &stream));
  for (const int32_t t : {TK_F32, TK_BF16}) {
    linear(t, 3, 40, 48);
    linear(t, 140, 136, 72);
    linear(t, 5, 33, 31);
    layers(t);
    attention(t, 4, 2, 64);
    attention(t, 2, 1, 128);
    attention(t, 2, 1, 32);
    head(t);
  }
  scalars();
  RUN(tk_stream_sync(stream));
  std::fputs("right\n", stderr);
}
