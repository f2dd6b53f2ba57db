/**
 * The LM head: log-probs, sampling, and the losses that work straight on hidden states. The (T, V)
 * logits never exist; tiles of them live in `workspace`, at least one row of V floats.
 *
 * @module
 */

import type { Stream } from "../device.ts";
import { tkStat } from "../generated/symbols.ts";
import { dtypeCode, expectTensor, type Tensor } from "../tensor.ts";
import type { PackedWeight } from "./linear.ts";

/** Hidden states, LM head and scratch memory: what every op of this file reads. */
export interface LmHead {
  /** `(T, C)`, after the final norm. */
  readonly h: Tensor;
  /** `(V, C)`. */
  readonly w: PackedWeight;
  /** Raw bytes. */
  readonly workspace: Tensor;
}

function expectHead(op: string, { h, w, workspace }: LmHead): number {
  expectTensor(op, "h", h, h.dtype, [-1, w.K]);
  expectTensor(op, "workspace", workspace, "u8", [-1]);
  return h.shape[0];
}

/** `logprobs(T)` of the targets under softmax(logits / temperature). */
export function lmHeadLogprobs(
  stream: Stream,
  args: LmHead & { logprobs: Tensor; targets: Tensor; temperature: number },
): void {
  const { logprobs, targets, temperature, h, w, workspace } = args;
  const T = expectHead("lm_head_logprobs", args);
  expectTensor("lm_head_logprobs", "targets", targets, "i32", [T]);
  expectTensor("lm_head_logprobs", "logprobs", logprobs, "f32", [T]);
  const { device } = stream;
  const status = device.symbols.tk_lm_head_logprobs(
    stream.handle,
    logprobs.address,
    h.address,
    w.data.address,
    targets.address,
    1 / Math.fround(temperature),
    T,
    w.K,
    w.N,
    workspace.address,
    BigInt(workspace.bytes),
    dtypeCode(h.dtype),
    dtypeCode(w.dtype),
  );
  stream.check("lm_head_logprobs", status, args);
}

/** The words of `keys` for one row of {@linkcode lmHeadSample}: seed and sequence id, low words first. */
export function samplingKey(seed: bigint, id: bigint): Int32Array {
  return new Int32Array(BigUint64Array.of(seed, id).buffer);
}

/**
 * Samples one token a row: `sampling (B, 3)` = temperature (0: greedy), top-p, top-k (0: all). The
 * random number depends on `(seed, sequence id, position)` only; `keys (B, 4)` of {@linkcode samplingKey}.
 */
export function lmHeadSample(
  stream: Stream,
  args: LmHead & {
    tokens: Tensor;
    logprobs: Tensor;
    sampling: Tensor;
    keys: Tensor;
    positions: Tensor;
  },
): void {
  const { tokens, logprobs, sampling, keys, positions, h, w, workspace } = args;
  const B = expectHead("lm_head_sample", args);
  expectTensor("lm_head_sample", "tokens", tokens, "i32", [B]);
  expectTensor("lm_head_sample", "logprobs", logprobs, "f32", [B]);
  expectTensor("lm_head_sample", "sampling", sampling, "f32", [B, 3]);
  expectTensor("lm_head_sample", "keys", keys, "i32", [B, 4]);
  expectTensor("lm_head_sample", "positions", positions, "i32", [B]);
  const { device } = stream;
  const status = device.symbols.tk_lm_head_sample(
    stream.handle,
    tokens.address,
    logprobs.address,
    h.address,
    w.data.address,
    sampling.address,
    keys.address,
    positions.address,
    B,
    w.K,
    w.N,
    workspace.address,
    BigInt(workspace.bytes),
    dtypeCode(h.dtype),
    dtypeCode(w.dtype),
  );
  stream.check("lm_head_sample", status, args);
}

/** The device-resident state of a decode batch; all int32 `(B)` unless said otherwise. */
export interface DecodeState {
  /** The token to feed next. */
  readonly tokens: Tensor;
  /** Its position; negative: the row is idle. */
  readonly positions: Tensor;
  /** Tokens of the budget that are left. */
  readonly remaining: Tensor;
  /** Tokens sampled since the row began: `(B, capacity)`. */
  readonly outTokens: Tensor;
  /** Their log-probs: `(B, capacity)` float32. */
  readonly outLogprobs: Tensor;
  /** How many of them there are. */
  readonly outCount: Tensor;
}

/** Books the sampled tokens: appends them, advances positions, and idles rows that stop. */
export function decodeAdvance(
  stream: Stream,
  args: { state: DecodeState; sampled: Tensor; sampledLogprobs: Tensor; stopIds: Tensor },
): void {
  const { state, sampled, sampledLogprobs, stopIds } = args;
  const B = state.tokens.size;
  for (const name of ["tokens", "positions", "remaining", "outCount"] as const) {
    expectTensor("decode_advance", name, state[name], "i32", [B]);
  }
  const [, capacity] = state.outTokens.shape;
  expectTensor("decode_advance", "outTokens", state.outTokens, "i32", [B, capacity]);
  expectTensor("decode_advance", "outLogprobs", state.outLogprobs, "f32", [B, capacity]);
  expectTensor("decode_advance", "sampled", sampled, "i32", [B]);
  expectTensor("decode_advance", "sampledLogprobs", sampledLogprobs, "f32", [B]);
  expectTensor("decode_advance", "stopIds", stopIds, "i32", [-1]);
  const { device } = stream;
  const status = device.symbols.tk_decode_advance(
    stream.handle,
    state.tokens.address,
    state.positions.address,
    state.remaining.address,
    state.outTokens.address,
    state.outLogprobs.address,
    state.outCount.address,
    sampled.address,
    sampledLogprobs.address,
    stopIds.address,
    stopIds.size,
    B,
    capacity,
  );
  stream.check("decode_advance", status, args);
}

