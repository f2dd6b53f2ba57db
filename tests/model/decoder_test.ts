import { assert } from "@std/assert";
import {
  adamw,
  type Arena,
  crossEntropyLoss,
  gatherRows,
  gradNorm,
  linearBackwardInput,
  linearBackwardWeight,
  linearForward,
  lmHeadLogprobs,
  ppoLoss,
  stat,
  valueLoss,
} from "../../ffi/mod.ts";
import { type Decoder, type ModelConfig, packBatch } from "../../src/model/mod.ts";
import { assertClose, assertSameBits, Lab, Rand, seeded } from "../native.ts";
import { byName, randomDecoder, randomSequences, tinyConfig } from "./models.ts";
import {
  distribution,
  hiddenStates,
  policyLossOf,
  valueLossOf,
  values,
  type Weights,
} from "./reference.ts";

const lengths = [1, 17, 6];
const T = lengths.reduce((a, b) => a + b, 0);

/** Sequences through the decoder, and the reference's hidden states. */
async function hiddenPair(lab: Lab, decoder: Decoder, sequences: number[][]) {
  using arena = lab.device.arena(decoder.activationBytes(T, { train: false }));
  const batch = packBatch(lab.stream, arena, sequences);
  const { hidden } = decoder.forward(lab.stream, arena, batch, { keep: false });
  const weights = await byName(lab, decoder, decoder.params.master.flat);
  const expected = hiddenStates(decoder.config, weights, sequences);
  return { hidden: await lab.f32(hidden), expected, weights };
}

for (const tiedHead of [true, false]) {
  Deno.test(`decoder: hidden states and logits, tied head: ${tiedHead}`, () =>
    seeded(async (rand) => {
      using lab = await Lab.open();
      const config = tinyConfig({ tiedHead });
      using decoder = randomDecoder(lab, config, { head: "lm", train: false }, rand);
      const sequences = randomSequences(rand, lengths, config.vocab);
      const { hidden, expected, weights } = await hiddenPair(lab, decoder, sequences);
      assertClose(hidden, expected.flatMap((row) => [...row]), 2e-5, "hidden");

      const { vocab: V, hidden: C } = config;
      const each = (f: (t: number, v: number) => number) =>
        Int32Array.from({ length: T * V }, (_, i) => f(Math.floor(i / V), i % V));
      const h = lab.out([T * V, C]), logprobs = lab.out([T * V]), entropy = lab.out([T * V]);
      gatherRows(lab.stream, {
        out: h,
        x: lab.put(hidden, [T, C]),
        index: lab.put(each((t) => t)),
      });
      lmHeadLogprobs(lab.stream, {
        logprobs,
        entropy,
        h,
        w: decoder.params.head,
        targets: lab.put(each((_, v) => v)),
        temperature: 0.8,
        workspace: lab.alloc("u8", [4 * V * 7]),
      });
      const reference = expected.map((row) => distribution(config, weights, row, 0.8));
      const all = reference.flatMap((d) => [...d.logprobs]);
      assertClose(await lab.f32(logprobs), all, 2e-5, "logprobs");
      const entropies = reference.flatMap((d) => Array<number>(V).fill(d.entropy));
      assertClose(await lab.f32(entropy), entropies, 2e-5, "entropy");
    }));
}

Deno.test("decoder: grouped heads, one head, one layer, other sizes", () =>
  seeded(async (rand) => {
    using lab = await Lab.open();
    for (
      const shape of [
        { heads: 6, kvHeads: 2, hidden: 40, ffn: 8, layers: 1 },
        { heads: 1, kvHeads: 1, hidden: 7, headDim: 32, layers: 3 },
      ]
    ) {
      const config = tinyConfig(shape);
      using decoder = randomDecoder(lab, config, { head: "lm", train: false }, rand);
      const sequences = randomSequences(rand, lengths, config.vocab);
      const { hidden, expected } = await hiddenPair(lab, decoder, sequences);
      assertClose(hidden, expected.flatMap((row) => [...row]), 2e-5, JSON.stringify(shape));
    }
  }));

Deno.test("decoder: values of a value head", () =>
  seeded(async (rand) => {
    using lab = await Lab.open();
    using decoder = randomDecoder(lab, tinyConfig(), { head: "value", train: false }, rand);
    const sequences = randomSequences(rand, lengths, decoder.config.vocab);
    const { hidden, expected, weights } = await hiddenPair(lab, decoder, sequences);
    const y = lab.out([T, 1]), x = lab.put(hidden, [T, decoder.config.hidden]);
    linearForward(lab.stream, { y, x, w: decoder.params.head });
    assertClose(await lab.f32(y), values(weights, expected), 2e-5, "values");
  }));

