/**
 * `thinker train`.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import * as z from "npm:zod@4.6.7";
import { estimators } from "../src/ppo/mod.ts";
import { deviceSchema, presetNames, presets, type TrainConfig } from "../src/setup/mod.ts";
import { RunFolder, train } from "../src/train/mod.ts";
import { interruptible } from "./interrupt.ts";
import { checkMayWrite } from "./may_write.ts";
import { checkOptions, taskNames } from "./options.ts";
import { print } from "./output.ts";
import { Progress } from "./progress.ts";
import { layConfig } from "./settings.ts";

const count = z.int().positive();
const optionsSchema = z.object({
  preset: z.enum(presetNames),
  config: z.string().optional(),
  model: z.string().optional(),
  data: z.string().optional(),
  question: z.string().optional(),
  answer: z.string().optional(),
  id: z.string().optional(),
  stripInstructions: z.boolean().optional(),
  task: z.enum(taskNames).optional(),
  estimator: z.enum(estimators).optional(),
  device: z.optional(deviceSchema),
  steps: count.optional(),
  tokens: count.optional(),
  keep: count.optional(),
  seed: z.int().nonnegative().optional(),
  set: z.array(z.string()).default([]),
  out: z.string().optional(),
  resume: z.boolean().default(false),
});

/** The command. */
export function trainCommand() {
  return new Command()
    .description("Train a model: supervised warm start, PPO, evaluation, report.")
    .option("--preset <name:string>", `Complete set of settings: ${presetNames.join(", ")}.`, {
      default: "tiny",
    })
    .option("--config <file:string>", "JSON file whose settings replace the preset's.")
    .option("--model <dir:string>", "Model folder to start from (default: a small one made here).")
    .option(
      "--data <file:string>",
      "Problems: JSONL, JSON, CSV, parquet, Arrow (see `data check`).",
    )
    .option("--question <key:string>", "Column of the question, where it has an unusual name.")
    .option("--answer <key:string>", "Column of the gold answer, the same.")
    .option("--id <key:string>", "Column of the id, the same.")
    .option("--strip-instructions", "Cut known instructions on how to answer out of questions.")
    .option("--task <name:string>", `How questions are asked: ${taskNames.join(", ")}.`)
    .option("--estimator <name:string>", `${estimators.join(", ")}; only gae has a critic.`)
    .option("--device <name:string>", "auto, cpu, cuda, or cuda:1 for the second GPU.")
    .option("--steps <n:integer>", "PPO steps.")
    .option("--tokens <n:integer>", "Stop after n action tokens in the policy loss.")
    .option(
      "--keep <n:integer>",
      "Newest checkpoints that stay; older ones go (default: all stay).",
    )
    .option("--seed <n:integer>", "Seed of everything random.")
    .option("--set <key=value:string>", "Any setting of config.json, by its dotted path.", {
      collect: true,
    })
    .option("--out <dir:string>", "Run folder (default: runs/<preset>-<task>-seed<seed>).")
    .option("--resume", "Go on from the latest checkpoint of the run in --out.")
    .example("learn sums on a laptop", "thinker train")
    .example("the plain baseline, same tokens", "thinker train --task baseline --tokens 500000")
    .example("real questions", "thinker train --data gsm8k.jsonl --steps 3")
    .example("any setting", "thinker train --set ppo.clipHigh=0.28 --set budgets.slow=64")
    .action(async (options: Record<string, unknown>) => {
      const run = await resolve(options);
      await interruptible((signal) => show(run, signal));
    });
}

/** A run that is asked for. */
interface Run {
  readonly config: TrainConfig;
  readonly out?: string;
  readonly resume: boolean;
}

/** The preset (on resume: the run's own settings), then the file, then the options. */
async function resolve(raw: Record<string, unknown>): Promise<Run> {
  const { preset, config: file, out, resume, estimator, set, question, answer, id, ...options } =
    checkOptions(optionsSchema, raw);
  const start = resume && out ? await RunFolder.savedConfig(out) : presets[preset];
  const config = layConfig(start, file, {
    ...options,
    columns: { question, answer, id },
    ppo: { estimator },
  }, set);
  await checkMayWrite("--out", out ?? "runs");
  return { config, out, resume };
}

async function show({ config, out, resume }: Run, signal: AbortSignal): Promise<void> {
  using progress = new Progress();
  const { summary, out: folder } = await train(config, {
    out,
    resume,
    signal,
    onPhase: (name, total, from) => progress.phase(name, total, from),
    onStep: (step, values) => progress.update({ step, values }),
    onNote: (text) => progress.note(text),
  });
  progress.end();
  print(summary);
  print(`run folder: ${folder} (report.html, report.md, metrics.jsonl, checkpoints/)`);
}
