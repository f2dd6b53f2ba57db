/**
 * Reports: charts as SVG for light and dark surroundings, a document model that becomes Markdown and a
 * self-contained page, and a viewer of dialogues. This room knows nothing of runs and models.
 *
 * @module
 */
export { type LegendEntry, type Size, svgDocument } from "./chart.ts";
export { histogram, type Line, lineChart, type Pile, type Point, scatterChart } from "./charts.ts";
export { type Dialogue, type DialogueTurn } from "./dialogues.ts";
export { type Block, heading, percent, toHtml, toMarkdown } from "./document.ts";
export { type Content, escapeText, Markup, markup } from "./markup.ts";
