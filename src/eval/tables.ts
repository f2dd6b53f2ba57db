/**
 * The tables in the report of an evaluation.
 *
 * @module
 */
import { averageOf, type Estimate } from "./statistics.ts";
import { benchmarks, titleOf } from "./benchmarks.ts";
import { paperLengths, paperResults } from "./paper.ts";
import { reflectionWords } from "./reflection.ts";
import type { SetScores, StageScores } from "./scores.ts";
import { type Block, heading, percent } from "../report/mod.ts";
import type { EvalResults, TaskWords } from "./types.ts";

/** A row of the table of results. */
export interface ResultRow {
  readonly name: string;
  /** Accuracy as a share, by set. */
  readonly accuracy: ReadonlyMap<string, Estimate>;
  /** Mean tokens by set. */
  readonly tokens: ReadonlyMap<string, number>;
  /** From the paper. */
  readonly paper?: { readonly model: string; readonly average: number };
}

/** A model's name, from its folder: of a checkpoint run and step, such as `run, step-20`. */
export function modelName(folder: string, separator = ", "): string {
  const parts = folder.split("/").filter((part) => !["", ".", ".."].includes(part));
  const run = parts.at(-2) === "checkpoints" ? parts.slice(-3, -2) : [];
  return [...run, ...parts.slice(-1)].join(separator) || folder;
}

/** The rows of one evaluation: a task may tell about its first stage alone, too. */
export function resultRows({ config, sets, task }: EvalResults): ResultRow[] {
  const greedy = config.method.sampling.temperature === 0;
  const row = (
    name: string,
    pick: (set: SetScores) => Estimate,
    tokens: (set: SetScores) => number,
  ) => ({
    name: `${name} (${modelName(config.method.model)}${greedy ? ", greedy" : ""})`,
    accuracy: new Map(sets.map((set) => [set.set, pick(set)])),
    tokens: new Map(sets.map((set) => [set.set, tokens(set)])),
  });
  const rows = [row(task.title, (set) => set.accuracy, (set) => set.tokens)];
  if (task.firstTitle) {
    const [{ name }] = task.stages;
    rows.push(row(
      task.firstTitle,
      (set) => set.firstAccuracy ?? set.accuracy,
      (set) => set.stages[name]?.tokens ?? 0,
    ));
  }
  return rows;
}

/** The paper's rows, if one of our sets is in its table. */
export function paperRows(ours: readonly ResultRow[]): ResultRow[] {
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

/** The table of results: our rows, and the paper's below them. */
export function resultTable(ours: readonly ResultRow[], paper: readonly ResultRow[]): Block {
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
      ? share(row.paper.average)
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

/** Estimates from several samples, set by set. */
export function samplingTable(sets: readonly SetScores[]): Block {
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
      ...ks.map((k) => k in set.passAt ? share(set.passAt[Number(k)]) : ""),
      share(set.majority),
      set.tokens.toFixed(1),
      share(set.unanswered),
    ]),
  };
}

/** The stages that some answer reached, in order. */
function reachedStages({ stages }: TaskWords, sets: readonly SetScores[]): TaskWords["stages"] {
  return stages.filter(({ name }) => sets.some((set) => set.stages[name]));
}

/** What every stage did, and how well it was verified. */
export function stageSections({ sets, task }: EvalResults): Block[] {
  const present = reachedStages(task, sets);
  const stageTable: Block = {
    kind: "table",
    header: [
      "",
      ...present.flatMap(({ name, judges }, i) => [
        ...(i === 0 ? [] : [`${name} reached, %`]),
        ...(judges ? [] : [`${name} right, %`]),
        `${name} tokens`,
        `${name} cut, %`,
      ]),
    ],
    rows: sets.map((set) => [
      titleOf(set.set),
      ...present.flatMap(({ name, judges }, i) => {
        const scores = set.stages[name];
        return [
          ...(i === 0 ? [] : [optional(scores?.reached, share)]),
          ...(judges ? [] : [optional(scores?.accuracy, share)]),
          optional(scores?.tokens, (value) => value.toFixed(1)),
          optional(scores?.truncated, share),
        ];
      }),
    ]),
  };
  return [
    heading("Stages"),
    {
      kind: "text",
      text:
        "Of all answers the share that reached a stage; of its responses the share that is right, " +
        "and that the budget cut.",
    },
    stageTable,
    ...verificationSection(sets),
    ...secondTrySection(task, sets),
  ];
}

