/**
 * The LM head of Qwen2.5 (151,936 tokens): log-probs, sampling, and the fused losses.
 *
 * @module
 */
import {
  crossEntropyLoss,
  type LmHead,
  lmHeadLogprobs,
  lmHeadSample,
  ppoLoss,
  type PpoLossOptions,
  stat,
} from "../ffi/mod.ts";
import { type Case, defineBenches } from "./harness.ts";
import { coldWeight } from "./linear_bench.ts";
import type { Workbench } from "./workbench.ts";

const C = 896, V = 151_936;
const ppo: PpoLossOptions = {
  temperature: 1,
  clipLow: 0.2,
  clipHigh: 0.2,
  entropyCoefficient: 0.01,
  klCoefficient: 0,
  klEstimator: 3,
};

/** Hidden states, a cold LM head and room for the logits of `rows` rows. */
function head(bench: Workbench, rows: number): () => LmHead {
  const h = bench.random(rows, C), workspace = bench.alloc("u8", 4 * rows * V);
  return () => ({ h, w: coldWeight(bench, { N: V, K: C }), workspace });
}

/** What the losses write, and their targets. */
function lossTensors(bench: Workbench, rows: number) {
  return {
    stats: bench.full(0, stat.count),
    logprobs: bench.alloc("f32", rows),
    dh: bench.alloc("f32", rows, C),
    dw: bench.full(0, V, C),
    targets: bench.randomInts(rows, V),
    weights: bench.full(1 / rows, rows),
  };
}

function logprobs(rows: number): Case {
  return {
    op: "LM head log-probs",
    shape: `${rows} x ${C} -> ${V}`,
    flops: 2 * rows * C * V,
    bytes: 4 * V * C,
    setup(bench) {
      const next = head(bench, rows), targets = bench.randomInts(rows, V);
      const logprobs = bench.alloc("f32", rows), entropy = bench.alloc("f32", rows);
      return () =>
        lmHeadLogprobs(bench.stream, { ...next(), logprobs, entropy, targets, temperature: 1 });
    },
  };
}

function sample(rows: number): Case {
  return {
    op: "LM head sample",
    shape: `${rows} x ${C} -> ${V}`,
    flops: 2 * rows * C * V,
    bytes: 4 * V * C,
    setup(bench) {
      const next = head(bench, rows);
      const sampling = bench.alloc("f32", rows, 3);
      bench.stream.upload(sampling, new Float32Array(Array(rows).fill([1, 1, 0]).flat()));
      const tensors = {
        sampling,
        tokens: bench.alloc("i32", rows),
        logprobs: bench.alloc("f32", rows),
        sequenceIds: bench.ints(Int32Array.from({ length: 2 * rows }, (_, i) => i), [rows, 2]),
        positions: bench.ints(new Int32Array(rows)),
      };
      return () => lmHeadSample(bench.stream, { ...next(), ...tensors, seed: 1n });
    },
  };
}

/** Three products; the head and its gradient are read, the gradient is written. */
const lossCost = (rows: number) => ({ flops: 6 * rows * C * V, bytes: 4 * 3 * V * C });

function crossEntropy(rows: number): Case {
  return {
    op: "cross-entropy loss",
    shape: `${rows} x ${C} -> ${V}`,
    ...lossCost(rows),
    setup(bench) {
      const next = head(bench, rows), tensors = lossTensors(bench, rows);
      return () => crossEntropyLoss(bench.stream, { ...next(), ...tensors });
    },
  };
}

function policyLoss(rows: number): Case {
  return {
    op: "PPO loss",
    shape: `${rows} x ${C} -> ${V}`,
    ...lossCost(rows),
    setup(bench) {
      const next = head(bench, rows), tensors = lossTensors(bench, rows);
      const advantages = bench.random(rows), oldLogprobs = bench.full(-Math.log(V), rows);
      return () =>
        ppoLoss(bench.stream, { ...next(), ...tensors, advantages, oldLogprobs, options: ppo });
    },
  };
}

/** All cases. */
export const cases: readonly Case[] = [
  ...[1, 8, 32].map(sample),
  logprobs(128),
  crossEntropy(128),
  policyLoss(128),
];

defineBenches(cases);
