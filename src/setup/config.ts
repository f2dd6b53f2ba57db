/**
 * The configuration of a training run: one schema for presets, files and what config.json records.
 *
 * @module
 */
import * as z from "npm:zod@^4";
import { backendOf, type DeviceChoice, isDeviceChoice, type Precision } from "../../ffi/mod.ts";
import { check, type Fields, firstDifference, type Schema, UserError } from "../base/mod.ts";
import { type PpoConfig, ppoSchema, type WarmstartConfig, warmstartSchema } from "../ppo/mod.ts";

const count = z.int().positive();

/** Name of a preset: `tiny` makes its model here, the others start from one that is downloaded first. */
export type PresetName = "tiny" | "q1.5b" | "r1.5b" | "r7b";

/** The presets' names. */
export const presetNames: readonly PresetName[] = ["tiny", "q1.5b", "r1.5b", "r7b"];

/** A resolved training config: what a preset, a config file and options come to. */
export interface TrainConfig {
  /** The preset that the rest started from. */
  readonly preset: PresetName;
  /** Four stages (default), or the plain question. */
  readonly task: "thinker" | "baseline";
  /** Seed of everything random; default 1. */
  readonly seed: number;
  /**
   * Where to compute: `cpu`, `cuda` (`cuda:1` is the second GPU), or `auto` (default), the GPU where there
   * is one. `emu`, an emulated GPU, is for tests.
   */
  readonly device: DeviceChoice;
  /**
   * The repository on the hub that `model` is to be downloaded from; null (default): the run needs no
   * model from elsewhere.
   */
  readonly repository: string | null;
  /**
   * A model folder to start from; null (default): a small model made here and warm-started, where there
   * is no `repository`.
   */
  readonly model: string | null;
  /** Shape of the model made here: widths in floats per token, lengths in tokens. */
  readonly shape: {
    readonly hidden: number;
    readonly ffn: number;
    readonly layers: number;
    readonly heads: number;
    readonly kvHeads: number;
    readonly headDim: number;
    readonly maxPositions: number;
  };
  /** A file of problems; null (default): generated arithmetic, for a model made here only. */
  readonly data: string | null;
  /** Wording of the stages: `tiny` (default), `default`, or a file. */
  readonly prompts: string;
  /** Most action tokens of each stage; `answer` is the baseline's. */
  readonly budgets: {
    readonly fast: number;
    readonly verify: number;
    readonly slow: number;
    readonly summary: number;
    readonly answer: number;
  };
  /** Tokens; problems whose first prompt is longer are left out and counted. */
  readonly promptLimit: number;
  /** PPO steps. */
  readonly steps: number;
  /** Stop once so many action tokens went through the policy loss; null (default): no such limit. */
  readonly tokens: number | null;
  /** Steps from one evaluation to the next. */
  readonly evalEvery: number;
  /** Steps from one checkpoint to the next. */
  readonly saveEvery: number;
  /** Held-out problems of an evaluation. */
  readonly evalProblems: number;
  /** Dialogues of each step that go into episodes.jsonl; default 4. */
  readonly keepEpisodes: number;
  /**
   * Keep only each layer's input for the backward pass and compute the rest anew: less memory;
   * default false.
   */
  readonly recompute: boolean;
  /**
   * What the matrix products read, in rollouts and in training alike: `f32`, or `bf16`, half the memory
   * traffic; null (the default): f32 on a CPU, bf16 on a GPU. The optimizer works on float32 either way.
   */
  readonly weights: Precision | null;
  /**
   * How a run is spread over devices. `plan` counts it; so far only the defaults run, and `train`
   * refuses others.
   */
  readonly parallel: {
    /** GPUs, each with its share of the questions; default 1. */
    readonly ranks: number;
    /**
     * What each rank holds a part of only: nothing (default), the optimizer's float32 weights and moments,
     * or the gradients too (stages 0, 1 and 2 of ZeRO, arXiv 1910.02054).
     */
    readonly shard: "none" | "optimizer" | "gradients";
    /** Whether float32 weights and moments lie in host memory (`optimizer`); default `none`. */
    readonly offload: "none" | "optimizer";
  };
  /** The rollout engine's memory and pace; meanings and defaults as in `EngineOptions`. */
  readonly engine: {
    readonly maxSequences: number;
    readonly cacheTokens: number;
    readonly prefillChunk: number;
    readonly stepsPerSync: number;
  };
  /** Supervised training before PPO, of a model made here. */
  readonly warmstart: WarmstartConfig;
  /** Hyper-parameters of PPO. */
  readonly ppo: PpoConfig;
}

