/** Model folders as people have them: what cannot be right is one line before anything runs, in every command. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { TempDir } from "../e2e/small.ts";
import { element, type FolderOptions, writeModel } from "../model_files/model_folder.ts";
import { thinker } from "./thinker.ts";

/** ChatML's tokens, from an id on. */
const turns = (first: number) =>
  ["<|im_start|>", "<|im_end|>"].map((content, i) => ({ id: first + i, content, special: true }));

/** A folder that would run, with something changed. */
async function write(dir: string, changes: Partial<FolderOptions>): Promise<void> {
  const config = { max_position_embeddings: 4096, eos_token_id: 256, ...changes.config };
  await writeModel(dir, { rows: 300, tied: false, added: turns(257), ...changes, config });
}

/** Every folder, and the line that each command refuses it with; `info` shows it where it shows the rest. */
const refused: Record<string, { make: Partial<FolderOptions>; says: RegExp; shown: boolean }> = {
  nan: {
    make: { values: (name, i) => name.includes("up_proj") && i === 59 ? NaN : element(i) },
    says: /model\.layers\.0\.mlp\.up_proj\.weight\[7, 3\] is NaN/,
    shown: true,
  },
  "ids beyond the rows": {
    make: { added: turns(300) },
    says: /token "<\|im_start\|>" has id 300 and 1 more, but the embedding has only 300 rows/,
    shown: true,
  },
  "biases that the config lacks": {
    make: { config: { architectures: ["LlamaForCausalLM"], model_type: "llama" } },
    says:
      /config\.json has no use for tensor model\.layers\.0\.self_attn\.\w_proj\.bias and 2 more/,
    shown: true,
  },
  "head_dim 8": {
    make: { config: { head_dim: 8 } },
    says: /config\.json: head_dim 8 is not a multiple of 16 up to 256/,
    shown: false,
  },
};

for (const [name, { make, says, shown }] of Object.entries(refused)) {
  Deno.test(`cli: a folder with ${name} is refused in a line by every command`, async () => {
    await using temp = await TempDir.make();
    const dir = `${temp.path}/model`, run = `${temp.path}/run`;
    await Deno.mkdir(dir);
    await write(dir, make);
    const model = ["--model", dir];
    const outcomes = await Promise.all([
      thinker(["solve", ...model, "--device", "cpu", "1+1="]),
      thinker(["train", ...model, "--device", "cpu", "--steps", "1", "--out", run]),
      thinker(["plan", ...model, "--memory", "16GB"]),
      thinker(["model", "info", dir]),
    ]);
    for (const [i, { code, stdout, stderr }] of outcomes.entries()) {
      if (i === 3 && shown) {
        assertEquals([code, stderr], [0, ""]);
        assertMatch(
          stdout.split("\n").find((line) => line.startsWith("will not load: ")) ?? "",
          says,
        );
        continue;
      }
      assertEquals([code, stdout], [1, ""], stderr);
      assertMatch(stderr, /^error: .+\nhint: .+\n$/);
      assertMatch(stderr, says);
    }
    assertEquals([...Deno.readDirSync(temp.path)].map(({ name }) => name), ["model"]);
  });
}

Deno.test("cli: info and plan tell what is used, and what training will not like", async () => {
  await using temp = await TempDir.make();
  const dir = temp.path, chat_template = "{{ messages[0].content }}";
  const values: FolderOptions["values"] = (name, i) =>
    element(name === "lm_head.weight" ? i + 1 : i);
  const config = { tie_word_embeddings: true };
  await write(dir, { config, values, added: [], tokenizerConfig: { chat_template } });
  const { stdout } = await thinker(["model", "info", dir]);
  assertMatch(stdout, /\n {2}prefix +none\n {2}stop ids +<\|endoftext\|> 256; /);
  assertMatch(stdout, /\n {2}chat template +another than the ChatML turns that training uses\n/);
  assertMatch(stdout, /\nwarning: config.json ties the LM head .* has another: that one is used\n/);
  assertMatch(stdout, /\nwarning: training needs <\|im_start\|> and <\|im_end\|>/);
  await write(dir, { config, values, tokenizerConfig: { chat_template } });
  const plan = await thinker(["plan", "--model", dir, "--memory", "16GB"]);
  assertStringIncludes(plan.stdout, "\n\nwarning: config.json ties the LM head");
  assertStringIncludes(plan.stdout, "\nwarning: the chat template's turns are not");
  await Deno.remove(`${dir}/model.safetensors`);
  const bare = await thinker(["plan", "--model", dir, "--memory", "16GB"]);
  assertEquals(bare.code, 0, bare.stderr);
  assertStringIncludes(bare.stdout, `\n\nwarning: ${dir} holds no weights yet\n`);
  await Deno.writeTextFile(`${dir}/pytorch_model.bin`, "");
  for (const args of [["plan", "--memory", "16GB", "--model", dir], ["model", "info", dir]]) {
    const { code, stderr } = await thinker(args);
    assertEquals(code, 1);
    assertMatch(
      stderr,
      /^error: .* holds pytorch_model\.bin, but neither .*\nhint: .*save_pretrained.*\n$/,
    );
  }
});
