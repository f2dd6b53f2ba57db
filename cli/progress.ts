/**
 * What a long command shows while it works: on a terminal one block that is redrawn in place,
 * elsewhere plain lines, about fifty a phase.
 *
 * Everything goes to standard error, so that a command's output stays clean. No mode of the terminal
 * is ever changed (no hidden cursor, no wrapping turned off): there is nothing to restore, however
 * the process ends. A restoring sequence would not be safe, as Ctrl-C makes a terminal drop output
 * that still waits.
 *
 * @module
 */

import { groupOf, isEvalCount, type Metrics } from "../src/base/mod.ts";
import { percent } from "../src/report/mod.ts";
import { show, visible } from "./output.ts";

/** What a block shows. */
export interface ProgressState {
  /** What is going on, such as `training`. */
  phase: string;
  /** Steps done, counted as the metrics count them. */
  step: number;
  /** The step at which this phase ends. */
  total: number;
  /** The step at which this process took the phase up: 0, or more on resume. */
  from: number;
  /** When it did, in milliseconds. */
  startedAt: number;
  /** The latest value of every metric seen in this phase. */
  values: Metrics;
  /** The step of the latest evaluation. */
  evalStep?: number;
  /** The main accuracy after each step, for the sparkline. */
  history: number[];
  /** Whether to use colours. */
  color: boolean;
}

/** How to set up a {@link Progress}; everything has a default that fits the process. */
export interface ProgressOptions {
  /** Redraw a block (true) or print plain lines; by default whether standard error is a terminal. */
  tty?: boolean;
  /** Where text goes; standard error by default. */
  write?: (text: string) => void;
  /** The terminal's width in columns, asked before every drawing. */
  columns?: () => number;
  /** The time in milliseconds. */
  now?: () => number;
  /** Whether to use colours; by default unless NO_COLOR is set. */
  color?: boolean;
}

type Style = "bold" | "dim" | "green" | "cyan";
type Span = [text: string, style?: Style];

const SGR: Record<Style, string> = { bold: "1", dim: "2", green: "32", cyan: "36" };
const BARS = "▁▂▃▄▅▆▇█";
const LABEL_WIDTH = 10;
const finalAtLeast = "rollout/final_at_least";
const REFRESH_MS = 1000;
const CLEAR_LINE_END = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";

/** The progress display of one command. */
export class Progress implements Disposable {
  readonly #tty: boolean;
  readonly #write: (text: string) => void;
  readonly #columns: () => number;
  readonly #now: () => number;
  readonly #color: boolean;
  #state: ProgressState | null = null;
  #drawnLines = 0;
  #timer?: ReturnType<typeof setInterval>;

  /** Shows nothing until the first {@link Progress.phase}. */
  constructor(options: ProgressOptions = {}) {
    this.#tty = options.tty ?? Deno.stderr.isTerminal();
    this.#write = options.write ?? show;
    this.#columns = options.columns ?? terminalWidth;
    this.#now = options.now ?? Date.now;
    this.#color = options.color ?? !Deno.noColor;
  }

  /**
   * Begins a phase and leaves the display of the one before as it stands.
   *
   * @param total The step at which the phase ends.
   * @param from The step it starts from, above 0 on resume; the estimate counts from there.
   */
  phase(name: string, total: number, from = 0): void {
    this.end();
    this.#state = {
      phase: name,
      step: from,
      total,
      from,
      startedAt: this.#now(),
      values: {},
      history: [],
      color: this.#color,
    };
    if (!this.#tty) {
      this.#write(`${name}: ${total - from} steps\n`);
      return;
    }
    this.#draw();
    // Steps can take minutes: the clock shows that the process is alive.
    this.#timer = setInterval(() => this.#draw(), REFRESH_MS);
    Deno.unrefTimer(this.#timer);
  }

