/**
 * `deno task bench:kernels`: every kernel against the peak of this machine.
 *
 * @module
 */
import { allCases } from "./cases.ts";
import { measure, type Measurement } from "./harness.ts";
import { benchProgram, selected } from "./program.ts";
import { formatMeasurements } from "./report.ts";
import { cpuSizes } from "./sizes.ts";

/** Least seconds of a slice, and after which a case ends. */
const seconds = 0.01, limit = 4;

await benchProgram({
  name: "kernels",
  description: "Time every kernel as a share of the machine's peak, which is measured alongside.",
  rounds: 15,
}, async (bench, peak, options) => {
  const rows: Measurement[] = [];
  for (
    const each of allCases(cpuSizes).filter(({ op, shape }) => selected(options, `${op} ${shape}`))
  ) {
    Deno.stderr.writeSync(new TextEncoder().encode("."));
    rows.push(await measure(bench, peak, each, { rounds: options.rounds, seconds, limit }));
  }
  console.error();
  console.log(formatMeasurements(rows));
  return { rows };
});
