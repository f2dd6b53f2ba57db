/** `report.md`, `report.svg`, `report.html`: what a run did, how well, and samples to judge it by. */

import { basename } from "node:path";
import {
  groupOf,
  isEvalCount,
  mean,
  type Metrics,
  namesOf,
  readJson,
  readJsonl,
  readMetrics,
  UserError,
  writeAtomic,
} from "../base/mod.ts";
import { type Block, type Dialogue, heading, percent, toHtml, toMarkdown } from "../report/mod.ts";
import { metricCharts, renderChart } from "./curves.ts";
import type { EpisodeSample } from "./episodes.ts";
import type { RunFolder } from "./folder.ts";

/** One measured result: a model (under one way to run it) on one set of problems. */
export interface ReportRow {
  /** `Pretrained`, or what the task calls itself. */
  name: string;
  /** The set of problems, such as `arithmetic` or `MATH500`. */
  set: string;
  /** Share of right final answers, sampled as in training; 0 to 1. */
  accuracy: number;
  /** Standard error of `accuracy`, 0 to 1. */
  standardError: number;
  /** The same of one answer to each problem, of the likeliest tokens. */
  greedy?: { accuracy: number; standardError: number };
  /** Probability that one of k sampled answers is right. */
  passAt?: { k: number; share: number };
  /** Mean number of sampled tokens per problem, all stages together. */
  tokens: number;
}

/** What a report needs besides the run folder. */
export interface ReportOptions {
  /** The heading: what was trained, how. */
  title: string;
  /** The results, in the order of the table. */
  rows: readonly ReportRow[];
  /** What a reader should know before judging the numbers, one sentence or two each. */
  notes: string[];
}

/** Most rows of a table over steps. */
const MAX_STEPS = 12;

/**
 * Writes the report of a finished run, as Markdown with its chart and as a page, from its
 * `config.json`, `metrics.jsonl` and `episodes.jsonl` (the last may be missing).
 *
 * @returns What the report begins with, in Markdown: what was done, the results, and what to know of them.
 * @throws {UserError} when the run has logged no step.
 */
export async function writeReport(folder: RunFolder, options: ReportOptions): Promise<string> {
  const metrics = await readMetrics(folder.metrics);
  if (metrics.length === 0) {
    throw new UserError(`${folder.metrics} holds no step to report on`, {
      hint: "train first; the report is written at the end",
    });
  }
  const { title, rows, notes } = options;
  const config = readJson(folder.config, "every run folder has one: is this one?");
  const episodes = await readJsonl<EpisodeSample>(folder.episodes);
  const chart = renderChart(title, metrics);
  const opening: Block[] = [
    { kind: "text", text: summary(metrics) },
    ...(rows.length ? [heading("Results"), resultTable(rows)] : []),
    { kind: "notes", items: notes },
  ];
  const blocks: Block[] = [
    ...opening,
    ...(chart === null ? [] : [heading("Curves"), {
      kind: "charts" as const,
      charts: metricCharts(metrics),
      image: {
        alt: "Accuracies, rewards and lengths per stage over PPO steps",
        file: basename(folder.chart),
      },
    }]),
    ...stageSection(
      "Accuracy on held-out problems",
      "Under the inference transitions: the model's own verdict decides what comes next.",
      metrics,
      "eval",
    ),
    ...stageSection("The same, greedy", "The likeliest token each time.", metrics, "greedy"),
    ...stageSection(
      "Accuracy on training rollouts",
      "Ground truth decides what comes next; a later stage is measured among the dialogues that " +
        "reached it.",
      metrics,
      "accuracy",
    ),
    ...sampleSection(episodes),
    heading("Configuration"),
    { kind: "table", header: ["key", "value"], rows: flatten(config), wide: true },
  ];
  await writeAtomic(folder.report, toMarkdown(title, blocks));
  await writeAtomic(folder.page, toHtml(title, blocks));
  if (chart !== null) await writeAtomic(folder.chart, chart);
  return toMarkdown(title, opening);
}

function summary(metrics: Metrics[]): string {
  const last = metrics[metrics.length - 1];
  const seconds = metrics.reduce((sum, row) => sum + (row.seconds ?? 0), 0);
  const facts = [`${last.step} PPO steps`];
  if (last["tokens/trained"] !== undefined) {
    facts.push(`${last["tokens/trained"].toLocaleString("en-US")} action tokens trained`);
  }
  if (seconds > 0) facts.push(`${(seconds / 60).toFixed(1)} minutes in those steps`);
  const gaps = metrics.map((row) => row["rollout/logprob_gap_max"])
    .filter((gap) => gap !== undefined);
  if (gaps.length > 0) {
    facts.push(
      `largest log-prob gap between rollout and training ${gaps.reduce((a, b) => Math.max(a, b))}`,
    );
  }
  return `${facts.join(", ")}.`;
}