/** What the stages after a verdict are worth, and what a try with its check costs beside them. */
function secondTrySection({ stages }: TaskWords, sets: readonly SetScores[]): Block[] {
  const isAfter = ({ afterRight, afterWrong }: Partial<StageScores>) =>
    afterRight !== undefined || afterWrong !== undefined;
  const later = stages.filter(({ name }) => sets.some((set) => isAfter(set.stages[name] ?? {})));
  const verdict = stages.find(({ judges }) => judges !== undefined);
  if (later.length === 0 || verdict?.judges === undefined) return [];
  const [first, check, { name: next }] = [verdict.judges, verdict.name, later[0]];
  const cost = (set: SetScores) => {
    const [a, b, c] = [first, check, next].map((name) => set.stages[name]?.tokens);
    return a === undefined || b === undefined || c === undefined ? undefined : (a + b) / c;
  };
  return [heading("After a verdict"), {
    kind: "text",
    text:
      `Right responses apart by the ${first} answer that was judged: after a right one there was ` +
      "nothing to gain, after a wrong one all. Below 1 of tokens, a checked try is cheaper.",
  }, {
    kind: "table",
    header: [
      "",
      ...later.flatMap(({ name }) => ["right", "wrong"].map((is) => `${name} after ${is}, %`)),
      `(${first} + ${check}) / ${next} tokens`,
    ],
    rows: sets.map((set) => [
      titleOf(set.set),
      ...later.flatMap(({ name }) => {
        const { afterRight, afterWrong } = set.stages[name] ?? {};
        return [optional(afterRight, share), optional(afterWrong, share)];
      }),
      optional(cost(set), (value) => value.toFixed(2)),
    ]),
  }];
}

function verificationSection(sets: readonly SetScores[]): Block[] {
  const verified = sets.filter((set) => set.verification);
  if (verified.length === 0) return [];
  return [heading("Verification"), {
    kind: "text",
    text:
      "Precision: of the answers that got a Yes, the share of right ones. Recall: of the right " +
      "ones, the share that got a Yes. Specificity: of the wrong ones, the share that got a No.",
  }, {
    kind: "table",
    header: ["", "Yes, %", "no verdict, %", "precision, %", "recall, %", "specificity, %"],
    rows: verified.map(({ set, verification }) => [
      titleOf(set),
      share(verification!.yes),
      share(verification!.invalid),
      optional(verification!.precision, share),
      optional(verification!.recall, share),
      optional(verification!.specificity, share),
    ]),
  }];
}

/** Phrases that reconsider, by stage. */
export function reflectionTable({ sets, task }: EvalResults): Block {
  const present = reachedStages(task, sets).map(({ name }) => name);
  /** Weighted by responses, so that every response counts once. */
  const meanOf = (stage: string, word: string) => {
    let sum = 0, responses = 0;
    for (const set of sets) {
      const scores = set.stages[stage];
      if (!scores) continue;
      sum += scores.responses * scores.reflections[word];
      responses += scores.responses;
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

function optional(value: number | null | undefined, format: (value: number) => string): string {
  return value === undefined || value === null ? "–" : format(value);
}

function share(value: number): string {
  return percent(value, 2);
}

function percentWithError({ mean, standardError }: Estimate): string {
  return standardError === null ? share(mean) : `${share(mean)} ± ${share(standardError)}`;
}
