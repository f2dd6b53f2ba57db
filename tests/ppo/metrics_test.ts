import { assertAlmostEquals, assertEquals } from "@std/assert";
import { advantageMetrics, rolloutMetrics, scored } from "../../src/ppo/mod.ts";
import {
  accuracies,
  accuraciesAfter,
  baseline,
  type Episode,
  thinker,
} from "../../src/task/mod.ts";
import { meanOf } from "../../src/base/mod.ts";
import { standardError } from "../../src/rollout/mod.ts";
import { madeEpisode } from "./toy.ts";

const { stages } = thinker;
const balanced = (episodes: Episode[]) => accuracies(episodes, stages).verify;

type Verdict = "yes" | "no" | undefined;

/** An episode that was verified, and retried if the fast answer was wrong. */
function verified(correct: boolean, verdict: Verdict, slow = false) {
  return madeEpisode([
    { stage: "fast", logprobs: [-1, -1], correct },
    { stage: "verify", logprobs: [-1, -1, -1], verdict, truncated: verdict === undefined },
    ...(correct ? [] : [{ stage: "slow", logprobs: [-1], correct: slow }]),
  ]);
}

Deno.test("balanced verification: the mean of both recalls, whatever the shares of the classes", () => {
  const episodes = [
    verified(true, "yes"),
    verified(false, "no"),
    verified(false, "yes"),
    verified(false, undefined),
    verified(false, "no"),
  ];
  assertEquals(balanced(episodes), (1 + 2 / 4) / 2);
});

Deno.test("balanced verification: a constant verdict scores one half", () => {
  for (const verdict of ["yes", "no"] as const) {
    const rights = Array.from({ length: 9 }, () => verified(true, verdict));
    assertEquals(balanced([...rights, verified(false, verdict)]), 0.5);
  }
});

Deno.test("balanced verification: undefined unless both kinds of fast answers were verified", () => {
  assertEquals(balanced([]), undefined);
  assertEquals(balanced([verified(true, "yes")]), undefined);
  assertEquals(balanced([verified(false, "no")]), undefined);
  const unverified = madeEpisode([{ stage: "fast", logprobs: [-1], correct: false }]);
  assertEquals(balanced([verified(true, "yes"), unverified]), undefined);
});

Deno.test("rollout metrics: per stage, among the episodes that reached it", () => {
  const metrics = rolloutMetrics([
    scored(verified(true, "yes"), [1, 0.5], 0), // final: the fast answer, right
    scored(verified(true, "no"), [1, 0], 0), // the truth ended it: no final answer
    scored(verified(false, "no", true), [0, 0.5, 1], 0), // final: the slow answer, right
    scored(verified(false, "yes", true), [0, 0, 1], 0), // final: the fast answer, wrong
  ], stages);
  assertEquals(metrics, {
    "accuracy/fast": 0.5,
    "reward/fast": 0.5,
    "length/fast": 2,
    "truncated/fast": 0,
    "reward/verify": 0.25,
    "length/verify": 3,
    "truncated/verify": 0,
    "accuracy/slow": 1,
    "reward/slow": 1,
    "length/slow": 1,
    "truncated/slow": 0,
    "accuracy/verify": 0.5,
    "rollout/final_at_least": 0.5,
    "rollout/check_cost": (2 + 3) / 1,
    "reward/episode": (1.5 + 1 + 1.5 + 1) / 4,
    // Half away from 0.5 four times, a quarter from 0.25 four times, twice the mean itself.
    "rollout/reward_spread": Math.sqrt((4 / 4 + 4 / 16) / 10),
  });
});

Deno.test("rollout metrics: an invalid verdict counts as No for the final answer", () => {
  const metrics = rolloutMetrics([scored(verified(false, undefined, true), [0, 0, 1], 0)], stages);
  assertEquals(metrics["rollout/final_at_least"], 1);
  assertEquals(metrics["truncated/verify"], 1);
  assertEquals("accuracy/verify" in metrics, false);
});

Deno.test("rollout metrics: a task of one stage has that stage's numbers alone", () => {
  const episode = madeEpisode([{ stage: "answer", logprobs: [-1], truncated: true }]);
  assertEquals(rolloutMetrics([scored(episode, [0], 0)], baseline.stages), {
    "accuracy/answer": 0,
    "reward/answer": 0,
    "length/answer": 1,
    "truncated/answer": 1,
    "reward/episode": 0,
    "rollout/reward_spread": 0,
  });
});

Deno.test("advantage metrics: zeros counted, and how much of the returns the critic foresaw", () => {
  const of = (...values: number[]) => Float32Array.from(values);
  assertEquals(advantageMetrics({ advantages: of(0, -0, 1, -1) }), { "ppo/zero_advantages": 0.5 });
  assertEquals(advantageMetrics({ advantages: of(0, 0) }), { "ppo/zero_advantages": 1 });
  const explained = (values: Float32Array, returns: Float32Array) =>
    advantageMetrics({
      advantages: of(1, 1, 1, 1),
      critic: { values, returns },
    })["ppo/explained_variance"];
  const returns = of(0, 0, 1, 1);
  assertEquals(explained(returns, returns), 1);
  assertEquals(explained(of(5, 5, 5, 5), returns), 0); // no better than a constant
  assertEquals(explained(of(2, 2, 3, 3), returns), 1); // a bias is not seen
  assertEquals(explained(of(1, 1, 0, 0), returns), -3);
  assertEquals(explained(of(0, 0.5, 1, 0.5), returns), 0.5);
  assertEquals(explained(of(0, 1, 0, 1), of(1, 1, 1, 1)), undefined, "nothing to explain");
});

Deno.test("accuracies after a verdict: apart by whether the judged answer was right", () => {
  const slow = (correct: boolean, after: boolean) =>
    madeEpisode([
      { stage: "fast", logprobs: [-1], correct },
      { stage: "verify", logprobs: [-1], verdict: "no" },
      { stage: "slow", logprobs: [-1], correct: after },
    ]);
  const episodes = [slow(true, true), slow(true, false), slow(false, true), verified(true, "yes")];
  assertEquals(accuraciesAfter(episodes, stages), { slow_after_right: 0.5, slow_after_wrong: 1 });
  assertEquals(accuraciesAfter([verified(true, "yes")], stages), {});
  assertEquals(accuraciesAfter([verified(false, "no", false)], stages), { slow_after_wrong: 0 });
});

Deno.test("means and standard errors", () => {
  assertEquals(meanOf([]), undefined);
  assertEquals(meanOf([1, 2, 6]), 3);
  assertAlmostEquals(standardError(0.5, 100), 0.05);
  assertEquals([standardError(0, 10), standardError(1, 10)], [0, 0]);
});
