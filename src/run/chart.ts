/** The curves of a run as small multiples over PPO steps, drawn to SVG without a browser. */

import type { TopLevelSpec } from "npm:vega-lite@^6";
import { compareStages, groupOf, isEvalCount, type Metrics } from "./metrics.ts";

/** One value of one stage at one step. */
interface Point {
  step: number;
  stage: string;
  value: number;
  /** Mean of the values around `step`; equals `value` where the panel shows measurements as they are. */
  mean: number;
}

interface Panel {
  title: string;
  axis: string;
  points: Point[];
  /** True for shares, drawn in percent. */
  share?: boolean;
}

/** Colours that colour-blind readers can tell apart (Okabe and Ito), the outcome in near-black. */
const COLORS: Record<string, string> = {
  fast: "#E69F00",
  verify: "#009E73",
  slow: "#0072B2",
  summary: "#CC79A7",
  answer: "#D55E00",
  final: "#222222",
};
const OTHER_COLORS = ["#56B4E9", "#7F7F7F", "#8C564B", "#9467BD"];

/**
 * Draws accuracies (training rollouts and held-out problems), rewards and response lengths per
 * stage over the PPO steps. Panels without data are left out.
 *
 * @param rows The lines of `metrics.jsonl`.
 * @returns An SVG document on a white background, or null when there is nothing to draw.
 */
export async function renderChart(title: string, rows: Metrics[]): Promise<string | null> {
  const panels = panelsOf(rows).filter((panel) => panel.points.length > 0);
  if (panels.length === 0) return null;
  // Loaded here because only the end of a run needs it: starting a run should not pay for it.
  const [vega, vegaLite] = await Promise.all([import("npm:vega@^6"), import("npm:vega-lite@^6")]);
  const { spec } = vegaLite.compile(specOf(title, subtitleOf(rows), panels));
  const view = new vega.View(vega.parse(spec), { renderer: "none", logLevel: vega.Error });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

function panelsOf(rows: Metrics[]): Panel[] {
  return [
    {
      title: "Accuracy on held-out problems",
      axis: "accuracy",
      points: pointsOf(rows, "eval", { skip: isEvalCount }),
      share: true,
    },
    {
      title: "Accuracy on training rollouts",
      axis: "accuracy",
      points: pointsOf(rows, "accuracy", { smooth: true }),
      share: true,
    },
    { title: "Mean reward", axis: "reward", points: pointsOf(rows, "reward", { smooth: true }) },
    {
      title: "Mean response length",
      axis: "tokens",
      points: pointsOf(rows, "length", { smooth: true }),
    },
  ];
}

/** The values of one metric group, one series per stage, in the order of steps. */
function pointsOf(
  rows: Metrics[],
  group: string,
  options: { skip?: (name: string) => boolean; smooth?: boolean },
): Point[] {
  const series = new Map<string, { step: number; value: number }[]>();
  for (const row of rows) {
    for (const [stage, value] of groupOf(row, group)) {
      if (options.skip?.(stage)) continue;
      const values = series.get(stage) ?? [];
      values.push({ step: row.step, value });
      series.set(stage, values);
    }
  }
  // Later series are drawn over earlier ones: in stage order the outcome lies on top.
  const inOrder = [...series].sort(([a], [b]) => compareStages(a, b));
  return inOrder.flatMap(([stage, values]) => {
    // Rollouts differ from step to step by chance: a window of 1/20 of the run shows the trend.
    const reach = options.smooth ? Math.floor(values.length / 40) : 0;
    return values.map(({ step, value }, i) => {
      const window = values.slice(Math.max(0, i - reach), i + reach + 1);
      const mean = window.reduce((sum, near) => sum + near.value, 0) / window.length;
      return { step, stage, value, mean };
    });
  });
}

function subtitleOf(rows: Metrics[]): string {
  const last = rows[rows.length - 1];
  const tokens = last["tokens/trained"];
  const trained = tokens === undefined ? "" : `, ${tokens.toLocaleString("en-US")} tokens trained`;
  return `${last.step} PPO steps${trained}`;
}

function specOf(title: string, subtitle: string, panels: Panel[]): TopLevelSpec {
  const stages = [...new Set(panels.flatMap((panel) => panel.points.map((point) => point.stage)))]
    .sort(compareStages);
  let others = 0;
  const range = stages.map((stage) =>
    COLORS[stage] ?? OTHER_COLORS[others++ % OTHER_COLORS.length]
  );
  const steps = panels.flatMap((panel) => panel.points.map((point) => point.step));
  const lastStep = Math.max(1, ...steps);
  return {
    title: { text: title, subtitle },
    background: "white",
    padding: 20,
    columns: 2,
    // Panels are aligned by their plot areas; the spacing leaves room for axes and titles.
    bounds: "flush",
    spacing: { row: 92, column: 72 },
    concat: panels.map((panel) => ({
      title: {
        text: panel.title,
        fontSize: 13,
        fontWeight: 600,
        anchor: "start",
        offset: 10,
        frame: "group",
      },
      width: 400,
      height: 210,
      data: { values: panel.points },
      encoding: {
        x: {
          field: "step",
          type: "quantitative",
          title: "PPO step",
          scale: { domain: [0, lastStep], nice: false },
          axis: { tickMinStep: 1, format: "d", labelFlush: false },
        },
        color: {
          field: "stage",
          type: "nominal",
          scale: { domain: stages, range },
          legend: { title: null, orient: "top", symbolType: "stroke", direction: "horizontal" },
        },
      },
      layer: [
        ...(panel.points.some((point) => point.mean !== point.value)
          ? [{
            mark: { type: "line" as const, strokeWidth: 1, opacity: 0.25 },
            encoding: { y: valueAxis(panel, "value") },
          }]
          : []),
        {
          mark: {
            type: "line" as const,
            strokeWidth: 2.2,
            point: isSparse(panel) ? { size: 34, filled: true } : false,
          },
          encoding: { y: valueAxis(panel, "mean") },
        },
      ],
    })),
    config: {
      font: "Helvetica, Arial, DejaVu Sans, sans-serif",
      view: { stroke: null },
      title: {
        color: "#222",
        fontSize: 18,
        subtitleColor: "#555",
        subtitleFontSize: 12,
        offset: 14,
      },
      axis: {
        labelColor: "#444",
        titleColor: "#444",
        titleFontWeight: "normal",
        gridColor: "#e8e8e8",
        domainColor: "#bbb",
        tickColor: "#bbb",
        labelFontSize: 11,
        titleFontSize: 11,
      },
      legend: {
        labelColor: "#222",
        labelFontSize: 12,
        symbolStrokeWidth: 3,
        symbolSize: 220,
        columnPadding: 18,
      },
    },
  };
}

/** True when each measurement can have a dot of its own (a single one needs it to be seen). */
function isSparse(panel: Panel): boolean {
  return new Set(panel.points.map((point) => point.step)).size <= 30;
}

function valueAxis(panel: Panel, field: "value" | "mean") {
  const highest = Math.max(0, ...panel.points.map((point) => point.value));
  return {
    field,
    type: "quantitative" as const,
    title: panel.axis,
    axis: panel.share ? { format: highest < 0.1 ? ".1%" : ".0%", tickCount: 5 } : { tickCount: 5 },
    // A small model on hard problems stays near zero: then the axis ends where its curves do.
    scale: panel.share && highest > 0.5 ? { domain: [0, 1] } : { zero: true, nice: true },
  };
}
