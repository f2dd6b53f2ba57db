/** Losses on top of a decoder, on the device and in float64, and the gradients that they send back. */
import {
  crossEntropyLoss,
  linearBackwardInput,
  linearBackwardWeight,
  linearForward,
  ppoLoss,
  stat,
  valueLoss,
} from "../../ffi/mod.ts";
import { type Decoder, type ModelConfig, packBatch } from "../../src/model/mod.ts";
import type { Lab, Rand } from "../native.ts";
import { distribution, policyLossOf, valueLossOf, values, type Weights } from "./reference.ts";

/** Lengths of the packed sequences. */
export const lengths: readonly number[] = [1, 17, 6];
/** Their tokens in all. */
export const T: number = lengths.reduce((a, b) => a + b, 0);

/** A loss on top of the hidden states: on the device with gradients, and in float64. */
export interface Loss {
  /** Accumulates the head's gradient and returns `(dHidden, loss)`. */
  device(
    lab: Lab,
    decoder: Decoder,
    hidden: Float32Array,
  ): Promise<{ dHidden: Float32Array; loss: number }>;
  reference(config: ModelConfig, weights: Weights, hidden: Float64Array[]): number;
}

/** The sum of numbers. */
export const sum = (terms: readonly number[]): number => terms.reduce((a, b) => a + b, 0);

/** Weights of tokens: some are masked. */
function tokenWeights(rand: Rand): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: T }, () => rand.uniform() < 0.2 ? 0 : rand.uniform());
}

/** What both policy losses need on the device. */
function policyTensors(lab: Lab, decoder: Decoder, hidden: Float32Array) {
  const { hidden: C, vocab: V } = decoder.config;
  return {
    h: lab.put(hidden, [T, C]),
    w: decoder.params.head,
    workspace: lab.alloc("u8", [4 * V * 5]),
    stats: lab.zeros([stat.count]),
    logprobs: lab.out([T]),
    dh: lab.out([T, C]),
    dw: decoder.params.grads!.head,
  };
}

/** Cross-entropy of random targets. */
export function crossEntropy(rand: Rand, config: ModelConfig): Loss {
  const targets = rand.ints(T, 0, config.vocab), weights = tokenWeights(rand);
  return {
    async device(lab, decoder, hidden) {
      const tensors = policyTensors(lab, decoder, hidden);
      const data = { targets: lab.put(targets), tokenWeights: lab.put(weights) };
      crossEntropyLoss(lab.stream, { ...tensors, ...data });
      const loss = (await lab.f32(tensors.stats))[stat.loss];
      return { dHidden: await lab.f32(tensors.dh), loss };
    },
    reference: (config, params, hidden) =>
      sum(
        hidden.map((row, t) =>
          -weights[t] * distribution(config, params, row, 1).logprobs[targets[t]]
        ),
      ),
  };
}

/** The fused PPO loss with an entropy bonus, a reference and importance weights. */
export function ppo(rand: Rand, config: ModelConfig): Loss {
  const targets = rand.ints(T, 0, config.vocab), weights = tokenWeights(rand);
  const advantages = rand.normal(T);
  // Around the log-probability of a uniform guess, so that ratios fall on both sides of the clip.
  const around = (scale: number) => rand.normal(T, scale).map((x) => x - Math.log(config.vocab));
  const oldLogprobs = around(1), refLogprobs = around(0.5);
  const importanceWeights = Float32Array.from({ length: T }, () => 0.5 + rand.uniform());
  const options = {
    temperature: 0.9,
    clipLow: 0.2,
    clipHigh: 0.28,
    entropyCoefficient: 0.1,
    klCoefficient: 0.2,
    klEstimator: 3,
  } as const;
  return {
    async device(lab, decoder, hidden) {
      const tensors = policyTensors(lab, decoder, hidden);
      ppoLoss(lab.stream, {
        ...tensors,
        targets: lab.put(targets),
        tokenWeights: lab.put(weights),
        advantages: lab.put(advantages),
        oldLogprobs: lab.put(oldLogprobs),
        refLogprobs: lab.put(refLogprobs),
        importanceWeights: lab.put(importanceWeights),
        options,
      });
      const loss = (await lab.f32(tensors.stats))[stat.loss];
      return { dHidden: await lab.f32(tensors.dh), loss };
    },
    reference: (config, params, hidden) =>
      sum(hidden.map((row, t) => {
        const { logprobs, entropy } = distribution(config, params, row, options.temperature);
        const token = {
          logprob: logprobs[targets[t]],
          entropy,
          advantage: advantages[t],
          oldLogprob: oldLogprobs[t],
          refLogprob: refLogprobs[t],
          isWeight: importanceWeights[t],
        };
        const { clipLow, clipHigh, entropyCoefficient, klCoefficient } = options;
        const coefficients = { clipLow, clipHigh, entropy: entropyCoefficient, kl: klCoefficient };
        return weights[t] * policyLossOf(token, coefficients);
      })),
  };
}

/** The clipped value loss of a value head. */
export function value(rand: Rand): Loss {
  const data = { old: rand.normal(T), returns: rand.normal(T), weights: tokenWeights(rand) };
  const clip = 0.4;
  return {
    async device(lab, decoder, hidden) {
      const { head, grads } = decoder.params;
      const C = decoder.config.hidden;
      const h = lab.put(hidden, [T, C]), y = lab.out([T, 1]), dy = lab.out([T, 1]);
      const dh = lab.out([T, C]), stats = lab.zeros([stat.count]);
      linearForward(lab.stream, { y, x: h, w: head });
      valueLoss(lab.stream, {
        stats,
        dvalues: dy.view(0, [T]),
        values: y.view(0, [T]),
        oldValues: lab.put(data.old),
        returns: lab.put(data.returns),
        tokenWeights: lab.put(data.weights),
        clip,
      });
      linearBackwardInput(lab.stream, { dx: dh, dy, w: head });
      linearBackwardWeight(lab.stream, { dw: grads!.head, dy, x: h });
      return { dHidden: await lab.f32(dh), loss: (await lab.f32(stats))[stat.value] };
    },
    reference: (_config, params, hidden) => valueLossOf(values(params, hidden), data, clip),
  };
}

/** Runs forward, loss and backward on the device; the gradients are in `decoder.params.grads`. */
export async function deviceGradients(
  lab: Lab,
  decoder: Decoder,
  sequences: number[][],
  loss: Loss,
): Promise<number> {
  using arena = lab.device.arena(decoder.activationBytes(T, { train: true }));
  lab.stream.fill(decoder.params.grads!.flat, 0);
  const batch = packBatch(lab.stream, arena, sequences);
  const pass = decoder.forward(lab.stream, arena, batch, { keep: true });
  const result = await loss.device(lab, decoder, await lab.f32(pass.hidden));
  const dHidden = lab.put(Float32Array.from(result.dHidden), pass.hidden.shape);
  decoder.backward(lab.stream, arena, pass, dHidden);
  await lab.stream.sync();
  return result.loss;
}
