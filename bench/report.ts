/**
 * How results are shown and kept.
 *
 * @module
 */
import type { Machine } from "./machine.ts";

/** One line of cells; numbers are aligned to the right by whoever formats them as such. */
export type Row = readonly string[];

/** A table for the terminal: the first `left` columns aligned to the left, the others to the right. */
export function formatTable(header: Row, rows: readonly Row[], left = 2): string {
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((r) => r[i].length)));
  const line = (cells: Row) =>
    cells.map((cell, i) => i < left ? cell.padEnd(widths[i]) : cell.padStart(widths[i])).join("  ")
      .trimEnd();
  return [line(header), widths.map((w) => "-".repeat(w)).join("  "), ...rows.map(line)].join("\n");
}

/** `12.3 GFLOP/s` or `12.3 GB/s`, three digits. */
export function formatRate(rate: number, bound: "fma" | "read"): string {
  return `${(rate / 1e9).toPrecision(3)} ${bound === "fma" ? "GFLOP/s" : "GB/s"}`;
}

/** `83 %`. */
export function formatShare(share: number): string {
  return `${Math.round(100 * share)} %`;
}

/** Where results of the day are kept: `bench/results/<name>-<date>.json`. */
export function resultPath(name: string, date: Date): string {
  return `bench/results/${name}-${date.toISOString().slice(0, 10)}.json`;
}

/** Writes results with the machine that they were measured on, and returns the path. */
export async function saveResults(
  name: string,
  machine: Machine,
  results: Record<string, unknown>,
): Promise<string> {
  const date = new Date(), path = resultPath(name, date);
  await Deno.mkdir("bench/results", { recursive: true });
  const content = { name, date: date.toISOString(), machine, ...results };
  await Deno.writeTextFile(path, `${JSON.stringify(content, null, 2)}\n`);
  return path;
}
