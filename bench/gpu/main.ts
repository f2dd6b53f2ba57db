/**
 * What is measured on a GPU, called by bench/gpu/part.sh: `main.ts PART`.
 *
 * exact: the op tests about bit-equality. test: all of them.
 * train: a short training run, whose log-prob gap must be 0. kernels: every kernel against its bound.
 * decode: tokens per second of random-weight models against the bandwidth bound. step: one whole PPO step,
 * tokens per second and model-flops utilisation. cases: prints what peers have to do, without a device. The
 * bounds are the GPU's published peaks. `--device emu --micro` runs the same code on the emulator at sizes
 * of no interest, to show that it works.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import * as z from "npm:zod@4.6.7";
import { checkOptions } from "../../cli/options.ts";
import { reportFailure } from "../../cli/failure.ts";
import { UserError } from "../../src/base/mod.ts";
import { median, Runner } from "../harness.ts";
import { trainingCost } from "../models.ts";
import { Workbench } from "../workbench.ts";
import { gpuCases } from "./cases.ts";
import { decode, decodeCases } from "./decode.ts";
import { opTests } from "./optests.ts";
import { type Gpu, gpuOf } from "./peaks.ts";
import { type Measured, Recorder } from "./record.ts";
import { fullShapes, microShapes } from "./sizes.ts";
import { fullStep, microStep, ppoSteps } from "./step.ts";
import { trainShortly } from "./train.ts";

const schema = z.object({
  device: z.enum(["cuda", "emu"]),
  micro: z.boolean().default(false),
  only: z.string().default(""),
  skip: z.coerce.number().int().min(0).default(0),
  append: z.string().optional(),
});
type Options = z.output<typeof schema>;

/** Exit code where the device failed: another process can go on with the next case. */
const lostCode = 76;

async function kernels(
  bench: Workbench,
  gpu: Gpu,
  recorder: Recorder,
  { micro, only, skip }: Options,
): Promise<void> {
  const all = gpuCases(micro ? microShapes : fullShapes);
  for (const each of all.filter(({ op }) => op.includes(only)).slice(skip)) {
    if (recorder.lost) return;
    await recorder.measure(each, async (): Promise<Measured> => {
      try {
        const runner = await Runner.prepare(bench, each, micro ? 0 : 0.05);
        const times: number[] = [];
        for (let round = 0; round < (micro ? 1 : 5); round++) times.push(await runner.round());
        const seconds = median(times);
        const [compute, memory] = [each.flops / gpu.flops, each.bytes / gpu.bandwidth];
        const share = Math.max(compute, memory) / seconds;
        return compute > memory
          ? { seconds, share, rate: each.flops / seconds, unit: "FLOP/s" }
          : { seconds, share, rate: each.bytes / seconds, unit: "B/s" };
      } finally {
        bench.reset();
      }
    });
  }
}

async function step(
  bench: Workbench,
  gpu: Gpu,
  recorder: Recorder,
  { micro }: Options,
): Promise<void> {
  const sizes = micro ? microStep : fullStep;
  await ppoSteps(bench, sizes, ({ step, seconds, parts, trained, generated, gap }) => {
    // Actor and critic: forward and backward of every token, and the critic's first pass.
    const { flops } = trainingCost(sizes.model, trained.sequences, trained.length);
    const bound = flops * (2 + 1 / 3) / gpu.flops, tokens = trained.sequences * trained.length;
    const row = (name: string, tokens: number, seconds: number, rest: Partial<Measured>) =>
      recorder.write({
        op: `PPO step, ${name}`,
        shape: `${step === 1 ? "warm-up" : "measured"}, ${trained.sequences} episodes`,
        seconds,
        rate: tokens / seconds,
        unit: "tokens/s",
        ...rest,
      });
    row("generate", generated, parts.generate, {});
    row("learn", tokens, parts.learn, { share: bound / parts.learn });
    row("whole", tokens, seconds, { share: bound / seconds, gap });
    recorder.failed += Number(gap !== 0);
  });
}

/** One line of JSON for each case that a peer can do too. */
function printCases({ micro }: Options): void {
  const cases = {
    kernels: gpuCases(micro ? microShapes : fullShapes),
    decode: decodeCases(micro).flatMap(([, cases]) => cases),
  };
  for (const [part, all] of Object.entries(cases)) {
    for (const { op, shape, peer } of all) {
      if (peer) console.log(JSON.stringify({ part, op, shape, peer }));
    }
  }
}

const measured = { kernels, decode, step };
/** Which op tests belong to a part. */
const patterns = { exact: "(bit|on-policy|order|threads|depend)", test: "" };
const names = ["train", ...Object.keys(patterns), ...Object.keys(measured), "cases"];

async function run(part: string, raw: Record<string, unknown>): Promise<number> {
  if (!names.includes(part)) {
    throw new UserError(`${part} is no part`, { hint: names.join(", ") });
  }
  const options = checkOptions(schema, raw);
  if (part === "cases") {
    printCases(options);
    return 0;
  }
  using recorder = new Recorder(part, options.append);
  try {
    await runPart(part, recorder, options);
  } catch (error) {
    recorder.fail({ op: part, shape: "the whole part" }, error);
    return 1;
  }
  if (recorder.failed > 0) console.error(`error: ${recorder.failed} cases failed`);
  return recorder.lost ? lostCode : Number(recorder.failed > 0);
}

async function runPart(part: string, recorder: Recorder, options: Options): Promise<void> {
  const { device, micro } = options;
  if (part === "train") await trainShortly(device, recorder, micro);
  else if (part in patterns) {
    const pattern = patterns[part as keyof typeof patterns];
    await opTests(device, recorder, { micro, pattern });
  } else {
    using bench = await Workbench.open({ backend: device, poolBytes: 1 << 20 });
    const { info } = bench.device;
    console.log(`${info.name}, ${info.isa}`);
    await measured[part as keyof typeof measured](bench, gpuOf(info.name), recorder, options);
  }
}

if (import.meta.main) {
  await new Command()
    .name("bench/gpu")
    .description("Measure kernels, decoding, training or a PPO step on a GPU.")
    .arguments("<part:string>")
    .option("--device <name:string>", "cuda, or emu to try the program.", { default: "cuda" })
    .option("--micro", "Sizes of no interest, in seconds even on the emulator.")
    .option("--only <text:string>", "Only cases whose name contains the text.")
    .option("--skip <count:string>", "Leave out so many of the first cases.")
    .option("--append <file:string>", "Append a line of JSON for each case.")
    .action(async (options: Record<string, unknown>, part: string) => {
      try {
        Deno.exit(await run(part, options));
      } catch (error) {
        Deno.exit(reportFailure(error));
      }
    })
    .parse(Deno.args);
}
