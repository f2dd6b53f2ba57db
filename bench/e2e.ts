/**
 * `deno task bench:e2e`: tokens per second of decoding and training, against what the machine allows.
 *
 * The bound of a decode step is the larger of its bytes (weights and live KV) over the read bandwidth and
 * its FLOPs over the FMA peak; the bound of a training step is its FLOPs over the FMA peak.
 *
 * @module
 */
import type { ModelConfig } from "../src/model/mod.ts";
import { boundSeconds, median } from "./harness.ts";
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
const models: readonly { name: string; config: ModelConfig; sequences: number; length: number }[] =
  [
    { name: "tiny", config: tiny, sequences: 32, length: 128 },
    { name: "Qwen2.5-0.5B", config: qwen05b, sequences: 2, length: 256 },
  ];

/** A round repeats steps for as long. */
const leastSeconds = 0.3;

interface Result {
  readonly workload: string;
  readonly shape: string;
  readonly tokensPerSecond: number;
  /** Share of the bound, median over the rounds. */
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
  const seconds: number[] = [], shares: number[] = [];
  let bound: Result["bound"] = "fma";
  for (let i = 0; i < rounds; i++) {
    const limit = await boundSeconds(peak, cost);
    let total = 0;
    for (let n = 0; n < repeats; n++) total += await round();
    seconds.push(total / repeats);
    shares.push(limit.seconds / seconds[i]);
    bound = limit.bound;
  }
  return { ...names, tokensPerSecond: cost.tokens / median(seconds), share: median(shares), bound };
}

await benchProgram({
  name: "e2e",
  description: "Time decoding and training of whole models with random weights.",
  rounds: 3,
}, async ({ device, stream }, peak, options) => {
  const rows: Result[] = [];
  for (const { name, config, sequences, length } of models) {
    const { rounds } = options;
    const decodes = [1, 8, 32].map((batch) => ({
      batch,
      names: { workload: `decode ${name}`, shape: `batch ${batch}, context ${context}` },
    })).filter(({ names }) => selected(options, `${names.workload} ${names.shape}`));
    const training = {
      workload: `training ${name}`,
      shape: `${sequences} x ${length} tokens, with AdamW`,
    };
    const train = selected(options, `${training.workload} ${training.shape}`);
    if (decodes.length === 0 && !train) continue;
    const needed = decoderBytes(config, { train }) + 4e9;
    if (needed > device.info.memoryBytes) {
      console.error(`skipped ${name}: it takes ${(needed / 1e9).toFixed(0)} GB of memory`);
      continue;
    }
    using decoder = randomDecoder(device, stream, config, { train });
    for (const { batch, names } of decodes) {
      using bench = new DecodeBench(device, stream, decoder, { batch, context });
      const cost = decodeCost(config, batch, context);
      rows.push(await measureSteps(names, cost, peak, rounds, () => bench.round()));
    }
    if (train) {
      using bench = new TrainingBench(device, stream, decoder, { sequences, length });
      const cost = trainingCost(config, sequences, length);
      rows.push(await measureSteps(training, cost, peak, rounds, () => bench.round()));
    }
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
