import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import fc from "npm:fast-check@^4";
import {
  scoreEpisode,
  summaryReward,
  summaryScoringInput,
  TrailingAccuracy,
  type Turn,
  verifyReward,
} from "../../src/task/mod.ts";
import { codec, no, play, right, thinker, truncated, turn, unboxed, wrong, yes } from "./toy.ts";

Deno.test("verification: the truth table", () => {
  assertEquals(verifyReward(true, "yes", 0.25), 0.75);
  assertEquals(verifyReward(true, "no", 0.25), 0);
  assertEquals(verifyReward(true, undefined, 0.25), 0);
  assertEquals(verifyReward(false, "no", 0.25), 0.25);
  assertEquals(verifyReward(false, "yes", 0.25), 0);
  assertEquals(verifyReward(false, undefined, 0.25), 0);
});

Deno.test("always-Yes and always-No earn the same expected p(1 - p)", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 200 }), (batch) => {
      const p = batch.filter(Boolean).length / batch.length;
      const mean = (verdict: "yes" | "no") =>
        batch.reduce((sum, correct) => sum + verifyReward(correct, verdict, p), 0) / batch.length;
      assertAlmostEquals(mean("yes"), p * (1 - p), 1e-12);
      assertAlmostEquals(mean("no"), p * (1 - p), 1e-12);
    }),
  );
});

Deno.test("summary: correctness gates, the likelihood scales, the floor is 0", () => {
  assertEquals(summaryReward(false, -1, 10), 0);
  assertEquals(summaryReward(true, 0, 10), 1);
  assertAlmostEquals(summaryReward(true, -200, 10), 0.8, 1e-12);
  assertEquals(summaryReward(true, -2000, 10), 0);
  assertAlmostEquals(summaryReward(true, -200, 10, { reduce: "mean" }), 0.98, 1e-12);
  assertAlmostEquals(summaryReward(true, -20, 10, { coefficient: 0.01 }), 0.8, 1e-12);
  assertEquals(summaryReward(true, -200, 10, { coefficient: 0 }), 1);
  assertEquals(summaryReward(true, -Infinity, 10), 0);
});

const cut = truncated("\\boxed{4}");
const all = (turns: Turn[], mode: "train" | "inference" = "train") =>
  play(thinker(), mode, turns).episode;

Deno.test("every segment of an episode gets its own reward", () => {
  const options = { p: 0.3, summaryLogprobs: right.ids.map(() => -10) };
  const logprob = -10 * right.ids.length;
  const rows: [Turn[], number[]][] = [
    [[right, yes], [1, 0.7]],
    [[right, no], [1, 0]],
    [[right, unboxed], [1, 0]],
    [[right, truncated("\\boxed{Yes}")], [1, 0]],
    [[wrong, yes, wrong], [0, 0, 0]],
    [[wrong, no, unboxed], [0, 0.3, 0]],
    [[unboxed, no, cut], [0, 0.3, 0]],
    [[cut, yes, wrong], [0, 0, 0]],
    [[wrong, truncated("\\boxed{No}"), right, wrong], [0, 0, 1, 0]],
    [[wrong, no, right, cut], [0, 0.3, 1, 0]],
    [[wrong, no, right, right], [0, 0.3, 1, 1 + 1e-3 * logprob]],
  ];
  for (const [turns, rewards] of rows) {
    assertEquals(scoreEpisode(all(turns), options), rewards);
  }
  assertEquals(scoreEpisode(all([right, no, wrong], "inference"), options), [1, 0, 0]);
});

Deno.test("only a right summary needs the scoring pass: fast prompt plus its actions", () => {
  const summary = turn("thus \\boxed{4}");
  const episode = all([wrong, no, right, summary]);
  const input = summaryScoringInput(episode)!;
  assertEquals(
    codec.decode(input.ids),
    "<|im_start|>user\n2+2? fast<|im_end|>\n<|im_start|>assistant\nthus \\boxed{4}<|im_end|>",
  );
  assertEquals(input.ids.slice(input.start), summary.ids);
  assertEquals(input.start, episode.segments[0].start);
  assertEquals(summaryScoringInput(all([wrong, no, right, wrong])), undefined);
  assertEquals(summaryScoringInput(all([wrong, no, right, cut])), undefined);
  assertEquals(summaryScoringInput(all([right, yes])), undefined);
});

Deno.test("scoring refuses what it cannot score", () => {
  const summarised = all([wrong, no, right, right]);
  assertThrows(() => scoreEpisode(summarised, { p: 0.5 }), Error, "no summary log-probabilities");
  assertThrows(
    () => scoreEpisode(summarised, { p: 0.5, summaryLogprobs: [-1] }),
    Error,
    `1 summary log-probabilities for ${right.ids.length} tokens`,
  );
  assertEquals(scoreEpisode(summarised, { p: 0.5, coefficient: 0 }), [0, 0.5, 1, 1]);
  const { episode } = play(thinker(), "inference", [right, yes], { graded: false });
  assertThrows(() => scoreEpisode(episode, { p: 0.5 }), Error, "no gold answer");
  const open = thinker().episode({
    id: 1n,
    problem: { id: "p", question: "q", answer: "4" },
    mode: "train",
  });
  assertThrows(() => scoreEpisode(open, { p: 0.5 }), Error, "before it is done");
});

Deno.test("trailing accuracy is the previous batch's mean, clamped, and survives a checkpoint", () => {
  const tracker = new TrailingAccuracy();
  assertEquals(tracker.p, 0.5);
  tracker.update([true, false, false, false]);
  assertEquals(tracker.p, 0.25);
  tracker.update([]);
  assertEquals(tracker.p, 0.25);
  tracker.update([true, true]);
  assertEquals(tracker.p, 0.95);
  tracker.update([false, false]);
  assertEquals(tracker.p, 0.05);
  tracker.update([true, true, false]);
  const restored = new TrailingAccuracy();
  restored.restore(JSON.parse(JSON.stringify(tracker)));
  assertEquals(restored.p, 2 / 3);
  for (const bad of [-0.1, 1.1, NaN]) assertThrows(() => restored.restore(bad), RangeError);
});
