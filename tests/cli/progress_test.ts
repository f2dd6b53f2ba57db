import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  duration,
  Progress,
  type ProgressState,
  renderBlock,
  renderLine,
  sparkline,
} from "../../cli/progress.ts";
import { Screen } from "./screen.ts";

const STATE: ProgressState = {
  phase: "training",
  step: 50,
  total: 200,
  from: 0,
  startedAt: 1000,
  values: {
    step: 50,
    "accuracy/fast": 0.5,
    "eval/fast": 0.48,
    "eval/slow_after_wrong": 0.3,
    "eval/final": 0.61,
    "eval/tokens": 87,
    "greedy/final": 0.63,
    "reward/verify": 0.25,
    "reward/episode": 0.75,
    "length/fast": 21.4,
    "ppo/entropy": 0.41234,
    "ppo/kl": 0,
    "rollout/final_at_least": 0.625,
    "rollout/logprob_gap_max": 0,
    "generate/tokens_per_second": 12345.6,
    seconds: 2,
  },
  evalStep: 40,
  history: [0, 0.25, 0.5, 1],
  color: false,
};
const NOW = 61_000;

Deno.test("the block tells phase, progress, stages in order, speed and time", () => {
  const lines = renderBlock(STATE, 100, NOW);
  assertMatch(lines[0], /^training {2}50\/200 ━{10}╌{30} 25\.0% {2}1m 00s, 3m 00s left$/);
  assertEquals(lines.slice(1).map((line) => line.trimEnd()), [
    "accuracy  fast 50.0%",
    "          ▁▃▅█  final at least 62.5%",
    "held out  fast 48.0%  final 61.0%  (step 40)",
    "greedy    final 63.0%",
    "reward    verify 0.250",
    "tokens    fast 21",
    "learning  entropy 0.412  logprob gap max 0",
    "speed     12,346 tokens/s (generate)",
  ]);
});

Deno.test("skipped updates and spikes are shown where there are any", () => {
  const learning = (values: Record<string, number>) => {
    const state = { ...STATE, values: { ...STATE.values, ...values } };
    const shown = renderBlock(state, 100, NOW).find((line) => line.startsWith("learning"));
    assertStringIncludes(renderLine(state, NOW), shown!.slice("learning".length).trim());
    return shown!.trimEnd();
  };
  const none = { "ppo/skipped_updates": 0, "ppo/critic_spikes": 0 };
  assertEquals(learning(none), "learning  entropy 0.412  logprob gap max 0");
  const some = { "ppo/skipped_updates": 1, "ppo/critic_spikes": 2 };
  assertEquals(
    learning(some),
    "learning  entropy 0.412  logprob gap max 0  skipped updates 1  critic spikes 2",
  );
});

Deno.test("a KL that is 0 by construction is not shown, one that works is, by what it is to", () => {
  const shown = (values: Record<string, number>) =>
    [renderBlock({ ...STATE, values }, 100, NOW).at(-1), renderLine({ ...STATE, values }, NOW)]
      .map((line) => /kl .*?(?= {2}|$| \|)/.exec(line ?? "")?.[0]);
  assertEquals(shown({ "ppo/kl": 0, "ppo/grad_norm": 1 }), [undefined, undefined]);
  const both = shown({ "ppo/kl": 0, "ppo/kl_ref": 0.0123 });
  assertEquals(both, ["kl to start 0.0123", "kl to start 0.0123"]);
  assertEquals(shown({ "ppo/kl": 0.004 }), ["kl in step 0.004", "kl in step 0.004"]);
});

Deno.test("what training and held-out problems say of the final answer never stands side by side", () => {
  const line = renderLine(STATE, NOW);
  assertStringIncludes(line, "accuracy fast 50.0% | final at least 62.5% | held out ");
  assert(!line.includes("episode"), "the sum of rewards falls as a policy gets better");
});

