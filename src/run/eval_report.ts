/**
 * `report.md` and `report.html` of an evaluation: our rows beside the paper's, charts, and dialogues.
 *
 * @module
 */
import { join } from "node:path";
import type { Problem } from "../data/mod.ts";
import { UserError } from "../errors.ts";
import {
  type Answer,
  type AnswerFacts,
  averageOf,
  benchmarks,
  type Estimate,
  paperLengths,
  paperResults,
  reflectionWords,
  type SetScores,
  titleOf,
} from "../eval/mod.ts";
import { readJson } from "../model/json_file.ts";
import {
  type Block,
  type Dialogue,
  histogram,
  type Point,
  scatterChart,
  toHtml,
  toMarkdown,
} from "../report/mod.ts";
import { type Stage, verifyReward } from "../task/mod.ts";
import { readAnswers } from "./answer_log.ts";
import { writeAtomic } from "../atomic.ts";
import { type EvalConfig, EvalFolder } from "./eval_config.ts";
import type { EvalResults, EvalSet, KnownAnswers } from "./eval_run.ts";

/** What a report needs besides the results. */
export interface EvalReportOptions {
  readonly sets: readonly EvalSet[];
  readonly known: KnownAnswers;
  /** Folders of finished evaluations to show beside this one. */
  readonly compare: readonly string[];
}

/** Dialogues that are shown of each set. */
const dialoguesPerSet = 8;

const stages: readonly Stage[] = ["fast", "verify", "slow", "summary", "answer"];

/** A row of the table of results. */
interface ResultRow {
  readonly name: string;
  /** Accuracy as a share, by set. */
  readonly accuracy: ReadonlyMap<string, Estimate>;
  /** Mean tokens by set. */
  readonly tokens: ReadonlyMap<string, number>;
  /** From the paper. */
  readonly paper?: { readonly model: string; readonly average: number };
}

/**
 * Writes both reports.
 *
 * @throws {UserError} when a folder to compare with holds no finished evaluation.
 */
export async function writeEvalReport(
  folder: EvalFolder,
  results: EvalResults,
  options: EvalReportOptions,
): Promise<void> {
  const { config, sets } = results;
  const others = options.compare.map(readResults);
  const ours = [results, ...others].flatMap(resultRows);
  const paper = paperRows(ours);
  const title = `Evaluation of ${modelName(config)}, ${modeNames[config.method.mode]}`;
  const dialogues = await chooseDialogues(folder, options);
  const scatter = scatterChart(
    {
      title: "Accuracy against tokens",
      xTitle: "mean tokens per answer",
      yTitle: "accuracy",
    },
    [...ours, ...paper].flatMap(pointsOf),
  );
  const blocks: Block[] = [
    { kind: "text", text: methodText(config) },
    heading("Results"),
    resultTable(ours, paper),
    { kind: "notes", items: notesOf(results, options) },
    ...(scatter ? [{ kind: "charts" as const, charts: [scatter] }] : []),
    heading("Sampling"),
    samplingTable(sets),
    ...stageSections(sets),
    heading("Reflection"),
    {
      kind: "text",
      text: "Mean occurrences per response of phrases that reconsider, over all sets.",
    },
    reflectionTable(sets),
    heading("Lengths"),
    {
      kind: "text",
      text:
        "Of the responses of all sets, by stage; a verdict is right if it fits the fast answer.",
    },
    { kind: "charts", charts: lengthCharts(options.known) },
    ...(dialogues.length > 0
      ? [heading("Dialogues"), { kind: "text" as const, text: dialogueText }, {
        kind: "dialogues" as const,
        dialogues,
      }]
      : []),
  ];
  await writeAtomic(folder.report, toMarkdown(title, blocks));
  await writeAtomic(folder.page, toHtml(title, blocks));
}

const modeNames: Record<EvalConfig["method"]["mode"], string> = {
  thinker: "Thinker",
  fast: "Thinker-Fast",
  baseline: "Baseline",
};

const dialogueText =
  "A few of each set, one of every course that dialogues took, where there are as many. Rewards are " +
  "those of training: verification is weighted with the measured fast accuracy of its set, and the " +
  "summary without its log-probability term.";

function heading(text: string, level: 2 | 3 = 2): Block {
  return { kind: "heading", level, text };
}

/** The last parts of the model's path: `run, step-20` for a checkpoint of a run. */
export function modelName({ method }: Pick<EvalConfig, "method">): string {
  const parts = method.model.split("/").filter((part) => part !== "" && part !== ".");
  const run = /\/checkpoints\/[^/]+\/?$/.test(method.model) ? parts.at(-3) : undefined;
  return run ? `${run}, ${parts.at(-1)}` : parts.at(-1) ?? method.model;
}

