import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { UserError } from "../../src/base/mod.ts";
import {
  type Episode,
  rereads,
  scoreEpisode,
  type StageSpec,
  summaryReward,
  thinker as thinkerSpec,
  TrailingAccuracy,
  type Turn,
  verifyReward,
} from "../../src/task/mod.ts";
import {
  codec,
  no,
  play,
  right,
  taskOf,
  thinker,
  truncated,
  turn,
  unboxed,
  wrong,
  yes,
} from "./toy.ts";

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
  const usual = { coefficient: 1e-3, reduce: "sum" } as const;
  assertEquals(summaryReward(false, -1, 10, usual), 0);
  assertEquals(summaryReward(true, 0, 10, usual), 1);
  assertAlmostEquals(summaryReward(true, -200, 10, usual), 0.8, 1e-12);
  assertEquals(summaryReward(true, -2000, 10, usual), 0);
  assertAlmostEquals(summaryReward(true, -200, 10, { ...usual, reduce: "mean" }), 0.98, 1e-12);
  assertAlmostEquals(summaryReward(true, -20, 10, { ...usual, coefficient: 0.01 }), 0.8, 1e-12);
  assertEquals(summaryReward(true, -200, 10, { ...usual, coefficient: 0 }), 1);
  assertEquals(summaryReward(true, -Infinity, 10, usual), 0);
});

const cut = truncated("\\boxed{4}");
const all = (turns: Turn[], mode: "train" | "inference" = "train") =>
  play(thinker(), mode, turns).episode;

const task = thinker();
/** Log-probs of the summary, which is turn 3. */
const summaryOf = (each: number) => new Map([[3, right.ids.map(() => each)]]);

Deno.test("every segment of an episode gets its own reward", async () => {
  const options = { trailing: 0.3, logprobs: summaryOf(-10) };
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
    assertEquals(await scoreEpisode(task, all(turns), options), rewards);
  }
  assertEquals(await scoreEpisode(task, all([right, no, wrong], "inference"), options), [1, 0, 0]);
});

Deno.test("only a right summary is read once more: fast prompt plus its actions", () => {
  const summary = turn("thus \\boxed{4}");
  const read = (episode: Episode, of = task) => rereads(of, episode, 0.5);
  const episode = all([wrong, no, right, summary]);
  const [{ segment, ids, start }, ...others] = read(episode);
  assertEquals(others, []);
  assertEquals(segment, 3);
  assertEquals(
    codec.decode(ids),
    "<|im_start|>user\n2+2? fast<|im_end|>\n<|im_start|>assistant\nthus \\boxed{4}<|im_end|>",
  );
  assertEquals(ids.slice(start), summary.ids);
  assertEquals(start, episode.segments[0].start);
  assertEquals(read(all([wrong, no, right, wrong])), []);
  assertEquals(read(all([wrong, no, right, cut])), []);
  assertEquals(read(all([right, yes])), []);
  assertEquals(read(episode, thinker({ settings: { summaryCoefficient: 0 } })), []);
});

Deno.test("a turn is read once more under a prompt of at least one token", () => {
  const stages = thinkerSpec.stages.map((stage) =>
    stage.name === "slow" ? { ...stage, reread: () => [] } : stage
  ) as [StageSpec, ...StageSpec[]];
  const empty = taskOf({ ...thinkerSpec, stages });
  const { episode } = play(empty, "train", [wrong, no, right, right]);
  assertThrows(
    () => rereads(empty, episode, 0.5),
    UserError,
    'task thinker: reread of stage "slow" gave no prompt tokens',
  );
});

Deno.test("scoring refuses what it cannot score", async () => {
  const summarised = all([wrong, no, right, right]), trailing = 0.5;
  const refuses = (act: () => Promise<unknown>, message: string) =>
    assertRejects(act, Error, message);
  await refuses(() => scoreEpisode(task, summarised, { trailing }), "no summary log-probabilities");
  await refuses(
    () => scoreEpisode(task, summarised, { trailing, logprobs: new Map([[3, [-1]]]) }),
    `1 summary log-probabilities for ${right.ids.length} tokens`,
  );
  const plain = thinker({ settings: { summaryCoefficient: 0 } });
  assertEquals(await scoreEpisode(plain, summarised, { trailing }), [0, 0.5, 1, 1]);
  const { episode } = play(thinker(), "inference", [right, yes], { graded: false });
  await refuses(() => scoreEpisode(task, episode, { trailing }), "no gold answer");
  const open = task.episode({
    id: 1n,
    problem: { id: "p", question: "q", answer: "4" },
    mode: "train",
  });
  await refuses(() => scoreEpisode(task, open, { trailing }), "before it is over");
});

Deno.test("a reward that is no number of float32 is refused by stage, turn and question", async () => {
  const episode = all([right, yes]);
  for (const bad of [NaN, Infinity, -Infinity, 1e39, undefined, null, "1", 1n]) {
    const stages = thinkerSpec.stages.map((stage) =>
      stage.name === "verify" ? { ...stage, reward: () => bad as number } : stage
    ) as [StageSpec, ...StageSpec[]];
    const paid = taskOf({ ...thinkerSpec, name: "mine", stages });
    const error = await assertRejects(
      () => scoreEpisode(paid, episode, { trailing: 0.5 }),
      UserError,
    );
    const { id, problem } = episode;
    const place = `turn 2 (verify) of question "${problem.id}", episode ${id}`;
    assertEquals(error.message, `task mine: the reward of ${place}, is ${bad}`);
    assert(error.hint?.includes('"verify"'));
  }
});

Deno.test("trailing accuracy is the previous batch's mean, clamped, and survives a checkpoint", () => {
  const tracker = new TrailingAccuracy();
  assertEquals(tracker.p, 0.5);
  const update = (...correct: boolean[]) =>
    tracker.update(
      correct.map((each) => ({ segments: [{ ...all([right, yes]).segments[0], correct: each }] })),
    );
  update(true, false, false, false);
  assertEquals(tracker.p, 0.25);
  update();
  assertEquals(tracker.p, 0.25);
  update(true, true);
  assertEquals(tracker.p, 0.95);
  update(false, false);
  assertEquals(tracker.p, 0.05);
  update(true, true, false);
  const restored = new TrailingAccuracy();
  restored.restore(JSON.parse(JSON.stringify(tracker)));
  assertEquals(restored.p, 2 / 3);
  for (const bad of [-0.1, 1.1, NaN]) assertThrows(() => restored.restore(bad), RangeError);
});