Deno.test("no line is ever wider than the terminal, with and without colours", () => {
  const wide = { ...STATE, values: { ...STATE.values }, history: Array(500).fill(0.5) };
  for (let i = 0; i < 40; i++) wide.values[`reward/stage${i}`] = i;
  for (const width of [1, 2, 10, 20, 39, 40, 60, 80, 200]) {
    const plain = renderBlock(wide, width, NOW);
    const colored = renderBlock({ ...wide, color: true }, width, NOW);
    for (const line of plain) assert(line.length < width, `${line.length} columns in ${width}`);
    // deno-lint-ignore no-control-regex
    assertEquals(colored.map((line) => line.replace(/\x1b\[\d+m/g, "")), plain);
  }
  assert(renderBlock({ ...STATE, color: true }, 80, NOW)[0].includes("\x1b["));
});

Deno.test("the estimate counts from where the process took up the phase", () => {
  const resumed = renderLine({ ...STATE, from: 40 }, NOW);
  assertStringIncludes(resumed, "1m 00s, 15m 00s left");
  assertStringIncludes(renderLine({ ...STATE, step: 200 }, NOW), "| 1m 00s");
  assert(!renderLine({ ...STATE, step: 0 }, NOW).includes("left"), "nothing to judge by yet");
});

Deno.test("durations and sparklines", () => {
  assertEquals([0, 59.4, 59.6, 125, 3599.7, 11220].map(duration), [
    "0s",
    "59s",
    "1m 00s",
    "2m 05s",
    "1h 00m",
    "3h 07m",
  ]);
  assertEquals(sparkline([], 5), "");
  assertEquals(sparkline([0, 1], 5), "▁█");
  assertEquals(sparkline([0, 0, 1, 1, 0, 1], 3), "▁█▅");
  assertEquals(sparkline([-1, 2], 2), "▁█");
  assertEquals(sparkline([0.5], 0), "");
});

Deno.test("without a terminal there is one plain line per step", () => {
  let out = "";
  let now = 0;
  const progress = new Progress({ tty: false, write: (text) => out += text, now: () => now });
  progress.phase("warm start", 2);
  now = 3000;
  progress.update({ step: 1, values: { step: 1, loss: 2.5, seconds: 3 } });
  progress.note("saved");
  progress.update({ step: 2, values: { step: 2, loss: 1.25 } });
  progress.end();
  assertEquals(
    out,
    "warm start: 2 steps\nwarm start 1/2 | learning loss 2.5 | 3s, 3s left\nsaved\n" +
      "warm start 2/2 | learning loss 1.25 | 3s\n",
  );
});

Deno.test("plain lines repeat no older values, the block keeps them", () => {
  const lines: string[] = [];
  const progress = new Progress({ tty: false, write: (text) => lines.push(text) });
  progress.phase("training", 20);
  progress.update({ step: 10, values: { "eval/final": 0.5, "reward/fast": 1 } });
  progress.update({ step: 11, values: { "reward/fast": 1 } });
  progress.end();
  assertStringIncludes(lines[1], "held out final 50.0%");
  assert(!lines[2].includes("held out"));

  const screen = new Screen(80);
  const live = new Progress({ tty: true, write: (t) => screen.write(t), columns: () => 80 });
  live.phase("training", 20);
  live.update({ step: 10, values: { "eval/final": 0.5, "reward/fast": 1 } });
  live.update({ step: 11, values: { "reward/fast": 1 } });
  live.end();
  assertStringIncludes(screen.text(), "held out  final 50.0%  (step 10)");
});

Deno.test("on a terminal one block is redrawn in place, with notes above it", () => {
  const screen = new Screen(60);
  const progress = new Progress({
    tty: true,
    write: (text) => screen.write(text),
    columns: () => 60,
    now: () => 0,
    color: true,
  });
  progress.phase("warm start", 2);
  progress.update({ step: 1, values: { loss: 2.5 } });
  progress.update({ step: 2, values: { loss: 1.5 } });
  progress.phase("training", 3);
  progress.update({ step: 1, values: { "accuracy/answer": 0.25, "reward/answer": 0.5 } });
  progress.note("checkpoint step-1");
  progress.update({ step: 2, values: { "accuracy/answer": 0.5 } });
  progress.end();
  progress.note("done");
  const lines = screen.text().split("\n");
  assertMatch(lines[0], /^warm start 2\/2 ━+ 100\.0%/);
  assertMatch(lines[1], /^learning +loss 1\.5/);
  assertEquals(lines[2], "checkpoint step-1");
  assertMatch(lines[3], /^training +2\/3/);
  assertMatch(lines[4], /^accuracy +answer 50\.0%/);
  assertMatch(lines[6], /^reward +answer 0\.500/);
  assertEquals(lines.slice(7), ["done", ""]);
});

Deno.test("every drawing is one write, and old text never shines through", () => {
  const screen = new Screen(40);
  let writes = 0;
  const progress = new Progress({
    tty: true,
    columns: () => 40,
    now: () => 0,
    color: false,
    write: (text) => {
      writes++;
      screen.write(text);
    },
  });
  progress.phase("training", 2);
  progress.update({ step: 1, values: { "reward/fast": 1, a: 1e20, b: 2 } });
  progress.update({ step: 1, values: { "reward/fast": 1, a: 3, b: 2 } });
  progress.note("x");
  assertEquals(writes, 4);
  const lines = screen.text().split("\n");
  assertEquals([lines[0], lines[3]], ["x", "learning  a 3  b 2"]);
  progress.end();
});