function readResults(path: string): EvalResults {
  const hint = `${path} holds no finished evaluation: run \`thinker eval --out ${path}\` first`;
  const results = readJson(join(path, "results.json"), hint) as Partial<EvalResults> | null;
  if (!results?.config || !Array.isArray(results.sets)) {
    throw new UserError(`${path}/results.json is no result of an evaluation`, { hint });
  }
  return results as EvalResults;
}

/** The rows of one evaluation: four stages tell about the first one alone, too. */
function resultRows(results: EvalResults): ResultRow[] {
  const { config, sets } = results;
  const row = (
    name: string,
    pick: (set: SetScores) => Estimate,
    tokens: (set: SetScores) => number,
  ) => ({
    name: `${name} (${modelName(config)})`,
    accuracy: new Map(sets.map((set) => [set.set, pick(set)])),
    tokens: new Map(sets.map((set) => [set.set, tokens(set)])),
  });
  const { mode } = config.method;
  const rows = [row(modeNames[mode], (set) => set.accuracy, (set) => set.tokens)];
  if (mode === "thinker") {
    rows.push(row(
      modeNames.fast,
      (set) => set.fastAccuracy ?? set.accuracy,
      (set) => set.stages.fast?.tokens ?? 0,
    ));
  }
  return rows;
}

/** The paper's rows, if one of our sets is in its table. */
function paperRows(ours: readonly ResultRow[]): ResultRow[] {
  const sets = new Set(ours.flatMap((row) => [...row.accuracy.keys()]));
  const inPaper = Object.keys(paperResults[0].accuracy);
  if (!inPaper.some((set) => sets.has(set))) return [];
  return paperResults.map(({ model, name, accuracy, average }) => {
    const lengths = paperLengths.find((each) => each.model === model && each.name === name);
    return {
      name: `${name} (paper, ${model})`,
      accuracy: new Map(
        Object.entries(accuracy).map(([set, value]) => [
          set,
          { mean: value / 100, standardError: null },
        ]),
      ),
      tokens: new Map(Object.entries(lengths?.tokens ?? {})),
      paper: { model, average: average / 100 },
    };
  });
}

function resultTable(ours: readonly ResultRow[], paper: readonly ResultRow[]): Block {
  const sets = setsOf(ours);
  const inPaper = Object.keys(paperResults[0].accuracy);
  const rows = [...ours, ...paper].map((row) => {
    const cells = sets.map((set) => {
      const estimate = row.accuracy.get(set);
      return estimate ? percentWithError(estimate) : "";
    });
    const eight = inPaper.map((set) => row.accuracy.get(set));
    const complete = eight.every((estimate) => estimate !== undefined);
    const average = row.paper
      ? percent(row.paper.average)
      : complete
      ? percentWithError(averageOf(eight))
      : "";
    const tokens = [...row.tokens.values()];
    const length = row.paper || tokens.length === 0
      ? ""
      : (tokens.reduce((a, b) => a + b, 0) / tokens.length).toFixed(0);
    return [row.name, ...cells, average, length];
  });
  return {
    kind: "table",
    header: ["pass@1, %", ...sets.map(titleOf), "avg of 8", "tokens"],
    rows,
    muted: paper.map((_, i) => ours.length + i),
  };
}

/** Every set of the rows, known benchmarks first and in the paper's order. */
function setsOf(rows: readonly ResultRow[]): string[] {
  const there = new Set(rows.flatMap((row) => [...row.accuracy.keys()]));
  const known = benchmarks.map((each) => each.name);
  return [
    ...known.filter((name) => there.has(name)),
    ...[...there].filter((name) => !known.includes(name)),
  ];
}

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

function samplingTable(sets: readonly SetScores[]): Block {
  const ks = [...new Set(sets.flatMap((set) => Object.keys(set.passAt)))].filter((k) => k !== "1");
  return {
    kind: "table",
    header: [
      "",
      "problems",
      "left out",
      "samples",
      "pass@1, %",
      ...ks.map((k) => `pass@${k}, %`),
      "majority, %",
      "tokens",
      "no answer, %",
    ],
    rows: sets.map((set) => [
      titleOf(set.set),
      String(set.problems),
      String(set.skipped),
      String(set.samples),
      percentWithError(set.accuracy),
      ...ks.map((k) => k in set.passAt ? percent(set.passAt[Number(k)]) : ""),
      percent(set.majority),
      set.tokens.toFixed(1),
      percent(set.unanswered),
    ]),
  };
}

