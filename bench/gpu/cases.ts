/**
 * The CUDA kernels in bfloat16 at the shapes of one model: what is timed, what bounds it, and what the
 * peer (bench/peers/gpu_peer.py) has to do for the same work.
 *
 * @module
 */
import {
  adamw,
  attentionBackward,
  attentionForward,
  attentionPaged,
  cast,
  gradNorm,
  type Heads,
  linearBackwardInput,
  linearBackwardWeight,
  linearForward,
  linearPack,
  lmHeadSample,
  packedBytes,
  type PackedWeight,
  ppoLoss,
  rmsnormForward,
  stat,
  swigluForward,
  type Tensor,
} from "../../ffi/mod.ts";
import type { ModelConfig } from "../../src/model/mod.ts";
import type { Case } from "../harness.ts";
import type { Workbench } from "../workbench.ts";

/** A case with the name and arguments of the peer's; without one where there is no peer. */
export interface GpuCase extends Case {
  readonly peer?: Readonly<Record<string, string | number>>;
}

/** Sizes that all cases derive from. */
export interface GpuShapes {
  readonly model: ModelConfig;
  /** Packed tokens of a training step. */
  readonly tokens: number;
  /** Length of the sequences that attention trains on. */
  readonly length: number;
  /** Rows of the LM-head loss. */
  readonly lossRows: number;
  /** Sequences of a decode step, and tokens in the cache of each. */
  readonly batch: number;
  readonly context: number;
  /** More than the last cache holds: weights of a decode step come from as many bytes, taken in turn. */
  readonly coldBytes: number;
}

/** A bfloat16 tensor of random numbers. */
function random(bench: Workbench, ...shape: number[]): Tensor {
  const tensor = bench.alloc("bf16", ...shape);
  cast(bench.stream, { dst: tensor, src: bench.random(...shape) });
  return tensor;
}

/** Packed random weights; with `coldBytes` as many copies as fill them, taken in turn. */
function weights(bench: Workbench, N: number, K: number, coldBytes = 0): () => PackedWeight {
  const bytes = packedBytes(bench.device, N, K, "bf16");
  const fresh = () => ({ data: bench.alloc("u8", bytes), N, K, dtype: "bf16" } as const);
  const first = fresh();
  linearPack(bench.stream, first, bench.random(N, K));
  const copies = [first];
  while (copies.length * bytes < coldBytes) {
    const copy = fresh();
    bench.stream.copy(copy.data, first.data);
    copies.push(copy);
  }
  let next = 0;
  return () => copies[next++ % copies.length];
}

function linear({ model, tokens, batch, coldBytes }: GpuShapes): GpuCase[] {
  const { hidden: C, ffn: F, heads, kvHeads, headDim: D } = model;
  const layers = {
    qkv: [(heads + 2 * kvHeads) * D, C],
    gate_up: [2 * F, C],
    down: [C, F],
  } as const;
  const cost = (M: number, N: number, K: number) => ({
    shape: `${M} x ${K} -> ${N}`,
    flops: 2 * M * N * K,
    bytes: 2 * (N * K + M * (N + K)),
  });
  return Object.entries(layers).flatMap(([layer, [N, K]]): GpuCase[] => [
    ...[batch, tokens].map((M): GpuCase => ({
      op: `linear ${layer}`,
      ...cost(M, N, K),
      peer: { case: "linear_forward", M, N, K },
      setup(bench) {
        const x = random(bench, M, K), y = bench.alloc("bf16", M, N);
        const w = weights(bench, N, K, M === batch ? coldBytes : 0);
        return () => linearForward(bench.stream, { y, x, w: w() });
      },
    })),
    {
      op: `linear ${layer} backward input`,
      ...cost(tokens, N, K),
      peer: { case: "linear_backward_input", M: tokens, N, K },
      setup(bench) {
        const dy = random(bench, tokens, N), dx = bench.alloc("bf16", tokens, K);
        const w = weights(bench, N, K);
        return () => linearBackwardInput(bench.stream, { dx, dy, w: w() });
      },
    },
    {
      op: `linear ${layer} backward weight`,
      ...cost(tokens, N, K),
      peer: { case: "linear_backward_weight", M: tokens, N, K },
      setup(bench) {
        const dy = random(bench, tokens, N), x = random(bench, tokens, K);
        const dw = bench.full(0, N, K);
        return () => linearBackwardWeight(bench.stream, { dw, dy, x });
      },
    },
  ]);
}

