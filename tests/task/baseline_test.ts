import { assert, assertEquals, assertThrows } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import { baseline, scoreEpisode, type Turn } from "../../src/task/mod.ts";
import { codec, play, right, taskOf, truncated, unboxed, wrong } from "./toy.ts";

const task = taskOf(baseline, { budgets: { answer: 40 } });

Deno.test("the baseline is one graded turn on the plain question", async () => {
  const rows: [Turn, string, number][] = [
    [right, "answer grade:answer end", 1],
    [wrong, "answer grade:answer end", 0],
    [unboxed, "answer end", 0],
    [truncated("\\boxed{4}"), "answer end", 0],
  ];
  for (const mode of ["train", "inference"] as const) {
    for (const [turn, trace, reward] of rows) {
      const run = play(task, mode, [turn], { delay: 1 });
      assertEquals(run.trace.join(" "), trace);
      assert(run.episode.done);
      assertEquals(await scoreEpisode(task, run.episode, { trailing: 0.5 }), [reward]);
      assertEquals(run.episode.final?.correct, reward === 1);
      assertEquals(
        codec.decode(run.episode.ids.slice(0, run.episode.segments[0].start)),
        "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n",
      );
    }
  }
});

Deno.test("the baseline plans prompt and budget", () => {
  const prompt = task.promptTokens("2+2?");
  assertEquals(prompt, play(task, "train", [right]).episode.segments[0].start);
  assertEquals(task.maxTokens(prompt), prompt + 40);
  assertThrows(
    () => taskOf(baseline, { budgets: { answer: 1.5 } }),
    UserError,
    'token budget of stage "answer" is 1.5',
  );
});
