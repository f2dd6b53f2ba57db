/** What is said about a run by its log: skipped updates, spikes, a dead policy. */
import { assertEquals, assertMatch } from "@std/assert";
import type { Metrics } from "../../src/base/mod.ts";
import { sightingLine, Watch, watchNotes } from "../../src/train/watch.ts";

/** A healthy line, with changes. */
function line(step: number, changes: Metrics = {}): Metrics {
  return {
    step,
    "truncated/fast": 0.1,
    "length/fast": 12,
    "reward/episode": 0.5,
    "rollout/reward_spread": 0.4,
    "ppo/entropy": 0.3,
    "ppo/grad_norm": 0.5 + 0.01 * (step % 5),
    "ppo/skipped_updates": 0,
    "ppo/spikes": 0,
    "ppo/critic_grad_norm": 2,
    "ppo/value_loss": 0.1,
    ...changes,
  };
}

/** What a watch says of such lines, after so many healthy ones. */
function said(lines: (step: number) => Metrics, { healthy = 0, count = 1 } = {}): string[] {
  const watch = new Watch("run", 10);
  return Array.from(
    { length: healthy + count },
    (_, i) => watch.see(i < healthy ? line(i + 1) : lines(i + 1)),
  ).flat().map(sightingLine);
}

Deno.test("watch: of a healthy run it says nothing, nor of the first steps of any", () => {
  assertEquals(said(line, { count: 100 }), []);
  assertEquals(said((step) => line(step, { "ppo/grad_norm": 10 ** step }), { count: 8 }), []);
});

Deno.test("watch: the usual value is the median of the last 32 above 0, of 8 at least", () => {
  const watch = new Watch("run", 10), key = "ppo/grad_norm";
  const see = (...norms: number[]) => {
    for (const norm of norms) watch.see({ step: 1, [key]: norm });
    return watch.usual(key);
  };
  assertEquals(see(1, 2, 3, 4, 5, 6, 7), undefined);
  assertEquals(see(0, NaN, 0), undefined, "steps without a gradient tell nothing");
  assertEquals(see(8), 4.5);
  assertEquals(see(1000), 5);
  assertEquals(see(...Array.from({ length: 32 }, () => 3)), 3);
  const resumed = new Watch("run", 10);
  for (let i = 0; i < 32; i++) resumed.see(JSON.parse(JSON.stringify({ step: i, [key]: 3 })));
  assertEquals(resumed.usual(key), watch.usual(key), "the log is all that it needs");
});

Deno.test("watch: a spike is said with its value and the usual one, and what was done", () => {
  const spike = (changes: Metrics) => said((step) => line(step, changes), { healthy: 20 });
  assertEquals(spike({ "ppo/grad_norm": 60, "ppo/spikes": 1 }), [
    "step 21: the gradient norm of the policy is 60, usually 0.52; 1 update scaled down",
  ]);
  // One of a dozen small batches: the mean of the step shows little.
  assertEquals(spike({ "ppo/critic_grad_norm": 9, "ppo/critic_spikes": 2 }), [
    "step 21: the gradient norm of the critic is 9, usually 2; 2 updates scaled down",
  ]);
  assertEquals(spike({ "ppo/value_loss": 3 }), [
    "step 21: the loss of the critic is 3, usually 0.1",
  ]);
  assertEquals(spike({ "ppo/value_loss": 0.9, "ppo/grad_norm": 5 }), []);
});

Deno.test("watch: a dead policy is noticed after five steps, and said once", () => {
  const dead = (changes: Metrics) =>
    said((step) => line(step, changes), { healthy: 10, count: 12 });
  const symptoms: [Metrics, RegExp][] = [
    [{ "truncated/fast": 1, "truncated/slow": 0.995 }, /spent its budget before a stop token/],
    [{ "length/fast": 1, "truncated/fast": 0 }, /every turn is empty/],
    [{ "rollout/reward_spread": 1e-17, "reward/episode": 0 }, /earn the same \(an episode 0\)/],
    [{ "ppo/entropy": 1e-5 }, /hardly varies what it says \(entropy 0\.00001\)/],
  ];
  for (const [changes, text] of symptoms) {
    const [only, ...others] = dead(changes);
    assertMatch(only, /^step 15: for 5 steps /);
    assertMatch(only, text);
    assertEquals(others, []);
  }
  const everySecond = (step: number) => line(step, step % 2 ? { "rollout/reward_spread": 0 } : {});
  assertEquals(said(everySecond, { count: 40 }), []);
  // Turns of a single token that the budget ends are short, not empty.
  assertEquals(dead({ "length/fast": 1, "truncated/fast": 0.5 }), []);
});

Deno.test("watch: a report tells the first of a kind, and how many more there were", () => {
  const skip = (step: number) => line(step, { "ppo/skipped_updates": step % 3 === 0 ? 1 : 0 });
  const lines = Array.from({ length: 9 }, (_, i) => skip(i + 1));
  const policy =
    "the gradient of the policy was not finite: 1 update skipped, its tokens are not " +
    "counted as trained";
  assertEquals(watchNotes("run", lines, 10), [`step 3: ${policy} (and 2 more in the log).`]);
  const critic = line(4, { "ppo/critic_skipped_updates": 2 });
  assertEquals(watchNotes("run", [critic], null), [
    "step 4: the gradient of the critic was not finite: 2 updates skipped.",
  ]);
  const warm = Array.from({ length: 20 }, (_, i) => ({
    step: i + 1,
    loss: i === 15 ? 20 : 1,
    grad_norm: i === 18 ? NaN : 1,
    skipped_updates: i === 18 ? 1 : 0,
  }));
  assertEquals(watchNotes("warm start", warm, 10), [
    `Warm start, step 19: ${policy}.`,
    "Warm start, step 16: the loss of the policy is 20, usually 1.",
  ]);
  assertEquals(watchNotes("run", [line(1), line(2)], 10), []);
});
