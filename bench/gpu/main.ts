/**
 * Benchmarks on a GPU, called by bench/gpu.sh: `main.ts kernels|decode|step [--out FILE]`.
 *
 * kernels: every kernel against its bound. decode: tokens per second of random-weight models against the
 * bandwidth bound. step: one whole PPO step, tokens per second and model-flops utilisation. The bounds are
 * the GPU's published peaks. `--device emu --micro` runs the same code on the emulator at sizes of no
 * interest, to show that it works.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import * as z from "npm:zod@^4";
import { checkOptions } from "../../cli/options.ts";
import { UserError } from "../../src/base/mod.ts";
import { median, Runner } from "../harness.ts";
import { describeMachine } from "../machine.ts";
import {
  DecodeBench,
  decodeCost,
  qwen05b,
  qwen15b,
  qwen7b,
  randomDecoder,
  trainingCost,
} from "../models.ts";
import { formatShare, formatTable } from "../report.ts";
import { Workbench } from "../workbench.ts";
import { gpuCases, type GpuShapes } from "./cases.ts";
import { type Gpu, gpuOf } from "./peaks.ts";
import { ppoStep, type StepSizes } from "./step.ts";

const schema = z.object({
  device: z.enum(["cuda", "emu"]),
  micro: z.boolean().default(false),
  only: z.string().default(""),
  out: z.string().optional(),
});
type Options = z.output<typeof schema>;

const microModel = {
  ...qwen05b,
  hidden: 64,
  ffn: 128,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  vocab: 300,
  maxPositions: 256,
};
const fullShapes: GpuShapes = {
  model: qwen15b,
  tokens: 8192,
  length: 8192,
  lossRows: 4096,
  batch: 64,
  context: 4096,
  coldBytes: 256e6,
};
const microShapes: GpuShapes = {
  model: microModel,
  tokens: 64,
  length: 32,
  lossRows: 16,
  batch: 2,
  context: 70,
  coldBytes: 0,
};

/** One measured case. */
interface Result {
  readonly op: string;
  readonly shape: string;
  readonly seconds: number;
  /** Share of the bound. */
  readonly share: number;
  /** What is counted: FLOPs, bytes or tokens a second. */
  readonly rate: number;
  readonly unit: "FLOP/s" | "B/s" | "tokens/s";
  /** The same work for the peer, if it has it. */
  readonly peer?: Readonly<Record<string, string | number>>;
}

async function kernels(bench: Workbench, gpu: Gpu, options: Options): Promise<Result[]> {
  const results: Result[] = [];
  const shapes = options.micro ? microShapes : fullShapes;
  for (const each of gpuCases(shapes).filter(({ op }) => op.includes(options.only))) {
    const runner = await Runner.prepare(bench, each, options.micro ? 0 : 0.05);
    const times: number[] = [];
    for (let round = 0; round < (options.micro ? 1 : 5); round++) times.push(await runner.round());
    bench.reset();
    const seconds = median(times);
    const [compute, memory] = [each.flops / gpu.flops, each.bytes / gpu.bandwidth];
    const [work, unit] = compute > memory
      ? [each.flops, "FLOP/s"] as const
      : [each.bytes, "B/s"] as const;
    const { op, shape, peer } = each, share = Math.max(compute, memory) / seconds;
    results.push({ op, shape, seconds, share, rate: work / seconds, unit, peer });
  }
  return results;
}

async function decode(bench: Workbench, gpu: Gpu, options: Options): Promise<Result[]> {
  const { device, stream } = bench, results: Result[] = [];
  const models = options.micro
    ? { micro: microModel }
    : { "Qwen2.5-1.5B": qwen15b, "Qwen2.5-7B": qwen7b };
  const [batches, contexts] = options.micro ? [[2], [70]] : [[1, 64, 256], [1024, 4096]];
  for (const [name, config] of Object.entries(models)) {
    if (!name.includes(options.only)) continue;
    using decoder = randomDecoder(stream, config, { train: false });
    for (const batch of batches) {
      for (const context of contexts) {
        const cost = decodeCost(config, batch, context, { weights: "bf16", cache: "bf16" });
        // Master weights (4 bytes) and packed ones stand beside the cache.
        const cache = cost.bytes * 1.2;
        if (device.allocatedBytes + cache > 0.9 * device.info.memoryBytes) continue;
        using decoding = new DecodeBench(stream, decoder, { batch, context });
        await decoding.round(); // records the graph
        const times: number[] = [];
        for (let round = 0; round < (options.micro ? 1 : 5); round++) {
          times.push(await decoding.round());
        }
        const seconds = median(times);
        const bound = Math.max(cost.bytes / gpu.bandwidth, cost.flops / gpu.flops);
        results.push({
          op: `decode ${name}`,
          shape: `batch ${batch}, context ${context}`,
          seconds,
          share: bound / seconds,
          rate: batch / seconds,
          unit: "tokens/s",
          peer: { case: "generate", model: name, batch, context },
        });
      }
    }
  }
  return results;
}