  /** Shows the state after a step; values not given stay as they were (evaluations are rare). */
  update({ step, values }: { step: number; values: Metrics }): void {
    const state = this.#state;
    if (state === null) return;
    state.step = step;
    const isEval = (key: string) => /^(eval|greedy|pass@\d+)\//.test(key);
    if (Object.keys(values).some(isEval)) {
      state.evalStep = step;
      for (const key of Object.keys(state.values).filter(isEval)) delete state.values[key];
    }
    Object.assign(state.values, values);
    // In training the truth decides what follows: of the final answer there is a lower bound alone.
    const accuracy = values["accuracy/final"] ?? values[finalAtLeast] ??
      groupOf(values, "accuracy")[0]?.[1];
    if (accuracy !== undefined) state.history.push(accuracy);
    if (this.#tty) this.#draw();
    else if (step === state.evalStep || step % linesEvery(state) === 0 || step === state.total) {
      this.#write(renderLine({ ...state, values }, this.#now()) + "\n");
    }
  }

  /** Prints a line that stays, above the block. */
  note(text: string): void {
    const shown = visible(text);
    if (this.#tty) this.#draw(shown.split("\n"));
    else this.#write(`${shown}\n`);
  }

  /** Ends the phase; the block stays on the screen as it was last. */
  end(): void {
    if (this.#state === null) return;
    clearInterval(this.#timer);
    if (this.#tty) this.#draw();
    this.#state = null;
    this.#drawnLines = 0;
  }

  /** Ends the phase. */
  [Symbol.dispose](): void {
    this.end();
  }

  /** Draws over the old block, in one write and without a blank moment: first `notes`, then the block. */
  #draw(notes: string[] = []): void {
    const block = this.#state === null
      ? []
      : renderBlock(this.#state, this.#columns(), this.#now());
    const up = this.#drawnLines === 0 ? "" : `\x1b[${this.#drawnLines}A`;
    const lines = [...notes, ...block].map((line) => `${line}${CLEAR_LINE_END}\n`);
    this.#drawnLines = block.length;
    this.#write(`\r${up}${lines.join("")}${CLEAR_BELOW}`);
  }
}

/** Without a terminal a phase prints about fifty lines, however many steps it has: one in so many. */
export function linesEvery({ total, from }: Pick<ProgressState, "total" | "from">): number {
  return Math.max(1, Math.ceil((total - from) / 50));
}

/**
 * The lines of the live block, each at most `width` columns wide.
 *
 * @param now The time in milliseconds, on the clock of `state.startedAt`.
 */
export function renderBlock(state: ProgressState, width: number, now: number): string[] {
  const { values } = state;
  const rows: Span[][] = [headline(state, width, now)];
  const add = (label: string, spans: Span[], note = "") => {
    if (spans.length === 0) return;
    const tail: Span[] = note === "" ? [] : [[note, "dim"]];
    rows.push([[label.padEnd(LABEL_WIDTH), "dim"], ...spans, ...tail]);
  };
  add("accuracy", named(groupOf(values, "accuracy"), inPercent));
  const spark = sparkline(state.history, Math.min(40, width - LABEL_WIDTH - 16));
  const curve: Span[] = state.history.length > 1 ? [[`${spark}  `, "green"]] : [];
  const bound = values[finalAtLeast];
  add("", [...curve, ...(bound === undefined ? [] : lowerBound(bound))]);
  add("held out", named(accuraciesOf(values, "eval"), inPercent), `(step ${state.evalStep})`);
  add("greedy", named(accuraciesOf(values, "greedy"), inPercent));
  add("reward", named(stageRewards(values), (value) => value.toFixed(3)));
  add("tokens", named(groupOf(values, "length"), (value) => value.toFixed(0)));
  add("learning", named(policyValues(values), significant));
  add("speed", speeds(values));
  // The last column stays free: some terminals wrap as soon as it is written.
  return rows.map((spans) => fit(spans, width - 1, state.color));
}

/** The same facts on one plain line, for logs. */
export function renderLine(state: ProgressState, now: number): string {
  const { values } = state;
  const parts = [`${state.phase} ${state.step}/${state.total}`];
  const add = (label: string, spans: Span[]) => {
    if (spans.length > 0) parts.push(`${label} ${spans.map(([text]) => text).join("").trim()}`);
  };
  add("accuracy", named(groupOf(values, "accuracy"), inPercent));
  const bound = values[finalAtLeast];
  if (bound !== undefined) parts.push(lowerBound(bound).map(([text]) => text).join(""));
  add("held out", named(accuraciesOf(values, "eval"), inPercent));
  add("greedy", named(accuraciesOf(values, "greedy"), inPercent));
  add("reward", named(stageRewards(values), (value) => value.toFixed(3)));
  add("learning", named(policyValues(values), significant));
  add("speed", speeds(values));
  parts.push(timing(state, now));
  return parts.join(" | ");
}

function headline(state: ProgressState, width: number, now: number): Span[] {
  const share = state.total > 0 ? Math.min(1, state.step / state.total) : 1;
  const head = `${state.phase.padEnd(LABEL_WIDTH - 1)} `;
  const count = `${state.step}/${state.total} `;
  const tail = ` ${inPercent(share)}  ${timing(state, now)}`;
  const room = Math.min(40, width - 1 - head.length - count.length - tail.length);
  if (room < 5) return [[head, "bold"], [count.trimEnd()], [tail, "dim"]];
  const filled = Math.round(share * room);
  return [
    [head, "bold"],
    [count],
    ["━".repeat(filled), "cyan"],
    ["╌".repeat(room - filled), "dim"],
    [tail, "dim"],
  ];
}

function timing(state: ProgressState, now: number): string {
  const elapsed = (now - state.startedAt) / 1000;
  const done = state.step - state.from;
  const left = state.total - state.step;
  const eta = done > 0 && left > 0 ? `, ${duration(elapsed / done * left)} left` : "";
  return `${duration(elapsed)}${eta}`;
}

/** Seconds as `8s`, `2m 05s` or `3h 07m`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (n: number) => String(n).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h ${two(Math.floor(whole % 3600 / 60))}m`;
}

/** A curve of at most `width` characters from 0 to 1; older values are averaged into fewer. */
export function sparkline(values: number[], width: number): string {
  const length = Math.max(0, Math.min(width, values.length));
  return Array.from({ length }, (_, i) => {
    const begin = Math.floor(i * values.length / length);
    const end = Math.floor((i + 1) * values.length / length);
    const part = values.slice(begin, end);
    const mean = part.reduce((sum, value) => sum + value, 0) / part.length;
    return BARS[Math.max(0, Math.min(BARS.length - 1, Math.floor(mean * BARS.length)))];
  }).join("");
}

/** Of stages and final; what comes after which answer is for the report. */
function accuraciesOf(values: Metrics, group: string): [string, number][] {
  return groupOf(values, group)
    .filter(([name]) => !isEvalCount(name) && !/_after_(right|wrong)$/.test(name));
}

/** Without their sum, which falls where a better policy ends its episodes sooner. */
function stageRewards(values: Metrics): [string, number][] {
  return groupOf(values, "reward").filter(([name]) => name !== "episode");
}

function lowerBound(value: number): Span[] {
  return [["final at least "], [inPercent(value), "bold"]];
}

/** What tells that PPO is healthy; the warm start has its own names, without a group. */
function policyValues(values: Metrics): [string, number][] {
  const plain = Object.entries(values).filter(([key]) =>
    !key.includes("/") && key !== "step" && key !== "seconds" && !key.endsWith("_per_second")
  );
  // Towards the sampling policy KL is 0 by construction where a rollout has one update; towards the policy
  // before PPO it is what a KL coefficient works against.
  const shown: [string, string][] = [
    ["ppo/entropy", "entropy"],
    ["ppo/kl_ref", "kl to start"],
    ...(values["ppo/kl"] ? [["ppo/kl", "kl in step"] satisfies [string, string]] : []),
    ["ppo/grad_norm", "grad norm"],
    ["rollout/logprob_gap_max", "logprob gap max"],
    // Only where there were any: they are not to be overlooked.
    ...[
      "ppo/skipped_updates",
      "ppo/critic_skipped_updates",
      "ppo/spikes",
      "ppo/critic_spikes",
    ].filter((key) => values[key] > 0)
      .map((key): [string, string] => [key, key.split("/")[1].replaceAll("_", " ")]),
  ];
  const ppo = shown.filter(([key]) => values[key] !== undefined)
    .map(([key, name]): [string, number] => [name, values[key]]);
  return [...plain, ...ppo];
}

function speeds(values: Metrics): Span[] {
  return Object.entries(values)
    .filter(([key]) => key.endsWith("_per_second"))
    .map(([key, value]): Span => {
      const [unit, group] = key.replace("_per_second", "").split("/").reverse();
      const where = group === undefined ? "" : ` (${group})`;
      return [`${Math.round(value).toLocaleString("en-US")} ${unit}/s${where}  `];
    });
}

function named(values: [string, number][], format: (value: number) => string): Span[] {
  return values.flatMap(([name, value]): Span[] => [[`${name} `], [`${format(value)}  `, "bold"]]);
}

function inPercent(value: number): string {
  return `${percent(value, 1)}%`;
}

function significant(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** One line of at most `width` columns; all texts here are one column per character. */
function fit(spans: Span[], width: number, color: boolean): string {
  let room = Math.max(0, width);
  let line = "";
  for (const [text, style] of spans) {
    const shown = text.slice(0, room);
    room -= shown.length;
    line += color && style && shown.trim() !== "" ? `\x1b[${SGR[style]}m${shown}\x1b[0m` : shown;
  }
  return line;
}

function terminalWidth(): number {
  try {
    return Deno.consoleSize().columns || 80;
  } catch {
    return 80;
  }
}
