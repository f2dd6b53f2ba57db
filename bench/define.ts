/**
 * `deno bench -P`: the cases of a file under Deno's own harness, whose table has times only. So each case is
 * first measured as everywhere in bench/, against the peak that bounds it, and the file's rates and shares
 * follow when Deno is through with it. They go to standard error, because with `--json` standard output is
 * Deno's alone.
 *
 * THINKER_BENCH_DEVICE chooses the device: `cpu` (default), `cuda`, or `emu` at sizes of no interest, to
 * show that it works.
 *
 * @module
 */
import { reportFailure } from "../cli/failure.ts";
import { UserError } from "../src/base/mod.ts";
import { gpuOf } from "./gpu/peaks.ts";
import { fullShapes, gpuPoolBytes, type GpuShapes, gpuSizes, microShapes } from "./gpu/sizes.ts";
import { type Case, measure, type Measurement } from "./harness.ts";
import { type Peak, PeakProcess } from "./peak.ts";
import { formatMeasurements } from "./report.ts";
import { cpuSizes, type Sizes } from "./sizes.ts";
import { Workbench } from "./workbench.ts";

/** A device with its sizes and its peaks. */
interface Target {
  readonly bench: Workbench;
  readonly peak: Peak;
  readonly sizes: Sizes;
  /** Least seconds of a slice. */
  readonly seconds: number;
}

/** Slices of a case, and seconds after which no more than five are taken. */
const rounds = 9, limit = 2;

/**
 * Registers a file's cases with `deno bench`. Deno's times are of one call and one wait for it, those of the
 * table of many calls replayed as one graph. Where another file imports this one, nothing happens.
 *
 * @param file The caller's `import.meta.url`.
 */
export async function defineBenches(file: string, cases: (sizes: Sizes) => Case[]): Promise<void> {
  if (file !== Deno.mainModule) return;
  const { bench, peak, sizes, seconds } = await orExit(openTarget);
  const rows: Measurement[] = [];
  let current: Case | undefined, enqueue = () => {};
  for (const each of cases(sizes)) {
    Deno.bench({
      name: `${each.op} ${each.shape}`,
      n: each.flops > 1e9 ? 2 : 20,
      warmup: 1,
      fn: async (timer) => {
        if (current !== each) {
          bench.reset();
          rows.push(await measure(bench, peak, each, { rounds, seconds, limit }));
          enqueue = each.setup(bench);
          await bench.stream.sync();
          current = each;
        }
        timer.start();
        enqueue();
        await bench.stream.sync();
        timer.end();
      },
    });
  }
  addEventListener("unload", () => {
    const { backend, name, isa, threads } = bench.device.info;
    bench[Symbol.dispose]();
    if (rows.length === 0) return;
    const kind = backend === "cpu" ? `${threads} threads` : sizes.dtype;
    console.error(`\n${name}, ${isa}, ${kind}`);
    console.error(formatMeasurements(rows));
  });
}

async function openTarget(): Promise<Target> {
  const device = Deno.env.get("THINKER_BENCH_DEVICE") ?? "cpu";
  if (device === "cuda") return await openGpu("cuda", fullShapes, 0.05);
  if (device === "emu") return await openGpu("emu", microShapes, 0);
  if (device !== "cpu") {
    throw new UserError(`THINKER_BENCH_DEVICE: no device ${device}`, { hint: "cpu, cuda or emu" });
  }
  const bench = await Workbench.open();
  const peak = await PeakProcess.start(bench.device.info.threads, bench.poolBytes);
  return { bench, peak, sizes: cpuSizes, seconds: 0.01 };
}

async function openGpu(
  backend: "cuda" | "emu",
  shapes: GpuShapes,
  seconds: number,
): Promise<Target> {
  const bench = await Workbench.open({ backend, poolBytes: gpuPoolBytes(shapes) });
  const gpu = gpuOf(bench.device.info.name);
  const peak = {
    fma: () => Promise.resolve(gpu.flops),
    read: () => Promise.resolve(gpu.bandwidth),
  };
  return { bench, peak, sizes: gpuSizes(shapes), seconds };
}

/** Ends `deno bench` with what went wrong, told once; thrown, it would come with a stack for each file. */
async function orExit<T>(body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    Deno.exit(reportFailure(error));
  }
}