async function step(bench: Workbench, gpu: Gpu, options: Options): Promise<Result[]> {
  const sizes: StepSizes = options.micro
    ? { model: microModel, questions: 2, samples: 2, budget: 6, packTokens: 128, maxSequences: 4 }
    : {
      model: qwen15b,
      questions: 16,
      samples: 16,
      budget: 1024,
      packTokens: 16_384,
      maxSequences: 256,
    };
  const { seconds, parts, trained, generated } = await ppoStep(bench, sizes);
  // Actor and critic: forward and backward of every token, and the critic's first pass.
  const { flops } = trainingCost(sizes.model, trained.sequences, trained.length);
  const work = flops * (2 + 1 / 3);
  const row = (op: string, tokens: number, time: number, share: number): Result => ({
    op: `PPO step, ${op}`,
    shape: `${trained.sequences} episodes`,
    seconds: time,
    share,
    rate: tokens / time,
    unit: "tokens/s",
  });
  const tokens = trained.sequences * trained.length;
  return [
    row("generate", generated, parts.generate, NaN),
    row("learn", tokens, parts.learn, work / gpu.flops / parts.learn),
    row("whole", tokens, seconds, work / gpu.flops / seconds),
  ];
}

const parts = { kernels, decode, step };

async function run(part: string, raw: Record<string, unknown>): Promise<void> {
  if (!(part in parts)) {
    throw new UserError(`${part} is no part`, { hint: Object.keys(parts).join(", ") });
  }
  const options = checkOptions(schema, raw);
  using bench = await Workbench.open({ backend: options.device, poolBytes: 1 << 20 });
  const { info } = bench.device, gpu = gpuOf(info.name);
  const results = await parts[part as keyof typeof parts](bench, gpu, options);
  const rows = results.map((r) => [
    r.op,
    r.shape,
    `${(r.seconds * 1e6).toFixed(1)} µs`,
    `${(r.rate / (r.unit === "tokens/s" ? 1 : 1e12)).toPrecision(3)} ${
      r.unit === "tokens/s" ? r.unit : `T${r.unit}`
    }`,
    Number.isNaN(r.share) ? "" : formatShare(r.share),
  ]);
  console.log(`${info.name}, ${info.isa}`);
  console.log(formatTable(["op", "shape", "time", "rate", "of bound"], rows));
  if (options.out) {
    const machine = await describeMachine(info);
    const content = { gpu: info.name, date: new Date().toISOString(), machine, results };
    await Deno.mkdir(new URL("../results/", import.meta.url), { recursive: true });
    await Deno.writeTextFile(options.out, `${JSON.stringify(content, null, 2)}\n`);
  }
}

if (import.meta.main) {
  await new Command()
    .name("bench/gpu")
    .description("Time kernels, decoding or a PPO step on a GPU.")
    .arguments("<part:string>")
    .option("--device <name:string>", "cuda, or emu to try the program.", { default: "cuda" })
    .option("--micro", "Sizes of no interest, in seconds even on the emulator.")
    .option("--only <text:string>", "Only cases whose name contains the text.")
    .option("--out <file:string>", "Keep the results as JSON.")
    .action(async (options: Record<string, unknown>, part: string) => {
      try {
        await run(part, options);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        console.error(`error: ${error.message}${error.hint ? `\nhint: ${error.hint}` : ""}`);
        Deno.exit(1);
      }
    })
    .parse(Deno.args);
}