/** Rows by name; one set gives accuracy and length, several give one column each and the average. */
function resultTable(rows: readonly ReportRow[]): Block {
  const sets = setsOf(rows);
  if (sets.length === 1) return oneSetTable(rows, sets[0]);
  return {
    kind: "table",
    header: ["accuracy, %", ...sets, "average", "mean tokens"],
    rows: byName(rows).map(([name, results]) => [
      name,
      ...sets.map((set) => {
        const row = results.find((result) => result.set === set);
        return row ? withError(row) : "";
      }),
      averageOf(results, sets),
      mean(results.map((row) => row.tokens)).toFixed(1),
    ]),
  };
}

/** Sampled beside greedy: what looks learned may be a policy that only samples less. */
function oneSetTable(rows: readonly ReportRow[], set: string): Block {
  const k = rows.find(({ passAt }) => passAt)?.passAt?.k;
  const hasGreedy = rows.some(({ greedy }) => greedy);
  return {
    kind: "table",
    header: [
      `accuracy on ${set}, %`,
      "sampled",
      ...(hasGreedy ? ["greedy"] : []),
      ...(k === undefined ? [] : [`pass@${k}`]),
      "mean tokens",
    ],
    rows: rows.map((row) => [
      row.name,
      withError(row),
      ...(hasGreedy ? [row.greedy ? withError(row.greedy) : ""] : []),
      ...(k === undefined ? [] : [row.passAt ? percent(row.passAt.share, 2) : ""]),
      row.tokens.toFixed(1),
    ]),
  };
}

/** The average over all sets; none where a set is missing, as it would not compare. */
function averageOf(rows: ReportRow[], sets: string[]): string {
  return rows.length === sets.length ? percent(mean(rows.map((row) => row.accuracy)), 2) : "";
}

function stageSection(title: string, text: string, metrics: Metrics[], group: string): Block[] {
  const measured = metrics.filter((row) => groupOf(row, group).length > 0);
  if (measured.length === 0) return [];
  const names = namesOf(measured, group);
  const shares = names.filter((name) => group !== "eval" || !isEvalCount(name));
  const counts = names.filter((name) => !shares.includes(name));
  const show = (value: number | undefined, format: (value: number) => string) =>
    value === undefined ? "" : format(value);
  return [
    heading(title, 3),
    { kind: "text", text },
    {
      kind: "table",
      header: [
        "step",
        ...shares.map((name) => `${name.replaceAll("_", " ")}, %`),
        ...counts.map((n) => n.replaceAll("_", " ")),
      ],
      rows: spread(measured, MAX_STEPS).map((row) => [
        String(row.step),
        ...shares.map((name) => show(row[`${group}/${name}`], (value) => percent(value, 1))),
        ...counts.map((name) => show(row[`${group}/${name}`], (value) => value.toFixed(1))),
      ]),
    },
  ];
}

/** The dialogues of the last sampled step. */
function sampleSection(episodes: EpisodeSample[]): Block[] {
  if (episodes.length === 0) return [];
  const last = episodes[episodes.length - 1].step;
  const dialogues = episodes.filter((episode) => episode.step === last)
    .map(({ id, question, answer, turns }): Dialogue => ({
      id,
      set: "training",
      question,
      answer,
      turns,
    }));
  return [
    heading("Sampled dialogues"),
    { kind: "text", text: `From the training rollouts of step ${last}.` },
    { kind: "dialogues", dialogues },
  ];
}

/** Nested configuration as `[dotted key, value]` lines. */
function flatten(value: unknown, prefix = ""): string[][] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return [[prefix, JSON.stringify(value)]];
  }
  return Object.entries(value).flatMap(([key, child]) =>
    flatten(child, prefix === "" ? key : `${prefix}.${key}`)
  );
}

/** At most `limit` rows, evenly spread, always with the first and the last. */
function spread<T>(rows: T[], limit: number): T[] {
  if (rows.length <= limit) return rows;
  return Array.from(
    { length: limit },
    (_, i) => rows[Math.round(i * (rows.length - 1) / (limit - 1))],
  );
}

function setsOf(rows: readonly ReportRow[]): string[] {
  return [...new Set(rows.map((row) => row.set))];
}

function byName(rows: readonly ReportRow[]): [string, ReportRow[]][] {
  return [...Map.groupBy(rows, (row) => row.name)];
}

function withError(row: { accuracy: number; standardError: number }): string {
  return `${percent(row.accuracy, 2)} ± ${percent(row.standardError, 2)}`;
}
