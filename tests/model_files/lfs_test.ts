// What a clone without git-lfs holds in place of a large file is told in the same words wherever it is met.
import { assertEquals, assertRejects } from "@std/assert";
import { UserError } from "../../src/base/mod.ts";
import { loadProblems } from "../../src/data/mod.ts";
import { openGguf } from "../../src/model/gguf.ts";
import { loadModelConfig, openSafetensors, readTrained, Tokenizer } from "../../src/model/mod.ts";
import { TempDir } from "../e2e/small.ts";

const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";

Deno.test("a git-lfs pointer is refused in the same words by every reader", async () => {
  await using dir = await TempDir.make();
  const readers: Record<string, (path: string) => unknown> = {
    "model.safetensors": openSafetensors,
    "model.gguf": openGguf,
    "config.json": () => loadModelConfig(dir.path),
    "tokenizer.json": () => Tokenizer.load(dir.path),
    "thinker.json": () => readTrained(dir.path),
    "problems.jsonl": (path) => loadProblems(path),
    "problems.parquet": (path) => loadProblems(path),
  };
  const hints = new Set<string | undefined>();
  for (const [name, read] of Object.entries(readers)) {
    const path = `${dir.path}/${name}`;
    await Deno.writeTextFile(path, pointer);
    const error = await assertRejects(async () => await read(path), UserError);
    assertEquals(error.message, `${path} is a git-lfs pointer, not the file that it stands for`);
    hints.add(error.hint);
  }
  assertEquals(hints.size, 1);
});
