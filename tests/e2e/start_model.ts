/** A model to start a run from that says another end of a turn, and other turns, than training has. */
import { cp } from "node:fs/promises";
import { train } from "../../src/train/train.ts";
import { type Changes, smallConfig } from "./small.ts";

const endOfText = "<|endoftext|>", endOfTextId = 291;

/** Other words than any built-in set, and a system turn. */
export const prompts = {
  system: 'Be brief: "x".',
  fast: "{question} fast",
  verify: "check it",
  slow: "think",
  summary: "brief",
  answer: "{question}",
};

/**
 * Warm-starts a small model in `dir/warm` and gives it the files of a base model in `dir/start`: it ends with
 * `<|endoftext|>`, draws tokens greedily and forty at most, and its chat template has a system turn.
 */
export async function makeStartModel(dir: string): Promise<string> {
  const warmstart = { steps: 150, lr: 8e-3 }, start = `${dir}/start`;
  await Deno.writeTextFile(`${dir}/prompts.json`, JSON.stringify(prompts));
  const config = smallConfig({
    steps: 1,
    evalProblems: 1,
    warmstart,
    prompts: `${dir}/prompts.json`,
  });
  await train(config, { out: `${dir}/warm` });
  await Deno.mkdir(start);
  for (
    const name of ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
  ) {
    await cp(`${dir}/warm/checkpoints/step-0/${name}`, `${start}/${name}`);
  }
  const change = async (name: string, fields: object) => {
    const path = `${start}/${name}`;
    const before = JSON.parse(await Deno.readTextFile(path).catch(() => "{}"));
    await Deno.writeTextFile(path, JSON.stringify({ ...before, ...fields }));
  };
  await change("config.json", { eos_token_id: endOfTextId });
  await change("generation_config.json", {
    bos_token_id: endOfTextId,
    eos_token_id: endOfTextId,
    max_new_tokens: 40,
    do_sample: false,
  });
  await change("tokenizer_config.json", { eos_token: endOfText });
  const system = "{{ '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}";
  await Deno.writeTextFile(`${start}/chat_template.jinja`, `${system}{{ messages[0].content }}`);
  return start;
}

/** Trains one step from it in `dir/run`, in the words of {@linkcode prompts}; returns the checkpoint. */
export async function trainFrom(
  dir: string,
  model: string,
  changes: Changes = {},
): Promise<string> {
  const steps = { steps: 1, evalProblems: 2 };
  const config = smallConfig({ ...steps, model, prompts: `${dir}/prompts.json`, ...changes });
  await train(config, { out: `${dir}/run` });
  return `${dir}/run/checkpoints/step-1`;
}
