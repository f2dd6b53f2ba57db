/**
 * Per-head norm of q and k, rotary embedding, causal grouped-query attention, and the paged KV cache.
 *
 * `qkv (T, (H + 2 Hk) D)` holds the query heads, then the key heads, then the value heads of a token.
 *
 * @module
 */

import type { Stream } from "../device.ts";
import { dtypeCode, expectTensor, type Tensor } from "../tensor.ts";

/** Head counts of grouped-query attention. */
export interface Heads {
  /** Query heads. */
  readonly H: number;
  /** Key/value heads; divides H. */
  readonly Hk: number;
  /** Head dimension; a multiple of 16. */
  readonly D: number;
}

/** The KV cache of one layer and which of its blocks belong to which sequence. */
export interface PagedCache {
  /** Keys in the backend's own layout: `(blocks, Hk * blockSize * D)` elements. */
  readonly k: Tensor;
  /** Values, as many. */
  readonly v: Tensor;
  /** `(S, max_blocks)` int32: the blocks of each sequence in order. */
  readonly blockTables: Tensor;
  /** Positions per block. */
  readonly blockSize: number;
}

function expectQkv(op: string, qkv: Tensor, { H, Hk, D }: Heads): number {
  expectTensor(op, "qkv", qkv, qkv.dtype, [-1, (H + 2 * Hk) * D]);
  return qkv.shape[0];
}

function expectCache(op: string, cache: PagedCache, { Hk, D }: Heads): void {
  expectTensor(op, "k_cache", cache.k, cache.k.dtype, [-1, Hk * cache.blockSize * D]);
  expectTensor(op, "v_cache", cache.v, cache.k.dtype, cache.k.shape);
  expectTensor(op, "block_tables", cache.blockTables, "i32", [-1, -1]);
}

/**
 * Per-head RMSNorm of q and k (Qwen3, arXiv 2505.09388): `out(T, (H + 2 Hk) D)` is `qkv` with each q
 * head normalised and scaled by `wq(D)`, each k head by `wk(D)`; v is copied. `rstd(T, H + Hk)` is what
 * the backward pass needs.
 */
export function qkNormForward(
  stream: Stream,
  args: {
    out: Tensor;
    qkv: Tensor;
    wq: Tensor;
    wk: Tensor;
    heads: Heads;
    eps: number;
    rstd?: Tensor;
  },
): void {
  const { out, qkv, wq, wk, heads, eps, rstd } = args;
  const { H, Hk, D } = heads;
  const T = expectQkv("qk_norm_forward", qkv, heads);
  expectTensor("qk_norm_forward", "out", out, qkv.dtype, qkv.shape);
  expectTensor("qk_norm_forward", "wq", wq, "f32", [D]);
  expectTensor("qk_norm_forward", "wk", wk, "f32", [D]);
  if (rstd) expectTensor("qk_norm_forward", "rstd", rstd, "f32", [T, H + Hk]);
  const { device } = stream;
  const status = device.symbols.tk_qk_norm_forward(
    stream.handle,
    out.address,
    rstd?.address ?? 0n,
    qkv.address,
    wq.address,
    wk.address,
    T,
    H,
    Hk,
    D,
    eps,
    dtypeCode(qkv.dtype),
  );
  stream.check("qk_norm_forward", status, args);
}

/**
 * Turns `dqkv`, the gradient of `out` above, into that of `qkv`, in place; `dwq(D)`, `dwk(D) +=` those of
 * the weights.
 */
