import { assert } from "@std/assert";
import { adamw, gradNorm } from "../../ffi/mod.ts";
import type { ModelConfig } from "../../src/model/mod.ts";
import { assertClose, assertSameBits, Lab, Rand, seeded } from "../native.ts";
import { crossEntropy, deviceGradients, lengths, type Loss, ppo, value } from "./losses.ts";
import { byName, families, randomDecoder, randomSequences, tinyConfig } from "./models.ts";
import { hiddenStates } from "./reference.ts";

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
  ...Object.entries(families).map(([name, shape]) =>
    [`cross-entropy, ${name}`, shape, "lm", crossEntropy] as typeof cases[number]
  ),
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
    const config = tinyConfig({ layers: 3, ...families.Qwen3 });
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
