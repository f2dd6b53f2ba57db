/**
 * One decoder layer: what it writes, its ops, and their backward pass. There is no other list of these
 * ops. Packed training and paged decoding both run `layerForward`; they differ in where the tensors lie
 * and in how rows attend, never in the ops or their order, so their log-probs agree bit by bit.
 *
 * The residual stream travels as a pair (delta, residual): the sum is formed inside the next RMSNorm.
 *
 * @module
 */
import {
  type Heads,
  linearBackwardInput,
  linearBackwardWeight,
  linearForward,
  type Precision,
  qkNormBackward,
  qkNormForward,
  rmsnormBackward,
  rmsnormForward,
  type Stream,
  swigluBackward,
  swigluForward,
  type Tensor,
  type Tensors,
  type TensorSpecs,
} from "../../ffi/mod.ts";
import type { ModelConfig } from "./config.ts";
import type { LayerTensors, PackedLayer } from "./parameters.ts";

/** Weights and constants of one layer. */
export interface Layer {
  /** Views of the float32 weights: norms and biases are read from these. */
  readonly w: LayerTensors;
  /** What the matrix products read. */
  readonly packed: PackedLayer;
  /** Head counts. */
  readonly heads: Heads;
  /** Added to the mean square in a norm. */
  readonly eps: number;
}

/** What the forward pass of every layer writes. */
export type LayerOutput =
  | "x"
  | "norm"
  | "projected"
  | "qkv"
  | "attention"
  | "mid"
  | "midNorm"
  | "gateUp"
  | "act"
  | "delta";

/** What only a backward pass reads: reciprocal deviations of the norms, log-sum-exp of attention. */
export type LayerStatistic = "rstd" | "qkRstd" | "lse" | "midRstd";

/** What the forward pass of one layer writes, all that its backward pass needs. */
export type LayerActivations = Tensors<LayerOutput | LayerStatistic>;

/** What one layer writes over T rows, in the order in which it does. */
export function layerSpecs(
  config: ModelConfig,
  T: number,
  dtype: Precision,
): TensorSpecs<LayerOutput | LayerStatistic> {
  const { hidden: C, ffn: F, heads: H, kvHeads: Hk, headDim: D } = config;
  const wide = (H + 2 * Hk) * D, normed = config.qkNorm ? 1 : 0;
  return {
    /** The residual stream at the input norm. */
    x: [dtype, T, C],
    rstd: ["f32", T],
    norm: [dtype, T, C],
    /** q, k and v before the norm of q and k, where the architecture has one. */
    projected: [dtype, T, normed * wide],
    qkRstd: ["f32", T, normed * (H + Hk)],
    /** q, k and v, rotated. */
    qkv: [dtype, T, wide],
    attention: [dtype, T, H * D],
    lse: ["f32", T, H],
    /** The output of attention; from the post-attention norm on the residual stream there. */
    mid: [dtype, T, C],
    midRstd: ["f32", T],
    midNorm: [dtype, T, C],
    gateUp: [dtype, T, 2 * F],
    act: [dtype, T, F],
    delta: [dtype, T, C],
  };
}

/** The residual stream between two norms: what the last half of a layer adds, and to what. */
export interface Carry {
  /** `(T, C)`. */
  readonly delta: Tensor;
  /** `(T, C)`. */
  readonly residual: Tensor;
}

/**
 * Runs a layer on the sum of `carry`, which is formed in `t.x`; without `carry`, `t.x` holds the input.
 * Tensors that nobody reads any more may share memory: `delta` with `x`, `midNorm` with `norm`.
 *
 * @param attend Rotates `t.qkv` and writes `t.attention`.
 */
