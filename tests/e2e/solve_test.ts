import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Device } from "../../ffi/mod.ts";
import { UserError } from "../../src/base/errors.ts";
import { solve } from "../../src/rollout/mod.ts";
import { Random } from "../../src/base/mod.ts";
import { Decoder, initialise, Model, Tokenizer, type Trained } from "../../src/model/mod.ts";
import { baseline, type TaskSpec } from "../../src/task/mod.ts";
import { tinyPrompts, tinyTokenizerJson, tinyVocabSize } from "../../src/tiny/mod.ts";
import { tinyConfig } from "../model/models.ts";

/** A model of that many positions that knows nothing. */
async function open(maxPositions: number, trained?: Trained): Promise<Model> {
  const tokenizer = Tokenizer.fromJson(tinyTokenizerJson(), "the tiny tokenizer");
  const device = await Device.open("cpu");
  const stream = device.stream();
  const config = tinyConfig({ vocab: tinyVocabSize, maxPositions, eos: [] });
  const decoder = new Decoder(stream, config, { head: "lm", train: false });
  initialise(stream, decoder, new Random(1));
  return new Model(stream, decoder, tokenizer, trained);
}

Deno.test("solve: the default budgets are shortened to a model's positions, given ones are not", async () => {
  using model = await open(400);
  const { episode } = await solve(model, "1+1=", { prompts: tinyPrompts });
  const { ids, segments } = episode;
  assert(ids.length <= 400, `${ids.length} tokens`);
  // 1000, 6000 and 6000 of 14000 tokens, in 400 positions; a model that knows nothing gives no verdict.
  assertEquals(segments.map(({ stage }) => stage), ["fast", "verify", "slow"]);
  const [fast, verify, slow] = segments.map(({ length }) => length);
  assert(fast <= 27 && verify <= 164 && slow <= 164 && fast + verify + slow > 100);
  const budgets = { fast: 100, verify: 100, slow: 100, summary: 100 };
  await assertRejects(
    () => solve(model, "1+1=", { prompts: tinyPrompts, budgets }),
    UserError,
    "the model has 400 positions",
  );
});

Deno.test("solve: what exceeds the positions is told with what its caller can change", async () => {
  using model = await open(40);
  const long = "1+".repeat(100) + "1=", prompts = tinyPrompts, budgets = { answer: 39 };
  const cases = [
    [long, { prompts, task: baseline }, "question and prompts alone take", "shorten the question"],
    [long, { prompts, task: baseline, budgets }, "prompts alone take", "or the prompts"],
    ["1+1=", { prompts, task: baseline, budgets }, "prompts and budgets take", "lower budgets"],
    ["1+1=", { prompts }, "question and prompts alone take", "or the prompts"],
  ] as const;
  for (const [question, options, message, advice] of cases) {
    const { hint } = await assertRejects(() => solve(model, question, options), UserError, message);
    assertStringIncludes(hint!, advice);
    assert(!hint!.includes("prompt limit"), hint);
  }
  // As few positions as suffice for a token of each turn do.
  const { least } = /take (?<least>\d+) /.exec(
    (await assertRejects(() => solve(model, "1+1=", { prompts }), UserError)).message,
  )!.groups!;
  for (const more of [0, 1, 2, 3]) {
    using enough = await open(Number(least) + more);
    const { episode } = await solve(enough, "1+1=", { prompts });
    assert(episode.segments.every(({ length }) => length >= 1));
  }
});

Deno.test("solve: a task of one's own is asked in its words, and that is said", async () => {
  const trained: Trained = {
    task: "baseline",
    stages: ["answer"],
    settings: {},
    prompts: { answer: "the run's {question}" },
    budgets: { answer: 3 },
    weightDtype: "f32",
  };
  using model = await open(200, trained);
  const [answer] = baseline.stages;
  const stage = { ...answer, prompt: "my {question}", budget: 9 };
  const mine: TaskSpec = { ...baseline, name: "mine", stages: [stage] };
  const notes: string[] = [], onNote = (text: string) => notes.push(text);
  const opening = async (task?: TaskSpec) => {
    const { episode: { ids, segments: [{ start, length }] } } = await solve(model, "1+1=", {
      task,
      onNote,
    });
    return { words: model.tokenizer.decode(ids.slice(0, start)), length };
  };
  const own = await opening(mine);
  assertStringIncludes(own.words, "my 1+1=");
  assertEquals(own.length, 9);
  assertEquals(notes, ["the model was trained on the task baseline and is asked as mine"]);
  const before = await opening();
  assertStringIncludes(before.words, "the run's 1+1=");
  assert(before.length <= 3);
  assertEquals(notes.length, 1);
});
