// Stages that come more than once, and turns of the environment that a tool writes.
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { UserError } from "../../src/base/mod.ts";
import { flatten, scored } from "../../src/ppo/mod.ts";
import {
  accuracies,
  callTool,
  type Segment,
  type StageSpec,
  type TaskSpec,
  type Tool,
} from "../../src/task/mod.ts";
import { codec, END, play, right, START, stop, taskOf, turn, wrong, yes } from "./toy.ts";

const paid = ({ correct }: Segment) => Number(correct === true);
const stage = (name: string, more: Partial<StageSpec> = {}): StageSpec => ({
  name,
  title: name,
  prompt: `${name}!`,
  budget: 40,
  reward: paid,
  ...more,
});
const echo: Tool = {
  tokens: 6,
  call: (turns) => `<|im_end|> ${turns[turns.length - 1].answer} and so on`,
};

/** Tries up to three times, each after a word of a tool; the last try counts. */
const tries: TaskSpec = {
  name: "tries",
  title: "Tries",
  stages: [
    stage("first", { prompt: "{question}" }),
    stage("again", { prompt: "[{result}]", turns: 2, tool: echo }),
    stage("sure", { judges: "again", turns: 2 }),
  ],
  next: (turns) =>
    [{ stage: "again" }, { stage: "sure" }, { stage: "again" }, { stage: "sure" }, "end" as const][
      turns.length - 1
    ],
  final: (turns) => turns.findLast(({ stage }) => stage !== "sure"),
};
const task = taskOf(tries, { prompts: {} });
const turns = [wrong, right, yes, wrong, yes];

Deno.test("a stage may come twice: grades and verdicts belong to their own turn", () => {
  for (const delay of [0, 1, 9]) {
    const { episode, trace } = play(task, "train", turns, { delay });
    assert(episode.done);
    assertEquals(trace.filter((each) => each === "tool").length, 2);
    assertEquals(episode.segments.map(({ correct }) => correct), [
      false,
      true,
      undefined,
      false,
      undefined,
    ]);
    assertEquals(episode.final, episode.segments[3]);
    // Yes is right on the first try again, wrong on the second.
    const { again, sure } = accuracies([episode], task.stages);
    assertEquals([again, sure], [0.5, 0.5]);
  }
});

Deno.test("a tool's text is plain, cut to its tokens, and no part of a segment", () => {
  const { episode, driven, owner } = play(task, "inference", turns);
  const [first, again] = episode.segments;
  const between = episode.ids.slice(first.start + first.length, again.start);
  const said = codec.encode("<|im_end|> 5 and so on").slice(0, 6);
  assertEquals(
    between,
    codec.encode("\n<|im_start|>user\n[", { special: true }).concat(
      said,
      codec.encode("]<|im_end|>\n<|im_start|>assistant\n", { special: true }),
    ),
  );
  assertEquals(
    between.filter((id) => id <= END),
    [START, END, START],
    "no control token of its own",
  );
  assertEquals(driven, episode.ids);
  assertEquals(
    owner.filter((stage) => stage !== undefined).length,
    turns.flatMap((t) => t.ids).length,
  );
  assert(episode.ids.length <= task.maxTokens(task.promptTokens("2+2?")));
});

Deno.test("credit across a tool's turn: none by default, the discounted share where asked for", () => {
  const { episode } = play(task, "train", turns);
  const rewards = [0, 1, 0, 0, 0];
  for (const discount of [0, 0.5]) {
    const { segments, link, rewards: placed } = flatten([scored(episode, rewards, 0)], discount);
    const ends = episode.segments.map((_, i) =>
      episode.segments.slice(0, i + 1).reduce((sum, { length }) => sum + length, 0)
    );
    assertEquals([...segments], [0, ...ends], "environment tokens have no place in the batch");
    assertEquals([...link], [discount, discount, discount, discount, 0]);
    assertEquals(placed[ends[1] - 1], 1);
    assertEquals(placed.reduce((a, b) => a + b, 0), 1);
  }
});

Deno.test("a tool that fails or is late has a fixed text, and is counted", async () => {
  const counts = { calls: 0, failed: 0, late: 0 };
  const problem = { id: "p", question: "?" };
  const call = (tool: Partial<Tool>, signal?: AbortSignal) =>
    callTool({ tokens: 9, call: () => "", ...tool }, { turns: [], problem, counts, signal });
  assertEquals(await call({ call: () => "seven" }), "seven");
  assertEquals(await call({ call: () => Promise.resolve("eight") }), "eight");
  const broken = () => {
    throw new Error("broken");
  };
  assertEquals(await call({ call: broken }), "(the tool failed)");
  assertEquals(await call({ call: () => Promise.reject(new Error()) }), "(the tool failed)");
  const never = new Promise<string>(() => {});
  assertEquals(await call({ seconds: 0.01, call: () => never }), "(the tool took too long)");
  const gives = (_: unknown, __: unknown, signal: AbortSignal) =>
    new Promise<string>((_, no) => signal.addEventListener("abort", () => no(signal.reason)));
  assertEquals(await call({ seconds: 0.01, call: gives }), "(the tool took too long)");
  assertEquals(counts, { calls: 6, failed: 2, late: 2 });
  const controller = new AbortController(),
    waiting = call({ call: () => never }, controller.signal);
  controller.abort();
  assertEquals(await waiting, "(the tool took too long)", "nobody waits for a rollout that ended");
  const before = { ...counts };
  const uncalled = () => {
    throw new Error("called");
  };
  assertEquals(await call({ call: uncalled }, controller.signal), "(the tool took too long)");
  assertEquals(counts, before, "nor calls a tool for it");
});

