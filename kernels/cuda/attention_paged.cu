// attention_paged.cu: attention of rows against the paged cache on tensor cores.
//
// Rows come in any order. Runs of at least kLongRun rows of one sequence at consecutive positions within a
// tile of 64 rows go through attention_rows (prefill); every other row is a block of one warp here (decode),
// whose 16 rows are the query heads of one kv head, so keys and values are read once. Both give the same
// bits, so which one takes a row is a question of speed alone.
//
// Few rows with long contexts would leave most of the chip idle. Then each chunk of 512 keys is a block of
// its own and a second kernel merges the parts, in the order in which one block would have.
//
// FLOPs: 4 D a (query, key) pair and head. Decode is bound by memory: 4 D bytes a key and kv head, read once.
#include "attention_rows.cuh"

namespace tk {
namespace {

constexpr int kLongRun = 8;
constexpr int kSplitBelow = 512;  // blocks that are enough to keep a chip busy without splitting

struct RowTable {
  int position[kRowTile], sequence[kRowTile];
};
DEV RowTable& row_table() {
  GPU_SHARED(RowTable, table, [1]);
  return table[0];
}

struct PagedSource {
  Cache<bf16> cache;
  Fault* fault;

  DEV void prepare(int begin, int end) const {
    const int i = static_cast<int>(threadIdx.x), row = begin + i;
    if (i >= kRowTile || row >= end) return;
    row_table().position[i] = cache.position(row, fault);
    row_table().sequence[i] = cache.row_seq[row];
  }
  DEV Run<PagedKeys<bf16>> run(int row, int end, int hk) const {
    const RowTable& table = row_table();
    const int first = row % kRowTile, position = table.position[first];
    int length = 1;
    while (row + length < end && position >= 0 && table.position[first + length] == position + length &&
           table.sequence[first + length] == table.sequence[first])
      ++length;
    return {row + length, length < kLongRun ? -1 : position, cache.keys(row, hk)};
  }
};

// Whether attention_rows takes row t; asked by a whole warp.
DEV bool in_long_run(const Cache<bf16>& cache, int t, int tokens) {
  const int begin = t / kRowTile * kRowTile, lane = static_cast<int>(threadIdx.x) % 32;
  uint64_t joined = 0;  // bit i: row begin + i continues the run of the row before it
  for (int part = 0; part < kRowTile / 32; ++part) {
    const int i = 32 * part + lane, row = begin + i;
    const bool joins = i > 0 && row < tokens && cache.position(row - 1, nullptr) >= 0 &&
                       cache.position(row, nullptr) == cache.position(row - 1, nullptr) + 1 &&
                       cache.row_seq[row] == cache.row_seq[row - 1];
    joined |= static_cast<uint64_t>(__ballot_sync(0xffffffffu, joins)) << (32 * part);
  }
  int first = t - begin, last = first;
  while (joined >> first & 1) --first;
  while (last + 1 < kRowTile && joined >> (last + 1) & 1) ++last;
  return last - first + 1 >= kLongRun;
}

// Parts of rows, one for each chunk of keys: o(chunks, T, H, D) and (m, l)(chunks, T, H).
struct Parts {
  float* o;
  float2* ml;
  int64_t rows;  // T H
};

// Grid (T, kv heads x slices of 16 query heads, chunks or 1), one warp a block.
template <int D, bool kSplit>
__global__ void __launch_bounds__(32) attention_decode(bf16* out, Parts parts, const bf16* qkv, Cache<bf16> cache,
                                                       int tokens, Heads heads, float scale, bool rows_kernel,
                                                       Fault* fault) {
  GPU_DYN_SMEM(bytes);
  const AttendMemory<D, 1> memory{bytes};
  const int t = static_cast<int>(blockIdx.x), lane = static_cast<int>(threadIdx.x), group = heads.group();
  const int slices = (group + 15) / 16, hk = static_cast<int>(blockIdx.y) / slices;
  const int slice = static_cast<int>(blockIdx.y) % slices * 16, head = hk * group + slice;
  const int first = static_cast<int>(blockIdx.z) * kChunkKeys, position = cache.position(t, fault);
  const int count = min(16, group - slice);
  if (position < 0 && first == 0) {
    auto* words = reinterpret_cast<uint32_t*>(out + (static_cast<int64_t>(t) * heads.H + head) * D);
    for (int i = lane; i < count * D / 2; i += 32) words[i] = 0;
  }
  if (position < first || (rows_kernel && in_long_run(cache, t, tokens))) return;

  uint32_t q[D / 16][4];
  const bf16* queries = qkv + t * heads.row() + static_cast<int64_t>(head) * D;
#pragma unroll
  for (int k = 0; k < D / 16; ++k)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int r = lane / 4 + 8 * (j % 2), column = 16 * k + lane % 4 * 2 + 8 * (j / 2);
      q[k][j] = r < count ? *reinterpret_cast<const uint32_t*>(queries + r * D + column) : 0u;
    }
  const int end = kSplit ? min(position + 1, first + kChunkKeys) : position + 1;
  const int sees[2] = {end, end};
  const float rate = __fmul_rn(scale, 1.4426950408889634f);
  QueryRows<D> rows;
  attend(rows, q, memory, cache.keys(t, hk), first, end, sees, end, rate);
#pragma unroll
  for (int x = 0; x < 2; ++x) {
    const int r = lane / 4 + 8 * x;
    if (r >= count) continue;
    const int64_t row = static_cast<int64_t>(t) * heads.H + head + r;
    if (!kSplit || position < kChunkKeys) {
      store_row(out + row * D, rows, x);
      continue;
    }
    const int64_t part = blockIdx.z * parts.rows + row;
    if (lane % 4 == 0) parts.ml[part] = make_float2(rows.m[x], rows.l[x]);
#pragma unroll
    for (int i = 0; i < D / 8; ++i)
      *reinterpret_cast<float2*>(parts.o + part * D + 8 * i + lane % 4 * 2) =
          make_float2(rows.o[i][2 * x], rows.o[i][2 * x + 1]);
  }
}

// Grid (T, H), one warp a block, two columns a lane and step.
template <int D>
__global__ void __launch_bounds__(32) merge_parts(bf16* out, Parts parts, Cache<bf16> cache, int tokens, int H,
                                                  float scale, bool rows_kernel) {
  const int t = static_cast<int>(blockIdx.x), position = cache.position(t, nullptr);
  if (position < kChunkKeys || (rows_kernel && in_long_run(cache, t, tokens))) return;
  const int64_t row = static_cast<int64_t>(t) * H + blockIdx.y;
  const float rate = __fmul_rn(scale, 1.4426950408889634f);
  const int chunks = position / kChunkKeys + 1;
  for (int c = 2 * static_cast<int>(threadIdx.x); c < D; c += 64) {
    float2 ml = parts.ml[row], o = *reinterpret_cast<const float2*>(parts.o + row * D + c);
    for (int chunk = 1; chunk < chunks; ++chunk) {
      const int64_t part = chunk * parts.rows + row;
      const float2 next = parts.ml[part], p = *reinterpret_cast<const float2*>(parts.o + part * D + c);
      const MergeWeights w = merge_weights(ml.x, next.x, rate);
      ml = make_float2(w.top, merged(ml.y, next.y, w));
      o = make_float2(merged(o.x, p.x, w), merged(o.y, p.y, w));
    }
    const float inverse = __fdiv_rn(1.0f, ml.y);
    *reinterpret_cast<uint32_t*>(out + row * D + c) = pack_bf16(__fmul_rn(o.x, inverse), __fmul_rn(o.y, inverse));
  }
}

template <int D, bool kSplit>
void launch_decode(Stream& s, dim3 grid, bf16* out, const Parts& parts, const bf16* qkv, const Cache<bf16>& cache,
                   int tokens, const Heads& heads, float scale, bool rows_kernel) {
  constexpr int kBytes = AttendMemory<D, 1>::kBytes;
  allow_shared_memory(attention_decode<D, kSplit>, kBytes);
  LAUNCH((attention_decode<D, kSplit>), grid, 32, kBytes, s.queue, out, parts, qkv, cache, tokens, heads, scale,
         rows_kernel, s.faults.record());
}

}  // namespace

