/**
 * The kinds of charts that reports have, as SVG.
 *
 * @module
 */
import {
  type Axis,
  frame,
  type LegendEntry,
  type Plot,
  plotOf,
  px,
  type Size,
  standardSize,
  textWidth,
} from "./chart.ts";
import { type Markup, markup } from "./markup.ts";
import { linearScale, logScale, type Scale } from "./scale.ts";
import { colorClass, withoutColor } from "./theme.ts";

/** Shares as percent; with a decimal where the axis is that fine. */
function percentFormat(scale: Scale): (value: number) => string {
  const step = scale.ticks.length > 1 ? scale.ticks[1] - scale.ticks[0] : 1;
  return (value) => `${(100 * value).toFixed(step < 0.0099 ? 1 : 0)}%`;
}

/** Counts without decimals, in thousands from ten thousand on. */
function countFormat(value: number): string {
  if (Math.abs(value) >= 10_000) return `${Number((value / 1000).toPrecision(3))}k`;
  return Math.abs(value) >= 10 || Number.isInteger(value) ? value.toFixed(0) : String(value);
}

/** One curve. */
export interface Line {
  /** Its name in the legend, which also gives the colour. */
  readonly name: string;
  /** (x, y) from left to right; the measurements themselves. */
  readonly points: readonly (readonly [number, number])[];
  /** The trend that is drawn over them; without it the points are connected. */
  readonly trend?: readonly (readonly [number, number])[];
}

/** Curves over a common x axis; null where there is nothing to draw. */
export function lineChart(
  options: {
    readonly title: string;
    readonly xTitle: string;
    readonly yTitle: string;
    /** Ends of the x axis. */
    readonly domain: readonly [number, number];
    /** Whether values are shares, to be shown in percent. */
    readonly share?: boolean;
    readonly size?: Size;
  },
  lines: readonly Line[],
): Markup | null {
  const drawn = lines.filter((line) => line.points.length > 0);
  if (drawn.length === 0) return null;
  const { title, xTitle, yTitle, domain, share = false, size = standardSize } = options;
  const plot = plotOf(size), others = withoutColor(drawn.map((line) => line.name));
  // Folded, not spread: a long run has more values than a call takes arguments.
  const values = drawn.flatMap((line) => line.points.map(([, y]) => y));
  const low = values.reduce((a, b) => Math.min(a, b), 0);
  const high = values.reduce((a, b) => Math.max(a, b));
  // A small model on hard problems stays near zero: then the axis ends where its curves do.
  const full = share && high > 0.5;
  const y = linearScale([low, full ? 1 : high || 1], [plot.bottom, plot.top]);
  const x = linearScale(domain, [plot.left, plot.right], { exact: true, integers: true });
  const path = (points: Line["points"]) =>
    points.map(([px_, py]) => `${px(x.at(px_))},${px(y.at(py))}`).join(" ");
  const places = new Set(drawn.flatMap((line) => line.points.map(([at]) => at)));
  const body = drawn.map(({ name, points, trend }) => {
    const faint = trend
      ? markup`<polyline points="${
        path(points)
      }" fill="none" stroke="currentColor" stroke-width="1" opacity="0.3"/>`
      : undefined;
    const main = trend ?? points;
    // Each measurement gets a dot where there is room; a single one could not be seen without.
    const dots = places.size <= 30
      ? main.map(([px_, py]) =>
        markup`<circle cx="${px(x.at(px_))}" cy="${px(y.at(py))}" r="3" fill="currentColor"/>`
      )
      : [];
    return markup`<g class="${
      colorClass(name, others)
    }" data-series="${name}">${faint}<polyline points="${
      path(main)
    }" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linejoin="round"/>${dots}</g>`;
  });
  return frame(size, {
    title,
    legend: drawn.map(({ name }) => ({ name, color: colorClass(name, others) })),
    x: { title: xTitle, scale: x, format: countFormat },
    y: { title: yTitle, scale: y, format: share ? percentFormat(y) : countFormat },
    body,
  });
}

/** One mark of a scatter chart. */
export interface Point {
  /** The series, which gives the colour. */
  readonly name: string;
  /** What stands beside the mark. */
  readonly label: string;
  /** A count above 0. */
  readonly x: number;
  /** A share. */
  readonly y: number;
  /** Half the height of the error bar; none by default. */
  readonly error?: number;
  /** Drawn as a ring: measured by others. */
  readonly hollow?: boolean;
}