/** Checks the name of a device. */
export const deviceSchema: z.ZodType<DeviceChoice> = z.custom<DeviceChoice>(isDeviceChoice, {
  error: ({ input }) => `${input} is no device: auto, cpu, cuda, or cuda:1 for the second GPU`,
});

const oneDevice: TrainConfig["parallel"] = { ranks: 1, shard: "none", offload: "none" };

/** Checks a training config and fills in defaults; unknown keys do not fit. */
export const trainConfigSchema: Schema<TrainConfig> = z.strictObject<Fields<TrainConfig>>({
  preset: z.enum(presetNames),
  task: z.enum(["thinker", "baseline"]).default("thinker"),
  seed: z.int().nonnegative().default(1),
  device: deviceSchema.default("auto"),
  repository: z.string().nullable().default(null),
  model: z.string().nullable().default(null),
  shape: z.strictObject<Fields<TrainConfig["shape"]>>({
    hidden: count,
    ffn: count,
    layers: count,
    heads: count,
    kvHeads: count,
    headDim: count,
    maxPositions: count,
  }),
  data: z.string().nullable().default(null),
  prompts: z.string().default("tiny"),
  budgets: z.strictObject<Fields<TrainConfig["budgets"]>>({
    fast: count,
    verify: count,
    slow: count,
    summary: count,
    answer: count,
  }),
  promptLimit: count,
  steps: count,
  tokens: count.nullable().default(null),
  evalEvery: count,
  saveEvery: count,
  evalProblems: count,
  keepEpisodes: z.int().nonnegative().default(4),
  recompute: z.boolean().default(false),
  weights: z.enum(["f32", "bf16"]).nullable().default(null),
  parallel: z.strictObject<Fields<TrainConfig["parallel"]>>({
    ranks: count.default(1),
    shard: z.enum(["none", "optimizer", "gradients"]).default("none"),
    offload: z.enum(["none", "optimizer"]).default("none"),
  }).default(oneDevice),
  engine: z.strictObject<Fields<TrainConfig["engine"]>>({
    maxSequences: count,
    cacheTokens: count,
    prefillChunk: count.default(1024),
    stepsPerSync: count.default(4),
  }),
  warmstart: warmstartSchema,
  ppo: ppoSchema,
});

/**
 * Checks the content of a config file.
 *
 * @param where The file's name, for the error message.
 * @throws {UserError} naming the file and the first key that is wrong.
 */
export function parseTrainConfig(value: unknown, where: string): TrainConfig {
  return check(trainConfigSchema, value, where, "see config.json of any run folder");
}

/**
 * Checks that a config can run: that it has all it starts from, and asks for nothing that is only planned.
 *
 * @throws {UserError} naming what is missing and how to get it.
 */
export function checkRunnable(config: TrainConfig): void {
  const { preset, repository, model, data, parallel } = config;
  if (repository !== null && model === null) {
    const folder = `models/${repository.split("/").pop()}`;
    throw new UserError(`preset ${preset} starts from ${repository}, and no --model is given`, {
      hint: `get it with \`deno task model download ${repository}\`, then add --model ${folder}`,
    });
  }
  if (repository !== null && data === null) {
    throw new UserError(`preset ${preset} needs problems to train on, and no --data is given`, {
      hint: "name a file with --data: JSONL rows {id, question, answer}, or ORZ JSON",
    });
  }
  const difference = firstDifference(oneDevice, parallel, "parallel");
  if (difference) {
    const [setting] = difference.split(" ");
    const value = JSON.stringify(parallel[setting.split(".")[1] as keyof typeof parallel]);
    throw new UserError(`${setting} is ${value}: that can be planned, but does not run yet`, {
      hint: "train on one device: leave the settings under parallel out",
    });
  }
}

/**
 * Checks that a run is resumed with the settings it was started with; `steps`, `tokens` and which GPU it
 * is may change.
 *
 * @param before What the run was started with.
 * @throws {UserError} naming the first setting that differs.
 */
export function checkResumed(before: TrainConfig, config: TrainConfig): void {
  const difference = firstDifference(
    comparable(before),
    comparable(config),
  );
  if (difference) {
    throw new UserError(`the run was started with another ${difference}`, {
      hint: "on --resume only --steps and --tokens may change",
    });
  }
}

/** The part of a config that must stay. */
function comparable(config: TrainConfig): object {
  return { ...config, steps: 0, tokens: 0, device: backendOf(config.device) };
}

/**
 * The config with what it leaves open as an earlier run took it: device and precision decide the bits, so
 * a run that goes on must not choose anew.
 */
export function keepChoices(config: TrainConfig, before: TrainConfig): TrainConfig {
  return {
    ...config,
    device: config.device === "auto" ? before.device : config.device,
    weights: config.weights ?? before.weights,
  };
}
