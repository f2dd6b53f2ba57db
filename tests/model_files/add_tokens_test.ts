import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Tokenizer as Reference } from "npm:@huggingface/tokenizers@0.2.0";
import { temporaryPath, UserError } from "../../src/base/mod.ts";
import { addTokens } from "../../src/model/add_tokens.ts";
import { loadModelConfig } from "../../src/model/config.ts";
import { type FloatDtype, fromF32, toF32 } from "../../src/model/dtype.ts";
import { loadIndex } from "../../src/model/shards.ts";
import { resolveModelConfig } from "../../src/model/weights.ts";
import { Tokenizer } from "../../src/model/tokenizer.ts";
import { digests, TempDir } from "../e2e/small.ts";
import { element, type FolderOptions, hidden, writeModel } from "./model_folder.ts";

/** Runs a test with a model folder; afterwards nothing else may lie beside it. */
async function withModel(
  options: FolderOptions,
  body: (dir: string) => Promise<void>,
): Promise<void> {
  await using temporary = await TempDir.make();
  const dir = `${temporary.path}/model`;
  await Deno.mkdir(dir);
  await writeModel(dir, options);
  await body(dir);
  const beside = (await Array.fromAsync(Deno.readDir(temporary.path))).map(({ name }) => name);
  assertEquals(beside, ["model"]);
}

const json = async (path: string) => JSON.parse(await Deno.readTextFile(path));

function readTensor(dir: string, name: string): { shape: readonly number[]; values: Float32Array } {
  using weights = loadIndex(dir);
  const { shape, dtype } = weights.info(name);
  const values = new Float32Array(shape.reduce((a, b) => a * b));
  let at = 0;
  weights.read(name, (bytes) => {
    const part = new Float32Array(bytes.length / (dtype === "F32" ? 4 : 2));
    toF32(bytes, dtype as FloatDtype, part);
    values.set(part, at);
    at += part.length;
  });
  return { shape, values };
}

/** The tokens are control tokens here and to the JavaScript library. */
async function assertUsable(dir: string, ids: number[]): Promise<void> {
  const text = "<|im_start|>a<|im_end|>";
  const want = [ids[0], 97, ids[1]];
  const tokenizer = Tokenizer.load(dir);
  assertEquals(tokenizer.encode(text, { special: true }), want);
  assertEquals(tokenizer.decode(want), text);
  assertEquals(tokenizer.encode(text).length, text.length);
  assertEquals(new Reference(await json(`${dir}/tokenizer.json`), {}).encode(text).ids, want);
  assert(loadModelConfig(dir).vocab > Math.max(...ids));
}

Deno.test("add-tokens: rows to spare serve the tokens, and no weight is touched; twice is once", async () => {
  const decoder = { "256": { content: "<|endoftext|>", special: true } };
  const tokenizerConfig = {
    added_tokens_decoder: decoder,
    additional_special_tokens: ["<x>"],
    a: 1,
  };
  await withModel({ rows: 259, tied: true, tokenizerConfig }, async (dir) => {
    const before = await digests(dir);
    const report = await addTokens(dir);
    assertEquals(report.rows, { before: 259, after: 259 });
    assertEquals(report.tokens.map(({ id, added }) => [id, added]), [[257, true], [258, true]]);
    await assertUsable(dir, [257, 258]);
    const after = await digests(dir);
    assertEquals(
      Object.keys(after).filter((name) => after[name] !== before[name]),
      ["tokenizer.json", "tokenizer_config.json"],
    );
    const config = await json(`${dir}/tokenizer_config.json`);
    assertEquals(Object.keys(config.added_tokens_decoder), ["256", "257", "258"]);
    assertEquals(config.added_tokens_decoder["258"].content, "<|im_end|>");
    assertEquals(config.additional_special_tokens, ["<x>", "<|im_start|>", "<|im_end|>"]);
    assertEquals(config.a, 1);
    const again = await addTokens(dir);
    assertEquals(again.tokens.map(({ id, added }) => [id, added]), [[257, false], [258, false]]);
    assertEquals(await digests(dir), after);
  });
});

/** The mean of each column of the matrices that the folder is made with. */
function meanRow(rows: number): number[] {
  return Array.from({ length: hidden }, (_, column) => {
    const values = Array.from({ length: rows }, (_, row) => element(row * hidden + column));
    return values.reduce((a, b) => a + b) / rows;
  });
}

Deno.test("add-tokens: without rows to spare the matrices grow by their mean row", async () => {
  for (const dtype of ["F32", "BF16"] as const) {
    for (const sharded of [false, true]) {
      for (const tied of [false, true]) {
        await withModel({ rows: 258, tied, sharded, dtype }, async (dir) => {
          const before = await digests(dir);
          assertEquals((await addTokens(dir)).rows, { before: 258, after: 259 });
          await assertUsable(dir, [257, 258]);
          const mean = new Float32Array(hidden);
          toF32(fromF32(Float32Array.from(meanRow(258)), dtype), dtype, mean);
          const grown = ["model.embed_tokens.weight", ...tied ? [] : ["lm_head.weight"]];
          for (const name of grown) {
            const { shape, values } = readTensor(dir, name);
            assertEquals(shape, [259, hidden]);
            const old = Float32Array.from({ length: 258 * hidden }, (_, i) => element(i));
            assertEquals(values.subarray(0, old.length), old);
            assertEquals(values.subarray(old.length), mean);
          }
          assertEquals(readTensor(dir, "model.norm.weight").values[3], element(3));
          const config = await json(`${dir}/config.json`);
          assertEquals([config.vocab_size, config.custom_field], [259, "kept"]);
          const after = await digests(dir);
          if (sharded) {
            const middle = "model-00002-of-00003.safetensors";
            assertEquals(after[middle], before[middle]);
            const { metadata } = await json(`${dir}/model.safetensors.index.json`);
            using weights = loadIndex(dir);
            const bytes = weights.names().reduce((sum, name) => sum + weights.info(name).bytes, 0);
            assertEquals(metadata.total_size, bytes);
          }
          await addTokens(dir);
          assertEquals(await digests(dir), after);
        });
      }
    }
  }
});

