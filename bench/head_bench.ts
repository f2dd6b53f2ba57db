/**
 * The LM head: log-probs, sampling, and the fused losses.
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
import { defineBenches } from "./define.ts";
import type { Case } from "./harness.ts";
import { coldWeight } from "./linear_bench.ts";
import { bytesOf, type Sizes } from "./sizes.ts";
import type { Workbench } from "./workbench.ts";

const ppo: PpoLossOptions = {
  temperature: 1,
  clipLow: 0.2,
  clipHigh: 0.2,
  entropyCoefficient: 0.01,
  klCoefficient: 0,
  klEstimator: 3,
};

/** Most room for logits; a loss over more rows goes through it in pieces. */
const workspaceBytes = 256 * 2 ** 20;

/** A case of `rows` rows. */
function headCase(
  op: string,
  rows: number,
  { model: { hidden: C, vocab: V } }: Sizes,
  rest: Pick<Case, "flops" | "bytes" | "setup" | "peer">,
): Case {
  return { op, shape: `${rows} x ${C} -> ${V}`, tokens: rows, ...rest };
}

/** Hidden states, a cold LM head and room for the logits of `rows` rows. */
function head(bench: Workbench, rows: number, { model, dtype }: Sizes): () => LmHead {
  const { hidden: C, vocab: V } = model;
  const h = bench.random(dtype, rows, C);
  const workspace = bench.alloc("u8", Math.min(4 * rows * V, workspaceBytes));
  return () => ({ h, w: coldWeight(bench, { N: V, K: C }, dtype), workspace });
}

/** What the losses write, and their targets. */
function lossTensors(bench: Workbench, rows: number, { model, dtype }: Sizes) {
  const { hidden: C, vocab: V } = model;
  return {
    stats: bench.full(0, stat.count),
    logprobs: bench.alloc("f32", rows),
    dh: bench.alloc(dtype, rows, C),
    dw: bench.full(0, V, C),
    targets: bench.randomInts(rows, V),
    tokenWeights: bench.full(1 / rows, rows),
  };
}

/** One product, the head is read. */
function cost(rows: number, sizes: Sizes): Pick<Case, "flops" | "bytes"> {
  const { hidden: C, vocab: V } = sizes.model;
  return { flops: 2 * rows * C * V, bytes: bytesOf(sizes) * V * C };
}

/** Three products; the head and its gradient are read, the gradient is written. */
function lossCost(rows: number, sizes: Sizes): Pick<Case, "flops" | "bytes"> {
  const { hidden: C, vocab: V } = sizes.model;
  return { flops: 6 * rows * C * V, bytes: (bytesOf(sizes) + 8) * V * C };
}

function sample(rows: number, sizes: Sizes): Case {
  return headCase("LM head sample", rows, sizes, {
    ...cost(rows, sizes),
    setup(bench) {
      const next = head(bench, rows, sizes);
      const sampling = bench.alloc("f32", rows, 3);
      bench.stream.upload(sampling, new Float32Array(Array(rows).fill([1, 1, 0]).flat()));
      const tensors = {
        sampling,
        tokens: bench.alloc("i32", rows),
        logprobs: bench.alloc("f32", rows),
        keys: bench.ints(Int32Array.from({ length: 4 * rows }, (_, i) => i), [rows, 4]),
        positions: bench.ints(new Int32Array(rows)),
      };
      return () => lmHeadSample(bench.stream, { ...next(), ...tensors });
    },
  });
}

function logprobs(rows: number, sizes: Sizes): Case {
  return headCase("LM head log-probs", rows, sizes, {
    ...cost(rows, sizes),
    setup(bench) {
      const next = head(bench, rows, sizes), targets = bench.randomInts(rows, sizes.model.vocab);
      const logprobs = bench.alloc("f32", rows);
      return () => lmHeadLogprobs(bench.stream, { ...next(), logprobs, targets, temperature: 1 });
    },
  });
}

function crossEntropy(rows: number, sizes: Sizes): Case {
  return headCase("cross-entropy loss", rows, sizes, {
    ...lossCost(rows, sizes),
    setup(bench) {
      const next = head(bench, rows, sizes), tensors = lossTensors(bench, rows, sizes);
      return () => crossEntropyLoss(bench.stream, { ...next(), ...tensors });
    },
  });
}

function policyLoss(rows: number, sizes: Sizes): Case {
  const { hidden: C, vocab: V } = sizes.model;
  return headCase("PPO loss", rows, sizes, {
    ...lossCost(rows, sizes),
    peer: { case: "ppo_loss", rows, C, V },
    setup(bench) {
      const next = head(bench, rows, sizes), tensors = lossTensors(bench, rows, sizes);
      const advantages = bench.random("f32", rows), oldLogprobs = bench.full(-Math.log(V), rows);
      return () =>
        ppoLoss(bench.stream, { ...next(), ...tensors, advantages, oldLogprobs, options: ppo });
    },
  });
}

/** All cases. */
export function cases(sizes: Sizes): Case[] {
  const { batches, lossRows } = sizes;
  return [
    ...batches.map((batch) => sample(batch, sizes)),
    logprobs(lossRows, sizes),
    crossEntropy(lossRows, sizes),
    policyLoss(lossRows, sizes),
  ];
}

await defineBenches(import.meta.url, cases);
