/**
 * Decoding of random-weight models: tokens a second against the bound of the bytes that a step must read.
 *
 * @module
 */
import type { Decoder, ModelConfig } from "../../src/model/mod.ts";
import { median } from "../harness.ts";
import { DecodeBench, decodeCost, qwen15b, qwen7b, randomDecoder } from "../models.ts";
import type { Workbench } from "../workbench.ts";
import type { Gpu } from "./peaks.ts";
import type { Measured, Peer, Recorder } from "./record.ts";
import { microShapes } from "./sizes.ts";

/** Sequences that decode together, and the tokens that each has in its cache. */
interface DecodeCase {
  readonly op: string;
  readonly shape: string;
  readonly batch: number;
  readonly context: number;
  readonly peer?: Peer;
}

const contexts = [1024, 4096];

/** What is decoded, by model. transformers is asked for few of them: it takes minutes for the others. */
export function decodeCases(micro: boolean): [config: ModelConfig, cases: DecodeCase[]][] {
  const models = micro
    ? { micro: microShapes.model }
    : { "Qwen2.5-1.5B": qwen15b, "Qwen2.5-7B": qwen7b };
  const sizes = micro
    ? [[2, 70]]
    : [1, 64, 256].flatMap((batch) => contexts.map((context) => [batch, context]));
  return Object.entries(models).map(([model, config]) => [
    config,
    sizes.map(([batch, context]): DecodeCase => ({
      op: `decode ${model}`,
      shape: `batch ${batch}, context ${context}`,
      batch,
      context,
      ...(batch <= 64 && context === contexts[0]
        ? { peer: { case: "generate", model, batch, context } }
        : {}),
    })),
  ]);
}

/** Decodes every case that the filter lets through. */
export async function decode(
  bench: Workbench,
  gpu: Gpu,
  recorder: Recorder,
  { micro, only, skip }: { micro: boolean; only: string; skip: number },
): Promise<void> {
  for (const [config, all] of decodeCases(micro)) {
    const wanted = all.filter(({ op }) => op.includes(only));
    const cases = wanted.splice(skip);
    skip -= wanted.length;
    // Each case gets one line, also where there is no model for it.
    let next = 0;
    try {
      if (cases.length === 0) continue;
      using decoder = randomDecoder(bench.stream, config, { train: false });
      while (next < cases.length && !recorder.lost) {
        await decodeOne(bench, gpu, recorder, decoder, cases[next++], micro);
      }
    } catch (error) {
      if (next === cases.length) recorder.fail({ op: cases[0].op, shape: "the model" }, error);
      for (; next < cases.length && !recorder.lost; next++) recorder.fail(cases[next], error);
    }
    if (recorder.lost) return;
  }
}

async function decodeOne(
  { device, stream }: Workbench,
  gpu: Gpu,
  recorder: Recorder,
  decoder: Decoder,
  { op, shape, batch, context }: DecodeCase,
  micro: boolean,
): Promise<void> {
  const precision = { weights: "bf16", cache: "bf16" } as const;
  const cost = decodeCost(decoder.config, batch, context, precision);
  // A batch of none reads the weights, which are allocated already: the rest is the cache.
  const cacheBytes = cost.bytes - decodeCost(decoder.config, 0, context, precision).bytes;
  if (device.allocatedBytes + 1.2 * cacheBytes > 0.9 * device.info.memoryBytes) {
    return recorder.write({ op, shape, skipped: "needs more memory than this GPU has" });
  }
  await recorder.measure({ op, shape }, async (): Promise<Measured> => {
    using decoding = new DecodeBench(stream, decoder, { batch, context });
    await decoding.round(); // records the graph
    const times: number[] = [];
    for (let round = 0; round < (micro ? 1 : 5); round++) times.push(await decoding.round());
    const seconds = median(times);
    const bound = Math.max(cost.bytes / gpu.bandwidth, cost.flops / gpu.flops);
    return { seconds, rate: batch / seconds, unit: "tokens/s", share: bound / seconds };
  });
}