function stageSections(sets: readonly SetScores[]): Block[] {
  const present = stages.filter((stage) => sets.some((set) => set.stages[stage]));
  const stageTable: Block = {
    kind: "table",
    header: [
      "",
      ...present.flatMap((stage) => [
        ...(stage === present[0] ? [] : [`${stage} reached, %`]),
        ...(stage === "verify" ? [] : [`${stage} right, %`]),
        `${stage} tokens`,
        `${stage} cut, %`,
      ]),
    ],
    rows: sets.map((set) => [
      titleOf(set.set),
      ...present.flatMap((stage) => {
        const scores = set.stages[stage];
        return [
          ...(stage === present[0] ? [] : [optional(scores?.reached, percent)]),
          ...(stage === "verify" ? [] : [optional(scores?.accuracy, percent)]),
          optional(scores?.tokens, (value) => value.toFixed(1)),
          optional(scores?.truncated, percent),
        ];
      }),
    ]),
  };
  const verified = sets.filter((set) => set.verification);
  return [
    heading("Stages"),
    {
      kind: "text",
      text: "Shares of the answers that reached a stage; cut: the budget ended the response.",
    },
    stageTable,
    ...(verified.length === 0 ? [] : [heading("Verification"), {
      kind: "text" as const,
      text:
        "Precision: of the fast answers that got a Yes, the share of right ones. Recall: of the " +
        "right ones, the share that got a Yes. Specificity: of the wrong ones, the share that got a No.",
    }, {
      kind: "table" as const,
      header: ["", "Yes, %", "no verdict, %", "precision, %", "recall, %", "specificity, %"],
      rows: verified.map(({ set, verification }) => [
        titleOf(set),
        percent(verification!.yes),
        percent(verification!.invalid),
        optional(verification!.precision, percent),
        optional(verification!.recall, percent),
        optional(verification!.specificity, percent),
      ]),
    }]),
  ];
}

function reflectionTable(sets: readonly SetScores[]): Block {
  const present = stages.filter((stage) => sets.some((set) => set.stages[stage]));
  /** Weighted by responses, so that every response counts once. */
  const meanOf = (stage: Stage, word: string) => {
    let sum = 0, responses = 0;
    for (const set of sets) {
      const scores = set.stages[stage];
      if (!scores) continue;
      const count = scores.reached * set.problems * set.samples;
      sum += count * scores.reflections[word];
      responses += count;
    }
    return sum / responses;
  };
  const rows = reflectionWords.map((word) => [
    `\`${word}\``,
    ...present.map((stage) => meanOf(stage, word).toFixed(3)),
  ]);
  const totals = present.map((stage) =>
    reflectionWords.reduce((sum, word) => sum + meanOf(stage, word), 0).toFixed(3)
  );
  return { kind: "table", header: ["", ...present], rows: [...rows, ["all", ...totals]] };
}

/** Lengths of every stage's responses over all sets, right and wrong ones apart. */
function lengthCharts(known: KnownAnswers) {
  const all = [...known.values()].flatMap((answers) => [...answers.values()].flat());
  return stages.map((stage) => {
    const right: number[] = [], wrong: number[] = [];
    for (const answer of all) {
      for (const turn of answer.turns) {
        if (turn.stage === stage) (turnIsRight(answer, turn) ? right : wrong).push(turn.tokens);
      }
    }
    return histogram(
      { title: `Length of ${stage} responses`, xTitle: "tokens", yTitle: "responses" },
      [{ name: "right", values: right }, { name: "wrong", values: wrong }],
    );
  }).filter((chart) => chart !== null);
}

/** Whether a turn is right; a verdict is if it fits the fast answer. */
function turnIsRight(answer: AnswerFacts, turn: AnswerFacts["turns"][number]): boolean {
  if (turn.stage !== "verify") return turn.correct === true;
  return turn.verdict === (answer.turns[0].correct === true ? "yes" : "no");
}

function methodText({ method, extent }: EvalConfig): string {
  const { budgets, sampling, mode } = method;
  const budget = mode === "baseline"
    ? `${budgets.answer} tokens`
    : mode === "fast"
    ? `${budgets.fast} tokens`
    : `${budgets.fast} tokens for fast, ${budgets.verify} for verification, ${budgets.slow} for slow` +
      (method.summary ? `, ${budgets.summary} for the summary` : "");
  const truncation = [
    ...(sampling.topP < 1 ? [`top-p ${sampling.topP}`] : []),
    ...(sampling.topK > 0 ? [`top-k ${sampling.topK}`] : []),
  ];
  const limit = extent.limit === null ? "" : `, the first ${extent.limit} problems of each set`;
  return `Model \`${method.model}\`, weights ${method.weights}. ${extent.samples} ` +
    `${extent.samples === 1 ? "sample" : "samples"} of each problem${limit}, temperature ` +
    `${sampling.temperature}${
      truncation.map((text) => `, ${text}`).join("")
    }, seed ${method.seed}; ` +
    `budget: ${budget}.`;
}

