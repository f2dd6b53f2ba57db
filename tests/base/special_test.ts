import { assertRejects, assertThrows } from "@std/assert";
import { readJson, readJsonl, UserError } from "../../src/base/mod.ts";
import { readProblems } from "../../src/data/mod.ts";
import { openGguf } from "../../src/model/gguf.ts";
import { openSafetensors } from "../../src/model/safetensors.ts";

Deno.test("what is no file is refused by every reader, not waited for", async () => {
  const dir = await Deno.makeTempDir(), pipe = `${dir}/pipe`;
  try {
    new Deno.Command("mkfifo", { args: [pipe] }).outputSync();
    for (const path of [pipe, "/dev/zero"]) {
      const message = `${path} is a pipe or a device, not a file`;
      assertThrows(() => readJson(path, "no hint"), UserError, message);
      assertThrows(() => openSafetensors(path), UserError, message);
      assertThrows(() => openGguf(path), UserError, message);
      await assertRejects(() => readJsonl(path), UserError, message);
      await assertRejects(() => readProblems(path, {}), UserError, message);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