/** Outputs that both policy losses share. */
export interface HeadGradients {
  /** `(tkStat.count)`, accumulated. */
  readonly stats: Tensor;
  /** `(T)`, overwritten. */
  readonly logprobs: Tensor;
  /** `(T, C)`, overwritten. */
  readonly dh: Tensor;
  /** `(V, C)` float32, accumulated. */
  readonly dw: Tensor;
}

function expectGradients(op: string, args: LmHead & HeadGradients): number {
  const T = expectHead(op, args);
  expectTensor(op, "stats", args.stats, "f32", [tkStat.count]);
  expectTensor(op, "logprobs", args.logprobs, "f32", [T]);
  expectTensor(op, "dh", args.dh, args.h.dtype, args.h.shape);
  expectTensor(op, "dw", args.dw, "f32", [args.w.N, args.w.K]);
  return T;
}

/** `L = -sum w log p(target)` with its gradients. */
export function crossEntropyLoss(
  stream: Stream,
  args: LmHead & HeadGradients & { targets: Tensor; tokenWeights: Tensor },
): void {
  const T = expectGradients("cross_entropy_loss", args);
  expectTensor("cross_entropy_loss", "targets", args.targets, "i32", [T]);
  expectTensor("cross_entropy_loss", "tokenWeights", args.tokenWeights, "f32", [T]);
  const { device } = stream;
  const { stats, logprobs, dh, dw, h, w, workspace, targets, tokenWeights } = args;
  const status = device.symbols.tk_cross_entropy_loss(
    stream.handle,
    stats.address,
    logprobs.address,
    dh.address,
    dw.address,
    h.address,
    w.data.address,
    targets.address,
    tokenWeights.address,
    T,
    w.K,
    w.N,
    workspace.address,
    BigInt(workspace.bytes),
    dtypeCode(h.dtype),
    dtypeCode(w.dtype),
  );
  stream.check("cross_entropy_loss", status, args);
}

/** Coefficients of the PPO objective. */
export interface PpoLossOptions {
  /** Temperature that the tokens were sampled at. */
  readonly temperature: number;
  /** The ratio is clipped to [1 - clipLow, 1 + clipHigh]. */
  readonly clipLow: number;
  /** See `clipLow`; a larger one lets unlikely tokens gain faster. */
  readonly clipHigh: number;
  /** Weight c_H of the entropy bonus. */
  readonly entropyCoefficient: number;
  /** Weight of the KL to a reference policy; needs `refLogprobs`. */
  readonly klCoefficient: number;
  /** k1, k2 or k3 (Schulman, "Approximating KL divergence"). */
  readonly klEstimator: 1 | 2 | 3;
}

/**
 * The fused PPO loss (PPO, arXiv 1707.06347, eq. 7), token by token with weight w:
 * `-is min(rho A, clip(rho) A) - c_H H + c_KL KL(ref)`, with statistics and gradients.
 * `advantages`, `oldLogprobs`, `tokenWeights` are `(T)`; `refLogprobs` and `importanceWeights` optional `(T)`.
 */
export function ppoLoss(
  stream: Stream,
  args: LmHead & HeadGradients & {
    targets: Tensor;
    tokenWeights: Tensor;
    advantages: Tensor;
    oldLogprobs: Tensor;
    refLogprobs?: Tensor;
    importanceWeights?: Tensor;
    options: PpoLossOptions;
  },
): void {
  const T = expectGradients("ppo_loss", args);
  expectTensor("ppo_loss", "targets", args.targets, "i32", [T]);
  for (const name of ["tokenWeights", "advantages", "oldLogprobs"] as const) {
    expectTensor("ppo_loss", name, args[name], "f32", [T]);
  }
  if (args.refLogprobs) expectTensor("ppo_loss", "refLogprobs", args.refLogprobs, "f32", [T]);
  if (args.importanceWeights) {
    expectTensor("ppo_loss", "importanceWeights", args.importanceWeights, "f32", [T]);
  }
  const { device } = stream;
  const { stats, logprobs, dh, dw, h, w, workspace, options } = args;
  const status = device.symbols.tk_ppo_loss(
    stream.handle,
    stats.address,
    logprobs.address,
    dh.address,
    dw.address,
    h.address,
    w.data.address,
    args.targets.address,
    args.tokenWeights.address,
    args.advantages.address,
    args.oldLogprobs.address,
    args.refLogprobs?.address ?? 0n,
    args.importanceWeights?.address ?? 0n,
    1 / Math.fround(options.temperature),
    options.clipLow,
    options.clipHigh,
    options.entropyCoefficient,
    options.klCoefficient,
    options.klEstimator,
    T,
    w.K,
    w.N,
    workspace.address,
    BigInt(workspace.bytes),
    dtypeCode(h.dtype),
    dtypeCode(w.dtype),
  );
  stream.check("ppo_loss", status, args);
}

/**
 * Changes single words of int32 state: `dst[index] = value` for the `pairs (n, 2)` = (index, value), whose
 * indices are distinct. One upload and one kernel for all that the host has to say between decode rounds.
 */
export function writeWords(stream: Stream, args: { dst: Tensor; pairs: Tensor }): void {
  const { dst, pairs } = args;
  expectTensor("write_words", "dst", dst, "i32", [-1]);
  expectTensor("write_words", "pairs", pairs, "i32", [-1, 2]);
  const { device } = stream;
  const status = device.symbols.tk_write_words(
    stream.handle,
    dst.address,
    pairs.address,
    pairs.shape[0],
    dst.size,
  );
  stream.check("write_words", status, args);
}
