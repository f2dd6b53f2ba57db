import { assertEquals, assertMatch } from "@std/assert";
import { Rand } from "../native.ts";
import { inFolder, smallFile } from "../model_files/gguf_models.ts";
import { ggufBytes } from "../model_files/gguf_writer.ts";
import { thinker } from "./thinker.ts";

Deno.test("model import: makes a folder once, and says in one line what is wrong", () =>
  inFolder(async (dir) => {
    Deno.writeFileSync(`${dir}/m.gguf`, ggufBytes(smallFile(new Rand(1))));
    const made = await thinker(["model", "import", `${dir}/m.gguf`, `${dir}/model`]);
    assertEquals(made.code, 0, made.stderr);
    assertMatch(made.stdout, /model: LlamaForCausalLM, 46,624 parameters\n/);
    assertMatch(made.stdout, /tensors of the file: .*15 Q4_1/);
    const again = await thinker(["model", "import", `${dir}/m.gguf`, `${dir}/model`]);
    assertEquals([again.code, again.stdout], [1, ""]);
    assertMatch(again.stderr, /^error: .*model is not empty\nhint: name a new folder\n$/);
    Deno.writeTextFileSync(`${dir}/bad.gguf`, "GGML, not GGUF");
    const bad = await thinker(["model", "import", `${dir}/bad.gguf`, `${dir}/other`]);
    assertEquals(bad.code, 1);
    assertMatch(
      bad.stderr,
      /^error: .*bad\.gguf: begins with "GGML" instead of "GGUF"\nhint: .*\n$/,
    );
  }));
