/**
 * Checkpoints in other programs' hands: transformers writes the prompt of training, and stops where training
 * stopped; llama.cpp's converter takes the folder, and what it makes of it comes back bit for bit.
 */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import {
  Decoder,
  importGguf,
  initialise,
  loadModel,
  loadModelConfig,
  saveDecoder,
} from "../../src/model/mod.ts";
import { Random } from "../../src/base/mod.ts";
import { howToAsk } from "../../src/rollout/mod.ts";
import { Task } from "../../src/task/mod.ts";
import { heldOut } from "../../src/tiny/mod.ts";
import { TempDir } from "../e2e/small.ts";
import { makeStartModel, prompts, trainFrom } from "../e2e/start_model.ts";
import { Lab } from "../native.ts";
import { continueGreedily } from "./greedy.ts";
import type { Python } from "./python.ts";
import { importSmollm2 } from "./smollm2.ts";

/** Tokens of a continuation, more than any turn of the small model takes. */
const tokens = 64;

/** Trains from a base model that ends otherwise; transformers must do with the checkpoint as we do. */
export async function checkCheckpoint(python: Python): Promise<void> {
  await using place = await TempDir.make();
  const dir = await trainFrom(place.path, await makeStartModel(place.path));
  using model = await loadModel(dir);
  const { decoder: { config: { eos } }, tokenizer: codec, trained } = model;
  const task = new Task(howToAsk(trained).task, { codec, stop: eos, ...trained });
  const questions = heldOut(20, 0).map(({ question }) => question);
  const ids = questions.map((question) => {
    const episode = task.episode({ id: 0n, problem: { id: "q", question }, mode: "inference" });
    episode.start();
    return [...episode.ids];
  });
  const continuations = await continueGreedily(model, ids, tokens);
  if (!continuations.some((each) => each.at(-1) === eos[0])) throw new Error("no turn has an end");
  const turns = questions.map((question, i) => ({
    content: prompts.fast.replace("{question}", question),
    ids: ids[i],
    continuation: continuations[i],
  }));
  const request = join(place.path, "request.json");
  await Deno.writeTextFile(request, JSON.stringify({ stop: eos, tokens, turns }));
  await python.script("checkpoint.py", dir, request);
}

/**
 * A small model with SmolLM2's tokenizer, which the converter knows (it refuses the toy's), and another end
 * than ChatML's: what the converter makes of its checkpoint must be the checkpoint.
 */
export async function checkConverter(python: Python): Promise<void> {
  await using place = await TempDir.make();
  const { path } = place, { dir: smollm2 } = await importSmollm2(python);
  const converter = await python.converter();
  const shape = { hidden: 32, ffn: 64, layers: 2, heads: 2, kvHeads: 1, headDim: 16 };
  const config = { ...loadModelConfig(smollm2), ...shape, eos: [0], dtype: "float32" as const };
  await Deno.mkdir(`${path}/start`);
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
    await cp(join(smollm2, name), `${path}/start/${name}`);
  }
  {
    using lab = await Lab.open();
    using decoder = new Decoder(lab.stream, config, { head: "lm", train: false });
    initialise(lab.stream, decoder, new Random(1));
    await saveDecoder(lab.stream, decoder, `${path}/start`);
  }
  const checkpoint = await trainFrom(path, `${path}/start`, { prompts: "tiny" });
  await python.script("convert.py", converter, checkpoint, `${path}/model.gguf`, "2");
  await importGguf(`${path}/model.gguf`, `${path}/back`);
  const [there, back] = await Promise.all(
    [checkpoint, `${path}/back`].map((dir) => Deno.readFile(`${dir}/model.safetensors`)),
  );
  if (there.length !== back.length || there.some((byte, i) => byte !== back[i])) {
    throw new Error("the converter's weights are not those of the checkpoint");
  }
}
