// attention_simt.cu: attention on plain cores, for float32 and for head dimensions that the tensor-core
// kernels do not have. Also the slow reference beside them: one warp a row and head, scores as one FMA chain
// over D, an online softmax over tiles of 32 keys. Packed and paged run one function: the same bits.
//
// FLOPs: 4 D a (query, key) pair and head forward, 14 D backward (scores and their gradient are computed once
// for dq and once for dk, dv). Bound: the load units, since every warp reads all its keys from the caches.
#include "attention.cuh"

namespace tk {
namespace {

constexpr int kWarps = 4, kMostDim = 256, kEach = kMostDim / 32;  // columns of a lane: lane + 32 i

// Rows of one warp in shared memory, and 32 weights of its tile.
struct WarpMemory {
  float a[kMostDim], b[kMostDim], p[32], ds[32];
};
DEV WarpMemory& warp_memory() {
  GPU_SHARED(WarpMemory, memory, [kWarps]);
  return memory[threadIdx.x / 32];
}
DEV int lane_id() { return static_cast<int>(threadIdx.x) % 32; }
// The warp's place in the grid.
DEV int64_t warp_id() { return static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32; }

template <class T>
DEV void stage(float* to, const T* row, int D) {
  for (int d = lane_id(); d < D; d += 32) to[d] = to_float(row[d]);
}

template <class T>
DEV float dot(const float* a, const T* row, int D) {
  float sum = 0.0f;
  for (int d = 0; d < D; d += kPack) {
    const Pack v = load_pack<true>(row + d);
#pragma unroll
    for (int k = 0; k < kPack; ++k) sum = __fmaf_rn(a[d + k], v.x[k], sum);
  }
  return sum;
}

// sum(d) += weight * row(d) for the lane's columns.
template <class T>
DEV void add_row(float (&sum)[kEach], float weight, const T* row, int D) {
#pragma unroll
  for (int i = 0; i < kEach; ++i)
    if (lane_id() + 32 * i < D) sum[i] = __fmaf_rn(weight, to_float(row[lane_id() + 32 * i]), sum[i]);
}
template <class T>
DEV void store_columns(T* row, const float (&x)[kEach], int D) {
#pragma unroll
  for (int i = 0; i < kEach; ++i)
    if (lane_id() + 32 * i < D) from_float(row[lane_id() + 32 * i], x[i]);
}

// One row and head: keys 0 .. end - 1.
template <class T, class Keys>
DEV void attend(T* out, float* lse, const T* query, const Keys& keys, int end, int D, float scale) {
  WarpMemory& memory = warp_memory();
  stage(memory.a, query, D);
  float o[kEach] = {}, m = -INFINITY, l = 0.0f;
  for (int at = 0; at < end; at += 32) {
    const int key = at + lane_id();
    __syncwarp();  // the row is staged; nobody reads the last tile's weights any more
    const float score = key < end ? __fmul_rn(dot(memory.a, keys.key(key), D), scale) : -INFINITY;
    const float top = fmaxf(m, warp_max(score)), alpha = expf(__fsub_rn(m, top)), p = expf(__fsub_rn(score, top));
    m = top;
    l = __fmaf_rn(l, alpha, warp_sum(p));
    memory.p[lane_id()] = p;
    __syncwarp();
#pragma unroll
    for (int i = 0; i < kEach; ++i) o[i] = __fmul_rn(o[i], alpha);
    for (int j = 0; j < min(32, end - at); ++j) add_row(o, memory.p[j], keys.value(at + j), D);
  }
#pragma unroll
  for (int i = 0; i < kEach; ++i) o[i] = __fdiv_rn(o[i], l);
  store_columns(out, o, D);
  if (lse && lane_id() == 0) *lse = __fadd_rn(m, logf(l));
}

template <class T>
DEV PackedKeys<T> packed_keys(const T* qkv, const Heads& heads, int row, int hk) {
  const T* first = qkv + row * heads.row();
  return {first + static_cast<int64_t>(heads.H + hk) * heads.D,
          first + static_cast<int64_t>(heads.H + heads.Hk + hk) * heads.D, heads.row()};
}

template <class T>
__global__ void __launch_bounds__(32 * kWarps, 4) simt_forward(T* out, float* lse, const T* qkv, Sequences sequences,
                                                            Heads heads, float scale) {
  sequences.check();
  const int64_t at = warp_id();
  if (at >= static_cast<int64_t>(sequences.tokens) * heads.H) return;
  const int t = static_cast<int>(at / heads.H), h = static_cast<int>(at % heads.H);
  const Sequence sequence = sequences.of(t);
  if (sequence.begin > t) return;
  attend(out + at * heads.D, lse ? lse + at : nullptr, qkv + t * heads.row() + static_cast<int64_t>(h) * heads.D,
         packed_keys(qkv, heads, sequence.begin, h / heads.group()), t - sequence.begin + 1, heads.D, scale);
}

template <class T>
__global__ void __launch_bounds__(32 * kWarps, 4) simt_paged(T* out, const T* qkv, Cache<T> cache, int tokens, Heads heads,
                                                          float scale, Fault* fault) {
  const int64_t at = warp_id();
  if (at >= static_cast<int64_t>(tokens) * heads.H) return;
  const int t = static_cast<int>(at / heads.H), h = static_cast<int>(at % heads.H), D = heads.D;
  const int position = cache.position(t, fault);
  if (position < 0) {
    const float zeros[kEach] = {};
    return store_columns(out + at * D, zeros, D);
  }
  attend(out + at * D, nullptr, qkv + t * heads.row() + static_cast<int64_t>(h) * D, cache.keys(t, h / heads.group()),
         position + 1, D, scale);
}

template <class T>
__global__ void __launch_bounds__(32 * kWarps, 4) delta_rows(float* delta, const T* dout, const T* out, int64_t rows,
                                                             int D) {
  const int64_t row = warp_id();
  if (row >= rows) return;
  float sum = 0.0f;
  for (int d = lane_id(); d < D; d += 32) sum = __fmaf_rn(to_float(out[row * D + d]), to_float(dout[row * D + d]), sum);
  sum = warp_sum(sum);
  if (lane_id() == 0) delta[row] = sum;
}

// The inputs of the backward pass.
template <class T>
struct Backward {
  const T *dout, *qkv;
  const float *lse, *delta;
  Sequences sequences;
  Heads heads;
  float scale;

