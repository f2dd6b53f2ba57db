/**
 * `thinker data check`.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import { dirname } from "node:path";
import * as z from "npm:zod@4.6.7";
import { exists, UserError, writeAtomic } from "../src/base/mod.ts";
import {
  checkUsable,
  type Kind,
  type Loaded,
  type Problem,
  readProblems,
  skippedKinds,
} from "../src/data/mod.ts";
import { findTask, openPrompts } from "../src/setup/mod.ts";
import { builtinTasks } from "../src/task/mod.ts";
import { checkMayWrite } from "./may_write.ts";
import { checkOptions, taskNames } from "./options.ts";
import { print } from "./output.ts";

const optionsSchema = z.object({
  question: z.string().optional(),
  answer: z.string().optional(),
  id: z.string().optional(),
  stripInstructions: z.boolean().default(false),
  task: z.enum(taskNames),
  prompts: z.string(),
  rows: z.int().nonnegative(),
  write: z.string().optional(),
  json: z.boolean().default(false),
});

/** The command. */
export function dataCheckCommand() {
  return new Command()
    .description(
      "Tell how a data file is read: its rows as they will be asked, what is left out and why.",
    )
    .arguments("<file:string>")
    .option("--question <key:string>", "Column of the question (default: by its usual names).")
    .option("--answer <key:string>", "Column of the gold answer (default: by its usual names).")
    .option("--id <key:string>", "Column of the id (default: by its usual names).")
    .option("--strip-instructions", "Cut known instructions on how to answer out of questions.")
    .option("--task <name:string>", `How questions are asked: ${taskNames.join(", ")}.`, {
      default: "thinker",
    })
    .option("--prompts <set:string>", "Stage prompts: default, tiny, or a JSON file.", {
      default: "default",
    })
    .option("--rows <n:integer>", "Rows to show.", { default: 10 })
    .option(
      "--write <file:string>",
      "Write the problems to a new file as JSONL, for `eval` and `train`.",
    )
    .option("--json", "Print everything as JSON.")
    .example("a downloaded set", "thinker data check train.parquet")
    .example("other column names", "thinker data check table.csv --question q --answer meta.gold")
    .example("a benchmark of your own", "thinker data check x.arrow --write data/eval/mine.jsonl")
    .action(async (options: Record<string, unknown>, file: string) => {
      await show(file, checkOptions(optionsSchema, options));
    });
}

async function show(file: string, options: z.output<typeof optionsSchema>): Promise<void> {
  const { question, answer, id, stripInstructions, task, prompts, rows, write, json } = options;
  // Before the work, and also where it is FILE itself: what is there may be all that there is of it.
  if (write !== undefined && await exists(write)) {
    throw new UserError(`--write: ${write} exists already`, {
      hint: "name a new file, or move that one away",
    });
  }
  if (write !== undefined) await checkMayWrite("--write", write);
  const spec = findTask(task, builtinTasks), [{ name, prompt }] = spec.stages;
  const template = openPrompts(prompts, [spec])[name] ?? prompt;
  const loaded = await readProblems(file, { columns: { question, answer, id }, stripInstructions });
  const shown = loaded.problems.slice(0, rows);
  const skipped = skippedKinds(file, loaded.skipped);
  if (json) {
    const { problems, columns, remarks, keys } = loaded;
    const counts = { problems: problems.length, leftOut: loaded.skipped.length };
    const asked = shown.map((each) => ({ ...each, asked: filled(template, each.question) }));
    const report = { file, ...counts, columns, keys, skipped, remarks, rows: asked };
    print(JSON.stringify(report, null, 2));
  } else {
    print(overview(file, loaded, skipped));
    if (shown.length > 0) print(`\nasked as (${task}, its first stage):\n${inset(template)}`);
    for (const each of shown) print(`\n${card(each)}`);
  }
  checkUsable(file, loaded);
  if (write === undefined) return;
  await Deno.mkdir(dirname(write), { recursive: true });
  await writeAtomic(write, loaded.problems.map((each) => JSON.stringify(each) + "\n").join(""));
  if (!json) print(`\n${write}: ${loaded.problems.length} rows written`);
}

/** The template with a question in it, as `task` fills it. */
function filled(template: string, question: string): string {
  return template.replace("{question}", () => question);
}

function overview(file: string, loaded: Loaded, skipped: readonly Kind[]): string {
  const { problems, columns, remarks, keys } = loaded, left = loaded.skipped.length;
  const from = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts).map(([key, count]) => `${key} (${count})`).join(", ") || "none";
  const kinds = (title: string, list: readonly Kind[]) =>
    list.length === 0 ? [] : ["", title, ...list.map(kindLine)];
  return [
    `${file}: ${problems.length} problems of ${problems.length + left} rows`,
    `questions from ${from(columns.question)}`,
    `answers from ${from(columns.answer)}`,
    ...(keys.length > 0 ? [`keys found: ${keys.join(", ")}`] : []),
    ...kinds("left out:", skipped),
    ...kinds("to know of the questions:", remarks),
  ].join("\n");
}

function kindLine({ what, count, first }: Kind): string {
  return `${String(count).padStart(7)}  ${what} (first: ${first})`;
}

function card({ id, question, answer, choices }: Problem): string {
  const letters = choices ? [`  options: ${Object.keys(choices).sort().join(", ")}`] : [];
  return [id, inset(question), `  gold: ${answer}`, ...letters].join("\n");
}

function inset(text: string): string {
  return text.split("\n").map((line) => `  | ${line}`).join("\n");
}
