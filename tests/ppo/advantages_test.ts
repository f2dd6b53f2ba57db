import { assertAlmostEquals, assertEquals } from "@std/assert";
import {
  estimateAdvantages,
  flatten,
  groupAdvantages,
  type PpoConfig,
  ppoSchema,
  type ScoredEpisode,
  uploadRollout,
} from "../../src/ppo/mod.ts";
import type { Segment } from "../../src/task/mod.ts";
import { Lab } from "../native.ts";

/** A scored episode with the given stages, lengths and rewards. */
function sample(group: number, turns: [string, number, number][]): ScoredEpisode {
  const segments: Segment[] = [];
  let start = 1;
  for (const [stage, length] of turns) {
    const logprobs = Array(length).fill(-1);
    segments.push({ stage, start, length, logprobs, text: "", truncated: false });
    start += length + 1;
  }
  const ids = Array(start).fill(0);
  const episode = { ids, segments } as unknown as ScoredEpisode["episode"];
  return { ids, spans: segments, episode, rewards: turns.map(([, , r]) => r), group };
}

Deno.test("grpo: a segment is measured against its question and stage, with a real deviation", () => {
  const advantages = groupAdvantages([
    sample(0, [["fast", 2, 1], ["verify", 1, 0.25]]),
    sample(1, [["fast", 1, 0]]),
    sample(0, [["fast", 1, 0], ["verify", 2, 0.75], ["slow", 1, 1]]),
    sample(0, [["fast", 1, 0], ["verify", 1, 0.25]]),
    sample(1, [["fast", 3, 0]]),
  ]);
  // Fast rewards of question 0: 1, 0, 0, mean 1/3, deviation sqrt(2)/3.
  const high = (1 - 1 / 3) / (Math.SQRT2 / 3), low = (0 - 1 / 3) / (Math.SQRT2 / 3);
  // Verification of question 0: 0.25, 0.75, 0.25, mean 5/12, deviation sqrt(2)/6.
  const over = (0.75 - 5 / 12) / (Math.SQRT2 / 6), under = (0.25 - 5 / 12) / (Math.SQRT2 / 6);
  const expected = [
    ...[high, high, under], // sample 0
    ...[0], // question 1: no spread
    ...[low, over, over, 0], // the only slow turn is a group of one
    ...[low, under],
    ...[0, 0, 0],
  ];
  assertEquals(advantages.length, expected.length);
  expected.forEach((value, i) => assertAlmostEquals(advantages[i], value, 1e-6));
});

Deno.test("reinforce++: the reward to go of the segment, whitened, whatever lambda says", async () => {
  using lab = await Lab.open({ threads: 1 });
  const samples = [sample(0, [["fast", 2, 1], ["verify", 1, 0.5]]), sample(0, [["fast", 1, 0]])];
  const config: PpoConfig = { ...ppoSchema.parse({ estimator: "reinforce++" }), lambda: 0 };
  using rollout = uploadRollout(lab.stream, flatten(samples, 0), config);
  estimateAdvantages(lab.stream, rollout.t, samples, config);
  const toGo = [1, 1, 0.5, 0];
  const mean = 2.5 / 4;
  const deviation = Math.sqrt(toGo.reduce((sum, r) => sum + (r - mean) ** 2, 0) / 4);
  const advantages = await lab.f32(rollout.t.advantages);
  toGo.forEach((r, i) => assertAlmostEquals(advantages[i], (r - mean) / deviation, 1e-5));
});
