/**
 * The frame that all charts share: title, legend, axes with ticks and grid.
 *
 * @module
 */
import { type Content, Markup, markup } from "./markup.ts";
import type { Scale } from "./scale.ts";
import { chartStyle } from "./theme.ts";

/** Outer size of a chart in pixels. */
export interface Size {
  /** From left to right. */
  readonly width: number;
  /** From top to bottom. */
  readonly height: number;
}

/** The rectangle in pixels that data is drawn into. */
export interface Plot {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** An entry of a legend. */
export interface LegendEntry {
  /** What it stands for. */
  readonly name: string;
  /** The class that colours it. */
  readonly color: string;
  /** How its sample looks; default: a line. */
  readonly mark?: "line" | "block" | "dot" | "ring";
}

/** An axis with what stands beside it. */
export interface Axis {
  readonly title: string;
  readonly scale: Scale;
  /** The text at a tick. */
  readonly format: (value: number) => string;
}

/** The standard size of a chart. */
export const standardSize: Size = { width: 500, height: 300 };

/** About the width of a text of 11 pixels' height, in a wide font. */
export function textWidth(text: string): number {
  return 6.8 * [...text].length;
}

/** Where a chart of this size has its plot. */
export function plotOf({ width, height }: Size): Plot {
  return { left: 52, right: width - 14, top: 62, bottom: height - 42 };
}

/** Numbers as they stand in coordinates: short, and never `NaN`. */
export function px(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError(`a coordinate is ${value}`);
  return String(Math.round(value * 10) / 10);
}

/** A chart as an `<svg>` element that lies in a page or inside another one. */
export function frame(
  size: Size,
  parts: {
    readonly title: string;
    readonly legend: readonly LegendEntry[];
    readonly x: Axis;
    readonly y: Axis;
    readonly body: Content;
  },
): Markup {
  const { title, legend, x, y, body } = parts, plot = plotOf(size);
  const middle = (plot.left + plot.right) / 2, bottom = plot.bottom;
  const xTicks = x.scale.ticks.map((tick) => {
    const at = px(x.scale.at(tick));
    return markup`<line class="line" x1="${at}" x2="${at}" y1="${px(bottom)}" y2="${
      px(bottom + 4)
    }"/><text x="${at}" y="${px(bottom + 16)}" text-anchor="middle">${x.format(tick)}</text>`;
  });
  const yTicks = y.scale.ticks.map((tick) => {
    const at = y.scale.at(tick);
    return markup`<line class="grid" x1="${px(plot.left)}" x2="${px(plot.right)}" y1="${
      px(at)
    }" y2="${px(at)}"/><text x="${px(plot.left - 7)}" y="${px(at + 3.5)}" text-anchor="end">${
      y.format(tick)
    }</text>`;
  });
  return markup`<svg class="chart" xmlns="http://www.w3.org/2000/svg" width="${
    px(size.width)
  }" height="${px(size.height)}" viewBox="0 0 ${px(size.width)} ${
    px(size.height)
  }" role="img" aria-label="${title}"><text class="title strong" x="${
    px(plot.left)
  }" y="16">${title}</text>${legendOf(legend, plot)}${yTicks}<line class="line" x1="${
    px(plot.left)
  }" x2="${px(plot.right)}" y1="${px(bottom)}" y2="${px(bottom)}"/>${xTicks}<text x="${
    px(middle)
  }" y="${px(size.height - 6)}" text-anchor="middle">${x.title}</text><text x="2" y="${
    px(plot.top - 11)
  }">${y.title}</text>${body}</svg>`;
}

function legendOf(entries: readonly LegendEntry[], plot: Plot): Markup[] {
  let x = plot.left;
  return entries.map(({ name, color, mark = "line" }) => {
    const at = x, y = 32;
    x += 24 + textWidth(name) + 12;
    const sample = {
      line: markup`<line x1="${px(at)}" x2="${
        px(at + 18)
      }" y1="${y}" y2="${y}" stroke="currentColor" stroke-width="3"/>`,
      block: markup`<rect x="${px(at + 4)}" y="${
        y - 5
      }" width="11" height="11" rx="2" fill="currentColor"/>`,
      dot: markup`<circle cx="${px(at + 9)}" cy="${y}" r="4.5" fill="currentColor"/>`,
      ring: markup`<circle cx="${
        px(at + 9)
      }" cy="${y}" r="4" fill="none" stroke="currentColor" stroke-width="1.8"/>`,
    }[mark];
    return markup`<g class="${color}">${sample}</g><text class="strong" x="${px(at + 23)}" y="${
      y + 4
    }">${name}</text>`;
  });
}

/**
 * Charts side by side in one SVG document of its own, under a headline.
 *
 * @param subtitle A second, smaller line.
 * @param columns Charts in one row.
 */
export function svgDocument(
  headline: string,
  subtitle: string,
  charts: readonly Markup[],
  { size = standardSize, columns = 2 }: { size?: Size; columns?: number } = {},
): string {
  const gap = 28, edge = 22, top = 64;
  const inRow = Math.min(columns, charts.length), rows = Math.ceil(charts.length / columns);
  const width = Math.max(2 * edge + inRow * (size.width + gap) - gap, 2 * edge + size.width);
  const height = top + rows * (size.height + gap) - gap + edge;
  const placed = charts.map((chart, i) => {
    const x = edge + i % columns * (size.width + gap);
    const y = top + Math.floor(i / columns) * (size.height + gap);
    return markup`<g transform="translate(${px(x)} ${px(y)})">${chart}</g>`;
  });
  return markup`<svg class="chart" xmlns="http://www.w3.org/2000/svg" width="${
    px(width)
  }" height="${px(height)}" viewBox="0 0 ${px(width)} ${
    px(height)
  }" role="img" aria-label="${headline}"><style>${new Markup(
    chartStyle,
  )}</style><rect class="surface" width="100%" height="100%"/><text class="headline strong" x="${edge}" y="32">${headline}</text><text x="${edge}" y="50">${subtitle}</text>${placed}</svg>\n`
    .text;
}
