/**
 * The metrics of one PPO step: what `metrics.jsonl` holds per line, in which order the keys stand,
 * and which of them depend on the clock.
 */

import { readJsonl } from "./jsonl.ts";

/** Metric names (`step`, `reward/fast`, `ppo/entropy`, …) with their values. */
export type Metrics = Record<string, number>;

/** The order of stages in tables, legends and lines. `answer` is the baseline's only stage. */
const STAGE_ORDER = ["fast", "verify", "slow", "summary", "answer", "final"];

/** The order of key groups (the part before the slash); unknown groups follow by name. */
const GROUP_ORDER = [
  "step",
  "tokens",
  "accuracy",
  "eval",
  "reward",
  "length",
  "truncated",
  "ppo",
  "rollout",
];

/**
 * True for a key whose value depends on the clock. Only these keys may differ between two runs of
 * the same seed on the same machine.
 */
export function clockKeys(key: string): boolean {
  return key === "seconds" || key.startsWith("time/") ||
    key.endsWith("_per_second") || key.endsWith("bound_share");
}

/** The metrics without the clock: what two identical runs share bit for bit. */
export function stripClock(metrics: Metrics): Metrics {
  return Object.fromEntries(Object.entries(metrics).filter(([key]) => !clockKeys(key)));
}

/** Sorts stage names: fast, verify, slow, summary, answer, final, then any others by name. */
export function compareStages(a: string, b: string): number {
  return rank(STAGE_ORDER, a) - rank(STAGE_ORDER, b) || compareText(a, b);
}

/** Sorts metric names: by group, then by stage; clock keys come last. */
export function compareKeys(a: string, b: string): number {
  const [groupA, nameA] = split(a);
  const [groupB, nameB] = split(b);
  return Number(clockKeys(a)) - Number(clockKeys(b)) ||
    rank(GROUP_ORDER, groupA) - rank(GROUP_ORDER, groupB) ||
    compareText(groupA, groupB) || compareStages(nameA, nameB);
}

/** The same metrics with their keys in the order of {@link compareKeys}. */
export function orderMetrics(metrics: Metrics): Metrics {
  return Object.fromEntries(Object.entries(metrics).sort(([a], [b]) => compareKeys(a, b)));
}

/**
 * The part of `metrics` under `group/`, keyed by the rest of the name and in stage order:
 * `{"eval/slow": 0.2, "eval/fast": 0.5}` gives `[["fast", 0.5], ["slow", 0.2]]` for `eval`.
 */
export function groupOf(metrics: Metrics, group: string): [string, number][] {
  return Object.entries(metrics)
    .filter(([key]) => split(key)[0] === group && key.includes("/"))
    .map(([key, value]): [string, number] => [split(key)[1], value])
    .sort(([a], [b]) => compareStages(a, b));
}

/**
 * True for what an evaluation measures besides accuracies (`eval/tokens`, `eval/fast_tokens`, …):
 * a count, not a share.
 */
export function isEvalCount(name: string): boolean {
  return /tokens|length/.test(name);
}

/** Reads `metrics.jsonl`; values that are not numbers (a logged `NaN` reads as null) are left out. */
export async function readMetrics(path: string): Promise<Metrics[]> {
  const rows = await readJsonl<Record<string, unknown>>(path);
  return rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).filter((entry): entry is [string, number] =>
        typeof entry[1] === "number"
      ),
    )
  );
}

function rank(order: string[], name: string): number {
  const index = order.indexOf(name);
  return index < 0 ? order.length : index;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function split(key: string): [string, string] {
  const slash = key.indexOf("/");
  return slash < 0 ? [key, ""] : [key.slice(0, slash), key.slice(slash + 1)];
}
