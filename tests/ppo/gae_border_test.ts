import { assertEquals, assertNotEquals } from "@std/assert";
import { gae } from "../../ffi/mod.ts";
import { flatten, scored, type ScoredEpisode } from "../../src/ppo/mod.ts";
import { assertClose, Lab } from "../native.ts";
import { madeEpisode } from "./toy.ts";

/** Four stages of 2, 1, 2 and 1 actions: the fast answer was wrong, verified as such, then solved. */
function fourStages(summaryReward: number): ScoredEpisode {
  const episode = madeEpisode([
    { stage: "fast", logprobs: [-1, -1] },
    { stage: "verify", logprobs: [-1] },
    { stage: "slow", logprobs: [-1, -1] },
    { stage: "summary", logprobs: [-1] },
  ]);
  return scored(episode, [0, 0.5, 0, summaryReward], 0);
}

const values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6];

async function estimate(
  lab: Lab,
  samples: readonly ScoredEpisode[],
  { stageDiscount, gamma, lambda }: { stageDiscount: number; gamma: number; lambda: number },
) {
  const { rewards, segments, link } = flatten(samples, stageDiscount);
  const advantages = lab.out([rewards.length]), returns = lab.out([rewards.length]);
  gae(lab.stream, {
    advantages,
    returns,
    rewards: lab.put(rewards),
    values: lab.put(Float32Array.from(samples.flatMap(() => values))),
    segments: lab.put(segments),
    link: lab.put(link),
    gamma,
    lambda,
  });
  return { advantages: await lab.f32(advantages), returns: await lab.f32(returns) };
}

Deno.test("stage borders: with stageDiscount 0 a stage sees its own reward alone", async () => {
  using lab = await Lab.open({ threads: 1 });
  const plain = await estimate(lab, [fourStages(1)], { stageDiscount: 0, gamma: 1, lambda: 1 });
  assertClose(plain.returns, [0, 0, 0.5, 0, 0, 1], 1e-6, "returns");
  assertClose(plain.advantages, [-0.1, -0.2, 0.2, -0.4, -0.5, 0.4], 1e-6, "advantages");
  const discounted = { stageDiscount: 0, gamma: 0.9, lambda: 0.8 };
  const { advantages } = await estimate(lab, [fourStages(1)], discounted);
  assertClose(advantages, [-0.064, -0.2, 0.2, -0.31, -0.5, 0.4], 1e-6, "advantages, gamma 0.9");
});

Deno.test("stage borders: a later stage's reward moves no bit before its border, and does with a link", async () => {
  using lab = await Lab.open({ threads: 1 });
  for (const [gamma, lambda] of [[1, 1], [0.9, 0.8]]) {
    const before = async (stageDiscount: number, reward: number) => {
      const how = { stageDiscount, gamma, lambda };
      return (await estimate(lab, [fourStages(reward)], how)).advantages.slice(0, 5);
    };
    assertEquals(await before(0, 1), await before(0, 100));
    const [low, high] = [await before(0.5, 1), await before(0.5, 100)];
    low.forEach((advantage, i) => assertNotEquals(advantage, high[i]));
  }
});

Deno.test("stage borders: with stageDiscount 0.5 half of the next stage's value flows back", async () => {
  using lab = await Lab.open({ threads: 1 });
  const half = await estimate(lab, [fourStages(1)], { stageDiscount: 0.5, gamma: 1, lambda: 1 });
  // From the end: 1; 0.5 · 1 over the border; 0.5 + 0.5 · 0.5; 0.5 · 0.75.
  assertClose(half.returns, [0.375, 0.375, 0.75, 0.5, 0.5, 1], 1e-6, "returns");
  assertClose(half.advantages, [0.275, 0.175, 0.45, 0.1, 0, 0.4], 1e-6, "advantages");
  // Over a border delta = r + 0.45 V' - V and A = delta + 0.36 A'; inside delta = 0.9 V' - V + 0.72 A'.
  const both = { stageDiscount: 0.5, gamma: 0.9, lambda: 0.8 };
  const { advantages } = await estimate(lab, [fourStages(1)], both);
  const expected = [0.13058372096, 0.070255168, 0.3757088, -0.01192, -0.086, 0.4];
  assertClose(advantages, expected, 1e-6, "advantages, gamma 0.9");
});

Deno.test("stage borders: nothing flows from one episode into another, whatever the discount", async () => {
  using lab = await Lab.open({ threads: 1 });
  const how = { stageDiscount: 1, gamma: 1, lambda: 1 };
  const alone = await estimate(lab, [fourStages(1)], how);
  const { advantages } = await estimate(lab, [fourStages(1), fourStages(50)], how);
  assertEquals(advantages.slice(0, 6), alone.advantages);
});
