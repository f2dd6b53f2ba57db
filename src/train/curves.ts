/** The curves of a run as small multiples over PPO steps. */

import { type Line, lineChart, type Markup, svgDocument } from "../report/mod.ts";
import { isEvalCount, type Metrics, namesOf } from "../base/mod.ts";

/**
 * Accuracies (training rollouts and held-out problems), rewards and response lengths per stage over
 * the PPO steps. Charts without data are left out.
 *
 * @param rows The lines of `metrics.jsonl`.
 */
export function metricCharts(rows: readonly Metrics[]): Markup[] {
  const lastStep = rows.reduce((last, row) => Math.max(last, row.step), 1);
  const chart = (title: string, yTitle: string, lines: Line[], share = false) => {
    return lineChart({ title, yTitle, xTitle: "PPO step", domain: [0, lastStep], share }, lines);
  };
  return [
    chart("Accuracy on held-out problems", "accuracy", linesOf(rows, "eval", held), true),
    chart("Greedy accuracy on held-out problems", "accuracy", linesOf(rows, "greedy", held), true),
    chart("Accuracy on training rollouts", "accuracy", linesOf(rows, "accuracy"), true),
    chart("Mean reward", "reward", linesOf(rows, "reward", { skip: (name) => name === "episode" })),
    chart("Mean response length", "tokens", linesOf(rows, "length")),
  ].filter((each) => each !== null);
}

/**
 * The same as one SVG document, which follows the surroundings' light or dark.
 *
 * @returns Null when there is nothing to draw.
 */
export function renderChart(title: string, rows: readonly Metrics[]): string | null {
  const charts = metricCharts(rows);
  return charts.length === 0 ? null : svgDocument(title, subtitleOf(rows), charts);
}

const held = {
  skip: (name: string) => isEvalCount(name) || /_after_(right|wrong)$/.test(name),
  exact: true,
};

/** The values of one metric group, one curve per stage. */
function linesOf(
  rows: readonly Metrics[],
  group: string,
  options: { skip?: (name: string) => boolean; exact?: boolean } = {},
): Line[] {
  // Later curves are drawn over earlier ones: in the order of the stages the outcome lies on top.
  const names = namesOf(rows, group).filter((name) => !options.skip?.(name));
  return names.map((name) => {
    const points = rows.flatMap((row): [number, number][] => {
      const value = row[`${group}/${name}`];
      return value === undefined ? [] : [[row.step, value]];
    });
    // Rollouts differ from step to step by chance: a window of 1/20 of the run shows the trend.
    const reach = options.exact ? 0 : Math.floor(points.length / 40);
    if (reach === 0) return { name, points };
    const trend = points.map(([step], i): [number, number] => {
      const window = points.slice(Math.max(0, i - reach), i + reach + 1);
      return [step, window.reduce((sum, [, value]) => sum + value, 0) / window.length];
    });
    return { name, points, trend };
  });
}

function subtitleOf(rows: readonly Metrics[]): string {
  const last = rows[rows.length - 1];
  const tokens = last["tokens/trained"];
  const trained = tokens === undefined ? "" : `, ${tokens.toLocaleString("en-US")} tokens trained`;
  return `${last.step} PPO steps${trained}`;
}
