/**
 * `thinker solve`.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import * as z from "npm:zod@^4";
import { solve } from "../src/rollout/mod.ts";
import { loadModel } from "../src/model/mod.ts";
import { deviceSchema, openPrompts } from "../src/setup/mod.ts";
import { latestCheckpoint, runSettings } from "../src/train/mod.ts";
import type { Stage } from "../src/task/mod.ts";
import { interruptible } from "./interrupt.ts";
import { checkOptions } from "./options.ts";

const optionsSchema = z.object({
  model: z.string().optional(),
  prompts: z.string().optional(),
  weights: z.enum(["f32", "bf16"]).optional(),
  temperature: z.number().nonnegative(),
  topP: z.number().positive().max(1),
  topK: z.int().nonnegative(),
  seed: z.int().nonnegative(),
  device: deviceSchema,
});

const titles: Record<Stage, string> = {
  fast: "Fast Thinking",
  verify: "Verification",
  slow: "Slow Thinking",
  summary: "Summarization",
  answer: "Answer",
};

/** The command. */
export function solveCommand() {
  return new Command()
    .description("Ask a model one question and watch it think through the stages.")
    .arguments("<question:string>")
    .option("--model <dir:string>", "Model folder (default: the newest checkpoint under runs/).")
    .option("--prompts <set:string>", "Stage prompts: default, tiny, or a JSON file.")
    .option("--weights <dtype:string>", "What is computed with: f32 or bf16 (default: the run's).")
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
  const { model: given, prompts, weights, seed, device, ...sampling } = checkOptions(
    optionsSchema,
    raw,
  );
  const dir = given ?? await latestCheckpoint("runs");
  const write = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(text));
  const tell = (text: string) => console.error(text);
  const { weights: trained, ...settings } = runSettings(dir) ?? {};
  using model = await loadModel(dir, {
    backend: device,
    weights: weights ?? trained,
    onBuild: tell,
    onNote: tell,
  });
  const chosen = prompts ? { ...settings, prompts: openPrompts(prompts) } : settings;
  if (!given) console.log(`model: ${dir}`);
  console.log(`question: ${question}`);
  let open: Stage | undefined;
  const { final } = await solve(model, question, {
    ...chosen,
    sampling,
    seed: BigInt(seed),
    signal,
    onText: (stage, text) => {
      if (stage !== open) write(`\n\n── ${titles[stage]} ──\n`);
      open = stage;
      write(text);
    },
  });
  const verdict = final?.answer === undefined ? "none" : `${final.answer} (${titles[final.stage]})`;
  console.log(`\n\nfinal answer: ${verdict}`);
}