export function qkNormBackward(
  stream: Stream,
  args: {
    dqkv: Tensor;
    dwq: Tensor;
    dwk: Tensor;
    qkv: Tensor;
    rstd: Tensor;
    wq: Tensor;
    wk: Tensor;
    heads: Heads;
  },
): void {
  const { dqkv, dwq, dwk, qkv, rstd, wq, wk, heads } = args;
  const { H, Hk, D } = heads;
  const T = expectQkv("qk_norm_backward", qkv, heads);
  expectTensor("qk_norm_backward", "dqkv", dqkv, qkv.dtype, qkv.shape);
  for (const [name, tensor] of Object.entries({ dwq, dwk, wq, wk })) {
    expectTensor("qk_norm_backward", name, tensor, "f32", [D]);
  }
  expectTensor("qk_norm_backward", "rstd", rstd, "f32", [T, H + Hk]);
  const { device } = stream;
  const status = device.symbols.tk_qk_norm_backward(
    stream.handle,
    dqkv.address,
    dwq.address,
    dwk.address,
    qkv.address,
    rstd.address,
    wq.address,
    wk.address,
    T,
    H,
    Hk,
    D,
    dtypeCode(qkv.dtype),
  );
  stream.check("qk_norm_backward", status, args);
}

/**
 * Rotates q and k of `qkv` in place by their positions. `cosSin (P, D)`: D/2 cosines, then D/2 sines.
 * `inverse` rotates back: the backward pass. (RoFormer, arXiv 2104.09864; half-split pairs.)
 */
export function rope(
  stream: Stream,
  args: { qkv: Tensor; positions: Tensor; cosSin: Tensor; heads: Heads; inverse?: boolean },
): void {
  const { qkv, positions, cosSin, heads, inverse = false } = args;
  const T = expectQkv("rope", qkv, heads);
  expectTensor("rope", "positions", positions, "i32", [T]);
  expectTensor("rope", "cos_sin", cosSin, "f32", [-1, heads.D]);
  const { device } = stream;
  const status = device.symbols.tk_rope(
    stream.handle,
    qkv.address,
    positions.address,
    cosSin.address,
    T,
    heads.H,
    heads.Hk,
    heads.D,
    cosSin.shape[0],
    Number(inverse),
    dtypeCode(qkv.dtype),
  );
  stream.check("rope", status, args);
}

/** `rope`, fused with the write of k and v into the cache. Rows with a negative position are skipped. */
export function ropeKvWrite(
  stream: Stream,
  args: {
    qkv: Tensor;
    positions: Tensor;
    cosSin: Tensor;
    rowSeq: Tensor;
    cache: PagedCache;
    heads: Heads;
  },
): void {
  const { qkv, positions, cosSin, rowSeq, cache, heads } = args;
  const T = expectQkv("rope_kv_write", qkv, heads);
  expectTensor("rope_kv_write", "positions", positions, "i32", [T]);
  expectTensor("rope_kv_write", "row_seq", rowSeq, "i32", [T]);
  expectTensor("rope_kv_write", "cos_sin", cosSin, "f32", [-1, heads.D]);
  expectCache("rope_kv_write", cache, heads);
  const { device } = stream;
  const status = device.symbols.tk_rope_kv_write(
    stream.handle,
    qkv.address,
    positions.address,
    cosSin.address,
    cache.k.address,
    cache.v.address,
    cache.blockTables.address,
    rowSeq.address,
    T,
    heads.H,
    heads.Hk,
    heads.D,
    cosSin.shape[0],
    cache.blockSize,
    cache.blockTables.shape[1],
    dtypeCode(qkv.dtype),
  );
  stream.check("rope_kv_write", status, args);
}

/** Copies cache blocks of one layer: `pairs (n, 2)` int32 = (source, destination). */
export function kvCopyBlocks(
  stream: Stream,
  args: { cache: Pick<PagedCache, "k" | "v" | "blockSize">; pairs: Tensor; heads: Heads },
): void {
  const { cache, pairs, heads } = args;
  expectTensor("kv_copy_blocks", "pairs", pairs, "i32", [-1, 2]);
  const { device } = stream;
  const status = device.symbols.tk_kv_copy_blocks(
    stream.handle,
    cache.k.address,
    cache.v.address,
    pairs.address,
    pairs.shape[0],
    heads.Hk,
    heads.D,
    cache.blockSize,
    dtypeCode(cache.k.dtype),
  );
  stream.check("kv_copy_blocks", status, args);
}

