/** Float64 references of the LM head's ops, and what their tests share. */
import {
  linearPack,
  packedBytes,
  type PackedWeight,
  type PpoLossOptions,
  stat,
} from "../../ffi/mod.ts";
import type { Lab, Rand } from "../native.ts";
import {
  assertWithin,
  logprobError,
  type Precision,
  putAs,
  roundTo,
  sumError,
} from "./precision.ts";

/** An LM head and hidden states on the host. */
export interface HostHead {
  readonly h: ArrayLike<number>;
  readonly w: ArrayLike<number>;
  readonly T: number;
  readonly C: number;
  readonly V: number;
}

/** Normal hidden states and tokenWeights of a precision, with logits of standard deviation `spread`. */
export function randomHead(
  rand: Rand,
  [T, C, V]: readonly number[],
  spread = 2,
  dtype: Precision = "f32",
) {
  const h = roundTo(dtype, rand.normal(T * C));
  const w = roundTo(dtype, rand.normal(V * C, spread / Math.sqrt(C)));
  return { h, w, T, C, V, dtype };
}

/** Packs `w (N, K)` for the device. */
export function packWeight(
  lab: Lab,
  w: Float32Array,
  N: number,
  K: number,
  dtype: Precision = "f32",
): PackedWeight {
  const data = lab.alloc("u8", [packedBytes(lab.device, N, K, dtype)]);
  const packed: PackedWeight = { data, N, K, dtype };
  linearPack(lab.stream, packed, lab.put(w, [N, K]));
  return packed;
}

/** The head on the device, with a workspace of `rows` rows of logits (and some bytes over). */
export function putHead(
  lab: Lab,
  { h, w, T, C, V, dtype }: ReturnType<typeof randomHead>,
  rows = T,
  tokenWeights: Precision = dtype,
) {
  const workspace = lab.alloc("u8", [Math.max(dtype === "f32" ? 0 : 64, rows * V * 4 + 3)]);
  return { h: putAs(lab, dtype, h, [T, C]), w: packWeight(lab, w, V, C, tokenWeights), workspace };
}

/** The scaled logits of row t. */
export function logits64({ h, w, C, V }: HostHead, t: number, temperature: number): Float64Array {
  const z = new Float64Array(V);
  for (let v = 0; v < V; v++) {
    for (let c = 0; c < C; c++) z[v] += h[t * C + c] * w[v * C + c];
    z[v] /= temperature;
  }
  return z;
}

/** log softmax, with its log-sum-exp taken about the maximum. */
export function logSoftmax64(z: Float64Array): Float64Array {
  const top = z.reduce((a, b) => Math.max(a, b));
  const lse = top + Math.log(z.reduce((sum, x) => sum + Math.exp(x - top), 0));
  return z.map((x) => x - lse);
}

/** log-probs of the targets `(T)`. */
export function logprobs64(head: HostHead, targets: ArrayLike<number>, temperature: number) {
  return Float64Array.from(
    { length: head.T },
    (_, t) => logSoftmax64(logits64(head, t, temperature))[targets[t]],
  );
}

/**
 * Loss of one token and its derivatives by log-prob and entropy; fills its share of `stats`. `size` is that
 * of the terms of `byLogprob`, and of their own derivatives by log-prob.
 */
export type TokenLoss = (
  t: number,
  logp: number,
  entropy: number,
  stats: Float64Array,
) => { byLogprob: number; byEntropy: number; size: number };

/** `-w log p`. */
export function crossEntropy64(tokenWeights: ArrayLike<number>): TokenLoss {
  return (t, logp, entropy, stats) => {
    stats[stat.loss] -= tokenWeights[t] * logp;
    stats[stat.policy] -= tokenWeights[t] * logp;
    stats[stat.entropy] += tokenWeights[t] * entropy;
    stats[stat.weight] += tokenWeights[t];
    return { byLogprob: -tokenWeights[t], byEntropy: 0, size: Math.abs(tokenWeights[t]) };
  };
}

/** Per-token inputs of the PPO loss. */
export interface PpoRows {
  readonly tokenWeights: ArrayLike<number>;
  readonly advantages: ArrayLike<number>;
  readonly oldLogprobs: ArrayLike<number>;
  readonly refLogprobs?: ArrayLike<number>;
  readonly importanceWeights?: ArrayLike<number>;
}

