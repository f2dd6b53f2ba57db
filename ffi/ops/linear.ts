/**
 * Linear layers. Weights are used in a packed form that the backend chooses (its layout, its
 * precision); the float32 master stays row-major `(N, K)`.
 *
 * @module
 */

import type { Device, Stream } from "../device.ts";
import { dtypeCode, expectTensor, type Tensor } from "../tensor.ts";

/** A weight matrix `w(N, K)` as the backend's kernels read it. */
export interface PackedWeight {
  /** `packedBytes` raw bytes; only kernels of the same backend can read them. */
  readonly data: Tensor;
  /** Output features. */
  readonly N: number;
  /** Input features. */
  readonly K: number;
  /** Precision of the packed numbers. */
  readonly dtype: "f32" | "bf16";
}

/** Bytes that `linearPack` writes for a weight `(N, K)`. */
export function packedBytes(device: Device, N: number, K: number, dtype: "f32" | "bf16"): number {
  const out = new BigUint64Array(1);
  const status = device.symbols.tk_linear_packed_bytes(device.handle, N, K, dtypeCode(dtype), out);
  device.check("linear_packed_bytes", status);
  return Number(out[0]);
}

/** Refreshes packed weights from their float32 master `w(N, K)`: after loading and after every update. */
export function linearPack(stream: Stream, packed: PackedWeight, w: Tensor): void {
  const { N, K } = packed;
  expectTensor("linear_pack", "w", w, "f32", [N, K]);
  const { device } = stream;
  const status = device.symbols.tk_linear_pack(
    stream.handle,
    packed.data.address,
    w.address,
    N,
    K,
    dtypeCode(packed.dtype),
  );
  stream.check("linear_pack", status, { packed, w });
}

/** `y(M, N) = [y +] x(M, K) w^T [+ bias(N)]`. */
export function linearForward(
  stream: Stream,
  args: { y: Tensor; x: Tensor; w: PackedWeight; bias?: Tensor; accumulate?: boolean },
): void {
  const { y, x, w, bias, accumulate = false } = args;
  const M = x.shape[0];
  expectTensor("linear_forward", "x", x, x.dtype, [M, w.K]);
  expectTensor("linear_forward", "y", y, x.dtype, [M, w.N]);
  if (bias) expectTensor("linear_forward", "bias", bias, "f32", [w.N]);
  const { device } = stream;
  const status = device.symbols.tk_linear_forward(
    stream.handle,
    y.address,
    x.address,
    w.data.address,
    bias?.address ?? 0n,
    M,
    w.N,
    w.K,
    Number(accumulate),
    dtypeCode(x.dtype),
    dtypeCode(w.dtype),
  );
  stream.check("linear_forward", status, args);
}

/** `dx(M, K) = [dx +] dy(M, N) w`. */
export function linearBackwardInput(
  stream: Stream,
  args: { dx: Tensor; dy: Tensor; w: PackedWeight; accumulate?: boolean },
): void {
  const { dx, dy, w, accumulate = false } = args;
  const M = dy.shape[0];
  expectTensor("linear_backward_input", "dy", dy, dy.dtype, [M, w.N]);
  expectTensor("linear_backward_input", "dx", dx, dy.dtype, [M, w.K]);
  const { device } = stream;
  const status = device.symbols.tk_linear_backward_input(
    stream.handle,
    dx.address,
    dy.address,
    w.data.address,
    M,
    w.N,
    w.K,
    Number(accumulate),
    dtypeCode(dy.dtype),
    dtypeCode(w.dtype),
  );
  stream.check("linear_backward_input", status, args);
}

/** `dw(N, K) += dy(M, N)^T x(M, K)` and `dbias(N) += sum of dy over rows`. */
export function linearBackwardWeight(
  stream: Stream,
  args: { dw: Tensor; dbias?: Tensor; dy: Tensor; x: Tensor },
): void {
  const { dw, dbias, dy, x } = args;
  const [M, K] = x.shape;
  const N = dy.shape[1];
  expectTensor("linear_backward_weight", "dy", dy, x.dtype, [M, N]);
  expectTensor("linear_backward_weight", "dw", dw, "f32", [N, K]);
  if (dbias) expectTensor("linear_backward_weight", "dbias", dbias, "f32", [N]);
  const { device } = stream;
  const status = device.symbols.tk_linear_backward_weight(
    stream.handle,
    dw.address,
    dbias?.address ?? 0n,
    dy.address,
    x.address,
    M,
    N,
    K,
    dtypeCode(x.dtype),
  );
  stream.check("linear_backward_weight", status, args);
}
