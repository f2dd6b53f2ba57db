/**
 * The optimizer over flat float32 buffers: all parameters of a model are one tensor `(n)`.
 *
 * @module
 */

import type { Stream } from "../device.ts";
import { expectTensor, type Tensor } from "../tensor.ts";

/** `norm(1) = sqrt(sum g^2)` over all elements. */
export function gradNorm(stream: Stream, args: { norm: Tensor; grads: Tensor }): void {
  const { norm, grads } = args;
  expectTensor("grad_norm", "grads", grads, "f32", [-1]);
  expectTensor("grad_norm", "norm", norm, "f32", [1]);
  const { device } = stream;
  const status = device.symbols.tk_grad_norm(
    stream.handle,
    norm.address,
    grads.address,
    BigInt(grads.size),
  );
  stream.check("grad_norm", status, args);
}

/** Hyper-parameters of one AdamW step. */
export interface AdamW {
  /** Learning rate of this step. */
  readonly lr: number;
  /** Decay of the mean of gradients. */
  readonly beta1: number;
  /** Decay of the mean of squared gradients. */
  readonly beta2: number;
  /** Added to the root of the second moment. */
  readonly eps: number;
  /** Decoupled: parameters shrink by lr * weightDecay. */
  readonly weightDecay: number;
  /** Gradients are scaled by min(1, maxNorm / norm); Infinity never clips. */
  readonly maxNorm: number;
  /** Number of this step, from 1: bias correction. */
  readonly t: number;
}

/**
 * One AdamW step with bias correction, decoupled weight decay and gradient clipping by `norm(1)` (see
 * `gradNorm`). A norm that is not finite leaves everything unchanged.
 */
export function adamw(
  stream: Stream,
  args: AdamW & { params: Tensor; grads: Tensor; m: Tensor; v: Tensor; norm: Tensor },
): void {
  const { params, grads, m, v, norm, lr, beta1, beta2, eps, weightDecay, maxNorm, t } = args;
  const n = params.shape[0];
  expectTensor("adamw", "params", params, "f32", [-1]);
  expectTensor("adamw", "grads", grads, "f32", [n]);
  expectTensor("adamw", "m", m, "f32", [n]);
  expectTensor("adamw", "v", v, "f32", [n]);
  expectTensor("adamw", "norm", norm, "f32", [1]);
  const { device } = stream;
  const status = device.symbols.tk_adamw(
    stream.handle,
    params.address,
    grads.address,
    m.address,
    v.address,
    norm.address,
    BigInt(n),
    lr,
    beta1,
    beta2,
    eps,
    weightDecay,
    maxNorm,
    t,
  );
  stream.check("adamw", status, args);
}