/** The PPO objective of thinker.h for tokens with weight; other tokens count for nothing. */
export function ppo64(rows: PpoRows, options: PpoLossOptions): TokenLoss {
  const { clipLow, clipHigh, entropyCoefficient, klCoefficient, klEstimator } = options;
  return (t, logp, entropy, stats) => {
    const w = rows.tokenWeights[t],
      advantage = rows.advantages[t],
      is = rows.importanceWeights?.[t] ?? 1;
    if (w === 0) return { byLogprob: 0, byEntropy: 0, size: 0 };
    const change = logp - rows.oldLogprobs[t], ratio = Math.exp(change);
    const limited = Math.min(Math.max(ratio, 1 - clipLow), 1 + clipHigh);
    const isCut = limited * advantage < ratio * advantage;
    const policy = -is * (isCut ? limited : ratio) * advantage;
    let kl = 0, klSlope = 0;
    if (rows.refLogprobs) {
      const r = logp - rows.refLogprobs[t];
      kl = [r, r * r / 2, Math.exp(-r) - 1 + r][klEstimator - 1];
      klSlope = [r, r, 1 - Math.exp(-r)][klEstimator - 1]; // k1: its score-function gradient
    }
    stats[stat.loss] += w * (policy - entropyCoefficient * entropy + klCoefficient * kl);
    stats[stat.policy] += w * policy;
    stats[stat.entropy] += w * entropy;
    stats[stat.kl] += w * (ratio - 1 - change);
    stats[stat.klRef] += w * kl;
    stats[stat.clipped] += isCut ? w : 0;
    stats[stat.weight] += w;
    stats[stat.gapMax] = Math.max(stats[stat.gapMax], Math.abs(change));
    const policySlope = isCut ? 0 : -is * ratio * advantage;
    return {
      byLogprob: w * (policySlope + klCoefficient * klSlope),
      byEntropy: -w * entropyCoefficient,
      size: w * (Math.abs(policySlope) + klCoefficient * (1 + Math.abs(klSlope))),
    };
  };
}

/**
 * A loss over the head: statistics, log-probs and gradients, and of each gradient the sum of its terms'
 * sizes, for it may be a small difference of large terms: where a row nearly got its target right, 1 - p
 * is one itself.
 */
export function headLoss64(
  head: HostHead,
  targets: ArrayLike<number>,
  temperature: number,
  loss: TokenLoss,
) {
  const { h, w, T, C, V } = head;
  const stats = new Float64Array(stat.count), logprobs = new Float64Array(T);
  const [dh, dhSize] = [new Float64Array(T * C), new Float64Array(T * C)];
  const [dw, dwSize] = [new Float64Array(V * C), new Float64Array(V * C)];
  for (let t = 0; t < T; t++) {
    const logp = logSoftmax64(logits64(head, t, temperature));
    const entropy = -logp.reduce((sum, x) => sum + Math.exp(x) * x, 0);
    logprobs[t] = logp[targets[t]];
    const { byLogprob, byEntropy, size } = loss(t, logprobs[t], entropy, stats);
    for (let v = 0; v < V; v++) {
      const p = Math.exp(logp[v]);
      const hit = Number(v === targets[t]);
      const dz = byLogprob * (hit - p) - byEntropy * p * (logp[v] + entropy);
      const dzSize = size * (hit + p) + Math.abs(byEntropy) * p * (entropy - logp[v]);
      for (let c = 0; c < C; c++) {
        dh[t * C + c] += dz / temperature * w[v * C + c];
        dw[v * C + c] += dz / temperature * h[t * C + c];
        dhSize[t * C + c] += dzSize / temperature * Math.abs(w[v * C + c]);
        dwSize[v * C + c] += dzSize / temperature * Math.abs(h[t * C + c]);
      }
    }
  }
  return { stats, logprobs, dh, dw, dhSize, dwSize };
}

/**
 * Compares gradients with those of `headLoss64`, where dw started from some values. A term is off by as
 * much of its size as its log-prob is off, and log-probs reach down to -16 or so. In bfloat16 each dL/dlogit
 * is rounded to 8 bits, and so is each dh: half a unit in the last of them is 2^-8 at most.
 */
export function assertGradients(
  { dtype, T, C, V }: ReturnType<typeof randomHead>,
  actual: { dh: Float32Array; dw: Float32Array },
  expected: ReturnType<typeof headLoss64>,
  start?: Float32Array,
): void {
  const old = (i: number) => start?.[i] ?? 0;
  const allowed = (roundings: number, depth: number) =>
    16 * logprobError(dtype, C) + sumError(dtype, depth) +
    (dtype === "bf16" ? roundings * 2 ** -8 : 0);
  const [dh, dw] = [allowed(2, V), allowed(1, T)];
  assertWithin(actual.dh, expected.dh, expected.dhSize.map((size) => dh * size), "dh");
  assertWithin(
    actual.dw,
    expected.dw.map((x, i) => x + old(i)),
    expected.dwSize.map((size, i) => dw * (size + Math.abs(old(i)))),
    "dw",
  );
}
