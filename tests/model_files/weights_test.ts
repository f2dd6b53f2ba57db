/** The weights of a model folder, matched to its config. */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import {
  checkTokenRows,
  type HeadKind,
  loadModelConfig,
  openWeights,
  resolveModelConfig,
  Tokenizer,
} from "../../src/model/mod.ts";
import { TempDir } from "../e2e/small.ts";
import { element, type FolderOptions, hidden, writeModel } from "./model_folder.ts";

const embedding = "model.embed_tokens.weight", head = "lm_head.weight";
const tied = { tie_word_embeddings: true };

/** Runs with the weights of a folder; the head is that of a language model unless told otherwise. */
async function withWeights<R>(
  options: Partial<FolderOptions>,
  then: (weights: ReturnType<typeof openWeights>, dir: string) => R,
  kind: HeadKind = "lm",
): Promise<R> {
  await using temp = await TempDir.make();
  await writeModel(temp.path, { rows: 300, tied: false, ...options });
  using weights = openWeights(temp.path, loadModelConfig(temp.path), kind);
  return then(weights, temp.path);
}

/** Asserts that the folder is refused in one line with a hint; returns the line. */
async function refusal(options: Partial<FolderOptions>, kind?: HeadKind): Promise<string> {
  return await withWeights(options, (weights, dir) => {
    const error = assertThrows(() => weights.check(), UserError);
    assert(error.message.startsWith(dir) && !error.message.includes("\n") && error.hint);
    return error.message.slice(dir.length);
  }, kind);
}

/** Renames every tensor. */
const renamed = (rename: (name: string) => string): Partial<FolderOptions> => ({
  change: (shapes) =>
    Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [rename(name), shape])),
});

/** Adds tensors. */
const plus = (more: Record<string, number[]>): Partial<FolderOptions> => ({
  change: (shapes) => ({ ...shapes, ...more }),
});

Deno.test("weights: names with one `model.` too few or too many", async () => {
  const names = [
    (name: string) => name.replace(/^model\./, ""),
    (name: string) => `model.${name}`,
    (name: string) => name === head ? `model.${name}` : name,
  ];
  for (const rename of names) {
    await withWeights(renamed(rename), (weights) => {
      weights.check();
      assertEquals(weights.names().length, 15);
      assertEquals(weights.info("model.norm.weight").shape, [hidden]);
      const values: number[] = [];
      weights.read(
        "model.norm.weight",
        (bytes) => values.push(...new Float32Array(bytes.slice().buffer)),
      );
      assertEquals(values, Array.from({ length: hidden }, (_, i) => element(i)));
    });
  }
  assertMatch(await refusal(renamed((name) => `module.${name}`)), /has no tensor .* and 14 more/);
  const twice = plus({ "norm.weight": [hidden] });
  const error = await withWeights(twice, () => undefined).catch((error) => error);
  assertMatch(`${error}`, /model\.norm\.weight and norm\.weight are the same parameter/);
});

Deno.test("weights: a tied head that is stored", async () => {
  const isTied = (options: Partial<FolderOptions>) =>
    withWeights({ config: tied, ...options }, (weights) => {
      weights.check();
      return weights.config.tiedHead;
    });
  assertEquals(await isTied({}), true);
  assertEquals(await isTied({ sharded: true }), true);
  const last = {
    values: (name: string, i: number) => name === head && i === 2399 ? 1 : element(i),
  };
  for (const sharded of [false, true]) assertEquals(await isTied({ ...last, sharded }), false);
  for (const one of [head, embedding]) {
    const dtypeOf = (name: string) => name === one ? "F32" : "BF16";
    assertEquals(await isTied({ dtypeOf }), true);
    assertEquals(await isTied({ ...last, dtypeOf }), false);
  }
  // The head alone is the embedding too.
  const alone = { tied: true, ...renamed((name) => name === embedding ? head : name) };
  assertEquals(await isTied(alone), true);
  await withWeights(
    { config: tied, ...alone },
    (weights) => assertEquals(weights.info(embedding).shape, [300, hidden]),
  );
  await using temp = await TempDir.make();
  await writeModel(temp.path, { rows: 300, tied: false, config: tied, ...last });
  assertEquals(loadModelConfig(temp.path).tiedHead, true);
  assertEquals(resolveModelConfig(temp.path).tiedHead, false);
});

