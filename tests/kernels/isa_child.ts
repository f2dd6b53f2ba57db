/**
 * Runs ops on fixed inputs and prints `name digest` for each result, after a line `isa NAME`.
 * isa_test.ts starts it with different THINKER_MARCH and compares the lines.
 */
import {
  adamw,
  attentionBackward,
  attentionForward,
  gradNorm,
  linearBackwardInput,
  linearBackwardWeight,
  linearForward,
  lmHeadLogprobs,
  lmHeadSample,
  ppoLoss,
  qkNormBackward,
  qkNormForward,
  rmsnormBackward,
  rmsnormForward,
  rope,
  stat,
  swigluBackward,
  swigluForward,
  type Tensor,
} from "../../ffi/mod.ts";
import { Lab, Rand } from "../native.ts";
import { cosSinTable } from "./attention_reference.ts";
import { packWeight, putHead, randomHead } from "./head_reference.ts";

const rand = new Rand(20250521);
using lab = await Lab.open();
const { stream } = lab;
const random = (...shape: number[]) =>
  lab.put(rand.normal(shape.reduce((a, b) => a * b, 1)), shape);

async function print(results: Record<string, Tensor>): Promise<void> {
  for (const [name, tensor] of Object.entries(results)) {
    const bytes = await stream.download(tensor, new Uint8Array(tensor.bytes));
    if (tensor.dtype === "f32" && new Float32Array(bytes.buffer).some(Number.isNaN)) {
      throw new Error(`${name} holds a NaN`);
    }
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    console.log(name, digest.subarray(0, 8).toHex());
  }
}

console.log("isa", lab.device.info.isa);

for (const dtype of ["f32", "bf16"] as const) {
  const [M, N, K] = [31, 45, 37];
  const w = packWeight(lab, rand.normal(N * K), N, K, dtype);
  const [x, dy, dw, dbias, dx] = [
    random(M, K),
    random(M, N),
    random(N, K),
    random(N),
    random(M, K),
  ];
  const y = lab.out([M, N]);
  linearForward(stream, { y, x, w, bias: random(N) });
  linearBackwardInput(stream, { dx, dy, w, accumulate: true });
  linearBackwardWeight(stream, { dw, dbias, dy, x });
  const named = { linear: y, linear_dx: dx, linear_dw: dw, linear_dbias: dbias };
  await print(Object.fromEntries(Object.entries(named).map(([k, v]) => [`${k}_${dtype}`, v])));
}

for (const [H, Hk, D] of [[4, 2, 32], [3, 1, 48]]) {
  const T = 60, heads = { H, Hk, D }, row = (H + 2 * Hk) * D, scale = 0.2;
  const [qkv, dout, cuSeqlens] = [
    random(T, row),
    random(T, H * D),
    lab.put(Int32Array.of(0, 1, 27, T)),
  ];
  rope(stream, {
    qkv,
    positions: lab.put(rand.ints(T, 0, 500)),
    cosSin: lab.put(cosSinTable(500, D), [500, D]),
    heads,
  });
  const [out, lse, dqkv] = [lab.out([T, H * D]), lab.out([T, H]), lab.out([T, row])];
  attentionForward(stream, { out, lse, qkv, cuSeqlens, heads, scale });
  attentionBackward(stream, { dqkv, dout, out, lse, qkv, cuSeqlens, heads, scale });
  const named = { rope: qkv, attention: out, attention_lse: lse, attention_dqkv: dqkv };
  await print(Object.fromEntries(Object.entries(named).map(([k, v]) => [`${k}_${D}`, v])));
}

