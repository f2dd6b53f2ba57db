/** The committed answers of PyTorch and transformers; `deno task oracle` makes them anew. */
import { assert, assertEquals } from "@std/assert";
import {
  loadDecoder,
  parseRopeScaling,
  ropeFrequencies,
  type RopeScaling,
} from "../../src/model/mod.ts";
import { assertClose, Lab } from "../native.ts";
import {
  adamwLosses,
  advantages,
  type Arrays,
  criticLoss,
  crossEntropy,
  fixtures,
  gradients,
  loadCritic,
  logits,
  models,
  policyLoss,
  readArrays,
} from "./oracle.ts";

/** Every gradient of the fixture under a prefix, parameter by parameter, and no other. */
function assertGradients(
  actual: Map<string, Float32Array>,
  expected: Arrays,
  prefix: string,
): void {
  const names = Object.keys(expected).filter((name) => name.startsWith(`${prefix}.`));
  assertEquals([...actual.keys()].sort(), names.map((n) => n.slice(prefix.length + 1)).sort());
  for (const [name, gradient] of actual) {
    assert(gradient.some((g) => Math.abs(g) > 1e-4), `${name} has no gradient`);
    assertClose(gradient, expected[`${prefix}.${name}`], 1e-3, `gradient of ${name}`);
  }
}

for (const name of models) {
  Deno.test(`oracle: ${name} has transformers' logits, loss, gradients and ten AdamW steps`, async () => {
    using lab = await Lab.open();
    const dir = `${fixtures}/${name}`, expected = readArrays(`${dir}/expected.safetensors`);
    using decoder = loadDecoder(lab.stream, dir, { head: "lm", train: true });
    lab.stream.fill(decoder.params.grads!.flat, 0);
    assertClose(await logits(lab, decoder, expected.ids), expected.logits, 1e-4, "logits");
    assertClose([await crossEntropy(lab, decoder, expected)], expected.loss, 1e-5, "loss");
    assertGradients(await gradients(lab, decoder), expected, "gradient");
    const losses = await adamwLosses(lab, decoder, expected);
    assert(losses[9] < 0.8 * losses[0], `the loss hardly falls: ${losses}`);
    assertClose(losses, expected.losses, 1e-3, "losses");
  });
}

Deno.test("oracle: PyTorch's PPO policy and value losses, with gradients, and advantages", async () => {
  using lab = await Lab.open();
  const dir = `${fixtures}/qwen2`, data = readArrays(`${dir}/expected.safetensors`);
  const ppo = readArrays(`${fixtures}/ppo.safetensors`);
  {
    using actor = loadDecoder(lab.stream, dir, { head: "lm", train: true });
    lab.stream.fill(actor.params.grads!.flat, 0);
    assertClose([await policyLoss(lab, actor, data, ppo)], ppo.policy_loss, 1e-4, "policy loss");
    assertGradients(await gradients(lab, actor), ppo, "policy");
  }
  using critic = loadCritic(lab, dir, ppo);
  lab.stream.fill(critic.params.grads!.flat, 0);
  assertClose([await criticLoss(lab, critic, data, ppo)], ppo.value_loss, 1e-4, "value loss");
  assertGradients(await gradients(lab, critic), ppo, "value");
  const actual = await advantages(lab, ppo);
  assertClose(actual.advantages, ppo.gae_advantages, 1e-5, "advantages");
  assertClose(actual.returns, ppo.gae_returns, 1e-5, "returns");
});

Deno.test("oracle: RoPE is scaled as transformers does", () => {
  const ropes: {
    rope_parameters: { rope_type: string; rope_theta: number };
    frequencies: number[];
    factor: number;
  }[] = JSON.parse(Deno.readTextFileSync(`${fixtures}/rope.json`));
  const kinds = ropes.map(({ rope_parameters, frequencies, factor }) => {
    const ropeScaling = parseRopeScaling(rope_parameters, 131072, "rope.json") as RopeScaling;
    const config = { headDim: 64, ropeTheta: rope_parameters.rope_theta, ropeScaling };
    // At most the last bit apart: PyTorch's pow does not always round to nearest.
    ropeFrequencies(config).forEach((f, i) =>
      assert(Math.abs(f / frequencies[i] - 1) < 2 ** -23, `${ropeScaling.type}, pair ${i}`)
    );
    const attention = ropeScaling.type === "yarn" ? ropeScaling.attentionFactor : 1;
    assertClose([attention], [factor], 1e-7, "factor of queries and keys");
    return ropeScaling.type;
  });
  assertEquals(kinds, ["linear", "llama3", "yarn"]);
});
