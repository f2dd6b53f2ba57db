/**
 * The parts of PPO that see one number per token: advantages, whitening, value loss.
 *
 * @module
 */
import { gae, stat, valueLoss, whiten } from "../ffi/mod.ts";
import { defineBenches } from "./define.ts";
import type { Case } from "./harness.ts";
import type { Sizes } from "./sizes.ts";

/** Tokens of a segment. */
const segmentLength = 256;

/** All cases. */
export function cases({ actions: T }: Sizes): Case[] {
  const S = T / segmentLength;
  const loss = (op: string, arrays: number, setup: Case["setup"]): Case => ({
    op,
    shape: `${T} tokens`,
    flops: 0,
    bytes: 4 * arrays * T,
    tokens: T,
    setup,
  });
  return [
    loss("gae", 4, (bench) => {
      const segments = bench.ints(Int32Array.from({ length: S + 1 }, (_, s) => s * segmentLength));
      const link = bench.full(0, S);
      return () => {
        const [rewards, values] = [bench.cold("f32", T), bench.cold("f32", T)];
        const [advantages, returns] = [bench.sink("f32", T), bench.sink("f32", T)];
        const tensors = { advantages, returns, rewards, values, segments, link };
        gae(bench.stream, { ...tensors, gamma: 1, lambda: 1 });
      };
    }),
    loss("whiten", 2, (bench) => () => whiten(bench.stream, bench.sink("f32", T))),
    loss("value loss", 5, (bench) => {
      const stats = bench.full(0, stat.count);
      return () => {
        const [values, oldValues, returns, weights] = [1, 2, 3, 4].map(() => bench.cold("f32", T));
        const tensors = {
          values,
          oldValues,
          returns,
          tokenWeights: weights,
          dvalues: bench.sink("f32", T),
        };
        valueLoss(bench.stream, { stats, ...tensors, clip: 0.2 });
      };
    }),
  ];
}

await defineBenches(import.meta.url, cases);
