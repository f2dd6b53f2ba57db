/**
 * `report.md` and `report.html` of an evaluation: our rows beside the paper's, charts, and dialogues.
 *
 * @module
 */
import { benchmarks, titleOf } from "./benchmarks.ts";
import {
  type Block,
  heading,
  histogram,
  type Point,
  scatterChart,
  toHtml,
  toMarkdown,
} from "../report/mod.ts";
import { writeAtomic } from "../base/mod.ts";
import { judgedTurn } from "../task/mod.ts";
import type { EvalFolder } from "./config.ts";
import { chooseDialogues } from "./dialogues.ts";
import type { EvalResults, EvalSet, KnownAnswers, TaskWords } from "./types.ts";
import {
  modelName,
  paperRows,
  reflectionTable,
  type ResultRow,
  resultRows,
  resultTable,
  samplingTable,
  stageSections,
} from "./tables.ts";

/** What a report needs besides the results. */
export interface EvalReportOptions {
  readonly sets: readonly EvalSet[];
  readonly known: KnownAnswers;
  /** Finished evaluations to show beside this one. */
  readonly compare: readonly EvalResults[];
  /** A line where the model is asked in another way than it was trained. */
  readonly other?: string;
}

/**
 * Writes both reports.
 *
 * @returns What they begin with, in Markdown: the method, the results, and what to know of them.
 */
export async function writeEvalReport(
  folder: EvalFolder,
  results: EvalResults,
  options: EvalReportOptions,
): Promise<string> {
  const { sets } = results;
  const ours = [results, ...options.compare].flatMap(resultRows);
  const paper = paperRows(ours);
  const title = titleOfReport(results);
  const dialogues = await chooseDialogues(folder.answers, options);
  const scatter = scatterChart(
    {
      title: "Accuracy against tokens",
      xTitle: "mean tokens per answer",
      yTitle: "accuracy",
    },
    [...ours, ...paper].flatMap(pointsOf),
  );
  const opening: Block[] = [
    { kind: "text", text: methodText(results) },
    heading("Results"),
    resultTable(ours, paper),
    { kind: "notes", items: notesOf(results, options) },
  ];
  const blocks: Block[] = [
    ...opening,
    ...(scatter ? [{ kind: "charts" as const, charts: [scatter] }] : []),
    heading("Sampling"),
    samplingTable(sets),
    ...stageSections(results),
    heading("Reflection"),
    {
      kind: "text",
      text: "Mean occurrences per response of phrases that reconsider, over all sets.",
    },
    reflectionTable(results),
    heading("Lengths"),
    {
      kind: "text",
      text:
        "Of the responses of all sets, by stage; a verdict is right if it fits the answer it is about.",
    },
    { kind: "charts", charts: lengthCharts(options.known, results.task.stages) },
    ...(dialogues.length > 0
      ? [heading("Dialogues"), { kind: "text" as const, text: dialogueText }, {
        kind: "dialogues" as const,
        dialogues,
      }]
      : []),
  ];
  await writeAtomic(folder.report, toMarkdown(title, blocks));
  await writeAtomic(folder.page, toHtml(title, blocks));
  return toMarkdown(title, opening);
}

function titleOfReport({ config, task }: EvalResults): string {
  return `Evaluation of ${modelName(config.method.model)}, ${task.title}`;
}

const dialogueText =
  "A few of each set, one of every course that dialogues took, where there are as many.";

function pointsOf(row: ResultRow): Point[] {
  const name = row.name.replace(/ \(.*$/, "");
  return [...row.tokens].flatMap(([set, tokens]): Point[] => {
    const estimate = row.accuracy.get(set);
    if (!estimate) return [];
    const { mean: y, standardError } = estimate;
    const error = standardError ?? undefined;
    return [{ name, label: titleOf(set), x: tokens, y, error, hollow: row.paper !== undefined }];
  });
}

/** Lengths of every stage's responses over all sets, right and wrong ones apart. */
function lengthCharts(known: KnownAnswers, stages: TaskWords["stages"]) {
  const all = [...known.values()].flatMap((answers) => [...answers.values()].flat());
  return stages.map(({ name, judges }) => {
    const right: number[] = [], wrong: number[] = [];
    for (const { turns } of all) {
      for (const [i, turn] of turns.entries()) {
        if (turn.stage !== name) continue;
        const isRight = judges
          ? turn.verdict === (judgedTurn(turns, i, judges)?.correct === true ? "yes" : "no")
          : turn.correct === true;
        (isRight ? right : wrong).push(turn.tokens);
      }
    }
    return histogram(
      { title: `Length of ${name} responses`, xTitle: "tokens", yTitle: "responses" },
      [{ name: "right", values: right }, { name: "wrong", values: wrong }],
    );
  }).filter((chart) => chart !== null);
}

function methodText({ config: { method, extent }, task: { stages } }: EvalResults): string {
  const { budgets, sampling } = method;
  const played = stages.filter(({ name }) => name in budgets);
  const budget = played.length === 1
    ? `${budgets[played[0].name]} tokens`
    : played.map(({ name, title }) => `${budgets[name]} tokens for ${title}`).join(", ");
  const truncation = [
    ...(sampling.topP < 1 ? [`top-p ${sampling.topP}`] : []),
    ...(sampling.topK > 0 ? [`top-k ${sampling.topK}`] : []),
  ];
  const limit = extent.limit === null ? "" : `, the first ${extent.limit} problems of each set`;
  return `Model \`${method.model}\`, weights ${method.fingerprint}. ${extent.samples} ` +
    `${extent.samples === 1 ? "sample" : "samples"} of each problem${limit}, temperature ` +
    `${sampling.temperature}${
      truncation.map((text) => `, ${text}`).join("")
    }, seed ${method.seed}; ` +
    `budget: ${budget}.`;
}

function notesOf(
  { config, sets, skipped, task }: EvalResults,
  { sets: asked, other }: EvalReportOptions,
): string[] {
  const notes = [
    "Accuracy is pass@1, the mean over samples, ± its standard error over problems." +
    (task.firstTitle ? ` ${task.firstTitle} is the first stage of the same answers.` : "") +
    " Rows of the paper (Thinker, arXiv 2505.21097) are quoted, " +
    "not measured here; its models and budgets are others. Avg of 8: the plain mean over the " +
    "paper's eight sets.",
  ];
  if (other !== undefined) notes.push(`${other[0].toUpperCase()}${other.slice(1)}.`);
  const shortened = benchmarks.filter(({ name, size }) =>
    sets.some((set) => set.set === name && set.problems < size)
  );
  if (shortened.length > 0) {
    notes.push(
      `Only a part was asked of ${
        shortened.map(({ title }) => title).join(", ")
      }: figures do not ` +
        "compare with those of whole sets.",
    );
  }
  if (skipped > 0) {
    const by = asked.filter((set) => set.skipped > 0)
      .map((set) => `${set.skipped} of ${titleOf(set.name)}`);
    notes.push(
      `Left out, because with all budgets they are longer than the model allows: ${
        by.join(", ")
      }. ` +
        "Such problems count neither as right nor as wrong.",
    );
  }
  if (config.extent.samples === 1) {
    notes.push("With one sample of each problem, pass@1 and the majority are the same.");
  }
  return notes;
}