Deno.test("weights: a tensor too few or too many is refused, but for what every loader leaves out", async () => {
  await withWeights(plus({ "model.layers.0.self_attn.rotary_emb.inv_freq": [8] }), (weights) => {
    weights.check();
    assertEquals(weights.unused, []);
  });
  assertMatch(await refusal(plus({ "score.weight": [2, hidden] })), /no use for tensor score/);
  const critic = plus({ "value_head.weight": [1, hidden] });
  assertMatch(await refusal(critic), /no use for tensor value_head/);
  await withWeights(critic, (weights) => weights.check(), "value");
  await withWeights({}, (weights) => weights.check(), "value"); // a critic starts from a policy
  const biased = plus({ "model.layers.0.self_attn.o_proj.bias": [hidden] });
  assertMatch(await refusal(biased), /no use for tensor .*o_proj\.bias$/);
  const config = { config: { tie_word_embeddings: false } };
  assertMatch(await refusal({ tied: true, ...config }), /has no tensor lm_head\.weight$/);
  assertMatch(await refusal({ config: { num_hidden_layers: 2 } }), /layers\.1.* and 11 more$/);
  assertMatch(await refusal({ config: { intermediate_size: 17 } }), /has shape .* asks for/);
  assertMatch(await refusal({ dtypeOf: () => "I32" }), /has dtype I32, expected F32, F16 or BF16$/);
});

Deno.test("weights: a number that is none is found when its tensor is read", async () => {
  const name = "model.layers.0.mlp.gate_proj.weight";
  for (const value of [NaN, Infinity, -Infinity]) {
    for (const dtype of ["F32", "BF16"] as const) {
      const values = (tensor: string, i: number) =>
        tensor === name && i === 77 ? value : element(i);
      await withWeights({ dtype, values }, (weights, dir) => {
        weights.read(embedding, () => {});
        const message = `${dir}: ${name}[9, 5] is ${value}`;
        assertThrows(() => weights.read(name, () => {}), UserError, message);
        assertThrows(() => weights.checkFinite(), UserError, message);
      });
    }
  }
  await withWeights({}, (weights) => weights.checkFinite());
});

Deno.test("tokens: one that a prompt can hold needs a row; a control token that none holds does not", async () => {
  const check = async (added: Record<string, unknown>[]) => {
    await using temp = await TempDir.make();
    await writeModel(temp.path, { rows: 258, tied: true, added });
    checkTokenRows(Tokenizer.load(temp.path), 258, "DIR");
  };
  const start = { id: 258, content: "<|im_start|>", special: true };
  await check([{ ...start, id: 257 }]);
  await check([{ ...start, content: "<pad>" }]);
  const refuses = async (added: Record<string, unknown>, message: RegExp, hint: RegExp) => {
    const error = await check([added]).catch((error) => error);
    assert(error instanceof UserError);
    assertMatch(error.message, message);
    assertMatch(error.hint!, hint);
  };
  await refuses(
    start,
    /^DIR: token "<\|im_start\|>" has id 258, .* only 258 rows$/,
    /add-tokens DIR/,
  );
  await refuses({ ...start, content: "<tool>", special: false }, /"<tool>" has id 258/, /resize/);
});

Deno.test("weights: types are compared as numbers, zeros of either sign alike", async () => {
  const values = (name: string, i: number) => name === head && i === 30 ? -0 : i === 30 ? 0 : 1;
  await withWeights({ config: tied, values }, (weights) => assert(weights.config.tiedHead));
});
