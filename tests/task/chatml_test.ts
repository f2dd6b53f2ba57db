import { assertEquals } from "@std/assert";
import { ChatTemplate, Tokenizer } from "../../src/model/mod.ts";
import { chatMLTemplate, type Codec, Task, thinker } from "../../src/task/mod.ts";
import { tinyTokenizerJson } from "../../src/tiny/mod.ts";

const tokenizer = Tokenizer.fromJson(tinyTokenizerJson(), "the tiny tokenizer");
const [bos, end] = ["<|endoftext|>", "<|im_end|>"].map((token) => tokenizer.id(token));

/** A tokenizer whose model expects tokens before everything else. */
function codecWith(prefix: readonly number[]): Codec {
  return {
    encode: (text, options) => tokenizer.encode(text, options),
    decode: (ids) => tokenizer.decode(ids),
    id: (token) => tokenizer.id(token),
    prefix,
  };
}

Deno.test("chatMLTemplate: a conversation token for token as a task writes it", async () => {
  const systems = [
    undefined,
    "Be brief.",
    'Say "x" and \\boxed{1}\n\n{{ nothing }} {% raw %} it\'s ü 漢 😀 </s>',
    "  spaces and a newline \n",
  ];
  for (const system of systems) {
    for (const prefix of [[], [bos]]) {
      const prompts = { ...(system !== undefined && { system }), fast: "What is {question}? $&" };
      const task = new Task(thinker, { codec: codecWith(prefix), stop: [end], prompts });
      const problem = { id: "1", question: "{{ 1+1 }} <b>", answer: "2" };
      const episode = task.episode({ id: 0n, problem, mode: "inference" });
      episode.start();
      const ids = [...tokenizer.encode("\\boxed{2}"), end];
      const logprobs = ids.map(() => 0);
      episode.step({ kind: "turn", turn: { ids, logprobs, truncated: false } });
      const chat_template = chatMLTemplate(tokenizer.decode(prefix), system);
      const template = await ChatTemplate.compile({ tokenizerConfig: { chat_template } }, "test");
      const asked = (content: string) => ({ role: "user", content });
      const first = asked("What is {{ 1+1 }} <b>? $&"),
        answer = { role: "assistant", content: "\\boxed{2}" };
      const verify = asked(task.stages[1].prompt);
      assertEquals(template!.encode(tokenizer, [first, answer, verify]), [...episode.ids]);
      // Another system turn takes the place of training's.
      const own = [{ role: "system", content: "Mine." }, first];
      const start = tokenizer.decode(prefix) +
        "<|im_start|>system\nMine.<|im_end|>\n<|im_start|>user\n";
      assertEquals(template!.render(own).startsWith(start), true);
    }
  }
});