/** A loss on top of the hidden states: on the device with gradients, and in float64. */
interface Loss {
  /** Accumulates the head's gradient and returns `(dHidden, loss)`. */
  device(lab: Lab, decoder: Decoder, hidden: Float32Array): {
    dHidden: Float32Array;
    loss: number;
  } | Promise<{ dHidden: Float32Array; loss: number }>;
  reference(config: ModelConfig, weights: Weights, hidden: Float64Array[]): number;
}

const sum = (terms: readonly number[]) => terms.reduce((a, b) => a + b, 0);

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

function crossEntropy(rand: Rand, config: ModelConfig): Loss {
  const targets = rand.ints(T, 0, config.vocab), weights = tokenWeights(rand);
  return {
    async device(lab, decoder, hidden) {
      const tensors = policyTensors(lab, decoder, hidden);
      const data = { targets: lab.put(targets), weights: lab.put(weights) };
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

function ppo(rand: Rand, config: ModelConfig): Loss {
  const targets = rand.ints(T, 0, config.vocab), weights = tokenWeights(rand);
  const advantages = rand.normal(T);
  // Around the log-probability of a uniform guess, so that ratios fall on both sides of the clip.
  const around = (scale: number) => rand.normal(T, scale).map((x) => x - Math.log(config.vocab));
  const oldLogprobs = around(1), refLogprobs = around(0.5);
  const isWeights = Float32Array.from({ length: T }, () => 0.5 + rand.uniform());
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
        weights: lab.put(weights),
        advantages: lab.put(advantages),
        oldLogprobs: lab.put(oldLogprobs),
        refLogprobs: lab.put(refLogprobs),
        isWeights: lab.put(isWeights),
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
          isWeight: isWeights[t],
        };
        const { clipLow, clipHigh, entropyCoefficient, klCoefficient } = options;
        const coefficients = { clipLow, clipHigh, entropy: entropyCoefficient, kl: klCoefficient };
        return weights[t] * policyLossOf(token, coefficients);
      })),
  };
}

