/**
 * The same work here and in another program, turn by turn in one run.
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { median } from "../harness.ts";
import type { Peer } from "../peer.ts";
import { formatTable } from "../report.ts";
import type { Workbench } from "../workbench.ts";

/** The same work on both sides. */
export interface Pair {
  readonly op: string;
  readonly shape: string;
  /** FLOPs, or tokens, of one call: what rates count. */
  readonly work: number;
  readonly unit: "GFLOP/s" | "tokens/s";
  /** The case of the peer with its arguments. */
  readonly peer: Readonly<Record<string, unknown>>;
  /** Sets our side up; what is returned resolves to the seconds of one call. */
  ours(bench: Workbench): Promise<{ round: () => Promise<number>; dispose?: () => void }>;
}

/** What came out of a pair: medians over the rounds. */
export interface Result {
  readonly op: string;
  readonly shape: string;
  readonly unit: Pair["unit"];
  readonly ours: number;
  readonly peer: number;
  /** The peer's time over ours. */
  readonly ratio: number;
}

/** Milliseconds that threads of the other side may spin before a round. */
const settle = 20;

/** Runs a pair: theirs, ours, theirs, ours, ... `request` goes to the peer beside the pair's case. */
export async function compare(
  bench: Workbench,
  peer: Peer,
  pair: Pair,
  options: { rounds: number; request?: Record<string, unknown> },
): Promise<Result> {
  await peer.ask(JSON.stringify({ ...pair.peer, ...options.request }));
  const ours = await pair.ours(bench);
  try {
    await ours.round();
    const times: { ours: number; theirs: number }[] = [];
    for (let round = 0; round < options.rounds; round++) {
      await delay(settle);
      const theirs = Number(await peer.ask(JSON.stringify({ round: true })));
      await delay(settle);
      times.push({ theirs, ours: await ours.round() });
    }
    const rate = (of: "ours" | "theirs") => pair.work / median(times.map((time) => time[of]));
    return {
      op: pair.op,
      shape: pair.shape,
      unit: pair.unit,
      ours: rate("ours"),
      peer: rate("theirs"),
      ratio: median(times.map((time) => time.theirs / time.ours)),
    };
  } finally {
    ours.dispose?.();
    bench.reset();
  }
}

/** Compares pair after pair and prints the table. */
export async function compareAll(
  bench: Workbench,
  peer: Peer,
  pairs: readonly Pair[],
  options: { name: string; rounds: number; request?: Record<string, unknown> },
): Promise<Result[]> {
  const rows: Result[] = [];
  for (const pair of pairs) {
    Deno.stderr.writeSync(new TextEncoder().encode("."));
    rows.push(await compare(bench, peer, pair, options));
  }
  console.error();
  const rate = ({ unit }: Result, value: number) =>
    unit === "GFLOP/s" ? `${(value / 1e9).toPrecision(3)} G/s` : `${value.toPrecision(3)} tok/s`;
  console.log(formatTable(
    ["work", "shape", "Thinker", options.name, "ratio"],
    rows.map((row) => [
      row.op,
      row.shape,
      rate(row, row.ours),
      rate(row, row.peer),
      row.ratio.toFixed(2),
    ]),
  ));
  return rows;
}

/** Disposes in order. */
export function free(...parts: Disposable[]): void {
  for (const part of parts) part[Symbol.dispose]();
}
