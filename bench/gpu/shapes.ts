/**
 * Sizes of the GPU benchmarks: those of a 1.5B model, and some of no interest, for the emulator.
 *
 * @module
 */
import type { ModelConfig } from "../../src/model/mod.ts";
import { qwen05b, qwen15b } from "../models.ts";
import type { GpuShapes } from "./cases.ts";
import type { StepSizes } from "./step.ts";

/** As small as the bfloat16 kernels allow. */
export const microModel: ModelConfig = {
  ...qwen05b,
  hidden: 64,
  ffn: 128,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  vocab: 300,
  maxPositions: 256,
};

/** Sizes of the kernels' cases. */
export function kernelShapes(micro: boolean): GpuShapes {
  return micro
    ? {
      model: microModel,
      tokens: 64,
      length: 32,
      lossRows: 16,
      batch: 2,
      context: 70,
      coldBytes: 0,
    }
    : {
      model: qwen15b,
      tokens: 8192,
      length: 8192,
      lossRows: 4096,
      batch: 64,
      context: 4096,
      coldBytes: 256e6,
    };
}

/** Sizes of the PPO step. */
export function stepSizes(micro: boolean): StepSizes {
  return micro
    ? { model: microModel, prompts: 2, samples: 2, budget: 6, packTokens: 128, maxSequences: 4 }
    : {
      model: qwen15b,
      prompts: 16,
      samples: 16,
      budget: 1024,
      packTokens: 16_384,
      maxSequences: 256,
    };
}
