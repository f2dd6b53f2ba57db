/** Checkpoints as others take them: which files they load, where generation ends, how turns are written. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { cp } from "node:fs/promises";
import { UserError } from "../../src/base/mod.ts";
import { ChatTemplate, loadModel, openSafetensors, parameterLayout } from "../../src/model/mod.ts";
import { howToAsk, solve } from "../../src/rollout/mod.ts";
import { Task, turnEnds } from "../../src/task/mod.ts";
import { heldOut } from "../../src/tiny/mod.ts";
import { type EpisodeSample, train } from "../../src/train/mod.ts";
import { readJsonl } from "../../src/base/mod.ts";
import { smallConfig, TempDir } from "./small.ts";
import { makeStartModel, prompts, trainFrom } from "./start_model.ts";

const json = async (path: string) => JSON.parse(await Deno.readTextFile(path));

Deno.test("checkpoint: of a base model, it ends turns and writes them as training did", async (t) => {
  await using place = await TempDir.make();
  const { path } = place, checkpoint = await trainFrom(path, await makeStartModel(path));
  const question = "47+85=";

  await t.step("every file names the end of a turn that training had", async () => {
    assertEquals((await json(`${checkpoint}/config.json`)).eos_token_id, [293, 291]);
    assertEquals(await json(`${checkpoint}/generation_config.json`), {
      eos_token_id: [293, 291],
      pad_token_id: 291,
      do_sample: true,
      temperature: 1,
      top_p: 1,
      top_k: 320,
    });
    assertEquals((await json(`${checkpoint}/tokenizer_config.json`)).eos_token, "<|im_end|>");
  });

  await t.step("its chat template writes the first prompt token for token", async () => {
    using model = await loadModel(checkpoint);
    const template = await ChatTemplate.load(checkpoint), { tokenizer: codec, decoder } = model;
    const stop = turnEnds(codec, decoder.config.eos), { task: spec } = howToAsk(model.trained);
    const task = new Task(spec, { codec, stop, ...model.trained });
    const episode = task.episode({ id: 0n, problem: { id: "q", question }, mode: "inference" });
    episode.start();
    const messages = [{ role: "user", content: prompts.fast.replace("{question}", question) }];
    assertEquals(template!.encode(codec, messages), [...episode.ids]);
    const [{ turns: [first], question: asked }] = await readJsonl<EpisodeSample>(
      `${path}/run/episodes.jsonl`,
    );
    const content = prompts.fast.replace("{question}", asked);
    assertEquals(template!.render([{ role: "user", content }]), first.prompt);
  });

  await t.step("a copy elsewhere is asked in training's words, the run gone", async () => {
    const copy = `${path}/copy`;
    await cp(checkpoint, copy, { recursive: true });
    const said = async (dir: string) => {
      using model = await loadModel(dir);
      const { episode } = await solve(model, question);
      return episode.ids;
    };
    const there = await said(checkpoint);
    await Deno.rename(`${path}/run`, `${path}/gone`);
    await Deno.rename(`${path}/prompts.json`, `${path}/gone.json`);
    assertEquals(await said(copy), there);
    await Deno.rename(`${path}/gone`, `${path}/run`);
    await Deno.rename(`${path}/gone.json`, `${path}/prompts.json`);
  });

  await t.step("a run whose prompts have changed does not go on", async () => {
    const changed = { ...prompts, verify: "check it now" };
    const config = smallConfig({
      steps: 2,
      evalProblems: 2,
      model: `${path}/start`,
      prompts: `${path}/prompts.json`,
    });
    const resume = () => train(config, { out: `${path}/run`, resume: true });
    await Deno.writeTextFile(`${path}/prompts.json`, JSON.stringify(changed));
    await assertRejects(
      resume,
      UserError,
      `${path}/prompts.json is another file than the run was begun with (SHA-256 `,
    );
    await Deno.writeTextFile(`${path}/prompts.json`, JSON.stringify(prompts));
    await resume();
  });
});

Deno.test("checkpoint: the documented call solves what the same model solves when told how", async () => {
  await using place = await TempDir.make();
  const out = `${place.path}/run`, warmstart = { steps: 300, lr: 8e-3, batch: 16 };
  await train(smallConfig({ steps: 1, evalProblems: 1, warmstart }), { out });
  using model = await loadModel(`${out}/checkpoints/step-1`);
  assert(model.trained !== undefined);
  const { prompts, budgets } = model.trained;
  for (const { question } of heldOut(10, 0)) {
    const { final, episode } = await solve(model, question);
    const { episode: told } = await solve(model, question, { prompts, budgets });
    assertEquals(episode.ids, told.ids);
    assert(final?.answer !== undefined, "words that it was not trained with get no box");
  }
});

Deno.test("checkpoint: one of an older layout is not resumed, and its run stays as it is", async () => {
  await using place = await TempDir.make();
  const out = `${place.path}/run`, config = smallConfig({ steps: 1, evalProblems: 2 });
  await train(config, { out });
  const checkpoint = `${out}/checkpoints/step-1`, log = `${out}/metrics.jsonl`;
  await Deno.rename(`${checkpoint}/trainer/state.json`, `${checkpoint}/state.json`);
  await Deno.writeTextFile(log, '{"step":2}\n', { append: true });
  const before = await Deno.readTextFile(log);
  const resume = () => train(config, { out, resume: true });
  const { hint } = await assertRejects(resume, UserError, "written by an older version");
  assertStringIncludes(hint!, `--model ${checkpoint}`);
  await Deno.remove(`${out}/checkpoints/step-0`, { recursive: true });
  await Deno.remove(`${checkpoint}/state.json`);
  await assertRejects(resume, UserError, "step-1 is damaged (trainer/state.json)");
  assertEquals(await Deno.readTextFile(log), before);
});

/** Which of a folder's names a program takes as weights. */
interface Loader {
  readonly program: string;
  readonly takes: (names: readonly string[]) => string[];
}

