/**
 * The configuration of a training run: one schema for presets, files and what config.json records.
 *
 * @module
 */
import * as z from "npm:zod@4.6.7";
import {
  backendOf,
  type DeviceChoice,
  isDeviceChoice,
  type Precision,
  precisions,
} from "../../ffi/mod.ts";
import { check, type Fields, firstDifference, type Schema, UserError } from "../base/mod.ts";
import { type PpoConfig, ppoSchema, type WarmstartConfig, warmstartSchema } from "../ppo/mod.ts";
import type { TaskSpec } from "../task/mod.ts";

const count = z.int().positive();
/** Of what the program makes a list of, before memory is counted. */
const listed = z.int().positive().max(100_000);

/** The presets: `tiny` makes its model here, the others start from one that is downloaded first. */
export const presetNames = ["tiny", "q1.5b", "r1.5b", "r7b"] as const;
/** One of {@linkcode presetNames}. */
export type PresetName = typeof presetNames[number];

/** What each rank may hold a part of only: stages 0, 1 and 2 of ZeRO (arXiv 1910.02054). */
export const shardings = ["none", "optimizer", "gradients"] as const;
/** How the optimizer is spread over ranks. */
export type Sharding = typeof shardings[number];

/** What may lie in host memory. */
export const offloads = ["none", "optimizer"] as const;
/** What lies in host memory. */
export type Offload = typeof offloads[number];

/** A resolved training config: what a preset, a config file and options come to. */
export interface TrainConfig {
  /** The preset that the rest started from. */
  readonly preset: PresetName;
  /**
   * Name of the task: `thinker` (four stages), `thinker-fast` (the first of them alone), `baseline` (the
   * plain question), or one of your own.
   */
  readonly task: string;
  /** The task's own settings; what is left out has the task's default. */
  readonly taskSettings: Readonly<Record<string, unknown>>;
  /** Seed of everything random. */
  readonly seed: number;
  /**
   * Where to compute: `cpu`, `cuda` (`cuda:1` is the second GPU), or `auto`, the GPU where there is
   * one. `emu`, an emulated GPU, is for tests.
   */
  readonly device: DeviceChoice;
  /**
   * The repository on the hub that `model` is to be downloaded from; null: the run needs no model
   * from elsewhere.
   */
  readonly repository: string | null;
  /**
   * A model folder to start from; null: a small model made here and warm-started, where there
   * is no `repository`.
   */
  readonly model: string | null;
  /** Shape of the model made here. */
  readonly shape: {
    /** Width of the residual stream. */
    readonly hidden: number;
    /** Width inside the feed-forward part. */
    readonly ffn: number;
    /** Decoder layers. */
    readonly layers: number;
    /** Query heads. */
    readonly heads: number;
    /** Key/value heads; `heads` is a multiple of it. */
    readonly kvHeads: number;
    /** Width of a head. */
    readonly headDim: number;
    /** Longest sequence in tokens. */
    readonly maxPositions: number;
  };
  /** A file of problems; null: generated arithmetic, for a model made here only. */
  readonly data: string | null;
  /** Columns of `data` that have other names than usual. */
  readonly columns: {
    /** The column of the question, by name or dotted path; null: found by its usual names. */
    readonly question: string | null;
    /** The column of the gold answer; null: found by its usual names. */
    readonly answer: string | null;
    /** The column of the id; null: found by its usual names, or else the row's place in the file. */
    readonly id: string | null;
  };
  /** Cut known instructions on how to answer out of the questions of `data`: the prompts say it. */
  readonly stripInstructions: boolean;
  /** Wording of the stages: `tiny`, `default` (the task's own), or a file. */
  readonly prompts: string;
  /** Most action tokens of each stage, by stage; one that is left out has the task's own. */
  readonly budgets: Readonly<Record<string, number>>;
  /** Tokens; problems whose first prompt is longer are left out and counted. */
  readonly promptLimit: number;
  /** PPO steps. */
  readonly steps: number;
  /** Stop once so many action tokens went through the policy loss; null: no such limit. */
  readonly tokens: number | null;
  /** Steps from one evaluation to the next. */
  readonly evalEvery: number;
  /** Steps from one checkpoint to the next. */
  readonly saveEvery: number;
  /**
   * Newest checkpoints that stay as they are; older ones go once a new one is written. null: all stay.
   */
  readonly keep: number | null;
  /**
   * Older checkpoints than `keep` says stay as models: they can be asked and evaluated, but no run goes
   * on from them.
   */
  readonly keepWeights: boolean;
  /** Held-out problems of an evaluation, at most. */
  readonly evalProblems: number;
  /** Share of the problems in `data` that may be held out, at most; 0: none are, and none measured. */
  readonly evalShare: number;
  /**
   * Samples of each held-out problem at step 0 and at the end, for pass@k; evaluations between them take
   * one. All ask once more greedily.
   */
  readonly evalSamples: number;
  /** Dialogues of each step that go into episodes.jsonl. */
  readonly keepEpisodes: number;
  /** Keep only each layer's input for the backward pass and compute the rest anew: less memory. */
  readonly recompute: boolean;
  /**
   * What the matrix products read, in rollouts and in training alike: `f32`, or `bf16`, half the memory
   * traffic; null: f32 on a CPU, bf16 on a GPU. The optimizer works on float32 either way.
   */
  readonly weightDtype: Precision | null;
  /**
   * How a run is spread over devices. `plan` counts it; so far only the defaults run, and `train`
   * refuses others.
   */
  readonly parallel: {
    /** GPUs, each with its share of the questions. */
    readonly ranks: number;
    /**
     * What each rank holds a part of only: nothing, the optimizer's float32 weights and moments,
     * or the gradients too (stages 0, 1 and 2 of ZeRO, arXiv 1910.02054).
     */
    readonly shard: Sharding;
    /** Whether float32 weights and moments lie in host memory (`optimizer`). */
    readonly offload: Offload;
  };
  /** The rollout engine's memory and pace. */
  readonly engine: {
    /** Sequences that decode at the same time. */
    readonly maxSequences: number;
    /** Tokens of the KV cache, over all sequences. */
    readonly cacheTokens: number;
    /** Most prompt tokens read in one step. */
    readonly prefillChunk: number;
    /** Most decode steps between two looks at the results; fewer are taken where a step is long. */
    readonly stepsPerSync: number;
  };
  /** Supervised training before PPO, of a model made here. */
  readonly warmstart: WarmstartConfig;
  /** Hyper-parameters of PPO. */
  readonly ppo: PpoConfig;
}

