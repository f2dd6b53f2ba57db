import { assertEquals, assertRejects } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import { inspectModel } from "../../src/model/inspect.ts";
import { TempDir } from "../e2e/small.ts";
import { hidden, writeModel } from "./model_folder.ts";

/** Parameters of the folder's model, counted by hand. */
function parameters(rows: number, tied: boolean): number {
  const C = hidden;
  return rows * C * (tied ? 1 : 2) + 4 * C * C + 3 * C + 3 * 2 * C * C + 2 * C + C;
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
  });
  assertEquals(report.chatTemplate, "other");
  assertEquals(report.memory, {
    bfloat16: 2 * n,
    float32: 4 * n,
    cachePerToken: 2 * 2 * 2 * (hidden / 2),
    training: 18 * n,
  });
});

Deno.test("info: tensors that are missing or of no use are named", async () => {
  await using dir = await TempDir.make();
  await writeModel(dir.path, { rows: 300, tied: false, sharded: true });
  const path = `${dir.path}/config.json`;
  const config = JSON.parse(await Deno.readTextFile(path));
  await Deno.writeTextFile(path, JSON.stringify({ ...config, tie_word_embeddings: true }));
  const tied = await inspectModel(dir.path);
  assertEquals([tied.tensors.unused, tied.tensors.missing], [["lm_head.weight"], []]);
  assertEquals([tied.parameters, tied.chatTemplate], [parameters(300, true), "none"]);
  await Deno.writeTextFile(path, JSON.stringify({ ...config, num_hidden_layers: 2 }));
  assertEquals((await inspectModel(dir.path)).tensors.missing.length, 12);
  await Deno.writeTextFile(path, JSON.stringify({ ...config, architectures: ["Mamba"] }));
  await assertRejects(() => inspectModel(dir.path), UserError, "Mamba is not supported");
});