/** The names that the first pattern matches which matches any. */
const firstOf = (...patterns: RegExp[]) => (names: readonly string[]) =>
  patterns.map((pattern) => names.filter((name) => pattern.test(name)))
    .find((found) => found.length > 0) ?? [];

/**
 * As the programs' sources have it, without an index file; none of them looks into a folder below, and none
 * of them is run here.
 */
const loaders: readonly Loader[] = [
  // src/transformers/modeling_utils.py
  { program: "transformers", takes: firstOf(/^model\.safetensors$/, /^pytorch_model\.bin$/) },
  // vllm/model_executor/model_loader/default_loader.py: consolidated files make it a Mistral folder.
  {
    program: "vLLM",
    takes: firstOf(/^consolidated.*\.safetensors$/, /\.safetensors$/, /\.bin$/, /\.pt$/),
  },
  // python/sglang/srt/model_loader/loader.py
  { program: "SGLang", takes: firstOf(/\.safetensors$/, /\.bin$/, /\.pt$/) },
  // python/minisgl/models/weight.py
  { program: "mini-sglang", takes: firstOf(/\.safetensors$/) },
  // conversion/base.py
  {
    program: "llama.cpp's converter",
    takes: firstOf(/^model.*\.safetensors$/, /^pytorch_model.*\.bin$/),
  },
];

Deno.test("checkpoint: programs that take every weight file of a folder find the policy alone", async () => {
  await using place = await TempDir.make();
  const out = `${place.path}/run`;
  await train(smallConfig({ steps: 1, evalProblems: 1 }), { out });
  const checkpoint = `${out}/checkpoints/step-1`;
  const names = [...Deno.readDirSync(checkpoint)].map(({ name }) => name);
  for (const { program, takes } of loaders) {
    assertEquals(takes(names), ["model.safetensors"], program);
  }
  // The rules can fail: so they found an optimizer beside the weights.
  const [, vllm] = loaders;
  assertEquals(vllm.takes([...names, "optimizer.safetensors"]).length, 2);
  using weights = openSafetensors(`${checkpoint}/model.safetensors`);
  using model = await loadModel(checkpoint);
  assertEquals(
    [...weights.names()].sort(),
    [...parameterLayout(model.decoder.config, "lm").slots.keys()].sort(),
  );
});