/** Checks the name of a device. */
export const deviceSchema: Schema<DeviceChoice> = z.custom<DeviceChoice>(isDeviceChoice, {
  error: ({ input }) => `${input} is no device: auto, cpu, cuda, or cuda:1 for the second GPU`,
});

const oneDevice: TrainConfig["parallel"] = { ranks: 1, shard: "none", offload: "none" };

/** Checks a training config and fills in defaults; unknown keys do not fit. */
export const trainConfigSchema: Schema<TrainConfig> = z.strictObject<Fields<TrainConfig>>({
  preset: z.enum(presetNames),
  task: z.string().default("thinker"),
  taskSettings: z.record(z.string(), z.unknown()).default({}),
  seed: z.int().nonnegative().default(1),
  device: z._default(deviceSchema, "auto"),
  repository: z.string().nullable().default(null),
  model: z.string().nullable().default(null),
  shape: z.strictObject<Fields<TrainConfig["shape"]>>({
    hidden: count,
    ffn: count,
    layers: z.int().positive().max(10_000),
    heads: count,
    kvHeads: count,
    headDim: count,
    maxPositions: count,
  }),
  data: z.string().nullable().default(null),
  columns: z.strictObject<Fields<TrainConfig["columns"]>>({
    question: z.string().nullable().default(null),
    answer: z.string().nullable().default(null),
    id: z.string().nullable().default(null),
  }).default({ question: null, answer: null, id: null }),
  stripInstructions: z.boolean().default(false),
  prompts: z.string().default("tiny"),
  budgets: z.record(z.string(), count).default({}),
  promptLimit: count,
  steps: count,
  tokens: count.nullable().default(null),
  evalEvery: count,
  saveEvery: count,
  keep: count.nullable().default(null),
  keepWeights: z.boolean().default(false),
  evalProblems: listed,
  evalShare: z.number().min(0).max(0.5).default(0.1),
  evalSamples: listed.default(4),
  keepEpisodes: z.int().nonnegative().default(4),
  recompute: z.boolean().default(false),
  weightDtype: z.enum(precisions).nullable().default(null),
  parallel: z.strictObject<Fields<TrainConfig["parallel"]>>({
    ranks: count.default(1),
    shard: z.enum(shardings).default("none"),
    offload: z.enum(offloads).default("none"),
  }).default(oneDevice),
  engine: z.strictObject<Fields<TrainConfig["engine"]>>({
    maxSequences: listed,
    cacheTokens: count,
    prefillChunk: count.default(1024),
    stepsPerSync: count.default(8),
  }),
  warmstart: warmstartSchema,
  ppo: ppoSchema,
});

/** Keys of a training config that had another name once. */
const renamed = {
  weights: "weightDtype",
  "ppo.prompts": "ppo.questions",
  "ppo.warmupSteps": "ppo.warmupUpdates, which each model counts by its own updates",
  "ppo.clip": "ppo.clipLow and ppo.clipHigh",
  "ppo.summaryCoefficient": "taskSettings.summaryCoefficient",
  "ppo.summaryReduce": "taskSettings.summaryReduce",
};

