/** What is loaded from a model folder, and that a refusal leaves nothing behind. */
import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import { loadDecoder, loadModel } from "../../src/model/mod.ts";
import { TempDir } from "../e2e/small.ts";
import { element, type FolderOptions, hidden, writeModel } from "../model_files/model_folder.ts";
import { Lab } from "../native.ts";

const head = "lm_head.weight", tied = { tie_word_embeddings: true };

/** The head of a folder's decoder, and its embedding. */
async function loaded(lab: Lab, options: Partial<FolderOptions>): Promise<Float32Array[]> {
  await using temp = await TempDir.make();
  await writeModel(temp.path, { rows: 300, tied: false, config: tied, ...options });
  using decoder = loadDecoder(lab.stream, temp.path, { head: "lm", train: false });
  const { head, embedding } = decoder.params.master;
  return [await lab.f32(head), await lab.f32(embedding)];
}

/** Elements of a matrix with a row per token. */
const elements = (first: number) =>
  Float32Array.from({ length: 300 * hidden }, (_, i) => element(i + first));

Deno.test("load: a tied head that is stored is used where it is not the embedding", async () => {
  using lab = await Lab.open();
  const values = (name: string, i: number) => element(name === head ? i + 1 : i);
  for (const sharded of [false, true]) {
    assertEquals(await loaded(lab, { values, sharded }), [elements(1), elements(0)]);
    assertEquals(await loaded(lab, { sharded }), [elements(0), elements(0)]);
  }
  const change: FolderOptions["change"] = (shapes) =>
    Object.fromEntries(
      Object.entries(shapes).map((
        [name, shape],
      ) => [name.replace("model.embed_tokens", "lm_head"), shape]),
    );
  assertEquals(await loaded(lab, { tied: true, change }), [elements(0), elements(0)]);
});

Deno.test("load: what is refused has taken no memory, or gives it back", async () => {
  using lab = await Lab.open();
  const values = (name: string, i: number) =>
    name === "model.norm.weight" && i === 2 ? Infinity : 1;
  const cases: [Partial<FolderOptions>, RegExp][] = [
    [{ values }, /: model\.norm\.weight\[2\] is Infinity$/],
    [{ config: { num_hidden_layers: 2 } }, /has no tensor model\.layers\.1.* and 11 more$/],
    [
      { change: (shapes) => ({ ...shapes, "score.weight": [1, hidden] }) },
      /no use for tensor score/,
    ],
  ];
  for (const [options, message] of cases) {
    await using temp = await TempDir.make();
    await writeModel(temp.path, { rows: 300, tied: false, ...options });
    for (const kind of ["lm", "value"] as const) {
      const load = () => loadDecoder(lab.stream, temp.path, { head: kind, train: true });
      assertMatch(assertThrows(load, UserError).message, message);
      assertEquals(lab.device.allocatedBytes, 0);
    }
  }
});

Deno.test("load: turns whose tokens have no row are refused before a device is opened", async () => {
  await using temp = await TempDir.make();
  const added = [{ id: 300, content: "<|im_start|>", special: true }];
  await writeModel(temp.path, { rows: 300, tied: true, added });
  const backend = "no such device" as "cpu";
  await assertRejects(() => loadModel(temp.path, { backend }), UserError, "has id 300");
});
