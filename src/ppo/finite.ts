/**
 * Numbers between a rollout and its updates that are none, and where they stand.
 *
 * @module
 */
import { gradNorm, type Stream, type Tensors } from "../../ffi/mod.ts";
import { UserError } from "../base/mod.ts";
import { brokenModel, checkLogprobs, tokenPlace } from "../rollout/mod.ts";
import type { RolloutTensor } from "./advantages.ts";
import type { ScoredEpisode } from "./experience.ts";

/**
 * Checks log-probs `(N)` of all actions, in the order of the samples.
 *
 * @param whose What they are, for the message.
 * @throws {UserError} naming the first that is NaN, infinite or above 0.
 */
export function checkActions(
  logprobs: Float32Array,
  samples: readonly ScoredEpisode[],
  whose: string,
): void {
  let at = 0;
  for (const { episode } of samples) {
    episode.segments.forEach(({ stage, length }, turn) => {
      checkLogprobs(logprobs.subarray(at, at + length), episode, { turn, stage, whose });
      at += length;
    });
  }
}

/**
 * Checks the critic's values and the advantages.
 *
 * @throws {UserError} naming the first that is no finite number.
 */
export async function checkEstimates(
  stream: Stream,
  batch: Tensors<RolloutTensor>,
  samples: readonly ScoredEpisode[],
): Promise<void> {
  const checked = [["values", "the critic's value"], ["advantages", "the advantage"]] as const;
  // A norm is finite only if everything in it is: two numbers come from the device, not 2 N.
  checked.forEach(([name], i) => {
    gradNorm(stream, { norm: batch.norms.view(i, [1]), grads: batch[name] });
  });
  const norms = await stream.download(batch.norms, new Float32Array(checked.length));
  const bad = norms.findIndex((norm) => !Number.isFinite(norm));
  if (bad < 0) return;
  const [name, what] = checked[bad];
  const values = await stream.download(batch[name], new Float32Array(batch[name].size));
  throw new UserError(`${what} ${describe(values, samples)}`, { hint: brokenModel });
}

/** The first value `(N)` that is no finite number, or else the largest: `of token 3 of …, is NaN`. */
function describe(values: Float32Array, samples: readonly ScoredEpisode[]): string {
  const broken = values.findIndex((value) => !Number.isFinite(value));
  const largest = values.reduce(
    (at, value, i) => Math.abs(value) > Math.abs(values[at]) ? i : at,
    0,
  );
  const index = broken < 0 ? largest : broken;
  let at = 0;
  for (const { episode } of samples) {
    for (const [turn, { stage, length }] of episode.segments.entries()) {
      const token = index - at;
      at += length;
      if (index < at) {
        return `of ${tokenPlace(episode, { turn, stage, token })}, is ${values[index]}`;
      }
    }
  }
  throw new Error(`${samples.length} samples have no action ${index}`);
}