/**
 * Checks the content of a config file.
 *
 * @param where The file's name, for the error message.
 * @throws {UserError} naming the file and the first key that is wrong.
 */
export function parseTrainConfig(value: unknown, where: string): TrainConfig {
  const hint = "see config.json of any run folder";
  return check(trainConfigSchema, value, where, hint, renamed);
}

/**
 * A task by its name.
 *
 * @param where What names it, for the error message.
 * @throws {UserError} for a name that no task has.
 */
export function findTask(name: string, tasks: readonly TaskSpec[], where?: string): TaskSpec {
  const found = tasks.find((task) => task.name === name);
  if (found) return found;
  throw new UserError(`${where === undefined ? "" : `${where}: `}there is no task "${name}"`, {
    hint: `there are ${tasks.map((task) => task.name).join(", ")}`,
  });
}

/**
 * Fits what a config says by stage to the stages that a run plays: what is missing is the stage's own, and
 * what a preset says of other tasks' stages is dropped.
 *
 * @param played The tasks that the run plays.
 * @param known All tasks there are: what the config says of their stages is no mistake.
 * @param where What the config came from, for the error message.
 * @throws {UserError} for a stage that no task has.
 */
export function fitStages(
  config: TrainConfig,
  { played, known, where }: {
    readonly played: readonly TaskSpec[];
    readonly known: readonly TaskSpec[];
    readonly where: string;
  },
): TrainConfig {
  const names = [...played, ...known].flatMap(({ stages }) => stages.map(({ name }) => name));
  const byStage = z.strictObject(
    Object.fromEntries(names.map((name) => [name, z.number().optional()])),
  );
  const schema = z.object({ budgets: byStage, warmstart: z.object({ skill: byStage }) });
  const { budgets, warmstart: { skill } } = config;
  check(schema, { budgets, warmstart: { skill } }, where, "see config.json of any run folder");
  const stages = played.flatMap((task) => task.stages);
  const fit = (said: Readonly<Record<string, number>>, usual: (budget: number) => number) =>
    Object.fromEntries(stages.map(({ name, budget }) => [name, said[name] ?? usual(budget)]));
  return {
    ...config,
    budgets: fit(budgets, (budget) => budget),
    warmstart: { ...config.warmstart, skill: fit(skill, () => usualSkill) },
  };
}

/** How often a scripted turn is right where the config does not say. */
const usualSkill = 0.7;

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
      hint: "name a file with --data: JSONL, JSON, CSV, parquet or Arrow; see docs/data.md",
    });
  }
  if (config.keepWeights && config.keep === null) {
    throw new UserError("keepWeights is about checkpoints older than keep says, and keep is null", {
      hint: "say how many stay whole, for example --keep 1",
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
 * Checks that a run is resumed with the settings it was started with; `steps`, `tokens`, what is kept,
 * which GPU it is and where its files lie may change.
 *
 * @param before What the run was started with.
 * @throws {UserError} naming the first setting that differs.
 */
export function checkResumed(before: TrainConfig, config: TrainConfig): void {
  const difference = changedSetting(before, config);
  if (difference) {
    throw new UserError(`the run was started with another ${difference}`, {
      hint:
        "on --resume only --steps, --tokens, --keep, keepWeights and the place of a file may change",
    });
  }
}

/** The first setting that two configs of one run may not differ in, with both values. */
export function changedSetting(before: TrainConfig, config: TrainConfig): string | undefined {
  const { model, data } = config;
  const files = {
    model: model && (before.model ?? model),
    data: data && (before.data ?? data),
    prompts: promptsFile(config) && promptsFile(before) ? before.prompts : config.prompts,
  };
  return firstDifference(comparable(before), comparable({ ...config, ...files }));
}

/** The part of a config that must stay. */
function comparable(config: TrainConfig): object {
  const { steps: _steps, tokens: _tokens, keep: _keep, keepWeights: _weights, ...rest } = config;
  return { ...rest, device: backendOf(config.device) };
}

/** The file that a config's prompts come from; null where they are a built-in set. */
export function promptsFile({ prompts }: Pick<TrainConfig, "prompts">): string | null {
  return prompts === "tiny" || prompts === "default" ? null : prompts;
}

/**
 * The config with what it leaves open as an earlier run took it: device and precision decide the bits, so
 * a run that goes on must not choose anew.
 */
export function keepChoices(config: TrainConfig, before: TrainConfig): TrainConfig {
  return {
    ...config,
    device: config.device === "auto" ? before.device : config.device,
    weightDtype: config.weightDtype ?? before.weightDtype,
  };
}
