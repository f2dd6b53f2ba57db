import { assertAlmostEquals, assertEquals } from "@std/assert";
import type { Problem } from "../../src/data/mod.ts";
import type { AnswerFacts } from "../../src/eval/answers.ts";
import { grade, GradePool } from "../../src/grade/mod.ts";
import { scoreSet } from "../../src/eval/scores.ts";
import { baseline, thinker as thinkerSpec } from "../../src/task/mod.ts";

type Turn = AnswerFacts["turns"][number];

function turn(stage: string, tokens: number, answer: string | undefined, gold: string): Turn {
  const correct = stage === "verify" ? undefined : answer === gold;
  return {
    stage,
    tokens,
    truncated: answer === undefined,
    answer,
    correct,
    reflections: [0, 0, 0, 0, 0],
  };
}

/** An answer in four stages: `fast`, a verdict, and where it is not Yes `slow`. */
function thinker(
  id: string,
  sample: number,
  gold: string,
  fast: string | undefined,
  verdict?: "yes" | "no",
  slow?: string,
): AnswerFacts {
  const turns: Turn[] = [
    turn("fast", 10, fast, gold),
    {
      stage: "verify",
      tokens: 20,
      truncated: verdict === undefined,
      verdict,
      reflections: [1, 0, 0, 0, 2],
    },
    ...(verdict === "yes" ? [] : [turn("slow", 40, slow, gold)]),
  ];
  return { set: "s", id, sample, problem: "", turns, final: verdict === "yes" ? 0 : 2 };
}

const problems: Problem[] = [
  { id: "a", question: "?", answer: "1" },
  { id: "b", question: "?", answer: "2" },
];
const shared = { set: "s", problems, skipped: 0, grade: new GradePool().grader() };
const ofBaseline = { ...shared, taskStages: baseline.stages };
const ofThinker = { ...shared, taskStages: thinkerSpec.stages };

Deno.test("scoreSet: four stages, counted by hand", async () => {
  const answers = new Map([
    ["a", [
      thinker("a", 0, "1", "1", "yes"),
      thinker("a", 1, "1", "1", "no", "7"),
      thinker("a", 2, "1", "5", "yes"),
      thinker("a", 3, "1", undefined, undefined, "1"),
    ]],
    ["b", [
      thinker("b", 0, "2", "3", "no", "4"),
      thinker("b", 1, "2", "3", "no", undefined),
      thinker("b", 2, "2", "2", "yes"),
      thinker("b", 3, "2", "3", "no", "4"),
    ]],
  ]);
  const scores = await scoreSet({ ...ofThinker, skipped: 3, answers });
  assertEquals([scores.problems, scores.skipped, scores.samples], [2, 3, 4]);
  assertEquals(scores.accuracy.mean, (2 / 4 + 1 / 4) / 2);
  assertEquals(scores.firstAccuracy?.mean, (2 / 4 + 1 / 4) / 2);
  // Of six pairs of a five hold a right one (two right of four), of six pairs of b three.
  assertAlmostEquals(scores.passAt[2], (5 / 6 + 3 / 6) / 2);
  assertEquals(scores.passAt[4], 1);
  assertEquals(Object.keys(scores.passAt), ["1", "2", "4"]);
  // a: 1, 7, 5, 1; b: 4, none, 2, 4.
  assertEquals(scores.majority, 0.5);
  assertEquals(scores.unanswered, 1 / 8);
  assertEquals(scores.tokens, (3 * 30 + 5 * 70) / 8);
  const { fast, verify, slow, summary } = scores.stages;
  assertEquals([fast?.reached, fast?.tokens, fast?.truncated, fast?.accuracy], [
    1,
    10,
    1 / 8,
    3 / 8,
  ]);
  assertEquals([verify?.reached, verify?.tokens, verify?.accuracy], [1, 20, undefined]);
  assertEquals(verify?.reflections, {
    "wait,": 1,
    "recheck": 0,
    "retry": 0,
    "alternatively,": 0,
    "however,": 2,
  });
  assertEquals([slow?.reached, slow?.accuracy, slow?.truncated], [5 / 8, 1 / 5, 1 / 5]);
  // After the right fast answer that got a No: 7; after wrong ones: 1, 4, none, 4.
  assertEquals([slow?.afterRight, slow?.afterWrong], [0, 1 / 4]);
  assertEquals([fast, verify].map((stage) => [stage?.afterRight, stage?.afterWrong]), [
    [undefined, undefined],
    [undefined, undefined],
  ]);
  assertEquals([fast?.responses, verify?.responses, slow?.responses], [8, 8, 5]);
  assertEquals(summary, undefined);
  assertEquals(scores.verification, {
    yes: 3 / 8,
    invalid: 1 / 8,
    precision: 2 / 3,
    recall: 2 / 3,
    specificity: 3 / 5,
  });
});

/** One-stage answers of one problem. */
function plain(gold: string, given: (string | undefined)[]): AnswerFacts[] {
  return given.map((answer, sample) => ({
    set: "s",
    id: "a",
    sample,
    problem: "",
    turns: [{
      ...turn("answer", 5, answer, gold),
      correct: answer !== undefined && grade(answer, gold).equal,
    }],
    final: 0,
  }));
}

async function majority(problem: Problem, given: (string | undefined)[]): Promise<number> {
  const answers = new Map([["a", plain(problem.answer, given)]]);
  return (await scoreSet({ ...ofBaseline, problems: [problem], answers })).majority;
}

Deno.test("scoreSet: the vote counts equal answers together, whatever their spelling", async () => {
  const half: Problem = { id: "a", question: "?", answer: "\\frac12" };
  assertEquals(await majority(half, ["3", "3", "0.5", "\\frac{1}{2}", "1/2"]), 1);
  assertEquals(await majority(half, ["3", "3", "3.0", "0.5", "1/2"]), 0);
});

Deno.test("scoreSet: no answer is no vote, and of a tie the first answer counts", async () => {
  const one: Problem = { id: "a", question: "?", answer: "1" };
  assertEquals(await majority(one, [undefined, undefined, undefined, "1"]), 1);
  assertEquals(await majority(one, ["2", "1"]), 0);
  assertEquals(await majority(one, ["1", "2"]), 1);
  assertEquals(await majority(one, [undefined, undefined]), 0);
});

Deno.test("scoreSet: a plain answer has neither verification nor a fast stage", async () => {
  const answers = new Map([["a", plain("1", ["1", "2"])]]);
  const scores = await scoreSet({ ...ofBaseline, problems: [problems[0]], answers });
  assertEquals(scores.verification, undefined);
  assertEquals(scores.firstAccuracy, undefined);
  assertEquals(scores.accuracy, { mean: 0.5, standardError: null });
  assertEquals(Object.keys(scores.stages), ["answer"]);
});
