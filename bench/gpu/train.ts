/**
 * A short training run whose every step must be exactly on-policy.
 *
 * @module
 */
import type { Backend } from "../../ffi/mod.ts";
import { presets, type TrainConfig, trainConfigSchema } from "../../src/setup/mod.ts";
import { train } from "../../src/train/mod.ts";
import type { Recorder } from "./record.ts";
import { microShapes } from "./sizes.ts";

/** The tiny preset with a warm start that is long enough for answers of all kinds. */
function runConfig(device: Backend, micro: boolean): TrainConfig {
  const { warmstart, ppo, ...tiny } = presets.tiny;
  const run = { ...tiny, device, evalEvery: 100, saveEvery: 100, evalProblems: 100 };
  if (!micro) {
    return trainConfigSchema.parse({
      ...run,
      steps: 5,
      warmstart: { ...warmstart, steps: 200 },
      ppo,
    });
  }
  const { hidden, ffn, layers, heads, kvHeads, headDim, maxPositions } = microShapes.model;
  return trainConfigSchema.parse({
    ...run,
    shape: { hidden, ffn, layers, heads, kvHeads, headDim, maxPositions },
    promptLimit: 200,
    budgets: { fast: 3, verify: 6, slow: 6, summary: 3, answer: 6 },
    steps: 2,
    evalProblems: 2,
    engine: { maxSequences: 16, cacheTokens: 16 * 256, prefillChunk: 512, stepsPerSync: 4 },
    warmstart: { ...warmstart, steps: 2, batch: 2 },
    ppo: { ...ppo, questions: 4, samples: 4, packTokens: 1024 },
  });
}

/** Trains and keeps a line a step; a gap that is not 0 is an error. */
export async function trainShortly(
  device: Backend,
  recorder: Recorder,
  micro: boolean,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    let before = performance.now();
    await train(runConfig(device, micro), {
      out: `${dir}/run`,
      onPhase: () => before = performance.now(),
      onStep(step, metrics) {
        const gap = metrics["rollout/logprob_gap_max"];
        if (gap === undefined) return; // a step of the warm start
        const seconds = (performance.now() - before) / 1000;
        before = performance.now();
        recorder.write({ op: "training step", shape: `step ${step}`, seconds, gap });
        recorder.failed += Number(gap !== 0);
      },
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
