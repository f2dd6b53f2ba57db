/**
 * A report as a list of blocks, written once as Markdown and once as a page.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { type Dialogue, dialoguesMarkdown, dialogueViewer, viewerScript } from "./dialogues.ts";
import { table } from "./markdown.ts";
import { escapeText, Markup, markup } from "./markup.ts";
import { pageStyle } from "./theme.ts";

/** A part of a report. */
export type Block =
  | { readonly kind: "heading"; readonly level: 2 | 3; readonly text: string }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "notes"; readonly items: readonly string[] }
  | {
    readonly kind: "table";
    readonly header: readonly string[];
    /** Cells by row; the first column is the row's name. */
    readonly rows: readonly (readonly string[])[];
    /** Indices of rows that are there for comparison only. */
    readonly muted?: readonly number[];
    /** Whether the last column is text that may be long. */
    readonly wide?: boolean;
  }
  | {
    readonly kind: "charts";
    readonly charts: readonly Markup[];
    /** What they show, and the file beside the Markdown that holds them; without one it has none. */
    readonly image?: { readonly alt: string; readonly file: string };
  }
  | { readonly kind: "dialogues"; readonly dialogues: readonly Dialogue[] };

/** A share as percent, without the sign: tables have it in their header. */
export function percent(share: number, digits: number): string {
  return (100 * share).toFixed(digits);
}

/** A heading; default: of a section. */
export function heading(text: string, level: 2 | 3 = 2): Block {
  return { kind: "heading", level, text };
}

/** Most sampled dialogues in Markdown. */
const markdownDialogues = 3;

/** The report as Markdown. Charts are linked where they have a file, and left to the page elsewhere. */
export function toMarkdown(title: string, blocks: readonly Block[]): string {
  return [`# ${title}`, ...blocks.flatMap(markdownOf)].join("\n\n") + "\n";
}

function markdownOf(block: Block): string[] {
  switch (block.kind) {
    case "heading":
      return [`${"#".repeat(block.level)} ${block.text}`];
    case "text":
      return [block.text];
    case "notes":
      return block.items.length === 0 ? [] : [block.items.map((item) => `* ${item}`).join("\n")];
    case "table":
      return [table(block.header, block.rows)];
    case "charts":
      return block.image ? [`![${block.image.alt}](${block.image.file})`] : [];
    case "dialogues":
      return dialoguesMarkdown(block.dialogues, markdownDialogues);
  }
}

/**
 * The report as a page that needs nothing else: no network, no file beside it. Whatever the texts in it
 * say, the browser runs no script but ours: the page's own policy names it by its digest.
 */
export function toHtml(title: string, blocks: readonly Block[]): string {
  const digest = createHash("sha256").update(viewerScript).digest("base64");
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${digest}'; ` +
    "base-uri 'none'; form-action 'none'";
  return markup`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta http-equiv="Content-Security-Policy" content="${policy}"><title>${title}</title><style>${new Markup(
    pageStyle,
  )}</style></head><body><h1>${title}</h1>
${blocks.map((block) => markup`${htmlOf(block)}\n`)}<script>${new Markup(
    viewerScript,
  )}</script></body></html>\n`.text;
}

function htmlOf(block: Block): Markup {
  switch (block.kind) {
    case "heading":
      return block.level === 2 ? markup`<h2>${block.text}</h2>` : markup`<h3>${block.text}</h3>`;
    case "text":
      return markup`<p>${inline(block.text)}</p>`;
    case "notes":
      return markup`<ul>${block.items.map((item) => markup`<li>${inline(item)}</li>`)}</ul>`;
    case "table":
      return tableOf(block);
    case "charts":
      return markup`<div class="charts">${block.charts}</div>`;
    case "dialogues":
      return dialogueViewer(block.dialogues);
  }
}

function tableOf({ header, rows, muted = [], wide }: Block & { kind: "table" }): Markup {
  const cell = (text: string, column: number) =>
    wide && column > 0 && column === header.length - 1
      ? markup`<td class="wide">${text}</td>`
      : markup`<td>${inline(text)}</td>`;
  return markup`<div class="scroll"><table><thead><tr>${
    header.map((text) => markup`<th>${text}</th>`)
  }</tr></thead><tbody>${
    rows.map((row, i) => {
      const cells = row.map(cell);
      return muted.includes(i)
        ? markup`<tr class="muted">${cells}</tr>`
        : markup`<tr>${cells}</tr>`;
    })
  }</tbody></table></div>`;
}

/** Text with `**bold**` and `` `code` `` as Markdown has them. */
function inline(text: string): Markup {
  return new Markup(
    escapeText(text).replace(/\*\*([^*]+)\*\*/g, "<b>$1</b>").replace(
      /`([^`]+)`/g,
      "<code>$1</code>",
    ),
  );
}