Deno.test("add-tokens: a base model's matrices grow too, and of a single file beside an index that file's", async () => {
  const change: FolderOptions["change"] = (shapes) =>
    Object.fromEntries(Object.entries(shapes).map(([name, s]) => [name.replace("model.", ""), s]));
  await withModel({ rows: 258, tied: true, change, sharded: true }, async (dir) => {
    await writeModel(dir, { rows: 258, tied: true, change });
    assertEquals((await addTokens(dir)).rows, { before: 258, after: 259 });
    assertEquals(readTensor(dir, "embed_tokens.weight").shape, [259, hidden]);
    assertEquals(resolveModelConfig(dir).vocab, 259);
  });
});

Deno.test("add-tokens: a token that is there keeps its id and becomes a control token", async () => {
  const added = [
    { id: 257, content: "<|im_end|>", special: false },
    { id: 258, content: "<tool>", special: false },
  ];
  await withModel({ rows: 300, tied: true, added }, async (dir) => {
    const { tokens } = await addTokens(dir);
    assertEquals(tokens.map(({ id, added }) => [id, added]), [[259, true], [257, false]]);
    await assertUsable(dir, [259, 257]);
    assertEquals(Tokenizer.load(dir).id("<tool>"), 258);
    assert(!Tokenizer.load(dir).specialIds.has(258));
    await assertRejects(() => Deno.stat(`${dir}/tokenizer_config.json`), Deno.errors.NotFound);
  });
});

Deno.test("add-tokens: a folder that does not fit is one clear line and stays as it was", async () => {
  await withModel({ rows: 257, tied: false, sharded: true }, async (dir) => {
    const config = await json(`${dir}/config.json`);
    await Deno.writeTextFile(`${dir}/config.json`, JSON.stringify({ ...config, vocab_size: 256 }));
    const before = await digests(dir);
    const error = await assertRejects(() => addTokens(dir), UserError);
    assertStringIncludes(
      error.message,
      "model.embed_tokens.weight is F32 [257,8], expected 256 rows",
    );
    assertEquals(await digests(dir), before);
  });
  await using temporary = await TempDir.make();
  await assertRejects(() => addTokens(temporary.path), UserError, "cannot read");
});

Deno.test("add-tokens: a crash between its two renames is mended by the next call", async () => {
  await withModel({ rows: 300, tied: true }, async (dir) => {
    const copy = temporaryPath(dir), foreign = `${dir}/../.model.tmp`;
    await Deno.mkdir(foreign);
    await Deno.rename(dir, copy.replace(/tmp$/, "old"));
    await Deno.mkdir(copy);
    await addTokens(dir);
    await assertUsable(dir, [257, 258]);
    const beside = await Array.fromAsync(Deno.readDir(`${dir}/..`));
    assertEquals(beside.map(({ name }) => name).sort(), [".model.tmp", "model"]);
    await Deno.remove(foreign);
  });
  await withModel({ rows: 300, tied: true }, async (dir) => {
    await Deno.mkdir(temporaryPath(dir).replace(/tmp$/, "old")); // killed after them
    await addTokens(dir);
    await assertUsable(dir, [257, 258]);
  });
});

Deno.test("add-tokens: two at a time do not get into each other's way", async () => {
  await withModel({ rows: 257, tied: true }, async (dir) => {
    const done = await Promise.allSettled([addTokens(dir), addTokens(dir)]);
    const refused = done.filter(({ status }) => status === "rejected");
    for (const { reason } of refused as PromiseRejectedResult[]) {
      assertStringIncludes(reason.message, `the model folder ${dir} is in use by`);
    }
    assert(refused.length < 2);
    await assertUsable(dir, [257, 258]);
  });
});

Deno.test("add-tokens: a folder of links, as a cache of downloads has them, shares nothing it changes", async () => {
  await withModel({ rows: 257, tied: true }, async (dir) => {
    const blobs = `${dir}/../.model.blobs`;
    await Deno.mkdir(blobs);
    for (const { name } of await Array.fromAsync(Deno.readDir(dir))) {
      await Deno.rename(`${dir}/${name}`, `${blobs}/${name}`);
      await Deno.symlink(`../.model.blobs/${name}`, `${dir}/${name}`);
    }
    const before = await digests(blobs);
    await addTokens(dir);
    await assertUsable(dir, [257, 258]);
    assertEquals(await digests(blobs), before);
    await Deno.remove(blobs, { recursive: true });
  });
});
