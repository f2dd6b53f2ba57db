/**
 * The parts of PPO that see one number per token: value loss, advantage estimation, whitening.
 *
 * @module
 */

import type { Stream } from "../device.ts";
import { tkStat } from "../generated/symbols.ts";
import { expectTensor, type Tensor } from "../tensor.ts";

/**
 * Clipped value loss `sum w 0.5 max((v - R)^2, (clip(v, old - c, old + c) - R)^2)`. Overwrites
 * `dvalues(T)`; adds the loss to `stats[stat.value]` and the weight of the tokens that the clip cut off
 * to `stats[stat.valueClipped]`. `clip` may be Infinity.
 */
export function valueLoss(
  stream: Stream,
  args: {
    stats: Tensor;
    dvalues: Tensor;
    values: Tensor;
    oldValues: Tensor;
    returns: Tensor;
    tokenWeights: Tensor;
    clip: number;
  },
): void {
  const { stats, dvalues, values, oldValues, returns, tokenWeights, clip } = args;
  const T = values.shape[0];
  expectTensor("value_loss", "values", values, "f32", [-1]);
  expectTensor("value_loss", "dvalues", dvalues, "f32", [T]);
  expectTensor("value_loss", "oldValues", oldValues, "f32", [T]);
  expectTensor("value_loss", "returns", returns, "f32", [T]);
  expectTensor("value_loss", "tokenWeights", tokenWeights, "f32", [T]);
  expectTensor("value_loss", "stats", stats, "f32", [tkStat.count]);
  const { device } = stream;
  const status = device.symbols.tk_value_loss(
    stream.handle,
    stats.address,
    dvalues.address,
    values.address,
    oldValues.address,
    returns.address,
    tokenWeights.address,
    clip,
    T,
  );
  stream.check("value_loss", status, args);
}

/**
 * Generalised advantage estimation over S segments of consecutive tokens: segment s covers tokens
 * `segments(S + 1)[s]` up to `segments[s + 1]`, from 0 to T. `link(S)` is the factor by which value and
 * advantage of the next segment flow back over the border: 0 closes it. The last link has no effect.
 */
export function gae(
  stream: Stream,
  args: {
    advantages: Tensor;
    returns: Tensor;
    rewards: Tensor;
    values: Tensor;
    segments: Tensor;
    link: Tensor;
    gamma: number;
    lambda: number;
  },
): void {
  const { advantages, returns, rewards, values, segments, link, gamma, lambda } = args;
  const [T, S] = [values.shape[0], link.shape[0]];
  expectTensor("gae", "values", values, "f32", [-1]);
  expectTensor("gae", "rewards", rewards, "f32", [T]);
  expectTensor("gae", "advantages", advantages, "f32", [T]);
  expectTensor("gae", "returns", returns, "f32", [T]);
  expectTensor("gae", "link", link, "f32", [-1]);
  expectTensor("gae", "segments", segments, "i32", [S + 1]);
  const { device } = stream;
  const status = device.symbols.tk_gae(
    stream.handle,
    advantages.address,
    returns.address,
    rewards.address,
    values.address,
    segments.address,
    link.address,
    S,
    T,
    gamma,
    lambda,
  );
  stream.check("gae", status, args);
}

/** `x(T) = (x - mean) / sqrt(max(variance, 1e-8))`, in place; the variance divides by T. */
export function whiten(stream: Stream, x: Tensor): void {
  expectTensor("whiten", "x", x, "f32", [-1]);
  const { device } = stream;
  stream.check("whiten", device.symbols.tk_whiten(stream.handle, x.address, x.size), { x });
}
