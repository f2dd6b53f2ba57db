/**
 * How results are shown and kept.
 *
 * @module
 */
import type { Measurement } from "./harness.ts";
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

/** `12.3 GFLOP/s`, `1.23 TFLOP/s` or `12.3 GB/s`, three digits. */
export function formatRate(rate: number, bound: "fma" | "read"): string {
  const [scale, prefix] = rate < 999.5e9 ? [1e9, "G"] : [1e12, "T"];
  return `${(rate / scale).toPrecision(3)} ${prefix}${bound === "fma" ? "FLOP/s" : "B/s"}`;
}

/** `83 %`. */
export function formatShare(share: number): string {
  return `${Math.round(100 * share)} %`;
}

/** What was measured of kernels, a line each. */
export function formatMeasurements(rows: readonly Measurement[]): string {
  return formatTable(
    ["op", "shape", "µs", "rate", "peak", "share", "tokens/s"],
    rows.map((row) => [
      row.op,
      row.shape,
      formatMicroseconds(row.microseconds),
      formatRate(row.rate, row.bound),
      formatRate(row.peak, row.bound),
      formatShare(row.share),
      row.tokensPerSecond === undefined ? "" : Math.round(row.tokensPerSecond).toLocaleString("en"),
    ]),
  );
}

/** Four digits, whole numbers from there on. */
function formatMicroseconds(value: number): string {
  return value < 1000 ? value.toPrecision(4) : Math.round(value).toLocaleString("en");
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