/**
 * Causal attention inside each packed sequence: `out (T, H D)`, `lse (T, H)` for the backward pass.
 * `cuSeqlens (B + 1)`: where the sequences begin. (FlashAttention, arXiv 2205.14135.)
 */
export function attentionForward(
  stream: Stream,
  args: { out: Tensor; lse?: Tensor; qkv: Tensor; cuSeqlens: Tensor; heads: Heads; scale: number },
): void {
  const { out, lse, qkv, cuSeqlens, heads, scale } = args;
  const T = expectQkv("attention_forward", qkv, heads);
  expectTensor("attention_forward", "out", out, qkv.dtype, [T, heads.H * heads.D]);
  if (lse) expectTensor("attention_forward", "lse", lse, "f32", [T, heads.H]);
  expectTensor("attention_forward", "cu_seqlens", cuSeqlens, "i32", [-1]);
  const { device } = stream;
  const status = device.symbols.tk_attention_forward(
    stream.handle,
    out.address,
    lse?.address ?? 0n,
    qkv.address,
    cuSeqlens.address,
    cuSeqlens.size - 1,
    T,
    heads.H,
    heads.Hk,
    heads.D,
    scale,
    dtypeCode(qkv.dtype),
  );
  stream.check("attention_forward", status, args);
}

/** The gradient of `attentionForward`: overwrites `dqkv`. */
export function attentionBackward(
  stream: Stream,
  args: {
    dqkv: Tensor;
    dout: Tensor;
    out: Tensor;
    lse: Tensor;
    qkv: Tensor;
    cuSeqlens: Tensor;
    heads: Heads;
    scale: number;
  },
): void {
  const { dqkv, dout, out, lse, qkv, cuSeqlens, heads, scale } = args;
  const T = expectQkv("attention_backward", qkv, heads);
  expectTensor("attention_backward", "dqkv", dqkv, qkv.dtype, qkv.shape);
  expectTensor("attention_backward", "dout", dout, qkv.dtype, [T, heads.H * heads.D]);
  expectTensor("attention_backward", "out", out, qkv.dtype, [T, heads.H * heads.D]);
  expectTensor("attention_backward", "lse", lse, "f32", [T, heads.H]);
  const { device } = stream;
  const status = device.symbols.tk_attention_backward(
    stream.handle,
    dqkv.address,
    dout.address,
    out.address,
    lse.address,
    qkv.address,
    cuSeqlens.address,
    cuSeqlens.size - 1,
    T,
    heads.H,
    heads.Hk,
    heads.D,
    scale,
    dtypeCode(qkv.dtype),
  );
  stream.check("attention_backward", status, args);
}

/**
 * Attention of rows against their sequences' cached keys `0 .. positions(t)`; the row's own key included.
 * `decode`: no two rows are of one sequence; that is a hint and changes no bit.
 */
export function attentionPaged(
  stream: Stream,
  args: {
    out: Tensor;
    qkv: Tensor;
    positions: Tensor;
    rowSeq: Tensor;
    cache: PagedCache;
    heads: Heads;
    scale: number;
    decode?: boolean;
  },
): void {
  const { out, qkv, positions, rowSeq, cache, heads, scale, decode = false } = args;
  const T = expectQkv("attention_paged", qkv, heads);
  expectTensor("attention_paged", "out", out, qkv.dtype, [T, heads.H * heads.D]);
  expectTensor("attention_paged", "positions", positions, "i32", [T]);
  expectTensor("attention_paged", "row_seq", rowSeq, "i32", [T]);
  expectCache("attention_paged", cache, heads);
  const { device } = stream;
  const status = device.symbols.tk_attention_paged(
    stream.handle,
    out.address,
    qkv.address,
    cache.k.address,
    cache.v.address,
    cache.blockTables.address,
    rowSeq.address,
    positions.address,
    T,
    heads.H,
    heads.Hk,
    heads.D,
    cache.blockSize,
    cache.blockTables.shape[1],
    Number(decode),
    scale,
    dtypeCode(qkv.dtype),
  );
  stream.check("attention_paged", status, args);
}
