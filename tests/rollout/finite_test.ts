/** A model that gives no numbers must not give answers, however it is asked. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import { Model, Tokenizer } from "../../src/model/mod.ts";
import { checkLogprobs, evaluate, playEpisodes, solve } from "../../src/rollout/mod.ts";
import { tinyPrompts, tinyTokenizerJson, tinyVocabSize } from "../../src/tiny/mod.ts";
import { randomDecoder, tinyConfig } from "../model/models.ts";
import { Lab, Rand } from "../native.ts";
import { groups, playing, problems, thinker, toyDecoder, toyEngine } from "../ppo/toy.ts";

Deno.test("finite: a log-prob is refused if it is NaN, infinite or above 0, by its place", () => {
  const episode = { id: 7n, problem: { id: "p3", question: "?" } };
  const checked = (...logprobs: number[]) =>
    checkLogprobs(logprobs, episode, { turn: 1, stage: "verify", whose: "the log-prob" });
  checked(-1e30, -0.5, -0, 0, 1e-6);
  for (const value of [NaN, Infinity, -Infinity, 0.01]) {
    const error = assertThrows(() => checked(-1, 0, value, NaN), UserError);
    const place = 'token 3 of turn 2 (verify) of question "p3", episode 7';
    assertEquals(error.message, `the log-prob of ${place}, is ${value}`);
    assert(error.hint);
  }
});

Deno.test("finite: a rollout, an evaluation and solve end where the model gives no numbers", async () => {
  using lab = await Lab.open({ threads: 1 });
  const { stream } = lab;
  using toy = toyDecoder(lab, "lm");
  using engine = toyEngine(lab, toy);
  const config = tinyConfig({ hidden: 32, vocab: tinyVocabSize, maxPositions: 512, eos: [] });
  using decoder = randomDecoder(lab, config, { head: "lm", train: false }, new Rand(2));
  const tokenizer = Tokenizer.fromJson(tinyTokenizerJson(), "the tiny tokenizer");
  const model = new Model(stream, decoder, tokenizer);
  const { grade, sampling } = playing, greedy = { temperature: 0, topP: 1, topK: 0 };
  for (const value of [NaN, Infinity]) {
    for (const { params } of [toy, decoder]) {
      stream.fill(params.master.flat.view(params.layout.matrices - 1, [1]), value);
      params.refresh(stream);
    }
    for (const drawn of [sampling, greedy, { temperature: 1, topP: 0.9, topK: 4 }]) {
      const ask = { task: thinker, problems: problems(2), grade, seed: 1n, sampling: drawn };
      const runs = [
        () => playEpisodes(engine, groups(2, 2), { ...playing, sampling: drawn }),
        () => evaluate(engine, ask),
        () => solve(model, "1+1=", { prompts: tinyPrompts, sampling: drawn }),
      ];
      for (const run of runs) {
        const { message } = await assertRejects(run, UserError);
        assert(
          /log-prob of token \d+ of turn 1 \(fast\) of question .* is NaN$/.test(message),
          message,
        );
      }
    }
  }
});