function value(rand: Rand): Loss {
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
        weights: lab.put(data.weights),
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
async function deviceGradients(lab: Lab, decoder: Decoder, sequences: number[][], loss: Loss) {
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

/** The entries of a gradient that are checked: its largest ones and random ones. */
function chosenEntries(gradient: Float64Array, rand: Rand): number[] {
  const order = [...gradient.keys()].sort((a, b) => Math.abs(gradient[b]) - Math.abs(gradient[a]));
  const random = Array.from({ length: 4 }, () => rand.int(0, gradient.length));
  return [...new Set([...order.slice(0, 2), ...random])];
}

const cases: [string, Partial<ModelConfig>, "lm" | "value", (r: Rand, c: ModelConfig) => Loss][] = [
  ["cross-entropy, tied head", { tiedHead: true }, "lm", crossEntropy],
  ["cross-entropy, own head", { tiedHead: false }, "lm", crossEntropy],
  ["PPO, tied head", { tiedHead: true }, "lm", ppo],
  ["PPO, own head", { tiedHead: false }, "lm", ppo],
  ["value loss", {}, "value", value],
];
for (const [name, shape, head, makeLoss] of cases) {
  Deno.test(`decoder: gradients of every parameter, ${name}`, () =>
    seeded(async (rand) => {
      using lab = await Lab.open({ threads: 1 });
      const config = tinyConfig(shape);
      using decoder = randomDecoder(lab, config, { head, train: true }, rand);
      const sequences = randomSequences(rand, lengths, config.vocab);
      const loss = makeLoss(rand, config);
      const actualLoss = await deviceGradients(lab, decoder, sequences, loss);
      const weights = await byName(lab, decoder, decoder.params.master.flat);
      const gradients = await byName(lab, decoder, decoder.params.grads!.flat);
      const reference = () =>
        loss.reference(config, weights, hiddenStates(config, weights, sequences));
      assertClose([actualLoss], [reference()], 1e-4, "loss");
      for (const [tensor, gradient] of gradients) {
        const parameter = weights.get(tensor)!;
        const scale = gradient.reduce((max, g) => Math.max(max, Math.abs(g)), 0);
        assert(scale > 1e-6, `${tensor} has no gradient`);
        const entries = chosenEntries(gradient, rand);
        assert(entries.length > 0, `no entry of ${tensor} was checked`);
        for (const i of entries) {
          const before = parameter[i], step = 1e-5;
          parameter[i] = before + step;
          const above = reference();
          parameter[i] = before - step;
          const slope = (above - reference()) / (2 * step);
          parameter[i] = before;
          const error = Math.abs(gradient[i] - slope);
          assert(error <= 2e-4 * scale, `${tensor}[${i}]: ${gradient[i]}, expected ${slope}`);
        }
      }
    }));
}

Deno.test("decoder: a few AdamW steps lower the loss", () =>
  seeded(async (rand) => {
    using lab = await Lab.open({ threads: 1 });
    for (const tiedHead of [true, false]) {
      const config = tinyConfig({ tiedHead });
      using decoder = randomDecoder(lab, config, { head: "lm", train: true }, rand, 0.5);
      const { params } = decoder;
      const sequences = randomSequences(rand, lengths, config.vocab);
      const loss = crossEntropy(rand, config);
      const m = lab.zeros([params.layout.size]), v = lab.zeros([params.layout.size]);
      const norm = lab.out([1]);
      const [p, grads] = [params.master.flat, params.grads!.flat];
      const hyper = { lr: 3e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0, maxNorm: 1 };
      const losses: number[] = [];
      for (let t = 1; t <= 12; t++) {
        losses.push(await deviceGradients(lab, decoder, sequences, loss));
        gradNorm(lab.stream, { norm, grads });
        adamw(lab.stream, { params: p, grads, m, v, norm, ...hyper, t });
        params.refresh(lab.stream);
      }
      await lab.stream.sync();
      assert(losses.at(-1)! < 0.7 * losses[0], `losses ${losses.join(" ")}`);
    }
  }));

Deno.test("decoder: recomputation gives the same bits", () =>
  seeded(async (rand) => {
    using lab = await Lab.open({ threads: 1 });
    const config = tinyConfig({ layers: 3 });
    const sequences = randomSequences(rand, lengths, config.vocab);
    const { seed } = rand;
    const run = async (recompute: boolean) => {
      const same = new Rand(seed);
      const options = { head: "lm", train: true, recompute } as const;
      using decoder = randomDecoder(lab, config, options, same);
      await deviceGradients(lab, decoder, sequences, crossEntropy(same, config));
      return await lab.f32(decoder.params.grads!.flat);
    };
    assertSameBits(await run(true), await run(false), "gradients");
  }));

Deno.test("decoder: what is kept for the backward pass changes no bit of the hidden states", () =>
  seeded(async (rand) => {
    using lab = await Lab.open({ threads: 1 });
    const config = tinyConfig({ layers: 3 });
    const sequences = randomSequences(rand, lengths, config.vocab);
    const { seed } = rand;
    const run = async (recompute: boolean, keep: boolean) => {
      const options = { head: "lm", train: true, recompute } as const;
      using decoder = randomDecoder(lab, config, options, new Rand(seed));
      using arena = lab.device.arena(decoder.activationBytes(T, { train: keep }));
      const batch = packBatch(lab.stream, arena, sequences);
      return await lab.f32(decoder.forward(lab.stream, arena, batch, { keep }).hidden);
    };
    const expected = await run(false, true);
    for (const [recompute, keep] of [[false, false], [true, true], [true, false]]) {
      assertSameBits(await run(recompute, keep), expected, `recompute ${recompute}, keep ${keep}`);
    }
  }));

Deno.test("decoder: activationBytes bounds what forward and backward take, and not by far", () =>
  seeded(async (rand) => {
    using lab = await Lab.open({ threads: 1 });
    const measure = async (decoder: Decoder, arena: Arena, lengths: number[], train: boolean) => {
      const { stream } = lab;
      const sequences = randomSequences(rand, lengths, decoder.config.vocab);
      const batch = packBatch(stream, arena, sequences);
      const pass = decoder.forward(stream, arena, batch, { keep: train });
      if (train) {
        const dHidden = arena.alloc("f32", pass.hidden.shape);
        stream.fill(dHidden, 1);
        decoder.backward(stream, arena, pass, dHidden);
      }
      await stream.sync();
    };
    for (const layers of [1, 4]) {
      for (const recompute of [false, true]) {
        const config = tinyConfig({ layers, maxPositions: 300 });
        const options = { head: "lm", train: true, recompute } as const;
        using decoder = randomDecoder(lab, config, options, rand);
        lab.stream.fill(decoder.params.grads!.flat, 0);
        for (const lengths of [[1], [1, 1, 1], [13], Array<number>(40).fill(1), [300, 200]]) {
          for (const train of [true, false]) {
            const tokens = sum(lengths);
            const bytes = decoder.activationBytes(tokens, { train });
            using arena = lab.device.arena(4 * bytes);
            await measure(decoder, arena, lengths, train);
            const what =
              `${tokens} tokens, ${layers} layers, recompute ${recompute}, train ${train}`;
            assert(arena.peak <= bytes, `${what}: ${arena.peak} bytes, ${bytes} foreseen`);
            const wide = `${what}: ${bytes} bytes foreseen, only ${arena.peak} taken`;
            assert(tokens < 500 || bytes <= 1.2 * arena.peak, wide);
          }
        }
      }
    }
  }));