function notesOf(
  { config, sets, skipped }: EvalResults,
  { sets: asked }: EvalReportOptions,
): string[] {
  const notes = [
    "Accuracy is pass@1, the mean over samples, ± its standard error over problems. Thinker-Fast is " +
    "the first stage of the same answers. Rows of the paper (Thinker, arXiv 2505.21097) are quoted, " +
    "not measured here; its models and budgets are others. Avg of 8: the plain mean over the " +
    "paper's eight sets.",
  ];
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
      `${skipped} problems were left out, because with all budgets they are longer than the model ` +
        `allows: ${by.join(", ")}. They count neither as right nor as wrong.`,
    );
  }
  if (config.extent.samples === 1) {
    notes.push("With one sample of each problem, pass@1 and the majority are the same.");
  }
  return notes;
}

/**
 * Dialogues to read: of each set one for every course (which stages, what was right), by the order of
 * problems and samples, so that the choice does not depend on who finished first.
 */
async function chooseDialogues(
  folder: EvalFolder,
  { sets, known }: EvalReportOptions,
): Promise<Dialogue[]> {
  const problems = new Map(
    sets.map((
      { name, problems },
    ) => [name, new Map(problems.map((row, i) => [row.id, { row, i }]))]),
  );
  /** The chosen samples: of each course those that stand first. */
  const wanted = new Map<string, Map<string, number>>();
  for (const { name, problems } of sets) {
    const courses = new Map<string, AnswerFacts>();
    const rest: AnswerFacts[] = [];
    for (const problem of problems) {
      for (
        const answer of known.get(name)!.get(problem.id)!.toSorted((a, b) => a.sample - b.sample)
      ) {
        const course = courseOf(answer);
        if (courses.has(course)) rest.push(answer);
        else courses.set(course, answer);
      }
    }
    const chosen = [...courses.values(), ...rest].slice(0, dialoguesPerSet);
    wanted.set(name, new Map(chosen.map((answer, i) => [sampleKey(answer), i])));
  }
  const found: { answer: Answer; problem: Problem; place: number; set: number }[] = [];
  await readAnswers(folder.answers, (answer) => {
    const rank = wanted.get(answer.set)?.get(sampleKey(answer));
    if (rank === undefined) return;
    wanted.get(answer.set)!.delete(sampleKey(answer)); // a line that stands there twice
    const { row, i } = problems.get(answer.set)!.get(answer.id)!;
    const set = sets.findIndex(({ name }) => name === answer.set);
    found.push({ answer, problem: row, place: i, set });
  });
  found.sort((a, b) => a.set - b.set || a.place - b.place || a.answer.sample - b.answer.sample);
  const fastAccuracy = new Map(sets.map(({ name }) => [name, trailingAccuracy(known, name)]));
  return found.map(({ answer, problem }) =>
    dialogueOf(answer, problem, fastAccuracy.get(answer.set)!)
  );
}

function sampleKey({ id, sample, problem }: Pick<Answer, "id" | "sample" | "problem">): string {
  return JSON.stringify([id, sample, problem]);
}

function courseOf(answer: AnswerFacts): string {
  return answer.turns.map(({ stage, correct, verdict }) => `${stage} ${verdict ?? correct}`).join();
}

/** Mean fast accuracy of a set, within the limits that training keeps it in. */
function trailingAccuracy(known: KnownAnswers, set: string): number {
  const all = [...known.get(set)!.values()].flat();
  const right = all.filter((answer) => answer.turns[0].correct === true).length;
  return Math.min(0.95, Math.max(0.05, right / Math.max(1, all.length)));
}

function dialogueOf(answer: Answer, problem: Problem, p: number): Dialogue {
  const { turns, set, id, sample } = answer;
  const fastRight = turns[0].correct === true;
  return {
    id: sample === 0 ? id : `${id}, sample ${sample + 1}`,
    set: titleOf(set),
    question: problem.question,
    answer: problem.answer,
    right: turns[answer.final].correct === true,
    turns: turns.map(({ stage, text, tokens, truncated, answer: boxed, verdict, correct }) => ({
      stage,
      response: text,
      tokens,
      truncated,
      reward: stage === "verify" ? verifyReward(fastRight, verdict, p) : Number(correct === true),
      outcome: stage === "verify"
        ? `verdict: ${verdict ?? "none"}`
        : `answer: ${boxed ?? "none"}${correct ? " (right)" : ""}`,
    })),
  };
}

function optional(value: number | null | undefined, format: (value: number) => string): string {
  return value === undefined || value === null ? "–" : format(value);
}

function percent(share: number): string {
  return (100 * share).toFixed(2);
}

function percentWithError({ mean, standardError }: Estimate): string {
  return standardError === null ? percent(mean) : `${percent(mean)} ± ${percent(standardError)}`;
}
