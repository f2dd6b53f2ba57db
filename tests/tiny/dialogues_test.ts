import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import {
  type ArithmeticProblem,
  scriptedEpisode,
  type Skill,
  trainProblem,
} from "../../src/tiny/mod.ts";
import { Random } from "../../src/base/mod.ts";
import { baseline, type Episode, type Mode, type Task } from "../../src/task/mod.ts";
import { codec, END, taskOf, thinker } from "../task/toy.ts";

const perfect: Skill = { fast: 1, verify: 1, slow: 1, summary: 1, answer: 1 };
const hopeless: Skill = { fast: 0, verify: 0, slow: 0, summary: 0, answer: 0 };
const budgets = { fast: 100, verify: 400, slow: 400, summary: 100 };
const roomy = thinker({ budgets });
const plain = taskOf(baseline, { budgets: { answer: 400 } });

/** Scripted episodes about `count` problems. */
async function play(
  count: number,
  skill: Skill,
  { task = roomy, mode = "train" }: { task?: Task; mode?: Mode } = {},
): Promise<{ problem: ArithmeticProblem; episode: Episode }[]> {
  const random = new Random(3);
  const played: { problem: ArithmeticProblem; episode: Episode }[] = [];
  while (played.length < count) {
    const problem = trainProblem(random);
    const script = { codec, stop: END, skill, random, mode };
    played.push({ problem, episode: await scriptedEpisode(task, problem, script) });
  }
  return played;
}

const stages = ({ segments }: Episode) => segments.map(({ stage }) => stage).join(" ");

Deno.test("scripted episodes: perfect skill answers at once, and says Yes to it", async () => {
  for (const mode of ["train", "inference"] as const) {
    for (const { problem, episode } of await play(200, perfect, { mode })) {
      assert(episode.done);
      assertEquals(stages(episode), "fast verify");
      const [fast, verify] = episode.segments;
      assertEquals([fast.answer, fast.correct, verify.verdict], [problem.answer, true, "yes"]);
    }
  }
});

Deno.test("scripted episodes: a wrong fast answer that is seen through is made good", async () => {
  for (const { problem, episode } of await play(200, { ...perfect, fast: 0 })) {
    assertEquals(stages(episode), "fast verify slow summary");
    const [fast, verify, slow, summary] = episode.segments;
    assert(fast.answer !== problem.answer && fast.answer !== undefined);
    assertEquals(verify.verdict, "no");
    for (const turn of [slow, summary]) {
      assertEquals([turn.answer, turn.correct], [problem.answer, true]);
    }
    assert(slow.text.includes(problem.work), "the slow turn shows its work");
  }
});

Deno.test("scripted episodes: without any skill every turn has its form and nothing is right", async () => {
  for (const { episode } of await play(200, hopeless)) {
    assertEquals(stages(episode), "fast verify slow"); // a wrong slow answer ends it
    const [fast, verify, slow] = episode.segments;
    assertEquals([fast.correct, verify.verdict, slow.correct], [false, "yes", false]);
    assert(fast.answer !== undefined && slow.answer !== undefined);
  }
  for (const { episode } of await play(200, hopeless, { mode: "inference" })) {
    assertEquals(stages(episode), "fast verify"); // its own Yes ends it
  }
});

Deno.test("scripted episodes: the skill is the share of right turns", async () => {
  const n = 2000;
  const all = await play(n, { fast: 0.6, verify: 0.75, slow: 0.7, summary: 0.9, answer: 0.6 });
  const share = (stage: string, right: (episode: Episode, i: number) => boolean) => {
    const hits = all.flatMap(({ episode }) => {
      const i = episode.segments.findIndex((segment) => segment.stage === stage);
      return i < 0 ? [] : [Number(right(episode, i))];
    });
    return hits.reduce((a, b) => a + b, 0) / hits.length;
  };
  const correct = ({ segments }: Episode, i: number) => segments[i].correct === true;
  assertAlmostEquals(share("fast", correct), 0.6, 0.04);
  assertAlmostEquals(share("slow", correct), 0.7, 0.06);
  assertAlmostEquals(share("summary", correct), 0.9, 0.06);
  const judged = ({ segments: [fast, verify] }: Episode) =>
    verify.verdict === (fast.correct ? "yes" : "no");
  assertAlmostEquals(share("verify", judged), 0.75, 0.04);
});

Deno.test("scripted episodes: the plain question gets work and answer", async () => {
  for (const { problem, episode } of await play(100, perfect, { task: plain })) {
    assertEquals(stages(episode), "answer");
    const [{ text, answer, correct }] = episode.segments;
    assertEquals([answer, correct], [problem.answer, true]);
    assert(text.startsWith(problem.work));
  }
});

Deno.test("scripted episodes: a budget cuts a turn, which then earns nothing", async () => {
  const tight = thinker({ budgets: { fast: 3, verify: 5, slow: 6, summary: 4 } });
  for (const { episode } of await play(50, perfect, { task: tight })) {
    assertEquals(stages(episode), "fast verify slow");
    assertEquals(episode.segments.map(({ length }) => length), [3, 5, 6]);
    assert(episode.segments.every(({ truncated }) => truncated));
    assertEquals(episode.segments[0].correct, false);
  }
});

Deno.test("scripted episodes: the same random numbers give the same dialogue", async () => {
  const ids = async () =>
    (await play(50, { ...perfect, fast: 0.5 })).map(({ episode }) => episode.ids);
  assertEquals(await ids(), await ids());
});
