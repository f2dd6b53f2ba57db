/**
 * The layers between the matrix products: embedding, RMSNorm, SwiGLU, row gathers and casts. T counts
 * packed tokens.
 *
 * @module
 */

import type { Stream } from "../device.ts";
import { dtypeCode, expectTensor, type Tensor } from "../tensor.ts";

/** `out(T, C) = table(V, C)[ids(T)]`; rows whose id is negative are zero. */
export function embeddingForward(
  stream: Stream,
  args: { out: Tensor; ids: Tensor; table: Tensor },
): void {
  const { out, ids, table } = args;
  const [T, C] = out.shape;
  expectTensor("embedding_forward", "out", out, out.dtype, [-1, -1]);
  expectTensor("embedding_forward", "ids", ids, "i32", [T]);
  expectTensor("embedding_forward", "table", table, "f32", [-1, C]);
  const { device } = stream;
  const status = device.symbols.tk_embedding_forward(
    stream.handle,
    out.address,
    ids.address,
    table.address,
    T,
    table.shape[0],
    C,
    dtypeCode(out.dtype),
  );
  stream.check("embedding_forward", status, args);
}

/** `dtable(V, C)[ids(T)] += dout(T, C)`; rows whose id is negative add nothing. */
export function embeddingBackward(
  stream: Stream,
  args: { dtable: Tensor; ids: Tensor; dout: Tensor },
): void {
  const { dtable, ids, dout } = args;
  const [T, C] = dout.shape;
  expectTensor("embedding_backward", "dout", dout, dout.dtype, [-1, -1]);
  expectTensor("embedding_backward", "ids", ids, "i32", [T]);
  expectTensor("embedding_backward", "dtable", dtable, "f32", [-1, C]);
  const { device } = stream;
  const status = device.symbols.tk_embedding_backward(
    stream.handle,
    dtable.address,
    ids.address,
    dout.address,
    T,
    dtable.shape[0],
    C,
    dtypeCode(dout.dtype),
  );
  stream.check("embedding_backward", status, args);
}

/**
 * `y(T, C) = s / sqrt(mean(s^2) + eps) * w(C)` with `s = x`, or `s = x + residual`, which is then kept
 * in `sum` (it may be the same tensor as `x` or `residual`). `rstd(T)` is what the backward pass needs.
 */
export function rmsnormForward(
  stream: Stream,
  args: {
    y: Tensor;
    x: Tensor;
    w: Tensor;
    eps: number;
    residual?: Tensor;
    sum?: Tensor;
    rstd?: Tensor;
  },
): void {
  const { y, x, w, eps, residual, sum, rstd } = args;
  const [T, C] = x.shape;
  expectTensor("rmsnorm_forward", "x", x, x.dtype, [-1, -1]);
  expectTensor("rmsnorm_forward", "y", y, x.dtype, [T, C]);
  expectTensor("rmsnorm_forward", "w", w, "f32", [C]);
  if (residual) expectTensor("rmsnorm_forward", "residual", residual, x.dtype, [T, C]);
  if (sum) expectTensor("rmsnorm_forward", "sum", sum, x.dtype, [T, C]);
  if (rstd) expectTensor("rmsnorm_forward", "rstd", rstd, "f32", [T]);
  const { device } = stream;
  const status = device.symbols.tk_rmsnorm_forward(
    stream.handle,
    y.address,
    sum?.address ?? 0n,
    rstd?.address ?? 0n,
    x.address,
    residual?.address ?? 0n,
    w.address,
    T,
    C,
    eps,
    dtypeCode(x.dtype),
  );
  stream.check("rmsnorm_forward", status, args);
}

/** `dx(T, C) = [dx +]` the gradient through the norm, `dw(C) +=` that of its weight. `x` is `s` above. */
export function rmsnormBackward(
  stream: Stream,
  args: {
    dx: Tensor;
    dw: Tensor;
    dy: Tensor;
    x: Tensor;
    rstd: Tensor;
    w: Tensor;
    accumulate?: boolean;
  },
): void {
  const { dx, dw, dy, x, rstd, w, accumulate = false } = args;
  const [T, C] = x.shape;
  expectTensor("rmsnorm_backward", "x", x, x.dtype, [-1, -1]);
  expectTensor("rmsnorm_backward", "dy", dy, x.dtype, [T, C]);
  expectTensor("rmsnorm_backward", "dx", dx, x.dtype, [T, C]);
  expectTensor("rmsnorm_backward", "rstd", rstd, "f32", [T]);
  expectTensor("rmsnorm_backward", "w", w, "f32", [C]);
  expectTensor("rmsnorm_backward", "dw", dw, "f32", [C]);
  const { device } = stream;
  const status = device.symbols.tk_rmsnorm_backward(
    stream.handle,
    dx.address,
    dw.address,
    dy.address,
    x.address,
    rstd.address,
    w.address,
    T,
    C,
    Number(accumulate),
    dtypeCode(x.dtype),
  );
  stream.check("rmsnorm_backward", status, args);
}

