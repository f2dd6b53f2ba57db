/**
 * The metrics of one PPO step: what `metrics.jsonl` holds per line, in which order the keys stand,
 * and which of them depend on the clock.
 */

import { readJsonl } from "./jsonl.ts";

/** Metric names (`step`, `reward/fast`, `ppo/entropy`, …) with their values. */
export type Metrics = Record<string, number>;

/** The order of key groups (the part before the slash); unknown groups follow by name. */
const GROUP_ORDER = [
  "step",
  "tokens",
  "accuracy",
  "eval",
  "greedy",
  "pass",
  "reward",
  "length",
  "truncated",
  "ppo",
  "rollout",
];

/**
 * True for a key whose value depends on the clock: times, and what the engine's schedule made of a rollout, which
 * owners that answer late have a part in. Only these keys may differ between two runs of the same seed on the
 * same machine.
 */
export function clockKeys(key: string): boolean {
  return key === "seconds" || key === "rollout/prefilled_tokens" ||
    ["time/", "generate/"].some((group) => key.startsWith(group)) ||
    key.endsWith("_per_second") || key.endsWith("bound_share");
}

/** The metrics without the clock: what two identical runs share bit for bit. */
export function stripClock(metrics: Metrics): Metrics {
  return Object.fromEntries(Object.entries(metrics).filter(([key]) => !clockKeys(key)));
}

/**
 * The same metrics with their keys in order: by group, inside a group by stage as `stages` lists them, then
 * `final`, then by name; clock keys come last.
 */
export function orderMetrics(metrics: Metrics, stages: readonly string[]): Metrics {
  const order = [...stages, "final"];
  const compare = (a: string, b: string) => {
    const [groupA, nameA] = split(a), [groupB, nameB] = split(b);
    return Number(clockKeys(a)) - Number(clockKeys(b)) ||
      rank(GROUP_ORDER, family(groupA)) - rank(GROUP_ORDER, family(groupB)) ||
      compareText(groupA, groupB) ||
      rank(order, nameA) - rank(order, nameB) || compareText(nameA, nameB);
  };
  return Object.fromEntries(Object.entries(metrics).sort(([a], [b]) => compare(a, b)));
}

/**
 * The part of `metrics` under `group/`, keyed by the rest of the name, in the order of the metrics:
 * `{"eval/fast": 0.5, "eval/slow": 0.2}` gives `[["fast", 0.5], ["slow", 0.2]]` for `eval`.
 */
export function groupOf(metrics: Metrics, group: string): [string, number][] {
  return Object.entries(metrics)
    .filter(([key]) => split(key)[0] === group && key.includes("/"))
    .map(([key, value]) => [split(key)[1], value]);
}

/** The names under `group/` of all lines, in the order of the line that has most of them, then as they come. */
export function namesOf(lines: readonly Metrics[], group: string): string[] {
  const listed = lines.map((line) => groupOf(line, group).map(([name]) => name));
  const fullest = listed.reduce((most, names) => names.length > most.length ? names : most, []);
  return [...new Set([...fullest, ...listed.flat()])];
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

function rank(order: readonly string[], name: string): number {
  const index = order.indexOf(name);
  return index < 0 ? order.length : index;
}

/** `pass@4` is of the family `pass`. */
function family(group: string): string {
  return group.replace(/@\d+$/, "");
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function split(key: string): [string, string] {
  const slash = key.indexOf("/");
  return slash < 0 ? [key, ""] : [key.slice(0, slash), key.slice(slash + 1)];
}
