import { assert, assertEquals, assertRejects } from "@std/assert";
import { Device } from "../../ffi/mod.ts";
import { UserError } from "../../src/base/errors.ts";
import { solve } from "../../src/rollout/mod.ts";
import { Random } from "../../src/base/mod.ts";
import { Decoder, initialise, Model, Tokenizer } from "../../src/model/mod.ts";
import { tinyPrompts, tinyTokenizerJson, tinyVocabSize } from "../../src/tiny/mod.ts";
import { tinyConfig } from "../model/models.ts";

Deno.test("solve: the default budgets are shortened to a model's positions, given ones are not", async () => {
  const tokenizer = Tokenizer.fromJson(tinyTokenizerJson(), "the tiny tokenizer");
  const device = await Device.open("cpu");
  const stream = device.stream();
  const config = tinyConfig({ vocab: tinyVocabSize, maxPositions: 400, eos: [] });
  const decoder = new Decoder(stream, config, { head: "lm", train: false });
  initialise(stream, decoder, new Random(1));
  using model = new Model(stream, decoder, tokenizer);
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
    "exceed the model's 400 positions",
  );
});
