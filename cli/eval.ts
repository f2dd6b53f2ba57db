/**
 * `thinker eval`.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import * as z from "npm:zod@4.6.7";
import { join } from "node:path";
import { precisions } from "../ffi/mod.ts";
import { UserError } from "../src/base/mod.ts";
import {
  benchmarks,
  type EvalConfig,
  modelName,
  runEvaluation,
  weightsFingerprint,
} from "../src/eval/mod.ts";
import { deviceSchema } from "../src/setup/mod.ts";
import { latestCheckpoint } from "../src/train/mod.ts";
import type { TaskSpec } from "../src/task/mod.ts";
import { askedAs } from "./ask.ts";
import { interruptible } from "./interrupt.ts";
import { checkMayWrite } from "./may_write.ts";
import { checkOptions, taskNames } from "./options.ts";
import { print } from "./output.ts";
import { linesEvery, Progress } from "./progress.ts";

const count = z.int().positive();
const optionsSchema = z.object({
  model: z.string().optional(),
  bench: z.string(),
  task: z.enum(taskNames).optional(),
  samples: count.max(100_000),
  temperature: z.number().nonnegative(),
  topP: z.number().positive().max(1),
  topK: z.int().nonnegative(),
  budget: z.string().optional(),
  complete: z.boolean().default(false),
  prompts: z.string().optional(),
  limit: count.optional(),
  data: z.string(),
  out: z.string().optional(),
  compare: z.string().optional(),
  parallel: count.max(100_000),
  seed: z.int().nonnegative(),
  device: deviceSchema,
  weightDtype: z.enum(precisions).optional(),
  json: z.boolean().default(false),
});

/** The command. */
export function evalCommand() {
  const names = benchmarks.map(({ name }) => name).join(",");
  return new Command()
    .description(
      "Measure a model on benchmarks. Called again with the same options, it asks only what is " +
        "still missing.",
    )
    .option("--model <dir:string>", "Model folder (default: the newest checkpoint under runs/).")
    .option("--bench <sets:string>", "Benchmarks, or sets of your own in the data folder.", {
      default: names,
    })
    .option("--task <name:string>", "How questions are asked (default: as the model was trained).")
    .option("--samples <n:integer>", "Samples of each problem.", { default: 16 })
    .option("--temperature <t:number>", "0 takes the most likely token.", { default: 1 })
    .option("--top-p <p:number>", "Sample from the likeliest tokens of this mass.", { default: 1 })
    .option("--top-k <k:integer>", "Sample from the k likeliest tokens; 0: all.", { default: 0 })
    .option(
      "--budget <tokens:string>",
      "Most tokens of each stage, in order, by commas (default: as trained).",
    )
    .option("--complete", "Play stages that change no score, too: Thinker's summaries.")
    .option("--prompts <set:string>", "Stage prompts: default, tiny, or a JSON file.")
    .option("--limit <n:integer>", "Only the first n problems of each set.")
    .option("--data <dir:string>", "Folder of <set>.jsonl files.", { default: "data/eval" })
    .option("--out <dir:string>", "Folder for the results (default: runs/eval-<model>-<task>).")
    .option("--compare <dirs:string>", "Other evaluations to show in the report, by commas.")
    .option("--parallel <n:integer>", "Sequences that decode at a time.", { default: 64 })
    .option("--seed <n:integer>", "Seed of the sampler.", { default: 1 })
    .option("--device <name:string>", "auto, cpu, cuda, or cuda:1 for the second GPU.", {
      default: "auto",
    })
    .option(
      "--weight-dtype <dtype:string>",
      "What products read: f32 or bf16 (default: as trained).",
    )
    .option("--json", "Print the scores as JSON.")
    .example("a look in minutes", "thinker eval --bench math500,aime24 --limit 20 --samples 1")
    .example("the paper's table", "thinker eval --model models/mine --samples 16")
    .example("the plain question", "thinker eval --task baseline --budget 8000")
    .action(async (options: Record<string, unknown>) => {
      await interruptible((signal) => show(options, signal));
    });
}

async function show(raw: Record<string, unknown>, signal: AbortSignal): Promise<void> {
  const options = checkOptions(optionsSchema, raw);
  const model = options.model ?? await latestCheckpoint("runs");
  const config = resolve(model, options);
  const out = options.out ?? join("runs", `eval-${modelName(model, "-")}-${config.method.task}`);
  await checkMayWrite("--out", out);
  using progress = new Progress();
  let shownAt = 0, lines = 1, last = 0;
  const { results, summary } = await runEvaluation(config, {
    out,
    parallel: options.parallel,
    compare: list(options.compare ?? ""),
    signal,
    onPhase: (name, total, from) => {
      progress.phase(name, total, from);
      lines = linesEvery({ total, from });
      last = total;
    },
    onStep: (step, values) => {
      // Thousands of answers a second are more than a terminal shows.
      if (step % lines !== 0 && step !== last && Date.now() - shownAt < 1000) return;
      shownAt = Date.now();
      progress.update({ step, values });
    },
    onNote: (text) => progress.note(text),
  });
  progress.end();
  if (options.json) {
    print(JSON.stringify(results, null, 2));
    return;
  }
  print(summary);
  print(`results: ${out} (report.html, report.md, results.json, answers.jsonl)`);
}

type Options = z.output<typeof optionsSchema>;

/** The evaluation that the options ask for; what they leave open of the task is as the model was trained. */
function resolve(model: string, options: Options): EvalConfig {
  const { samples, seed, temperature, topP, topK, device } = options;
  const sets = [...new Set(list(options.bench))];
  if (sets.length === 0) throw new UserError("--bench names no set");
  const { task, prompts, budgets } = askedAs(model, options);
  return {
    method: {
      model,
      fingerprint: weightsFingerprint(model),
      task: task.name,
      budgets: { ...budgets, ...budgetsOf(options.budget, task) },
      complete: options.complete,
      prompts,
      sampling: { temperature, topP, topK },
      seed,
      device,
      weightDtype: options.weightDtype ?? null,
    },
    extent: { sets, data: options.data, samples, limit: options.limit ?? null },
  };
}

/** The stages that a budget's numbers stand for, in order; those that change no answer may be left out. */
function budgetsOf(text: string | undefined, { name, stages }: TaskSpec): Record<string, number> {
  if (text === undefined) return {};
  const numbers = text.split(",").map((part) => part.trim() === "" ? NaN : Number(part));
  const least = stages.filter(({ extra }) => !extra).length;
  const fits = numbers.length >= least && numbers.length <= stages.length;
  if (!fits || !numbers.every((number) => Number.isSafeInteger(number) && number > 0)) {
    throw new UserError(`--budget: "${text}" does not fit --task ${name}`, {
      hint: `give whole numbers of tokens for ${stages.map((stage) => stage.name).join(", ")}: ` +
        `--budget ${stages.map(({ budget }) => budget).join(",")}`,
    });
  }
  return Object.fromEntries(numbers.map((number, i) => [stages[i].name, number]));
}

function list(text: string): string[] {
  return text.split(",").map((part) => part.trim()).filter((part) => part !== "");
}
