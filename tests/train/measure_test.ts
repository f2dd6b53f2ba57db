import { assertAlmostEquals, assertEquals } from "@std/assert";
import type { Metrics } from "../../src/base/mod.ts";
import type { Evaluation } from "../../src/rollout/mod.ts";
import { accuracies, baseline, type Episode, thinker } from "../../src/task/mod.ts";
import { evalMetrics } from "../../src/train/measure.ts";
import { nothingLearned, reportNotes, reportRows } from "../../src/train/results.ts";
import type { ProblemSource } from "../../src/train/problems.ts";
import { presets } from "../../src/setup/mod.ts";
import * as toy from "../ppo/toy.ts";

const { madeEpisode } = toy;

/** What the model's own verdicts make of a fast answer and, after a No, of a slow one. */
function episode(fast: boolean, verdict: "yes" | "no", slow = false): Episode {
  return madeEpisode([
    { stage: "fast", logprobs: [-1, -1], correct: fast },
    { stage: "verify", logprobs: [-1], verdict },
    ...(verdict === "no" ? [{ stage: "slow", logprobs: [-1, -1, -1], correct: slow }] : []),
  ]);
}

function evaluation(episodes: Episode[], stages: Parameters<typeof accuracies>[1]): Evaluation {
  const accuracy = accuracies(episodes, stages);
  return { episodes, accuracy, tokens: 5, firstTokens: 2 } as unknown as Evaluation;
}

const [right, saved, lost, wrong] = [
  episode(true, "yes"),
  episode(false, "no", true),
  episode(true, "no"),
  episode(false, "yes"),
];
const four: Metrics = evalMetrics(thinker, {
  // Two problems, four samples each.
  sampled: evaluation(
    [right, saved, lost, wrong, wrong, wrong, lost, lost],
    thinker.stages,
  ),
  greedy: evaluation([right, wrong], thinker.stages),
  samples: 4,
});

Deno.test("measure: sampled beside greedy, pass@k by problem, slow answers by the fast one before", () => {
  assertEquals(four["eval/final"], 2 / 8);
  assertEquals(four["eval/fast"], 4 / 8);
  assertEquals([four["greedy/final"], four["greedy/fast"]], [0.5, 0.5]);
  assertEquals([four["eval/slow_after_right"], four["eval/slow_after_wrong"]], [0, 1]);
  // Of six pairs of the first problem's final answers, two right of four, five hold a right one.
  assertAlmostEquals(four["pass@2/final"], (5 / 6 + 0) / 2);
  assertEquals(four["pass@4/final"], 0.5);
  assertAlmostEquals(four["pass@2/fast"], (5 / 6 + 5 / 6) / 2);
  assertEquals(four["pass@4/fast"], 1);
  const keys = Object.keys(evalMetrics(thinker, {
    sampled: evaluation([right, wrong], thinker.stages),
    greedy: evaluation([right, wrong], thinker.stages),
    samples: 1,
  }));
  assertEquals(keys.filter((key) => key.startsWith("pass")), [], "one sample tells pass@1 alone");
});

Deno.test("measure: a task of one stage has that stage's numbers alone", () => {
  const answer = (correct: boolean) =>
    madeEpisode([{ stage: "answer", logprobs: [-1, -1], correct }]);
  const metrics = evalMetrics(baseline, {
    sampled: evaluation([answer(true), answer(false)], baseline.stages),
    greedy: evaluation([answer(true)], baseline.stages),
    samples: 2,
  });
  assertEquals(metrics, {
    "eval/answer_tokens": 2,
    "eval/answer": 0.5,
    "greedy/answer": 1,
    "pass@2/answer": 1,
  });
});

const problems = {
  held: [{}, {}],
  name: "sums",
  split: "Held out: 2 of 20 problems.",
} as unknown as ProblemSource;
const tasks = { task: toy.thinker, reference: toy.baseline, compared: [toy.thinker] };

Deno.test("report rows: before and after, sampled, greedy and pass@k; the error is over problems", () => {
  const first = { ...four, "eval/answer": 0.25, "eval/answer_tokens": 9, "greedy/answer": 1 };
  const rows = reportRows({ evalSamples: 4 }, { tasks, problems, first, last: four });
  const names = ["Pretrained", "Pretrained, as Thinker", "Thinker", "Thinker-Fast"];
  assertEquals(rows.map(({ name }) => name), names);
  assertEquals(rows.map(({ passAt }) => passAt?.k), [undefined, 4, 4, 4]);
  assertEquals(rows.map(({ accuracy }) => accuracy), [0.25, 0.25, 0.25, 0.5]);
  assertEquals(rows.map(({ greedy }) => greedy?.accuracy), [1, 0.5, 0.5, 0.5]);
  // Final answers: means of the two problems 1/2 and 0.
  assertAlmostEquals(rows[2].standardError, Math.sqrt((0.25 ** 2 + 0.25 ** 2) / 2 / 2));
  assertAlmostEquals(rows[3].standardError, 0, 1e-7, "both problems 1/2");
});

Deno.test("report notes: how the problems were split, and in how many steps nothing was learned", () => {
  const lines: Metrics[] = [0, 1, 1, 0.5].map((zeros) => ({ "ppo/zero_advantages": zeros }));
  assertEquals(lines.map(nothingLearned), [false, true, true, false]);
  const notes = reportNotes(presets.tiny, { tasks, problems, lines });
  assertEquals(notes[0], problems.split);
  assertEquals(
    notes.includes("In 2 steps all advantages were 0: nothing was learned in them."),
    true,
  );
});