  // p and ds of a pair, from q k^T and dout v^T.
  DEV void weigh(float score, float dp, int64_t row, float& p, float& ds) const {
    p = expf(__fsub_rn(__fmul_rn(score, scale), lse[row]));
    ds = __fmul_rn(__fmul_rn(p, __fsub_rn(dp, delta[row])), scale);
  }
};

// dq of one row and head.
template <class T>
__global__ void __launch_bounds__(32 * kWarps, 4) simt_backward_queries(T* dqkv, Backward<T> b) {
  const Heads heads = b.heads;
  b.sequences.check();
  const int64_t at = warp_id();
  if (at >= static_cast<int64_t>(b.sequences.tokens) * heads.H) return;
  const int t = static_cast<int>(at / heads.H), h = static_cast<int>(at % heads.H), D = heads.D;
  const Sequence sequence = b.sequences.of(t);
  if (sequence.begin > t) return;
  const PackedKeys<T> keys = packed_keys(b.qkv, heads, sequence.begin, h / heads.group());
  const int end = t - sequence.begin + 1;
  WarpMemory& memory = warp_memory();
  const int64_t query = t * heads.row() + static_cast<int64_t>(h) * D;
  stage(memory.a, b.qkv + query, D);
  stage(memory.b, b.dout + at * D, D);
  float dq[kEach] = {};
  for (int first = 0; first < end; first += 32) {
    const int key = first + lane_id();
    __syncwarp();
    float p = 0.0f, ds = 0.0f;
    if (key < end) b.weigh(dot(memory.a, keys.key(key), D), dot(memory.b, keys.value(key), D), at, p, ds);
    memory.ds[lane_id()] = ds;
    __syncwarp();
    for (int j = 0; j < min(32, end - first); ++j) add_row(dq, memory.ds[j], keys.key(first + j), D);
  }
  store_columns(dqkv + query, dq, D);
}

// dk and dv of one row and kv head: the query heads of the group, each with the rows from this one on.
template <class T>
__global__ void __launch_bounds__(32 * kWarps, 4) simt_backward_keys(T* dqkv, Backward<T> b) {
  const Heads heads = b.heads;
  const int64_t at = warp_id();
  if (at >= static_cast<int64_t>(b.sequences.tokens) * heads.Hk) return;
  const int u = static_cast<int>(at / heads.Hk), hk = static_cast<int>(at % heads.Hk), D = heads.D;
  const Sequence sequence = b.sequences.of(u);
  if (sequence.begin > u) return;
  const int64_t key = u * heads.row() + static_cast<int64_t>(heads.H + hk) * D;
  const int64_t value = key + static_cast<int64_t>(heads.Hk) * D;
  WarpMemory& memory = warp_memory();
  stage(memory.a, b.qkv + key, D);
  stage(memory.b, b.qkv + value, D);
  float dk[kEach] = {}, dv[kEach] = {};
  for (int h = hk * heads.group(); h < (hk + 1) * heads.group(); ++h) {
    const auto query = [&](int t) { return b.qkv + t * heads.row() + static_cast<int64_t>(h) * D; };
    const auto dout = [&](int t) { return b.dout + (static_cast<int64_t>(t) * heads.H + h) * D; };
    for (int first = u; first < sequence.end; first += 32) {
      const int t = first + lane_id();
      __syncwarp();
      float p = 0.0f, ds = 0.0f;
      if (t < sequence.end)
        b.weigh(dot(memory.a, query(t), D), dot(memory.b, dout(t), D), static_cast<int64_t>(t) * heads.H + h, p, ds);
      memory.p[lane_id()] = p;
      memory.ds[lane_id()] = ds;
      __syncwarp();
      for (int j = 0; j < min(32, sequence.end - first); ++j) {
        add_row(dk, memory.ds[j], query(first + j), D);
        add_row(dv, memory.p[j], dout(first + j), D);
      }
    }
  }
  store_columns(dqkv + key, dk, D);
  store_columns(dqkv + value, dv, D);
}

unsigned warp_grid(int64_t warps) { return static_cast<unsigned>(ceil_div(warps, kWarps)); }

}  // namespace

template <class T>
void attention_delta(Stream& s, float* delta, const T* dout, const T* out, int64_t rows, int D) {
  LAUNCH((delta_rows<T>), warp_grid(rows), 32 * kWarps, 0, s.queue, delta, dout, out, rows, D);
}

template <class T>
void attention_forward_simt(Stream& s, T* out, float* lse, const T* qkv, const Sequences& sequences,
                            const Heads& heads, float scale) {
  LAUNCH((simt_forward<T>), warp_grid(static_cast<int64_t>(sequences.tokens) * heads.H), 32 * kWarps, 0, s.queue, out,
         lse, qkv, sequences, heads, scale);
}

template <class T>
void attention_backward_simt(Stream& s, T* dqkv, const T* dout, const T* out, const float* lse, const T* qkv,
                             const Sequences& sequences, const Heads& heads, float scale) {
  const int64_t rows = static_cast<int64_t>(sequences.tokens) * heads.H;
  float* delta = s.scratch.get<float>(static_cast<size_t>(rows));
  attention_delta(s, delta, dout, out, rows, heads.D);
  const Backward<T> backward{dout, qkv, lse, delta, sequences, heads, scale};
  LAUNCH((simt_backward_queries<T>), warp_grid(rows), 32 * kWarps, 0, s.queue, dqkv, backward);
  LAUNCH((simt_backward_keys<T>), warp_grid(static_cast<int64_t>(sequences.tokens) * heads.Hk), 32 * kWarps, 0, s.queue,
         dqkv, backward);
}

template <class T>
void attention_paged_simt(Stream& s, T* out, const T* qkv, const Cache<T>& cache, int tokens, const Heads& heads,
                          float scale) {
  LAUNCH((simt_paged<T>), warp_grid(static_cast<int64_t>(tokens) * heads.H), 32 * kWarps, 0, s.queue, out, qkv, cache,
         tokens, heads, scale, s.faults.record());
}

#define TK_INSTANTIATE(T)                                                                                           \
  template void attention_delta(Stream&, float*, const T*, const T*, int64_t, int);                                 \
  template void attention_forward_simt(Stream&, T*, float*, const T*, const Sequences&, const Heads&, float);       \
  template void attention_backward_simt(Stream&, T*, const T*, const T*, const float*, const T*, const Sequences&,  \
                                        const Heads&, float);                                                       \
  template void attention_paged_simt(Stream&, T*, const T*, const Cache<T>&, int, const Heads&, float);
TK_INSTANTIATE(float)
TK_INSTANTIATE(bf16)
#undef TK_INSTANTIATE

}  // namespace tk
