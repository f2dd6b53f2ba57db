/**
 * `deno task bench:e2e`: tokens per second of decoding and training, against what the machine allows.
 *
 * The bound of a decode step is the larger of its bytes (weights and live KV) over the read bandwidth and
 * its FLOPs over the FMA peak; the bound of a training step is its FLOPs over the FMA peak.
 *
 * @module
 */
import type { ModelConfig } from "../src/model/mod.ts";
import { interleave } from "./harness.ts";
import {
  DecodeBench,
  decodeCost,
  decoderBytes,
  qwen05b,
  randomDecoder,
  type StepCost,
  tiny,
  TrainingBench,
  trainingCost,
} from "./models.ts";
import type { Peak } from "./peak.ts";
import { benchProgram, selected } from "./program.ts";
import { formatShare, formatTable } from "./report.ts";

/** Tokens in the cache of a sequence that decodes. */
const context = 200;
const models: readonly Workload[] = [
  { name: "tiny", config: tiny, sequences: 32, length: 128 },
  { name: "Qwen2.5-0.5B", config: qwen05b, sequences: 2, length: 256 },
];

/** A model, and the batch that it is trained on. */
interface Workload {
  readonly name: string;
  readonly config: ModelConfig;
  readonly sequences: number;
  readonly length: number;
}

/** A slice repeats steps for as long; a workload ends after `limit` seconds. */
const leastSeconds = 0.05, limit = 20;

interface Result {
  readonly workload: string;
  readonly shape: string;
  readonly tokensPerSecond: number;
  /** Share of the bound, median over the slices. */
  readonly share: number;
  readonly bound: "fma" | "read";
}

async function measureSteps(
  names: { workload: string; shape: string },
  cost: StepCost,
  peak: Peak,
  rounds: number,
  round: () => Promise<number>,
): Promise<Result> {
  const repeats = Math.ceil(leastSeconds / (await round(), await round()));
  const { bound, seconds, share } = await interleave(peak, cost, { rounds, limit }, async () => {
    let total = 0;
    for (let n = 0; n < repeats; n++) total += await round();
    return total / repeats;
  });
  return { ...names, tokensPerSecond: cost.tokens / seconds, share, bound };
}

await benchProgram({
  name: "e2e",
  description: "Time decoding and training of whole models with random weights.",
  rounds: 9,
}, async ({ device, stream }, peak, options) => {
  const rows: Result[] = [], { rounds } = options;
  const fits = (name: string, config: ModelConfig, train: boolean) => {
    const needed = decoderBytes(config, { train }) + 4e9;
    if (needed <= device.info.memoryBytes) return true;
    console.error(`skipped ${name}: it takes ${(needed / 1e9).toFixed(0)} GB of memory`);
    return false;
  };
  for (const { name, config, sequences, length } of models) {
    for (const weights of ["f32", "bf16"] as const) {
      const decodes = [1, 8, 32].map((batch) => ({
        batch,
        names: {
          workload: `decode ${name} ${weights}`,
          shape: `batch ${batch}, context ${context}`,
        },
      })).filter(({ names }) => selected(options, `${names.workload} ${names.shape}`));
      if (decodes.length === 0 || !fits(name, config, false)) continue;
      using decoder = randomDecoder(stream, config, { train: false, weights });
      for (const { batch, names } of decodes) {
        using bench = new DecodeBench(stream, decoder, { batch, context });
        const cost = decodeCost(config, batch, context, { weights });
        rows.push(await measureSteps(names, cost, peak, rounds, () => bench.round()));
      }
    }
    const shape = `${sequences} x ${length} tokens, with AdamW`;
    const training = { workload: `training ${name} f32`, shape };
    if (!selected(options, `${training.workload} ${shape}`) || !fits(name, config, true)) continue;
    using decoder = randomDecoder(stream, config, { train: true });
    using bench = new TrainingBench(stream, decoder, { sequences, length });
    const cost = trainingCost(config, sequences, length);
    rows.push(await measureSteps(training, cost, peak, rounds, () => bench.round()));
  }
  console.log(formatTable(
    ["workload", "shape", "tokens/s", "bound", "share of bound"],
    rows.map((row) => [
      row.workload,
      row.shape,
      row.tokensPerSecond.toPrecision(4),
      row.bound === "fma" ? "FLOPs" : "bytes",
      formatShare(row.share),
    ]),
  ));
  return { rows };
});
