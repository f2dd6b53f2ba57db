/**
 * Dialogues for people to read: in a page as a list to filter and unfold, in Markdown as a few samples.
 *
 * @module
 */
import { fenced, shorten } from "./markdown.ts";
import { type Markup, markup } from "./markup.ts";
import { colorClass } from "./theme.ts";

/** One turn of a dialogue. */
export interface DialogueTurn {
  /** The stage's name. */
  readonly stage: string;
  /** What the model said. */
  readonly response: string;
  /** What it was paid, where it was. */
  readonly reward?: number;
  /** Length of the response in tokens. */
  readonly tokens: number;
  /** True when the budget ended the response. */
  readonly truncated: boolean;
  /** What was made of it, in a word or two: the answer read, the verdict. */
  readonly outcome?: string;
}

/** One dialogue about one problem. */
export interface Dialogue {
  /** The problem's name. */
  readonly id: string;
  /** The set of problems, to filter by. */
  readonly set: string;
  /** The problem as the model was asked it. */
  readonly question: string;
  /** The true answer. */
  readonly answer: string;
  /** Whether the answer that counts is right; missing where that is not known. */
  readonly right?: boolean;
  /** In the order they happened. */
  readonly turns: readonly DialogueTurn[];
}

/** Most characters of one text. */
const maxText = 20_000, maxMarkdownText = 1500;

/** Length and reward of a turn; a reward has as many digits as it has, at most three. */
function factsOf({ tokens, truncated, reward }: DialogueTurn): string[] {
  return [
    `${tokens} tokens${truncated ? " (budget spent)" : ""}`,
    ...(reward === undefined ? [] : [`reward ${Number(reward.toFixed(3))}`]),
  ];
}

/** The viewer: every text in it is escaped, and it works without scripts but for the filters. */
export function dialogueViewer(dialogues: readonly Dialogue[]): Markup {
  const sets = [...new Set(dialogues.map((dialogue) => dialogue.set))];
  const stages = [...new Set(dialogues.map(({ turns }) => turnsText(turns.length)))];
  const select = (name: string, label: string, options: readonly string[]) =>
    markup`<label>${label} <select data-filter="${name}"><option value="">all</option>${
      options.map((option) => markup`<option>${option}</option>`)
    }</select></label>`;
  const judged = dialogues.some((dialogue) => dialogue.right !== undefined);
  return markup`<div class="filters" hidden>${sets.length > 1 ? select("set", "set", sets) : ""}${
    judged ? select("outcome", "answer", ["right", "wrong"]) : ""
  }${
    stages.length > 1 ? select("turns", "length", stages.sort()) : ""
  }<span data-count></span></div><div class="dialogues">${dialogues.map(dialogueOf)}</div>`;
}

function turnsText(count: number): string {
  return count === 1 ? "1 turn" : `${count} turns`;
}

function dialogueOf({ id, set, question, answer, right, turns }: Dialogue): Markup {
  const outcome = right === undefined ? "" : right ? "right" : "wrong";
  const tokens = turns.reduce((sum, turn) => sum + turn.tokens, 0);
  const start = question.replace(/\s+/g, " ").slice(0, 90);
  return markup`<details class="dialogue" data-set="${set}" data-outcome="${outcome}" data-turns="${
    turnsText(turns.length)
  }"><summary><span class="mark ${
    outcome && colorClass(outcome)
  }">${outcome}</span> ${id} <span class="facts">${
    turns.map((turn) => turn.stage).join(" → ")
  }, ${tokens} tokens — ${start}${question.length > 90 ? "…" : ""}</span></summary><pre>${
    shorten(question, maxText)
  }</pre><p class="facts">True answer: ${answer}</p>${turns.map(turnOf)}</details>`;
}

function turnOf(turn: DialogueTurn): Markup {
  const facts = [...factsOf(turn), ...(turn.outcome === undefined ? [] : [turn.outcome])];
  return markup`<div class="turn ${
    colorClass(turn.stage)
  }"><div><span class="stage">${turn.stage}</span> <span class="facts">${
    facts.join(" · ")
  }</span></div><pre>${shorten(turn.response, maxText)}</pre></div>`;
}

/** Shows the filters and applies them. It reads and sets attributes only, never text. */
export const viewerScript = `
for (const bar of document.querySelectorAll(".filters")) {
  const items = [...bar.nextElementSibling.children];
  const selects = [...bar.querySelectorAll("select")];
  const apply = () => {
    let shown = 0;
    for (const item of items) {
      item.hidden = selects.some((s) => s.value && item.dataset[s.dataset.filter] !== s.value);
      if (!item.hidden) shown++;
    }
    bar.querySelector("[data-count]").textContent = shown + " of " + items.length;
  };
  for (const select of selects) select.addEventListener("change", apply);
  bar.hidden = false;
  apply();
}`;

/** Dialogues as Markdown: those with most turns first, one per number of turns. */
export function dialoguesMarkdown(dialogues: readonly Dialogue[], most: number): string[] {
  const byTurns = new Map<number, Dialogue>();
  for (const dialogue of dialogues) {
    if (!byTurns.has(dialogue.turns.length)) byTurns.set(dialogue.turns.length, dialogue);
  }
  const chosen = [...byTurns].sort(([a], [b]) => b - a).slice(0, most);
  return chosen.flatMap(([, { id, question, answer, turns }]) => [
    `### Problem ${id}`,
    fenced(shorten(question, maxMarkdownText)),
    `True answer: \`${answer.replaceAll("`", "'")}\``,
    ...turns.flatMap((turn) => [
      `**${turn.stage}**, ${factsOf(turn).join(", ")}`,
      fenced(shorten(turn.response, maxMarkdownText)),
    ]),
  ]);
}
