/**
 * `thinker solve`.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import * as z from "npm:zod@4.6.7";
import { solve } from "../src/rollout/mod.ts";
import { loadModel } from "../src/model/mod.ts";
import { precisions } from "../ffi/mod.ts";
import { deviceSchema } from "../src/setup/mod.ts";
import { latestCheckpoint } from "../src/train/mod.ts";
import { askedAs } from "./ask.ts";
import { interruptible } from "./interrupt.ts";
import { checkOptions, taskNames } from "./options.ts";
import { print, tell } from "./output.ts";

const optionsSchema = z.object({
  model: z.string().optional(),
  task: z.enum(taskNames).optional(),
  prompts: z.string().optional(),
  weightDtype: z.enum(precisions).optional(),
  temperature: z.number().nonnegative(),
  topP: z.number().positive().max(1),
  topK: z.int().nonnegative(),
  seed: z.int().nonnegative(),
  device: deviceSchema,
});

/** The command. */
export function solveCommand() {
  return new Command()
    .description("Ask a model one question and watch it think through the stages.")
    .arguments("<question:string>")
    .option("--model <dir:string>", "Model folder (default: the newest checkpoint under runs/).")
    .option("--task <name:string>", "How it is asked (default: as the model was trained).")
    .option("--prompts <set:string>", "Stage prompts: default, tiny, or a JSON file.")
    .option(
      "--weight-dtype <dtype:string>",
      "What products read: f32 or bf16 (default: as trained).",
    )
    .option("--temperature <t:number>", "0 takes the most likely token.", { default: 1 })
    .option("--top-p <p:number>", "Sample from the likeliest tokens of this mass.", { default: 1 })
    .option("--top-k <k:integer>", "Sample from the k likeliest tokens; 0: all.", { default: 0 })
    .option("--seed <n:integer>", "Seed of the sampler.", { default: 0 })
    .option("--device <name:string>", "auto, cpu, cuda, or cuda:1 for the second GPU.", {
      default: "auto",
    })
    .example("a trained tiny model", 'thinker solve "47+85="')
    .example("another checkpoint", 'thinker solve --model runs/mine/checkpoints/step-20 "9*83="')
    .action(async (options: Record<string, unknown>, question: string) => {
      await interruptible((signal) => show(options, question, signal));
    });
}

async function show(
  raw: Record<string, unknown>,
  question: string,
  signal: AbortSignal,
): Promise<void> {
  const { model: given, task: name, prompts, weightDtype, seed, device, ...sampling } =
    checkOptions(optionsSchema, raw);
  const dir = given ?? await latestCheckpoint("runs");
  const asking = askedAs(dir, { task: name, prompts }), { task } = asking;
  const titleOf = (stage: string) => task.stages.find(({ name }) => name === stage)!.title;
  using model = await loadModel(dir, {
    backend: device,
    weights: weightDtype,
    onBuild: tell,
    onNote: tell,
  });
  if (!given) print(`model: ${dir}`);
  print(`question: ${question}`);
  let open: number | undefined;
  const { final } = await solve(model, question, {
    ...asking,
    sampling,
    seed: BigInt(seed),
    signal,
    onNote: tell,
    onText: (stage, text, turn) => {
      if (turn !== open) print(`\n\n── ${titleOf(stage)} ──`);
      open = turn;
      print(text, "");
    },
  });
  const verdict = final?.answer === undefined
    ? "none"
    : `${final.answer} (${titleOf(final.stage)})`;
  print(`\n\nfinal answer: ${verdict}`);
}
