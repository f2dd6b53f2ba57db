import { assert, assertEquals } from "@std/assert";
import {
  DecodeBench,
  decodeCost,
  productWeights,
  randomDecoder,
  tiny,
  TrainingBench,
  trainingCost,
} from "../../bench/models.ts";
import { Device } from "../../ffi/mod.ts";
import { type ModelConfig, paramCount } from "../../src/model/mod.ts";

const config: ModelConfig = { ...tiny, hidden: 32, ffn: 48, layers: 2, vocab: 64 };

Deno.test("models: a small one decodes and trains", async () => {
  using device = await Device.open("cpu");
  using stream = device.stream();
  using decoder = randomDecoder(stream, config, { train: true });
  for (const batch of [1, 3]) {
    using decode = new DecodeBench(stream, decoder, { batch, context: 20 });
    assert(await decode.round() > 0);
    assert(await decode.round() > 0);
  }
  using training = new TrainingBench(stream, decoder, { sequences: 2, length: 8 });
  assert(await training.round() > 0);
});

Deno.test("models: costs count every product once", () => {
  const { hidden: C, layers, headDim: D, heads, kvHeads } = config;
  const vectors = layers * (2 * C + (heads + 2 * kvHeads) * D) + C;
  assertEquals(productWeights(config), paramCount(config) - vectors);
  const one = decodeCost(config, 1, 10), two = decodeCost(config, 2, 10);
  assertEquals(two.flops, 2 * one.flops);
  assertEquals(two.bytes - one.bytes, 4 * layers * 2 * kvHeads * D * 10);
  const train = trainingCost(config, 3, 5);
  assertEquals(train.tokens, 15);
  assertEquals(trainingCost(config, 6, 5).flops, 2 * train.flops);
});
