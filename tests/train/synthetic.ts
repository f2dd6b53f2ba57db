/** Metrics as a run would log them, with curves that rise and fall predictably. */

import { type Metrics, orderMetrics } from "../../src/base/mod.ts";

/** The metric lines of a Thinker run of `steps` steps, evaluated every `every` steps. */
export function thinkerMetrics(steps: number, every = 10): Metrics[] {
  return Array.from({ length: steps + 1 }, (_, step) => {
    const done = steps === 0 ? 0 : step / steps;
    const wave = 0.02 * Math.sin(step);
    const row: Metrics = { step, "tokens/trained": step * 1000, seconds: 1.5 };
    if (step > 0) {
      row["rollout/final_at_least"] = 0.3 + 0.4 * done + wave;
      row["accuracy/slow"] = 0.2 + 0.3 * done + wave;
      row["accuracy/verify"] = 0.5 + 0.3 * done + wave;
      row["accuracy/fast"] = 0.25 + 0.35 * done + wave;
      row["reward/fast"] = 0.25 + 0.35 * done + wave;
      row["reward/episode"] = 0.45 + 0.4 * done + wave;
      row["reward/verify"] = 0.2 + 0.05 * done;
      row["length/fast"] = 20 + 3 * done;
      row["length/verify"] = 40 - 5 * done;
      row["rollout/logprob_gap_max"] = 0;
      row["generate/tokens_per_second"] = 12345.6;
    }
    if (step % every === 0 || step === steps) {
      row["eval/fast"] = 0.25 + 0.35 * done;
      row["eval/final"] = 0.3 + 0.4 * done;
      row["eval/slow_after_wrong"] = 0.2;
      row["eval/tokens"] = 90 - 10 * done;
      row["greedy/fast"] = 0.3 + 0.35 * done;
      row["greedy/final"] = 0.35 + 0.4 * done;
    }
    return orderMetrics(row, ["fast", "verify", "slow"]);
  });
}
