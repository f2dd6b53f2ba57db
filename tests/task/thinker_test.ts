// The transition table, driven by scripted turns. "4" is the gold answer.

import { assert, assertEquals, assertThrows } from "@std/assert";
import { thinkerFast, type Turn } from "../../src/task/mod.ts";
import { UserError } from "../../src/base/errors.ts";
import {
  brief,
  budgets,
  codec,
  END,
  EOS,
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

const cut = truncated("hm \\boxed{4}");
const cutYes = truncated("\\boxed{Yes}");
const maybe = turn("\\boxed{Maybe}");
const blank = turn("\\boxed{ }");

/** Rows of the table: turns, then the commands expected after the first `fast`. */
const training: [string, Turn[], string][] = [
  ["fast right, yes", [right, yes], "grade:fast verify end"],
  ["fast right, no: the truth ends it", [right, no], "grade:fast verify end"],
  ["fast right, invalid verdict", [right, maybe], "grade:fast verify end"],
  ["fast right, verification cut", [right, cutYes], "grade:fast verify end"],
  ["fast wrong, slow wrong", [wrong, no, wrong], "grade:fast verify slow grade:slow end"],
  [
    "fast wrong, yes: the truth goes on",
    [wrong, yes, right, right],
    "grade:fast verify slow grade:slow summary grade:summary end",
  ],
  ["fast wrong, invalid verdict", [wrong, maybe, wrong], "grade:fast verify slow grade:slow end"],
  ["fast wrong, verification cut", [wrong, cutYes, wrong], "grade:fast verify slow grade:slow end"],
  ["fast without a box", [unboxed, yes, wrong], "verify slow grade:slow end"],
  ["fast with an empty box", [blank, yes, wrong], "verify slow grade:slow end"],
  ["fast cut after a right box", [cut, yes, wrong], "verify slow grade:slow end"],
  ["slow without a box", [wrong, no, unboxed], "grade:fast verify slow end"],
  ["slow cut after a right box", [wrong, no, cut], "grade:fast verify slow end"],
  [
    "summary wrong",
    [wrong, no, right, wrong],
    "grade:fast verify slow grade:slow summary grade:summary end",
  ],
  ["summary cut", [wrong, no, right, cut], "grade:fast verify slow grade:slow summary end"],
  ["summary unboxed", [wrong, no, right, unboxed], "grade:fast verify slow grade:slow summary end"],
];

const inference: [string, Turn[], string, { stage?: string; answer?: string }][] = [
  ["yes to right", [right, yes], "grade:fast verify end", { stage: "fast", answer: "4" }],
  ["yes to wrong", [wrong, yes], "grade:fast verify end", { stage: "fast", answer: "5" }],
  ["yes to nothing", [unboxed, yes], "verify end", { stage: "fast" }],
  [
    "no to right",
    [right, no, wrong],
    "grade:fast verify slow grade:slow end",
    { stage: "slow", answer: "5" },
  ],
  [
    "no to wrong",
    [wrong, no, right],
    "grade:fast verify slow grade:slow end",
    { stage: "slow", answer: "4" },
  ],
  [
    "invalid verdict",
    [right, maybe, right],
    "grade:fast verify slow grade:slow end",
    { stage: "slow", answer: "4" },
  ],
  [
    "no verdict",
    [right, unboxed, right],
    "grade:fast verify slow grade:slow end",
    { stage: "slow", answer: "4" },
  ],
  [
    "verification cut after a yes",
    [right, cutYes, right],
    "grade:fast verify slow grade:slow end",
    { stage: "slow", answer: "4" },
  ],
  ["fast cut", [cut, no, right], "verify slow grade:slow end", { stage: "slow", answer: "4" }],
  ["slow cut", [wrong, no, cut], "grade:fast verify slow end", { stage: "slow" }],
  ["slow unboxed", [wrong, no, unboxed], "grade:fast verify slow end", { stage: "slow" }],
];

for (const delay of [0, 1, 9]) {
  for (const [name, turns, expected] of training) {
    Deno.test(`training: ${name} (grades ${delay} turns late)`, () => {
      const { episode, trace } = play(thinker(), "train", turns, { delay });
      assertEquals(trace.join(" "), `fast ${expected}`);
      assert(episode.done);
    });
  }
  for (const [name, turns, expected, final] of inference) {
    Deno.test(`inference: ${name} (grades ${delay} turns late)`, () => {
      const { episode, trace } = play(thinker(), "inference", turns, { delay });
      assertEquals(trace.join(" "), `fast ${expected}`);
      assert(episode.done);
      const segment = episode.final;
      assertEquals(segment?.stage, final.stage);
      assertEquals(segment?.answer, final.answer);
      assertEquals(segment?.correct, final.answer === "4");
    });
  }
}

Deno.test("inference without a gold answer grades nothing", () => {
  for (const [name, turns, expected] of inference) {
    const { episode, trace } = play(thinker(), "inference", turns, { graded: false });
    assertEquals(trace.join(" "), `fast ${expected.replaceAll(/grade:\w+ /g, "")}`, name);
    assert(episode.done && episode.segments.every((segment) => segment.correct === undefined));
  }
});

Deno.test("a complete dialogue sums an existing slow answer up", () => {
  const task = thinker();
  const { episode, trace } = play(task, "complete", [wrong, no, right, turn("\\boxed{9}")]);
  assertEquals(
    trace.join(" "),
    "fast grade:fast verify slow grade:slow summary grade:summary end",
  );
  assertEquals(episode.final?.stage, "slow");
  assertEquals(
    play(task, "complete", [wrong, no, unboxed]).trace.join(" "),
    "fast grade:fast verify slow end",
  );
  assertEquals(play(task, "complete", [wrong, yes]).trace.join(" "), "fast grade:fast verify end");
});

Deno.test("in training the final answer follows the model's own verdict, as a lower bound", () => {
  const final = (turns: Turn[]) => play(thinker(), "train", turns).episode.final;
  assertEquals(final([right, yes])?.correct, true);
  assertEquals(final([right, no]), undefined);
  assertEquals(final([wrong, yes, right, right])?.stage, "fast");
  assertEquals(final([wrong, no, right, right])?.stage, "slow");
});

Deno.test("Thinker-Fast ends after the first stage", () => {
  const task = taskOf(thinkerFast);
  assertEquals(task.stages.map(({ name }) => name), ["fast"]);
  const { episode, trace } = play(task, "inference", [right]);
  assertEquals(trace, ["fast", "grade:fast", "end"]);
  assertEquals(episode.final?.answer, "4");
  assertEquals(task.maxTokens(13), 13 + budgets.fast);
});

Deno.test("grading overlaps generation and only the transition that needs a grade waits", () => {
  const episode = thinker().episode({
    id: 1n,
    problem: { id: "p", question: "2+2?", answer: "4" },
    mode: "train",
  });
  const step = (...args: Parameters<typeof episode.step>) =>
    episode.step(...args).map((command) => brief(command, episode));
  assertEquals(episode.start().map((command) => brief(command, episode)), ["fast"]);
  assertEquals(step({ kind: "turn", turn: wrong }), ["grade:fast", "verify"]);
  assertEquals(step({ kind: "turn", turn: no }), []);
  assertEquals(step({ kind: "graded", segment: 0, equal: false }), ["slow"]);
  assertEquals(step({ kind: "turn", turn: right }), ["grade:slow"]);
  assertEquals(step({ kind: "graded", segment: 2, equal: true }), ["summary"]);
  assertEquals(step({ kind: "turn", turn: right }), ["grade:summary", "end"]);
  assert(!episode.done, "the last grade is still on its way");
  assertEquals(step({ kind: "graded", segment: 3, equal: true }), []);
  assert(episode.done);
  assertEquals(episode.segments.map((each) => each.correct), [false, undefined, true, true]);
});

Deno.test("an early grade emits nothing and is used later", () => {
  const episode = thinker().episode({
    id: 1n,
    problem: { id: "p", question: "2+2?", answer: "4" },
    mode: "train",
  });
  episode.start();
  episode.step({ kind: "turn", turn: right });
  assertEquals(episode.step({ kind: "graded", segment: 0, equal: true }), []);
  assertEquals(episode.step({ kind: "turn", turn: no }).map(({ kind }) => kind), ["end"]);
});

Deno.test("a truncated turn is closed by the environment, a stopped one is not closed twice", () => {
  const tail = (turns: Turn[]) => {
    const { episode } = play(thinker(), "inference", turns);
    const { start, length } = episode.segments[0];
    const verify = episode.segments[1];
    return codec.decode(episode.ids.slice(start + length - 1, verify.start));
  };
  const next = "\n<|im_start|>user\ncheck<|im_end|>\n<|im_start|>assistant\n";
  assertEquals(tail([turn("\\boxed{4}", END), yes]), `<|im_end|>${next}`);
  assertEquals(tail([turn("\\boxed{4}", EOS), yes]), `<|endoftext|>${next}`);
  assertEquals(tail([truncated("\\boxed{4}"), yes]), `}<|im_end|>${next}`);
});

Deno.test("segments hold the actions, their logprobs and the text without the stop token", () => {
  const { episode } = play(thinker(), "train", [right, yes]);
  const [fast, verify] = episode.segments;
  assertEquals(episode.ids.slice(fast.start, fast.start + fast.length), right.ids);
  assertEquals(fast.logprobs, right.logprobs);
  assertEquals([fast.text, fast.answer, fast.verdict], ["so \\boxed{4}", "4", undefined]);
  assertEquals([verify.text, verify.answer, verify.verdict], ["\\boxed{Yes}", undefined, "yes"]);
});

Deno.test("every stage gets its own budget", () => {
  const episode = thinker().episode({
    id: 1n,
    problem: { id: "p", question: "q", answer: "4" },
    mode: "train",
  });
  const seen: Record<string, number> = {};
  const commands = episode.start();
  const events = [wrong, no, right, right];
  for (let command; (command = commands.shift());) {
    if (command.kind === "generate") {
      seen[command.stage] = command.budget;
      commands.push(...episode.step({ kind: "turn", turn: events.shift()! }));
    } else if (command.kind === "grade") {
      const equal = command.answer === "4";
      commands.push(...episode.step({ kind: "graded", segment: command.segment, equal }));
    }
  }
  assertEquals(seen, budgets);
});

Deno.test("maxTokens bounds the longest episode tightly", () => {
  // All four stages are reached only by finished turns; the bound also has room for the <|im_end|>
  // that closes a truncated one, three times.
  const task = thinker();
  const fill = (text: string, budget: number) =>
    turn("x".repeat(budget - 1 - codec.encode(text).length) + text);
  const { episode } = play(task, "train", [
    fill("\\boxed{5}", budgets.fast),
    fill("\\boxed{No}", budgets.verify),
    fill("\\boxed{4}", budgets.slow),
    fill("\\boxed{4}", budgets.summary),
  ]);
  assertEquals(task.promptTokens("2+2?"), episode.segments[0].start);
  assertEquals(task.maxTokens(task.promptTokens("2+2?")), episode.ids.length + 3);
});

Deno.test("events that do not fit the state are a driver's error", () => {
  const open = () =>
    thinker().episode({
      id: 3n,
      problem: { id: "p", question: "q", answer: "4" },
      mode: "train",
    });
  const begun = () => {
    const episode = open();
    episode.start();
    return episode;
  };
  const fails = (act: () => unknown, part: string) => {
    const error = assertThrows(act, Error, part);
    assert(error.message.startsWith("episode 3 (problem p) got "), error.message);
  };
  fails(() => open().step({ kind: "turn", turn: right }), "none was asked for");
  fails(() => begun().start(), "start() after the start");
  fails(() => begun().step({ kind: "graded", segment: 0, equal: true }), "not awaited");
  const long = truncated("x".repeat(budgets.fast + 1));
  fails(() => begun().step({ kind: "turn", turn: long }), "41 tokens with a budget of 40");
  fails(() => begun().step({ kind: "turn", turn: truncated("") }), "0 tokens");
  const short = { ...right, logprobs: [-1] };
  fails(() => begun().step({ kind: "turn", turn: short }), "1 logprobs");
  const lost = { ...right, truncated: true };
  fails(() => begun().step({ kind: "turn", turn: lost }), "truncated turn with a stop token");
  const unstopped = { ...truncated("x"), truncated: false };
  fails(() => begun().step({ kind: "turn", turn: unstopped }), "without a stop token");
  const twice = begun();
  twice.step({ kind: "turn", turn: right });
  twice.step({ kind: "graded", segment: 0, equal: true });
  fails(() => twice.step({ kind: "graded", segment: 0, equal: true }), "not awaited");
  const { episode } = play(thinker(), "train", [right, yes]);
  assertThrows(() => episode.step({ kind: "turn", turn: yes }), Error, 'state "ended"');
});

Deno.test("a user's mistakes get one clear line", () => {
  assertThrows(
    () => thinker({ budgets: { ...budgets, slow: 0 } }),
    UserError,
    'token budget of stage "slow" is 0',
  );
  assertThrows(
    () => thinker().episode({ id: 1n, problem: { id: "p9", question: "q" }, mode: "train" }),
    UserError,
    "problem p9 has no answer",
  );
  assertThrows(() => thinker({ stop: [EOS] }), Error, "<|im_end|>");
});