Deno.test("a tool that gives no string has failed", async () => {
  const counts = { calls: 0, failed: 0, late: 0 };
  const of = { turns: [], problem: { id: "p", question: "?" }, counts };
  for (const value of [undefined, null, 3, { a: 1 }, Symbol("x")]) {
    const call = () => value as unknown as string;
    assertEquals(await callTool({ tokens: 9, call }, of), "(the tool failed)");
    const later = () => Promise.resolve(call());
    assertEquals(await callTool({ tokens: 9, call: later }, of), "(the tool failed)");
  }
  assertEquals(counts, { calls: 10, failed: 10, late: 0 });
  assertEquals(await callTool({ tokens: 9, call: () => "" }, of), "", "no text is a text");
});

Deno.test("a task that contradicts itself is its author's mistake", () => {
  const spec = (changes: Partial<TaskSpec>): TaskSpec => ({ ...tries, ...changes });
  const refuses = (changes: Partial<TaskSpec>, message: string) =>
    assertThrows(() => taskOf(spec(changes), { prompts: {} }), UserError, message);
  const [first, again] = tries.stages;
  refuses({ stages: [] as unknown as TaskSpec["stages"] }, "task tries: it has no stages");
  for (
    const name of ["", "a/b", "constructor", "toString", "__proto__", "reward", "episode", "tokens"]
      .concat(["length", "fast_tokens", "mean_length", "x_per_second", "seconds", "bound_share"])
  ) {
    refuses({ stages: [first, stage(name)] }, `task tries: "${name}" is no name for a stage`);
  }
  refuses({ stages: [first, first] }, 'two stages are called "first"');
  refuses({ stages: [{ ...first, name: "final" }] }, '"final" is no name for a stage');
  refuses({ stages: [first, stage("x", { judges: "y" })] }, 'judges "y", which is no stage');
  const judge = stage("x", { judges: "first" });
  refuses({ stages: [first, judge, stage("y", { judges: "x" })] }, '"y" judges "x", which judges');
  refuses({ stages: [first, stage("x", { judges: "x" })] }, '"x" judges "x", which judges');
  for (const turns of [0, -1, 1.5, NaN, Infinity]) {
    refuses({ stages: [first, stage("x", { turns })] }, `stage "x" has ${turns} turns`);
  }
  const tooled = (tool: Partial<Tool>) =>
    [first, stage("x", { prompt: "{result}", tool: { ...echo, ...tool } })] as const;
  for (const tokens of [0, -5, 1.5, NaN]) {
    refuses({ stages: tooled({ tokens }) }, `stage "x" has a tool of ${tokens} tokens`);
  }
  for (const seconds of [0, -1, NaN, Infinity, 2147484]) {
    refuses({ stages: tooled({ seconds }) }, `stage "x" has a tool of ${seconds} seconds`);
  }
  assertEquals(
    taskOf(spec({ stages: tooled({ seconds: 2147483 }) }), { prompts: {} }).name,
    "tries",
  );
  refuses({ stages: [{ ...first, turns: 2 }] }, "the first stage opens the episode");
  refuses({ stages: [first, { ...again, prompt: "no place" }] }, "must contain {result} exactly");
  refuses({ stages: [first, stage("x", { prompt: "{result}" })] }, "its stage has no tool");
  refuses({ stages: [stage("x")] }, "must contain {question} exactly once");
  const lost = taskOf(spec({ next: () => ({ stage: "gone" }) }), { prompts: {} });
  assertThrows(() => play(lost, "train", [wrong]), Error, 'the stage "gone" next');
  const endless = taskOf(spec({ next: () => ({ stage: "again" }) }), { prompts: {} });
  assertThrows(() => play(endless, "train", Array(9).fill(wrong)), Error, "has 2 at most");
});

Deno.test("to await a grade that nobody is to give is refused, not waited for", () => {
  const waiting = (changes: Partial<TaskSpec>) => taskOf({ ...tries, ...changes }, { prompts: {} });
  const judged = waiting({
    stages: [tries.stages[0], stage("sure", { judges: "first" })],
    next: (turns) => turns.length === 1 ? { stage: "sure" } : "await grade",
  });
  const error = assertThrows(
    () => play(judged, "train", [wrong, yes]),
    UserError,
    'task tries awaits a grade after stage "sure", but none is on its way',
  );
  assertStringIncludes(error.hint!, "await grade");
  // Nothing is graded without a gold answer.
  const always = waiting({ next: () => "await grade" });
  assertThrows(() => play(always, "inference", [wrong], { graded: false }), UserError, "first");
});

Deno.test("settings are checked by the task they belong to", async () => {
  const own = (settings: unknown) => taskOf(tries, { prompts: {}, settings });
  assertThrows(() => own({ x: 1 }), Error, 'settings of task tries: unknown key "x"');
  assertEquals(own({}).settings, {});
  await assertRejects(
    async () => {
      const { scoreEpisode } = await import("../../src/task/mod.ts");
      const nan = taskOf({
        ...tries,
        stages: [{ ...tries.stages[0], reward: () => NaN }],
        next: () => "end",
      }, {
        prompts: {},
      });
      await scoreEpisode(nan, play(nan, "train", [turn("\\boxed{4}")]).episode, { trailing: 0.5 });
    },
    Error,
    "is NaN",
  );
  assert(stop.length > 0);
});
