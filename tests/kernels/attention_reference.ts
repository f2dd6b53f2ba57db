/** Float64 references of attention and rotary embedding, written as the formulas read. */
import type { Heads } from "../../ffi/mod.ts";

/** What `attention64` returns. */
export interface Attention64 {
  /** `(T, H D)`. */
  out: Float64Array;
  /** `(T, H)`. */
  lse: Float64Array;
}

/** Elements of a row of qkv, and where the parts of query head h stand in it. */
export function layout({ H, Hk, D }: Heads) {
  const kvHead = (h: number) => Math.floor(h / (H / Hk));
  return {
    row: (H + 2 * Hk) * D,
    query: (h: number) => h * D,
    key: (h: number) => (H + kvHead(h)) * D,
    value: (h: number) => (H + Hk + kvHead(h)) * D,
  };
}

/** Calls `body` for each (query head, first row, row) with the row's softmax over its keys. */
function eachQuery(
  qkv: ArrayLike<number>,
  cu: ArrayLike<number>,
  heads: Heads,
  scale: number,
  body: (h: number, first: number, t: number, p: number[], lse: number) => void,
): void {
  const at = layout(heads), { H, D } = heads;
  for (let b = 0; b + 1 < cu.length; b++) {
    for (let t = cu[b]; t < cu[b + 1]; t++) {
      for (let h = 0; h < H; h++) {
        const s: number[] = [];
        for (let u = cu[b]; u <= t; u++) {
          let dot = 0;
          for (let d = 0; d < D; d++) {
            dot += qkv[t * at.row + at.query(h) + d] * qkv[u * at.row + at.key(h) + d];
          }
          s.push(dot * scale);
        }
        const top = Math.max(...s);
        const lse = top + Math.log(s.reduce((sum, x) => sum + Math.exp(x - top), 0));
        body(h, cu[b], t, s.map((x) => Math.exp(x - lse)), lse);
      }
    }
  }
}

/** Causal grouped-query attention over packed sequences. */
export function attention64(
  qkv: ArrayLike<number>,
  cu: ArrayLike<number>,
  heads: Heads,
  scale: number,
): Attention64 {
  const at = layout(heads), { H, D } = heads, T = cu[cu.length - 1];
  const out = new Float64Array(T * H * D), lse = new Float64Array(T * H);
  eachQuery(qkv, cu, heads, scale, (h, first, t, p, rowLse) => {
    lse[t * H + h] = rowLse;
    p.forEach((weight, u) => {
      const value = (first + u) * at.row + at.value(h);
      for (let d = 0; d < D; d++) out[(t * H + h) * D + d] += weight * qkv[value + d];
    });
  });
  return { out, lse };
}

/** The gradient of sum(dout * attention64(qkv).out) with respect to qkv. */
export function attentionGradient64(
  dout: ArrayLike<number>,
  qkv: ArrayLike<number>,
  cu: ArrayLike<number>,
  heads: Heads,
  scale: number,
): Float64Array {
  const at = layout(heads), { H, D } = heads;
  const dqkv = new Float64Array(qkv.length);
  eachQuery(qkv, cu, heads, scale, (h, first, t, p) => {
    const g = (d: number) => dout[(t * H + h) * D + d];
    const dp = p.map((_, u) => {
      let dot = 0;
      for (let d = 0; d < D; d++) dot += g(d) * qkv[(first + u) * at.row + at.value(h) + d];
      return dot;
    });
    const mean = p.reduce((sum, weight, u) => sum + weight * dp[u], 0);
    p.forEach((weight, u) => {
      const ds = weight * (dp[u] - mean) * scale;
      const q = t * at.row + at.query(h), other = (first + u) * at.row;
      for (let d = 0; d < D; d++) {
        dqkv[q + d] += ds * qkv[other + at.key(h) + d];
        dqkv[other + at.key(h) + d] += ds * qkv[q + d];
        dqkv[other + at.value(h) + d] += weight * g(d);
      }
    });
  });
  return dqkv;
}

/** `(P, D)`: cosines and sines of positions 0 .. P - 1 with base 10,000. */
export function cosSinTable(P: number, D: number): Float32Array<ArrayBuffer> {
  const half = D / 2;
  return Float32Array.from({ length: P * D }, (_, i) => {
    const angle = Math.floor(i / D) * 10_000 ** (-(i % half) / half);
    return i % D < half ? Math.cos(angle) : Math.sin(angle);
  });
}

/** Rotates q and k of every row by its position, pairs (i, i + D/2). */
export function rope64(
  qkv: ArrayLike<number>,
  positions: ArrayLike<number>,
  cosSin: ArrayLike<number>,
  heads: Heads,
): Float64Array {
  const { H, Hk, D } = heads, half = D / 2, { row } = layout(heads);
  const out = Float64Array.from(qkv);
  for (let t = 0; t < positions.length; t++) {
    for (let head = 0; head < H + Hk; head++) {
      for (let i = 0; i < half; i++) {
        const a = t * row + head * D + i, b = a + half;
        const cos = cosSin[positions[t] * D + i], sin = cosSin[positions[t] * D + half + i];
        out[a] = qkv[a] * cos - qkv[b] * sin;
        out[b] = qkv[b] * cos + qkv[a] * sin;
      }
    }
  }
  return out;
}
