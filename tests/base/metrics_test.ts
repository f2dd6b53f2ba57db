import { assertEquals } from "@std/assert";
import {
  clockKeys,
  groupOf,
  type Metrics,
  namesOf,
  orderMetrics,
  readMetrics,
  stripClock,
} from "../../src/base/mod.ts";

Deno.test("clock keys are exactly the ones that may differ between identical runs", () => {
  const clock = [
    "seconds",
    "time/generate",
    "time/update",
    "generate/tokens_per_second",
    "generate/idle",
    "rollout/prefilled_tokens",
    "tokens_per_second",
    "generate/bound_share",
    "decode_bound_share",
  ];
  const fixed = [
    "step",
    "tokens/trained",
    "reward/fast",
    "length/slow",
    "eval/tokens",
    "ppo/kl",
    "rollout/logprob_gap_max",
    "time",
    "seconds_of_fame",
    "truncated/verify",
  ];
  assertEquals(clock.filter((key) => !clockKeys(key)), []);
  assertEquals(fixed.filter(clockKeys), []);
  assertEquals(
    stripClock({ step: 3, seconds: 1.2, "time/grade": 0.1, "ppo/kl": 0 }),
    { step: 3, "ppo/kl": 0 },
  );
});

Deno.test("keys are ordered by group, then stage, clock last", () => {
  const ordered = orderMetrics({
    "reward/other": 1,
    seconds: 1,
    "ppo/kl": 1,
    "zebra/x": 1,
    "reward/slow": 1,
    "reward/fast": 1,
    "eval/final": 1,
    "eval/verify": 1,
    "time/generate": 1,
    "accuracy/fast": 1,
    "tokens/trained": 1,
    step: 1,
  }, ["fast", "verify", "slow"]);
  assertEquals(Object.keys(ordered), [
    "step",
    "tokens/trained",
    "accuracy/fast",
    "eval/verify",
    "eval/final",
    "reward/fast",
    "reward/slow",
    "reward/other",
    "ppo/kl",
    "zebra/x",
    "seconds",
    "time/generate",
  ]);
});

Deno.test("a group keeps the order of its line, and names of many lines that of the fullest", () => {
  assertEquals(groupOf({ "eval/fast": 1, "evaluate/x": 9, eval: 8, "eval/slow": 2 }, "eval"), [
    ["fast", 1],
    ["slow", 2],
  ]);
  const lines: Metrics[] = [{ "a/late": 1 }, { "a/fast": 1, "a/slow": 2 }, {
    "a/slow": 2,
    "b/x": 1,
  }];
  assertEquals(namesOf(lines, "a"), ["fast", "slow", "late"]);
});

Deno.test("readMetrics leaves out what is no number", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, '{"step":1,"ppo/kl":null,"reward/fast":0.5}\n');
    assertEquals(await readMetrics(path), [{ step: 1, "reward/fast": 0.5 }]);
  } finally {
    await Deno.remove(path);
  }
});
