/** The weights of a model folder: one file, several, or of a kind that is not read. */
import { assertEquals, assertThrows } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import { writeSafetensors } from "../../src/model/safetensors.ts";
import { hasWeights, loadIndex } from "../../src/model/shards.ts";
import { TempDir } from "../e2e/small.ts";

/** A tensor of bytes that count up from `first`. */
function bytes(name: string, size: number, first: number) {
  const data = Uint8Array.from({ length: size }, (_, i) => first + i);
  return { name, dtype: "U8" as const, shape: [size], chunks: () => [data] };
}

/** Writes an index into a folder. */
function writeIndex(dir: string, weight_map: unknown): void {
  const index = JSON.stringify({ metadata: { total_size: 1 }, weight_map });
  Deno.writeTextFileSync(`${dir}/model.safetensors.index.json`, index);
}

/** All bytes of a tensor, or those from `part[0]` to before `part[1]`. */
function read(source: ReturnType<typeof loadIndex>, name: string, part?: [number, number]) {
  const all: number[] = [];
  source.read(name, (piece, offset) => {
    assertEquals(offset, (part?.[0] ?? 0) + all.length);
    all.push(...piece);
  }, part);
  return all;
}

/** A folder with two shards and their index. */
async function writeShards(dir: string): Promise<void> {
  await writeSafetensors(`${dir}/one.safetensors`, [bytes("x", 2, 1), bytes("y", 1, 0)]);
  await writeSafetensors(`${dir}/two.safetensors`, [bytes("z", 3, 7)]);
  writeIndex(dir, { x: "one.safetensors", z: "two.safetensors", y: "./one.safetensors" });
}

Deno.test("shards: what the index lists, and all that is in its files", async () => {
  await using temp = await TempDir.make();
  const dir = temp.path;
  assertThrows(() => loadIndex(dir), UserError, "cannot open");
  await writeShards(dir);
  for (const map of [undefined, { x: "one.safetensors", z: "two.safetensors" }]) {
    if (map) writeIndex(dir, map); // y is in the file, though not in the index
    using shards = loadIndex(dir);
    assertEquals(shards.names().toSorted(), ["x", "y", "z"]);
    assertEquals([read(shards, "z"), read(shards, "x")], [[7, 8, 9], [1, 2]]);
    assertEquals(read(shards, "z", [1, 3]), [8, 9]);
    assertThrows(() => shards.info("a"), UserError, "has no tensor a");
  }
});

Deno.test("shards: a single file goes before an index, as in transformers", async () => {
  await using temp = await TempDir.make();
  await writeShards(temp.path);
  await writeSafetensors(`${temp.path}/model.safetensors`, [bytes("a", 2, 40)]);
  using single = loadIndex(temp.path);
  assertEquals([single.names(), read(single, "a")], [["a"], [40, 41]]);
});

Deno.test("shards: an index or shard that is wrong is one clear line", async () => {
  await using temp = await TempDir.make();
  const dir = temp.path;
  await writeShards(dir);
  const refuses = (map: unknown, message: string) => {
    writeIndex(dir, map);
    assertThrows(() => loadIndex(dir), UserError, message);
  };
  refuses({ x: "two.safetensors" }, "two.safetensors has no tensor x");
  refuses({ x: "three.safetensors" }, "cannot open");
  refuses({ x: "../one.safetensors" }, "outside the folder");
  refuses({ x: "sub/../../one.safetensors" }, "outside the folder");
  refuses({ x: `${dir}/one.safetensors` }, "outside the folder");
  refuses({ x: 3 }, "weight_map.x");
  refuses({}, "weight_map: names no tensor");
  refuses(undefined, "weight_map");
  await writeSafetensors(`${dir}/two.safetensors`, [bytes("x", 2, 1), bytes("z", 3, 7)]);
  refuses({ x: "one.safetensors", z: "two.safetensors" }, "both have a tensor x");
});

Deno.test("shards: weights of another format are named, with the way out", async () => {
  const formats: Record<string, RegExp> = {
    "pytorch_model.bin": /save_pretrained/,
    "pytorch_model.bin.index.json": /save_pretrained/,
    "adapter_model.safetensors": /merge/,
    "model-Q4_K_M.gguf": /thinker model import/,
    "consolidated.00.pth": /transformers/,
    "model-00001-of-00002.safetensors": /get model\.safetensors\.index\.json/,
    "model.fp16.safetensors": /call it model\.safetensors/,
    "tf_model.h5": /with safetensors/,
  };
  for (const [name, hint] of Object.entries(formats)) {
    await using temp = await TempDir.make();
    await Deno.writeTextFile(`${temp.path}/${name}`, "?");
    for (const open of [loadIndex, hasWeights]) {
      const error = assertThrows(
        () => open(temp.path),
        UserError,
        `holds ${name}, but neither model`,
      );
      assertEquals(hint.test(error.hint ?? ""), true, `${name}: ${error.hint}`);
    }
  }
  await using empty = await TempDir.make();
  assertEquals([hasWeights(empty.path), hasWeights(`${empty.path}/none`)], [false, false]);
});
