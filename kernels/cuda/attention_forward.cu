// attention_forward.cu: causal attention over packed sequences on tensor cores. See attention_rows.cuh.
#include "attention_rows.cuh"

namespace tk {
namespace {

struct PackedSource {
  const bf16* qkv;
  Sequences sequences;
  Heads heads;

  DEV void prepare(int, int) const { sequences.check(); }
  DEV Run<PackedKeys<bf16>> run(int row, int end, int hk) const {
    const Sequence sequence = sequences.of(row);
    if (sequence.begin > row) return {end, -1, {}};
    const bf16* first = qkv + sequence.begin * heads.row();
    return {min(end, sequence.end),
            row - sequence.begin,
            {first + static_cast<int64_t>(heads.H + hk) * heads.D,
             first + static_cast<int64_t>(heads.H + heads.Hk + hk) * heads.D, heads.row()}};
  }
};

}  // namespace

void attention_forward_mma(Stream& s, bf16* out, float* lse, const bf16* qkv, const Sequences& sequences,
                           const Heads& heads, float scale) {
  const PackedSource source{qkv, sequences, heads};
  with_mma_dim(heads.D, [&](auto D) {
    launch_attention_rows<D.value>(s, out, lse, qkv, source, sequences.tokens, heads, scale);
  });
}

}  // namespace tk