export function layerForward(
  stream: Stream,
  { w, packed, heads, eps }: Layer,
  t: Tensors<LayerOutput> & Partial<Tensors<LayerStatistic>>,
  carry: Carry | undefined,
  attend: () => void,
): Carry {
  const input = carry ? { x: carry.delta, residual: carry.residual, sum: t.x } : { x: t.x };
  rmsnormForward(stream, { y: t.norm, rstd: t.rstd, ...input, w: w.inputNorm, eps });
  const y = w.qkNorm ? t.projected : t.qkv;
  linearForward(stream, { y, x: t.norm, w: packed.qkv, bias: w.qkvBias });
  if (w.qkNorm) {
    qkNormForward(stream, { out: t.qkv, rstd: t.qkRstd, qkv: y, ...w.qkNorm, heads, eps });
  }
  attend();
  linearForward(stream, { y: t.mid, x: t.attention, w: packed.out });
  const middle = { x: t.mid, residual: t.x, sum: t.mid };
  rmsnormForward(stream, { y: t.midNorm, rstd: t.midRstd, ...middle, w: w.postNorm, eps });
  linearForward(stream, { y: t.gateUp, x: t.midNorm, w: packed.gateUp });
  swigluForward(stream, { y: t.act, gateUp: t.gateUp });
  linearForward(stream, { y: t.delta, x: t.act, w: packed.down });
  return { delta: t.delta, residual: t.mid };
}

/** What the backward pass of a layer writes beside `dx`. */
export type LayerGradient = "dact" | "dgateUp" | "dnorm" | "dattention" | "dqkv";

/** What the backward pass of one layer writes over T rows; the next one may reuse it. */
export function layerGradientSpecs(
  config: ModelConfig,
  T: number,
  dtype: Precision,
): TensorSpecs<LayerGradient> {
  const { hidden: C, ffn: F, heads: H, kvHeads: Hk, headDim: D } = config;
  return {
    dact: [dtype, T, F],
    dgateUp: [dtype, T, 2 * F],
    dnorm: [dtype, T, C],
    dattention: [dtype, T, H * D],
    dqkv: [dtype, T, (H + 2 * Hk) * D],
  };
}

/**
 * Turns `dx (T, C)`, the gradient of the layer's output, into that of its input, in place, and
 * accumulates the gradients of its weights.
 *
 * @param attendBackward Turns `d.dattention` into `d.dqkv`, that of q, k and v before their rotation.
 */
export function layerBackward(
  stream: Stream,
  { w, packed, heads }: Layer,
  grads: LayerTensors,
  t: LayerActivations,
  d: Tensors<LayerGradient>,
  dx: Tensor,
  attendBackward: () => void,
): void {
  const { dact, dgateUp, dnorm, dattention, dqkv } = d, accumulate = true;
  linearBackwardInput(stream, { dx: dact, dy: dx, w: packed.down });
  linearBackwardWeight(stream, { dw: grads.down, dy: dx, x: t.act });
  swigluBackward(stream, { dgateUp, dy: dact, gateUp: t.gateUp });
  linearBackwardInput(stream, { dx: dnorm, dy: dgateUp, w: packed.gateUp });
  linearBackwardWeight(stream, { dw: grads.gateUp, dy: dgateUp, x: t.midNorm });
  const middle = { dw: grads.postNorm, x: t.mid, rstd: t.midRstd, w: w.postNorm };
  rmsnormBackward(stream, { dx, dy: dnorm, ...middle, accumulate });

  linearBackwardInput(stream, { dx: dattention, dy: dx, w: packed.out });
  linearBackwardWeight(stream, { dw: grads.out, dy: dx, x: t.attention });
  attendBackward();
  if (w.qkNorm) {
    const { wq: dwq, wk: dwk } = grads.qkNorm!;
    qkNormBackward(stream, {
      dqkv,
      dwq,
      dwk,
      qkv: t.projected,
      rstd: t.qkRstd,
      ...w.qkNorm,
      heads,
    });
  }
  linearBackwardInput(stream, { dx: dnorm, dy: dqkv, w: packed.qkv });
  linearBackwardWeight(stream, { dw: grads.qkv, dbias: grads.qkvBias, dy: dqkv, x: t.norm });
  const input = { dw: grads.inputNorm, x: t.x, rstd: t.rstd, w: w.inputNorm };
  rmsnormBackward(stream, { dx, dy: dnorm, ...input, accumulate });
}
