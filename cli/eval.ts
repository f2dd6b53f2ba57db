/**
 * `thinker eval`.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import * as z from "npm:zod@^4";
import { join } from "node:path";
import { UserError } from "../src/base/mod.ts";
import {
  benchmarks,
  type EvalConfig,
  EvalFolder,
  type EvalMode,
  modelName,
  runEvaluation,
  weightsFingerprint,
} from "../src/eval/mod.ts";
import { deviceSchema, openPrompts } from "../src/setup/mod.ts";
import { latestCheckpoint, runSettings } from "../src/train/mod.ts";
import { defaultBudgets, defaultPrompts } from "../src/task/mod.ts";
import { interruptible } from "./interrupt.ts";
import { checkOptions } from "./options.ts";
import { linesEvery, Progress } from "./progress.ts";

const count = z.int().positive();
const optionsSchema = z.object({
  model: z.string().optional(),
  bench: z.string(),
  mode: z.enum(["thinker", "fast", "baseline"]),
  samples: count,
  temperature: z.number().nonnegative(),
  topP: z.number().positive().max(1),
  topK: z.int().nonnegative(),
  budget: z.string().optional(),
  summary: z.boolean().default(false),
  prompts: z.string().optional(),
  limit: count.optional(),
  data: z.string(),
  out: z.string().optional(),
  compare: z.string().optional(),
  parallel: count,
  seed: z.int().nonnegative(),
  device: deviceSchema,
  weights: z.enum(["f32", "bf16"]).optional(),
  json: z.boolean().default(false),
});

/** The baseline's budget where the model's run says nothing: that of Open-Reasoner-Zero. */
const baselineBudget = 8000;

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
    .option("--mode <name:string>", "thinker, fast (first stage alone) or baseline.", {
      default: "thinker",
    })
    .option("--samples <n:integer>", "Samples of each problem.", { default: 16 })
    .option("--temperature <t:number>", "0 takes the most likely token.", { default: 1 })
    .option("--top-p <p:number>", "Sample from the likeliest tokens of this mass.", { default: 1 })
    .option("--top-k <k:integer>", "Sample from the k likeliest tokens; 0: all.", { default: 0 })
    .option(
      "--budget <tokens:string>",
      "FAST,VERIFY,SLOW[,SUMMARY]; one number for fast and baseline (default: as trained).",
    )
    .option("--summary", "Sum slow answers up, too; costs tokens, changes no score.")
    .option("--prompts <set:string>", "Stage prompts: default, tiny, or a JSON file.")
    .option("--limit <n:integer>", "Only the first n problems of each set.")
    .option("--data <dir:string>", "Folder of <set>.jsonl files.", { default: "data/eval" })
    .option("--out <dir:string>", "Folder for the results (default: runs/eval-<model>-<mode>).")
    .option("--compare <dirs:string>", "Other evaluations to show in the report, by commas.")
    .option("--parallel <n:integer>", "Sequences that decode at a time.", { default: 64 })
    .option("--seed <n:integer>", "Seed of the sampler.", { default: 1 })
    .option("--device <name:string>", "auto, cpu, cuda, or cuda:1 for the second GPU.", {
      default: "auto",
    })
    .option("--weights <dtype:string>", "What is computed with: f32 or bf16 (default: the run's).")
    .option("--json", "Print the scores as JSON.")
    .example("a look in minutes", "thinker eval --bench math500,aime24 --limit 20 --samples 1")
    .example("the paper's table", "thinker eval --model models/mine --samples 16")
    .example("the plain question", "thinker eval --mode baseline --budget 8000")
    .action(async (options: Record<string, unknown>) => {
      await interruptible((signal) => show(options, signal));
    });
}

async function show(raw: Record<string, unknown>, signal: AbortSignal): Promise<void> {
  const options = checkOptions(optionsSchema, raw);
  const model = options.model ?? await latestCheckpoint("runs");
  const config = resolve(model, options);
  const out = options.out ?? join("runs", `eval-${modelName(model, "-")}-${options.mode}`);
  using progress = new Progress();
  let shownAt = 0, lines = 1, last = 0;
  const results = await runEvaluation(config, {
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
    console.log(JSON.stringify(results, null, 2));
    return;
  }
  const folder = EvalFolder.at(out);
  console.log(summary(await Deno.readTextFile(folder.report)));
  console.log(`\nresults: ${out} (report.html, report.md, results.json, answers.jsonl)`);
}

type Options = z.output<typeof optionsSchema>;

/** The evaluation that the options ask for; prompts and budgets are those of the model's own run. */
function resolve(model: string, options: Options): EvalConfig {
  const { mode, samples, seed, summary, temperature, topP, topK, device } = options;
  const sets = [...new Set(list(options.bench))];
  if (sets.length === 0) throw new UserError("--bench names no set");
  const settings = runSettings(model);
  const budgets = settings?.budgets ?? { ...defaultBudgets, answer: baselineBudget };
  return {
    method: {
      model,
      weights: weightsFingerprint(model),
      mode,
      budgets: { ...budgets, ...budgetsOf(options.budget, mode) },
      summary,
      prompts: options.prompts ? openPrompts(options.prompts) : settings?.prompts ?? defaultPrompts,
      sampling: { temperature, topP, topK },
      seed,
      device,
      precision: options.weights ?? settings?.weights ?? null,
    },
    extent: { sets, data: options.data, samples, limit: options.limit ?? null },
  };
}

/** The stages that a budget's numbers stand for. */
function budgetsOf(text: string | undefined, mode: EvalMode): Record<string, number> {
  if (text === undefined) return {};
  const numbers = text.split(",").map((part) => part.trim() === "" ? NaN : Number(part));
  const stages = {
    thinker: ["fast", "verify", "slow", "summary"],
    fast: ["fast"],
    baseline: ["answer"],
  }[mode];
  const least = mode === "thinker" ? 3 : 1;
  const fits = numbers.length >= least && numbers.length <= stages.length;
  if (!fits || !numbers.every((number) => Number.isSafeInteger(number) && number > 0)) {
    throw new UserError(`--budget: "${text}" does not fit --mode ${mode}`, {
      hint: mode === "thinker"
        ? "give whole numbers of tokens for fast, verification, slow and, with --summary, summary: " +
          "--budget 1000,6000,6000,1000"
        : `give one whole number of tokens: --budget ${mode === "fast" ? 1000 : baselineBudget}`,
    });
  }
  return Object.fromEntries(numbers.map((number, i) => [stages[i], number]));
}

function list(text: string): string[] {
  return text.split(",").map((part) => part.trim()).filter((part) => part !== "");
}

/** The report up to its second heading: title, method and table of results. */
function summary(report: string): string {
  const second = report.indexOf("\n## ", report.indexOf("\n## ") + 1);
  return (second < 0 ? report : report.slice(0, second)).trim();
}
