import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import { inspectModel } from "../../src/model/inspect.ts";
import { TempDir } from "../e2e/small.ts";
import { element, type FolderOptions, headDim, hidden, writeModel } from "./model_folder.ts";

/** Parameters of the folder's model, counted by hand. */
function parameters(rows: number, tied: boolean): number {
  const C = hidden, wide = 2 * headDim;
  return rows * C * (tied ? 1 : 2) + 4 * C * wide + 3 * wide + 3 * 2 * C * C + 2 * C + C;
}

Deno.test("info: parameters, tensors, tokenizer and memory of a folder", async () => {
  await using dir = await TempDir.make();
  const tokenizerConfig = { chat_template: "{{ messages[0].content }}" };
  await writeModel(dir.path, { rows: 300, tied: false, dtype: "BF16", tokenizerConfig });
  const report = await inspectModel(dir.path);
  const n = parameters(300, false);
  assertEquals(report.parameters, n);
  assertEquals(report.tensors, {
    count: 15,
    bytes: 2 * n,
    dtypes: { BF16: 15 },
    missing: [],
    unused: [],
  });
  assertEquals(report.tokenizer, {
    size: 257,
    special: 1,
    chatML: { "<|im_start|>": null, "<|im_end|>": null },
    prefix: [],
    stop: [],
  });
  assertEquals(report.chatTemplate, "other");
  assertEquals(report.memory, {
    bfloat16: 2 * n,
    float32: 4 * n,
    cachePerToken: 2 * 2 * 2 * headDim,
    training: 18 * n,
  });
});

Deno.test("info: tensors that are missing or of no use are named, as refusals", async () => {
  await using dir = await TempDir.make();
  await writeModel(dir.path, { rows: 300, tied: false, sharded: true });
  const path = `${dir.path}/config.json`;
  const config = JSON.parse(await Deno.readTextFile(path));
  const change = (fields: Record<string, unknown>) =>
    Deno.writeTextFile(path, JSON.stringify({ ...config, ...fields }));
  await change({ num_hidden_layers: 2 });
  const short = await inspectModel(dir.path);
  assertEquals(short.tensors.missing.length, 12);
  const [name] = short.tensors.missing;
  assertEquals(short.refusals.map(({ message }) => message), [
    `${dir.path} has no tensor ${name} and 11 more`,
  ]);
  await change({ architectures: ["LlamaForCausalLM"], model_type: "llama" });
  const biases = ["k", "q", "v"].map((name) => `model.layers.0.self_attn.${name}_proj.bias`);
  const llama = await inspectModel(dir.path);
  assertEquals(llama.tensors.unused.toSorted(), biases);
  assertMatch(llama.refusals[0].message, /no use for tensor .*_proj.bias and 2 more$/);
  await change({ architectures: ["Mamba"] });
  await assertRejects(() => inspectModel(dir.path), UserError, "Mamba is not supported");
});

Deno.test("info: a tied head that is stored is the embedding only if it is equal to it", async () => {
  await using dir = await TempDir.make();
  const config = { tie_word_embeddings: true };
  await writeModel(dir.path, { rows: 300, tied: false, config });
  const same = await inspectModel(dir.path);
  assertEquals([same.config.tiedHead, same.tensors.unused], [true, []]);
  assertEquals(same.parameters, parameters(300, true));
  const values = (name: string, i: number) => element(name === "lm_head.weight" ? i + 1 : i);
  await writeModel(dir.path, { rows: 300, tied: false, config, values });
  const other = await inspectModel(dir.path);
  assertEquals([other.config.tiedHead, other.parameters], [false, parameters(300, false)]);
  assertMatch(other.warnings[0], /ties the LM head .* has another/);
});

Deno.test("info: stop ids, and what training will not like", async () => {
  await using dir = await TempDir.make();
  const chat_template = "{{ messages[0].content }}", config = { eos_token_id: [256, 999] };
  const write = (more: Partial<FolderOptions>) =>
    writeModel(dir.path, { rows: 300, tied: true, config, ...more });
  await write({ tokenizerConfig: { chat_template } });
  const bare = await inspectModel(dir.path);
  assertEquals(bare.tokenizer.stop, [{ id: 256, token: "<|endoftext|>" }, { id: 999, token: "" }]);
  assertEquals(bare.refusals, []);
  const warned = [/needs <\|im_start\|> and <\|im_end\|>.*add-tokens/, /turns are not/, /id 999/];
  warned.forEach((pattern, i) => assertMatch(bare.warnings[i], pattern));
  await Deno.writeTextFile(`${dir.path}/generation_config.json`, '{"eos_token_id": 257}');
  const turns = ["<|im_start|>", "<|im_end|>"].map((content, i) => ({ id: 257 + i, content }));
  await write({ added: turns });
  const plain = await inspectModel(dir.path);
  assertEquals(plain.tokenizer.stop, [{ id: 257, token: "<|im_start|>" }]);
  assertMatch(plain.warnings.join(), /must be a control token/);
  await write({ added: turns.map((token) => ({ ...token, id: token.id + 43, special: true })) });
  const beyond = await inspectModel(dir.path);
  assertMatch(
    beyond.refusals[0].message,
    /"<\|im_start\|>" has id 300 and 1 more, .* only 300 rows$/,
  );
});

Deno.test("info: a number that is none is named with its place", async () => {
  await using dir = await TempDir.make();
  const name = "model.layers.0.mlp.down_proj.weight";
  const values = (tensor: string, i: number) => tensor === name && i === 37 ? NaN : element(i);
  await writeModel(dir.path, { rows: 300, tied: true, dtype: "BF16", values });
  const { refusals: [{ message, hint }, more] } = await inspectModel(dir.path);
  assertEquals([message, more], [`${dir.path}: ${name}[2, 5] is NaN`, undefined]);
  assertMatch(hint!, /damaged/);
});

Deno.test("info: a chat template that cannot be read is a warning: training does without it", async () => {
  await using dir = await TempDir.make();
  const jinja = `${dir.path}/chat_template.jinja`;
  const unreadable = async (pattern: RegExp) => {
    const report = await inspectModel(dir.path);
    assertEquals([report.chatTemplate, report.refusals], ["unreadable", []]);
    assertMatch(report.warnings.at(-1)!, pattern);
  };
  const write = (chat_template: unknown) =>
    writeModel(dir.path, { rows: 300, tied: true, tokenizerConfig: { chat_template } });
  await write("{% for %}");
  await unreadable(/the chat template cannot be read: .*; training does without it$/);
  await write(7);
  await unreadable(/tokenizer_config\.json: chat_template: .*; training does without it$/);
  await Deno.mkdir(jinja);
  await unreadable(/cannot read .*chat_template\.jinja: .*; training does without it$/);
  await Deno.remove(jinja);
  await write("{{ messages[0].content }}");
  assertEquals((await inspectModel(dir.path)).chatTemplate, "other");
});
