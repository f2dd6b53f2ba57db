/**
 * The parts of PPO that see one number per token: advantages, whitening, value loss.
 *
 * @module
 */
import { gae, stat, valueLoss, whiten } from "../ffi/mod.ts";
import { type Case, defineBenches } from "./harness.ts";

/** Action tokens of a rollout, and stages that they are cut into. */
const T = 1 << 20, S = 4096;

const loss = (op: string, arrays: number, setup: Case["setup"]): Case => ({
  op,
  shape: `${T} tokens`,
  flops: 0,
  bytes: 4 * arrays * T,
  setup,
});

/** All cases. */
export const cases: readonly Case[] = [
  loss("gae", 4, (bench) => {
    const segments = bench.ints(Int32Array.from({ length: S + 1 }, (_, s) => s * (T / S)));
    const link = bench.full(0, S);
    return () => {
      const [rewards, values] = [bench.cold(T), bench.cold(T)];
      const [advantages, returns] = [bench.sink(T), bench.sink(T)];
      const tensors = { advantages, returns, rewards, values, segments, link };
      gae(bench.stream, { ...tensors, gamma: 1, lambda: 1 });
    };
  }),
  loss("whiten", 2, (bench) => () => whiten(bench.stream, bench.sink(T))),
  loss("value loss", 5, (bench) => {
    const stats = bench.full(0, stat.count);
    return () => {
      const [values, oldValues, returns] = [bench.cold(T), bench.cold(T), bench.cold(T)];
      const weights = bench.cold(T), dvalues = bench.sink(T);
      const tensors = { stats, dvalues, values, oldValues, returns, weights };
      valueLoss(bench.stream, { ...tensors, clip: 0.2 });
    };
  }),
];

defineBenches(cases);