/** Shares (y, in percent) against positive counts (x, logarithmic); null without a point. */
export function scatterChart(
  options: {
    readonly title: string;
    readonly xTitle: string;
    readonly yTitle: string;
    readonly size?: Size;
  },
  points: readonly Point[],
): Markup | null {
  const drawn = points.filter((point) => point.x > 0);
  if (drawn.length === 0) return null;
  const { title, xTitle, yTitle, size = { width: 760, height: 440 } } = options;
  const plot = plotOf(size), xs = drawn.map((point) => point.x);
  const tops = drawn.map(({ y, error = 0 }) => y + error);
  const y = linearScale([0, Math.min(1, Math.max(...tops, 0.01))], [plot.bottom, plot.top]);
  const x = logScale([Math.min(...xs), Math.max(...xs)], [plot.left + 8, plot.right - 8]);
  const names = [...new Set(drawn.map((point) => point.name))], others = withoutColor(names);
  const marks = drawn.map(({ name, label, hollow, error, ...point }) => {
    const [cx, cy] = [x.at(point.x), y.at(point.y)];
    const fact = `${label}, ${name}: ${(100 * point.y).toFixed(1)}%, ${point.x.toFixed(0)} tokens`;
    const whisker = error
      ? markup`<line x1="${px(cx)}" x2="${px(cx)}" y1="${px(y.at(point.y + error))}" y2="${
        px(y.at(Math.max(0, point.y - error)))
      }" stroke="currentColor" opacity="0.45"/>`
      : undefined;
    const shape = hollow
      ? markup`<circle cx="${px(cx)}" cy="${
        px(cy)
      }" r="4.2" fill="none" stroke="currentColor" stroke-width="1.8"/>`
      : markup`<circle cx="${px(cx)}" cy="${px(cy)}" r="4.8" fill="currentColor"/>`;
    return markup`<g class="${
      colorClass(name, others)
    }"><title>${fact}</title>${whisker}${shape}</g>`;
  });
  const legend: LegendEntry[] = names.map((name) => ({
    name,
    color: colorClass(name, others),
    mark: "dot",
  }));
  if (drawn.some((point) => point.hollow)) {
    legend.push({ name: "the paper's", color: "c-pretrained", mark: "ring" });
  }
  return frame(size, {
    title,
    legend,
    x: { title: xTitle, scale: x, format: countFormat },
    y: { title: yTitle, scale: y, format: percentFormat(y) },
    body: [marks, labelsOf(drawn, x, y, plot)],
  });
}

/** A rectangle: left, top, right, bottom. */
type Box = readonly [number, number, number, number];

/** Labels where they cover neither a mark nor each other; one that finds no place is left out. */
function labelsOf(points: readonly Point[], x: Scale, y: Scale, plot: Plot): Markup[] {
  const taken: Box[] = points.map((point) => {
    const [cx, cy] = [x.at(point.x), y.at(point.y)];
    return [cx - 5, cy - 5, cx + 5, cy + 5];
  });
  const free = ([left, top, right, bottom]: Box) =>
    left >= plot.left && right <= plot.right && top >= plot.top - 6 && bottom <= plot.bottom &&
    taken.every(([l, t, r, b]) => right < l || left > r || bottom < t || top > b);
  return points.flatMap(({ label, ...point }) => {
    const [cx, cy] = [x.at(point.x), y.at(point.y)], width = textWidth(label);
    const places: Box[] = [
      [cx + 8, cy - 6, cx + 8 + width, cy + 5],
      [cx - 8 - width, cy - 6, cx - 8, cy + 5],
      [cx - width / 2, cy - 18, cx + width / 2, cy - 7],
      [cx - width / 2, cy + 7, cx + width / 2, cy + 18],
    ];
    const box = places.find(free);
    if (!box) return [];
    taken.push([box[0] - 4, box[1], box[2] + 4, box[3]]);
    return [markup`<text class="label" x="${px(box[0])}" y="${px(box[3] - 2)}">${label}</text>`];
  });
}

/** One kind of responses in a histogram. */
export interface Pile {
  /** Its name in the legend, which also gives the colour. */
  readonly name: string;
  /** The counts, in any order. */
  readonly values: readonly number[];
}

/** How often which count occurs, kinds stacked; null without a value. */
export function histogram(
  options: {
    readonly title: string;
    readonly xTitle: string;
    readonly yTitle: string;
    readonly size?: Size;
  },
  piles: readonly Pile[],
): Markup | null {
  const { title, xTitle, yTitle, size = { width: 310, height: 250 } } = options;
  const all = piles.flatMap((pile) => pile.values);
  if (all.length === 0) return null;
  const plot = plotOf(size), most = all.reduce((a, b) => Math.max(a, b), 1);
  const x = linearScale([0, most], [plot.left, plot.right], { count: 4, integers: true });
  const bins = Math.min(28, x.domain[1]), width = x.domain[1] / bins;
  const counts = piles.map((pile) => {
    const list = new Array<number>(bins).fill(0);
    for (const value of pile.values) list[Math.min(bins - 1, Math.floor(value / width))]++;
    return list;
  });
  const heights = Array.from({ length: bins }, (_, i) => counts.reduce((sum, c) => sum + c[i], 0));
  const y = linearScale([0, Math.max(...heights)], [plot.bottom, plot.top], {
    count: 4,
    integers: true,
  });
  const others = withoutColor(piles.map((pile) => pile.name));
  const below = new Array<number>(bins).fill(0);
  const body = piles.map(({ name }, k) => {
    const bars = counts[k].flatMap((count, i) => {
      if (count === 0) return [];
      const [low, high] = [below[i], below[i] + count];
      below[i] = high;
      const left = x.at(i * width) + 0.5, right = x.at((i + 1) * width) - 0.5;
      return [
        markup`<rect x="${px(left)}" y="${px(y.at(high))}" width="${
          px(Math.max(0.5, right - left))
        }" height="${px(y.at(low) - y.at(high))}" fill="currentColor"/>`,
      ];
    });
    return markup`<g class="${colorClass(name, others)}" data-series="${name}">${bars}</g>`;
  });
  const axis: Axis = { title: yTitle, scale: y, format: countFormat };
  return frame(size, {
    title,
    legend: piles.map(({ name }) => ({
      name,
      color: colorClass(name, others),
      mark: "block" as const,
    })),
    x: { title: xTitle, scale: x, format: countFormat },
    y: axis,
    body,
  });
}
