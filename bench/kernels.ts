/**
 * `deno task bench:kernels`: every kernel against the peak of this machine.
 *
 * @module
 */
import { cases as attention } from "./attention_bench.ts";
import { type Case, measure, type Measurement } from "./harness.ts";
import { cases as head } from "./head_bench.ts";
import { cases as layers } from "./layers_bench.ts";
import { cases as linear } from "./linear_bench.ts";
import { cases as losses } from "./losses_bench.ts";
import { cases as optimizer } from "./optimizer_bench.ts";
import { benchProgram, selected } from "./program.ts";
import { formatRate, formatShare, formatTable } from "./report.ts";

const cases: readonly Case[] = [
  ...linear,
  ...attention,
  ...head,
  ...layers,
  ...losses,
  ...optimizer,
];

/** Least seconds of a slice, and after which a case ends. */
const seconds = 0.01, limit = 4;

await benchProgram({
  name: "kernels",
  description: "Time every kernel as a share of the machine's peak, which is measured alongside.",
  rounds: 15,
}, async (bench, peak, options) => {
  const rows: Measurement[] = [];
  for (const each of cases.filter(({ op, shape }) => selected(options, `${op} ${shape}`))) {
    Deno.stderr.writeSync(new TextEncoder().encode("."));
    rows.push(await measure(bench, peak, each, { rounds: options.rounds, seconds, limit }));
  }
  console.error();
  console.log(formatTable(
    ["op", "shape", "µs", "rate", "peak", "share"],
    rows.map((row) => [
      row.op,
      row.shape,
      row.microseconds.toPrecision(4),
      formatRate(row.rate, row.bound),
      formatRate(row.peak, row.bound),
      formatShare(row.share),
    ]),
  ));
  return { rows };
});
