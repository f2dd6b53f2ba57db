/**
 * What the benchmark programs have in common: options, the device, the peaks, the end.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import * as z from "npm:zod@4.6.7";
import { checkOptions } from "../cli/options.ts";
import { UserError } from "../src/base/mod.ts";
import { useClockFor } from "./clock.ts";
import { describeMachine } from "./machine.ts";
import { PeakProcess } from "./peak.ts";
import { saveResults } from "./report.ts";
import { Workbench } from "./workbench.ts";

const schema = z.object({
  only: z.string().optional(),
  rounds: z.int().positive(),
  threads: z.int().nonnegative(),
  save: z.string().regex(/^[\w-]+$/, "letters, digits, - and _ only").optional(),
});

/** Options of every benchmark program. */
export type BenchOptions = z.output<typeof schema>;

/** True if the case's name contains the text of `--only`. */
export function selected(options: BenchOptions, name: string): boolean {
  return name.includes(options.only ?? "");
}

/**
 * Parses the command line, opens device and peaks, runs `body`, and keeps what it returns if `--save` asks
 * for it. A user's mistake ends the program with one line.
 */
export async function benchProgram(
  about: { name: string; description: string; rounds: number },
  body: (
    bench: Workbench,
    peak: PeakProcess,
    options: BenchOptions,
  ) => Promise<Record<string, unknown>>,
): Promise<void> {
  await new Command()
    .name(`bench:${about.name}`)
    .description(about.description)
    .option("--only <text:string>", "Only cases whose name contains the text.")
    .option("--rounds <n:integer>", "Rounds of each case; the median is shown.", {
      default: about.rounds,
    })
    .option(
      "--threads <n:integer>",
      "Threads on every side; 0: all. With 1 CPU time is measured.",
      {
        default: 0,
      },
    )
    .option("--save <name:string>", "Keep the results as bench/results/<name>-<date>.json.")
    .action(async (raw: Record<string, unknown>) => {
      try {
        await run(checkOptions(schema, raw), body);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        console.error(`error: ${error.message}${error.hint ? `\nhint: ${error.hint}` : ""}`);
        Deno.exit(1);
      }
    })
    .parse(Deno.args);
}

async function run(
  options: BenchOptions,
  body: Parameters<typeof benchProgram>[1],
): Promise<void> {
  using bench = await Workbench.open({ threads: options.threads });
  const { info } = bench.device;
  useClockFor(info.threads);
  await using peak = await PeakProcess.start(info.threads, bench.poolBytes);
  const machine = await describeMachine(info);
  console.log(
    `${machine.cpu}, ${info.threads} threads, ${info.isa}; commit ${machine.commit}; ` +
      `cold memory: pools of ${(bench.poolBytes / 1e9).toFixed(1)} GB`,
  );
  const results = await body(bench, peak, options);
  if (options.save) {
    const clock = info.threads === 1 ? "CPU time" : "wall clock";
    const cold = { poolBytes: bench.poolBytes, threads: info.threads, clock };
    console.log(`\nkept as ${await saveResults(options.save, machine, { ...cold, ...results })}`);
  }
}