void attention_paged_mma(Stream& s, bf16* out, const bf16* qkv, const Cache<bf16>& cache, int tokens, bool decode,
                         const Heads& heads, float scale) {
  const int slices = (heads.H / heads.Hk + 15) / 16;
  const auto blocks = static_cast<unsigned>(heads.Hk * slices);
  const auto chunks = static_cast<unsigned>(ceil_div(static_cast<int64_t>(cache.block) * cache.max_blocks, kChunkKeys));
  const bool rows_kernel = !decode && tokens > kRowTile;  // fewer rows are nearly as fast as a decode step
  with_mma_dim(heads.D, [&](auto D) {
    if (rows_kernel)
      launch_attention_rows<D.value>(s, out, nullptr, qkv, PagedSource{cache, s.faults.record()}, tokens, heads, scale);
    if (chunks > 1 && static_cast<int64_t>(tokens) * blocks < kSplitBelow) {
      const int64_t rows = static_cast<int64_t>(tokens) * heads.H, all = rows * chunks;
      float* memory = s.scratch.get<float>(static_cast<size_t>(all * (heads.D + 2)));
      const Parts parts{memory, reinterpret_cast<float2*>(memory + all * heads.D), rows};
      launch_decode<D.value, true>(s, dim3(static_cast<unsigned>(tokens), blocks, chunks), out, parts, qkv, cache, tokens,
                                   heads, scale, rows_kernel);
      LAUNCH((merge_parts<D.value>), dim3(static_cast<unsigned>(tokens), static_cast<unsigned>(heads.H)), 32, 0, s.queue,
             out, parts, cache, tokens, heads.H, scale, rows_kernel);
    } else {
      launch_decode<D.value, false>(s, dim3(static_cast<unsigned>(tokens), blocks), out, {}, qkv, cache, tokens, heads,
                                    scale, rows_kernel);
    }
  });
}

}  // namespace tk