/** `y(T, F) = silu(gate) * up` with `gateUp(T, 2F) = [gate | up]`. */
export function swigluForward(stream: Stream, args: { y: Tensor; gateUp: Tensor }): void {
  const { y, gateUp } = args;
  const [T, F] = y.shape;
  expectTensor("swiglu_forward", "y", y, y.dtype, [-1, -1]);
  expectTensor("swiglu_forward", "gateUp", gateUp, y.dtype, [T, 2 * F]);
  const { device } = stream;
  const status = device.symbols.tk_swiglu_forward(
    stream.handle,
    y.address,
    gateUp.address,
    T,
    F,
    dtypeCode(y.dtype),
  );
  stream.check("swiglu_forward", status, args);
}

/** `dgateUp(T, 2F)` from `dy(T, F)`: overwritten. */
export function swigluBackward(
  stream: Stream,
  args: { dgateUp: Tensor; dy: Tensor; gateUp: Tensor },
): void {
  const { dgateUp, dy, gateUp } = args;
  const [T, F] = dy.shape;
  expectTensor("swiglu_backward", "dy", dy, dy.dtype, [-1, -1]);
  expectTensor("swiglu_backward", "gateUp", gateUp, dy.dtype, [T, 2 * F]);
  expectTensor("swiglu_backward", "dgateUp", dgateUp, dy.dtype, [T, 2 * F]);
  const { device } = stream;
  const status = device.symbols.tk_swiglu_backward(
    stream.handle,
    dgateUp.address,
    dy.address,
    gateUp.address,
    T,
    F,
    dtypeCode(dy.dtype),
  );
  stream.check("swiglu_backward", status, args);
}

/** `out(n, C) = x(T, C)[index(n)]`. */
export function gatherRows(
  stream: Stream,
  args: { out: Tensor; x: Tensor; index: Tensor },
): void {
  const { out, x, index } = args;
  const [n, C] = out.shape;
  expectTensor("gather_rows", "out", out, out.dtype, [-1, -1]);
  expectTensor("gather_rows", "x", x, out.dtype, [-1, C]);
  expectTensor("gather_rows", "index", index, "i32", [n]);
  const { device } = stream;
  const status = device.symbols.tk_gather_rows(
    stream.handle,
    out.address,
    x.address,
    index.address,
    n,
    C,
    dtypeCode(out.dtype),
  );
  stream.check("gather_rows", status, args);
}

/** `dx(T, C)[index(n)] += dout(n, C)`: the backward pass of `gatherRows`. Indices are distinct. */
export function scatterAddRows(
  stream: Stream,
  args: { dx: Tensor; dout: Tensor; index: Tensor },
): void {
  const { dx, dout, index } = args;
  const [n, C] = dout.shape;
  expectTensor("scatter_add_rows", "dout", dout, dout.dtype, [-1, -1]);
  expectTensor("scatter_add_rows", "dx", dx, dout.dtype, [-1, C]);
  expectTensor("scatter_add_rows", "index", index, "i32", [n]);
  const { device } = stream;
  const status = device.symbols.tk_scatter_add_rows(
    stream.handle,
    dx.address,
    dout.address,
    index.address,
    n,
    C,
    dtypeCode(dout.dtype),
  );
  stream.check("scatter_add_rows", status, args);
}

/** `dst = src`, converted between float32 and bfloat16 (round to nearest even; a NaN stays a NaN). */
export function cast(stream: Stream, args: { dst: Tensor; src: Tensor }): void {
  const { dst, src } = args;
  expectTensor("cast", "dst", dst, dst.dtype, src.shape);
  const { device } = stream;
  const status = device.symbols.tk_cast(
    stream.handle,
    dst.address,
    src.address,
    src.size,
    dtypeCode(dst.dtype),
    dtypeCode(src.dtype),
  );
  stream.check("cast", status, args);
}
