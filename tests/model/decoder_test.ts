import { assertEquals } from "@std/assert";
import {
  type Arena,
  arenaBytes,
  gatherRows,
  linearForward,
  lmHeadLogprobs,
} from "../../ffi/mod.ts";
import { type Decoder, packBatch } from "../../src/model/mod.ts";
import { assertClose, assertSameBits, Lab, Rand, seeded } from "../native.ts";
import { lengths, sum, T } from "./losses.ts";
import { byName, families, randomDecoder, randomSequences, tinyConfig } from "./models.ts";
import { distribution, hiddenStates, values } from "./reference.ts";

/** Sequences through the decoder, and the reference's hidden states. */
async function hiddenPair(lab: Lab, decoder: Decoder, sequences: number[][]) {
  using arena = lab.device.arena(decoder.activationBytes(T, { train: false }));
  const batch = packBatch(lab.stream, arena, sequences);
  const { hidden } = decoder.forward(lab.stream, arena, batch, { keep: false });
  const weights = await byName(lab, decoder, decoder.params.master.flat);
  const expected = hiddenStates(decoder.config, weights, sequences);
  return { hidden: await lab.f32(hidden), expected, weights };
}

for (const tiedHead of [true, false]) {
  Deno.test(`decoder: hidden states and logits, tied head: ${tiedHead}`, () =>
    seeded(async (rand) => {
      using lab = await Lab.open();
      const config = tinyConfig({ tiedHead });
      using decoder = randomDecoder(lab, config, { head: "lm", train: false }, rand);
      const sequences = randomSequences(rand, lengths, config.vocab);
      const { hidden, expected, weights } = await hiddenPair(lab, decoder, sequences);
      assertClose(hidden, expected.flatMap((row) => [...row]), 2e-5, "hidden");

      const { vocab: V, hidden: C } = config;
      const each = (f: (t: number, v: number) => number) =>
        Int32Array.from({ length: T * V }, (_, i) => f(Math.floor(i / V), i % V));
      const h = lab.out([T * V, C]), logprobs = lab.out([T * V]);
      gatherRows(lab.stream, {
        out: h,
        x: lab.put(hidden, [T, C]),
        index: lab.put(each((t) => t)),
      });
      lmHeadLogprobs(lab.stream, {
        logprobs,
        h,
        w: decoder.params.head,
        targets: lab.put(each((_, v) => v)),
        temperature: 0.8,
        workspace: lab.alloc("u8", [4 * V * 7]),
      });
      const all = expected.flatMap((row) => [...distribution(config, weights, row, 0.8).logprobs]);
      assertClose(await lab.f32(logprobs), all, 2e-5, "logprobs");
    }));
}

Deno.test("decoder: grouped heads, one head, one layer, other sizes and families", () =>
  seeded(async (rand) => {
    using lab = await Lab.open();
    for (
      const shape of [
        { heads: 6, kvHeads: 2, hidden: 40, ffn: 8, layers: 1 },
        { heads: 1, kvHeads: 1, hidden: 7, headDim: 32, layers: 3 },
        ...Object.values(families),
      ]
    ) {
      const config = tinyConfig(shape);
      using decoder = randomDecoder(lab, config, { head: "lm", train: false }, rand);
      const sequences = randomSequences(rand, lengths, config.vocab);
      const { hidden, expected } = await hiddenPair(lab, decoder, sequences);
      assertClose(hidden, expected.flatMap((row) => [...row]), 2e-5, JSON.stringify(shape));
    }
  }));

Deno.test("decoder: values of a value head", () =>
  seeded(async (rand) => {
    using lab = await Lab.open();
    using decoder = randomDecoder(lab, tinyConfig(), { head: "value", train: false }, rand);
    const sequences = randomSequences(rand, lengths, decoder.config.vocab);
    const { hidden, expected, weights } = await hiddenPair(lab, decoder, sequences);
    const y = lab.out([T, 1]), x = lab.put(hidden, [T, decoder.config.hidden]);
    linearForward(lab.stream, { y, x, w: decoder.params.head });
    assertClose(await lab.f32(y), values(weights, expected), 2e-5, "values");
  }));

Deno.test("decoder: what is kept for the backward pass changes no bit of the hidden states", () =>
  seeded(async (rand) => {
    using lab = await Lab.open({ threads: 1 });
    const config = tinyConfig({ layers: 3 });
    const sequences = randomSequences(rand, lengths, config.vocab);
    const { seed } = rand;
    const run = async (recompute: boolean, keep: boolean) => {
      const options = { head: "lm", train: true, recompute } as const;
      using decoder = randomDecoder(lab, config, options, new Rand(seed));
      using arena = lab.device.arena(decoder.activationBytes(T, { train: keep }));
      const batch = packBatch(lab.stream, arena, sequences);
      return await lab.f32(decoder.forward(lab.stream, arena, batch, { keep }).hidden);
    };
    const expected = await run(false, true);
    for (const [recompute, keep] of [[false, false], [true, true], [true, false]]) {
      assertSameBits(await run(recompute, keep), expected, `recompute ${recompute}, keep ${keep}`);
    }
  }));

Deno.test("decoder: activationBytes is what forward and backward take, to the byte", () =>
  seeded(async (rand) => {
    using lab = await Lab.open({ threads: 1 });
    const measure = async (decoder: Decoder, arena: Arena, lengths: number[], train: boolean) => {
      const { stream } = lab;
      const sequences = randomSequences(rand, lengths, decoder.config.vocab);
      const batch = packBatch(stream, arena, sequences);
      const pass = decoder.forward(stream, arena, batch, { keep: train });
      if (train) {
        const dHidden = arena.alloc("f32", pass.hidden.shape);
        stream.fill(dHidden, 1);
        decoder.backward(stream, arena, pass, dHidden);
      }
      await stream.sync();
    };
    for (const layers of [1, 4]) {
      for (const recompute of [false, true]) {
        const qkNorm = layers === 4;
        const config = tinyConfig({ layers, maxPositions: 300, qkNorm });
        const options = { head: "lm", train: true, recompute } as const;
        using decoder = randomDecoder(lab, config, options, rand);
        lab.stream.fill(decoder.params.grads!.flat, 0);
        for (const lengths of [[1], [1, 1, 1], [13], Array<number>(40).fill(1), [300, 200]]) {
          for (const train of [true, false]) {
            const tokens = sum(lengths);
            // Foreseen are as many sequences as tokens.
            const borders = (sequences: number) => arenaBytes({ b: ["i32", sequences + 1] });
            const bytes = decoder.activationBytes(tokens, { train }) - borders(tokens) +
              borders(lengths.length);
            using arena = lab.device.arena(4 * bytes);
            await measure(decoder, arena, lengths, train);
            const what =
              `${tokens} tokens, ${layers} layers, recompute ${recompute}, train ${train}`;
            assertEquals(arena.peak, bytes, what);
          }
        }
      }
    }
  }));