function attention({ model, tokens, length, batch, context }: GpuShapes): GpuCase[] {
  const heads: Heads = { H: model.heads, Hk: model.kvHeads, D: model.headDim },
    { H, Hk, D } = heads;
  const wide = (H + 2 * Hk) * D, scale = 1 / Math.sqrt(D), sequences = tokens / length;
  const flops = 4 * D * H * sequences * length * (length + 1) / 2;
  const shape = `${sequences} x ${length}`;
  const packed = (bench: Workbench) => ({
    qkv: random(bench, tokens, wide),
    out: bench.alloc("bf16", tokens, H * D),
    lse: bench.alloc("f32", tokens, H),
    cuSeqlens: bench.ints(Int32Array.from({ length: sequences + 1 }, (_, b) => b * length)),
    heads,
    scale,
  });
  return [
    {
      op: "attention",
      shape,
      flops,
      bytes: 2 * tokens * (wide + H * D),
      peer: { case: "attention_forward", sequences, length, H, Hk, D },
      setup(bench) {
        const args = packed(bench);
        return () => attentionForward(bench.stream, args);
      },
    },
    {
      op: "attention backward",
      shape,
      flops: 2.5 * flops,
      bytes: 2 * tokens * 2 * (wide + H * D),
      peer: { case: "attention_backward", sequences, length, H, Hk, D },
      setup(bench) {
        const args = packed(bench), dout = random(bench, tokens, H * D);
        const dqkv = bench.alloc("bf16", tokens, wide);
        attentionForward(bench.stream, args);
        return () => attentionBackward(bench.stream, { ...args, dqkv, dout });
      },
    },
    {
      op: "attention paged",
      shape: `batch ${batch}, context ${context}`,
      flops: 4 * D * H * batch * context,
      bytes: 2 * batch * (context * 2 * Hk * D + 2 * H * D),
      peer: { case: "attention_decode", batch, context, H, Hk, D },
      setup(bench) {
        const block = bench.device.info.kvTile, blocks = Math.ceil(context / block);
        const cache = () => random(bench, batch * blocks, Hk * block * D);
        const tables = Int32Array.from({ length: batch * blocks }, (_, i) => i);
        const args = {
          qkv: random(bench, batch, wide),
          out: bench.alloc("bf16", batch, H * D),
          positions: bench.ints(new Int32Array(batch).fill(context - 1)),
          rowSeq: bench.ints(Int32Array.from({ length: batch }, (_, row) => row)),
          cache: {
            k: cache(),
            v: cache(),
            blockTables: bench.ints(tables, [batch, blocks]),
            block,
          },
          heads,
          scale,
        };
        return () => attentionPaged(bench.stream, args);
      },
    },
  ];
}

function head({ model: { hidden: C, vocab: V }, lossRows, batch }: GpuShapes): GpuCase[] {
  const workspace = (bench: Workbench, rows: number) =>
    bench.alloc("u8", Math.max(4 * V, Math.min(256 * 2 ** 20, 4 * V * rows)));
  return [
    {
      op: "LM head sample",
      shape: `${batch} x ${C} -> ${V}`,
      flops: 2 * batch * C * V,
      bytes: 2 * V * C,
      setup(bench) {
        const sampling = bench.alloc("f32", batch, 3);
        bench.stream.upload(sampling, new Float32Array(Array(batch).fill([1, 1, 0]).flat()));
        const w = weights(bench, V, C);
        const args = {
          h: random(bench, batch, C),
          workspace: workspace(bench, batch),
          sampling,
          tokens: bench.alloc("i32", batch),
          logprobs: bench.alloc("f32", batch),
          sequenceIds: bench.ints(Int32Array.from({ length: 2 * batch }, (_, i) => i), [batch, 2]),
          positions: bench.ints(new Int32Array(batch)),
          seed: 1n,
        };
        return () => lmHeadSample(bench.stream, { ...args, w: w() });
      },
    },
    {
      op: "PPO loss",
      shape: `${lossRows} x ${C} -> ${V}`,
      flops: 6 * lossRows * C * V,
      bytes: V * C * (2 + 8),
      peer: { case: "ppo_loss", rows: lossRows, C, V },
      setup(bench) {
        const w = weights(bench, V, C);
        const args = {
          h: random(bench, lossRows, C),
          workspace: workspace(bench, lossRows),
          stats: bench.full(0, stat.count),
          logprobs: bench.alloc("f32", lossRows),
          dh: bench.alloc("bf16", lossRows, C),
          dw: bench.full(0, V, C),
          targets: bench.randomInts(lossRows, V),
          weights: bench.full(1 / lossRows, lossRows),
          advantages: bench.random(lossRows),
          oldLogprobs: bench.full(-Math.log(V), lossRows),
          options: {
            temperature: 1,
            clipLow: 0.2,
            clipHigh: 0.2,
            entropyCoefficient: 0.01,
            klCoefficient: 0,
            klEstimator: 3,
          } as const,
        };
        return () => ppoLoss(bench.stream, { ...args, w: w() });
      },
    },
  ];
}

function memoryBound({ model: { hidden: C, ffn: F, vocab: V }, tokens }: GpuShapes): GpuCase[] {
  const n = V * C;
  return [
    {
      op: "RMSNorm",
      shape: `${tokens} x ${C}`,
      flops: 0,
      bytes: 2 * tokens * C * 2,
      setup(bench) {
        const x = random(bench, tokens, C), y = bench.alloc("bf16", tokens, C);
        const w = bench.full(1, C);
        return () => rmsnormForward(bench.stream, { y, x, w, eps: 1e-6 });
      },
    },
    {
      op: "SwiGLU",
      shape: `${tokens} x ${F}`,
      flops: 0,
      bytes: 2 * tokens * F * 3,
      setup(bench) {
        const gateUp = random(bench, tokens, 2 * F), y = bench.alloc("bf16", tokens, F);
        return () => swigluForward(bench.stream, { y, gateUp });
      },
    },
    {
      op: "AdamW",
      shape: `${n} parameters`,
      flops: 0,
      bytes: n * 32, // 4 for the norm; parameters, gradient and moments in, three of them out
      setup(bench) {
        const [params, grads, m, v] = [1, 2, 3, 4].map(() => bench.full(0.01, n));
        const norm = bench.alloc("f32", 1);
        const step = { lr: 1e-6, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0, maxNorm: 1 };
        return () => {
          gradNorm(bench.stream, { norm, grads });
          adamw(bench.stream, { params, grads, m, v, norm, ...step, t: 1 });
        };
      },
    },
  ];
}

/** All kernels at the given sizes. */
export function gpuCases(shapes: GpuShapes): GpuCase[] {
  return [...linear(shapes), ...attention(shapes), ...head(shapes), ...memoryBound(shapes)];
}
