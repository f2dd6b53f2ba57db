/**
 * One whole PPO step of a random-weight model: rollout, critic's values, critic and actor updates.
 *
 * @module
 */
import { Random } from "../../src/base/mod.ts";
import { Engine } from "../../src/engine/mod.ts";
import { grade } from "../../src/grade/mod.ts";
import { Decoder, type ModelConfig, Tokenizer } from "../../src/model/mod.ts";
import { tinyPrompts, tinyTokenizerJson } from "../../src/tiny/mod.ts";
import { PpoTrainer } from "../../src/ppo/mod.ts";
import { presets } from "../../src/setup/mod.ts";
import { baseline, Task, TrailingAccuracy } from "../../src/task/mod.ts";
import { randomDecoder } from "../models.ts";
import { fullShapes, microShapes } from "./sizes.ts";
import { fillRandom, type Workbench } from "../workbench.ts";

/** How large the step is. Every episode spends its whole budget: random weights hardly ever stop. */
export interface StepSizes {
  readonly model: ModelConfig;
  readonly questions: number;
  readonly samples: number;
  /** Tokens that each episode samples. */
  readonly budget: number;
  readonly packTokens: number;
  readonly maxSequences: number;
}

/** A step at 1.5B that one GPU holds. */
export const fullStep: StepSizes = {
  model: fullShapes.model,
  questions: 16,
  samples: 16,
  budget: 1024,
  packTokens: 16_384,
  maxSequences: 256,
};

/** Sizes of no interest, for the emulator. */
export const microStep: StepSizes = {
  model: microShapes.model,
  questions: 2,
  samples: 2,
  budget: 6,
  packTokens: 128,
  maxSequences: 4,
};

/** What a step took. */
export interface StepTimes {
  /** 1 is the warm-up. */
  readonly step: number;
  readonly seconds: number;
  readonly parts: { readonly generate: number; readonly learn: number };
  /** Episodes, and their mean length in tokens. */
  readonly trained: { readonly sequences: number; readonly length: number };
  /** Tokens sampled. */
  readonly generated: number;
  /** Largest difference between a token's log-prob while sampling and while training; must be 0. */
  readonly gap: number;
}

/** Runs a warm-up step and a measured one on the plain-question task, and tells of each as it ends. */
export async function ppoSteps(
  { device, stream }: Workbench,
  sizes: StepSizes,
  onStep: (times: StepTimes) => void,
): Promise<void> {
  const { model, questions, samples, budget, packTokens, maxSequences } = sizes;
  const codec = Tokenizer.fromJson(tinyTokenizerJson(), "the tiny tokenizer");
  const stop = [codec.id("<|im_end|>")];
  using actor = randomDecoder(stream, model, { train: true });
  using critic = new Decoder(stream, model, { head: "value", train: true });
  fillRandom(stream, critic.params.master.flat);
  critic.params.refresh(stream);
  const task = new Task(baseline, {
    codec,
    prompts: tinyPrompts,
    budgets: { answer: budget },
    stop,
  });
  const problem = { id: "sum", question: "47+85=", answer: "132" };
  const longest = task.maxTokens(64);
  using engine = new Engine(stream, actor, {
    maxSequences,
    cacheTokens: maxSequences * (longest + 2 * device.info.kvTile),
    maxTokens: longest,
    stop,
    prefillChunk: 256,
  });
  using trainer = new PpoTrainer({
    stream,
    actor,
    critic,
    engine,
    task,
    grade: (answer, gold) => grade(answer, gold).equal,
    trailing: new TrailingAccuracy(),
  }, { ...presets.tiny.ppo, questions, samples, packTokens, criticMiniBatches: 1 });
  for (const step of [1, 2]) {
    const begin = performance.now();
    const { metrics, episodes } = await trainer.step({
      step,
      problems: Array.from({ length: questions }, () => problem),
      seed: 1n,
      random: new Random(1),
    });
    const seconds = (performance.now() - begin) / 1000;
    const tokens = episodes.reduce((total, { ids }) => total + ids.length, 0);
    onStep({
      step,
      seconds,
      parts: {
        generate: metrics["time/generate"],
        learn: metrics["time/forward"] + metrics["time/update"],
      },
      trained: { sequences: episodes.length, length: Math.round(tokens / episodes.length) },
      generated: metrics["rollout/sampled_tokens"],
      gap: metrics["rollout/logprob_gap_max"],
    });
  }
}