for (const dtype of ["f32", "bf16"] as const) {
  const [T, C, V] = [23, 20, 1100], head = randomHead(rand, [T, C, V]);
  const [tokens, sampled] = [lab.out([T], "i32"), lab.out([T])];
  const sampling = Array.from({ length: T }, (_, t) => [0.7, t % 2 ? 0.9 : 1, t % 3 ? 0 : 40]);
  lmHeadSample(stream, {
    ...putHead(lab, head, T, dtype),
    tokens,
    logprobs: sampled,
    sampling: lab.put(Float32Array.from(sampling.flat()), [T, 3]),
    keys: lab.put(rand.ints(4 * T, 0, 2 ** 31), [T, 4]),
    positions: lab.put(rand.ints(T, 0, 1000)),
  });
  const logprobs = lab.out([T]);
  lmHeadLogprobs(stream, {
    ...putHead(lab, head, T, dtype),
    logprobs,
    targets: tokens,
    temperature: 0.7,
  });
  const [stats, dh, dw] = [lab.zeros([stat.count]), lab.out([T, C]), lab.zeros([V, C])];
  ppoLoss(stream, {
    ...putHead(lab, head, 8, dtype),
    stats,
    logprobs: lab.out([T]),
    dh,
    dw,
    targets: tokens,
    tokenWeights: lab.put(Float32Array.from({ length: T }, () => rand.uniform())),
    advantages: random(T),
    oldLogprobs: sampled,
    refLogprobs: lab.put(rand.normal(T).map((x) => x - 5)),
    options: {
      temperature: 0.9,
      clipLow: 0.2,
      clipHigh: 0.2,
      entropyCoefficient: 0.1,
      klCoefficient: 0.1,
      klEstimator: 3,
    },
  });
  const named = { tokens, sampled, logprobs, ppo_stats: stats, ppo_dh: dh, ppo_dw: dw };
  await print(Object.fromEntries(Object.entries(named).map(([k, v]) => [`${k}_${dtype}`, v])));
}

{
  const [T, C] = [21, 70];
  const [x, residual, w, dy] = [random(T, C), random(T, C), random(C), random(T, C)];
  const [y, sum, rstd] = [lab.out([T, C]), lab.out([T, C]), lab.out([T])];
  const [dx, dw] = [random(T, C), random(C)];
  rmsnormForward(stream, { y, x, w, eps: 1e-6, residual, sum, rstd });
  rmsnormBackward(stream, { dx, dw, dy, x: sum, rstd, w, accumulate: true });
  const [gateUp, act, dgateUp] = [random(T, 2 * C), lab.out([T, C]), lab.out([T, 2 * C])];
  swigluForward(stream, { y: act, gateUp });
  swigluBackward(stream, { dgateUp, dy, gateUp });
  await print({ rmsnorm: y, rmsnorm_sum: sum, rmsnorm_rstd: rstd, rmsnorm_dx: dx, rmsnorm_dw: dw });
  await print({ swiglu: act, swiglu_dgate_up: dgateUp });
}

{
  const T = 19, heads = { H: 3, Hk: 2, D: 40 }, row = 7 * 40;
  const [qkv, dqkv, out, rstd] = [
    random(T, row),
    random(T, row),
    lab.out([T, row]),
    lab.out([T, 5]),
  ];
  const [wq, wk, dwq, dwk] = [random(40), random(40), random(40), random(40)];
  qkNormForward(stream, { out, rstd, qkv, wq, wk, heads, eps: 1e-6 });
  qkNormBackward(stream, { dqkv, dwq, dwk, qkv, rstd, wq, wk, heads });
  await print({
    qk_norm: out,
    qk_norm_rstd: rstd,
    qk_norm_dqkv: dqkv,
    qk_norm_dwq: dwq,
    qk_norm_dwk: dwk,
  });
}

{
  const n = 1003, [params, grads, m, v] = [random(n), random(n), random(n), lab.zeros([n])];
  const norm = lab.out([1]);
  gradNorm(stream, { norm, grads });
  adamw(stream, {
    params,
    grads,
    m,
    v,
    norm,
    lr: 1e-3,
    beta1: 0.9,
    beta2: 0.95,
    eps: 1e-8,
    weightDecay: 0.01,
    maxNorm: 1,
    t: 3,
  });
  await print({ grad_norm: norm, adamw_params: params, adamw_m: m, adamw_v: v });
}
