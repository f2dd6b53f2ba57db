/**
 * The disk planner: what the checkpoints of a run take, before the first one is written.
 *
 * @module
 */
import { formatBytes, freeBytes, UserError } from "../base/mod.ts";
import { type ModelConfig, parameterLayout } from "../model/mod.ts";
import type { TrainConfig } from "./config.ts";

/** What a run writes, in bytes. Tokenizer and logs, megabytes, are not counted. */
export interface DiskPlan {
  /** A checkpoint that a run can go on from: weights in float32, and two moments of each. */
  readonly checkpoint: number;
  /** The same of step 0, which has no moments yet. */
  readonly first: number;
  /** What stays of an older one with `keepWeights`: the policy's weights. */
  readonly model: number;
  /** Checkpoints that a run without a break writes, that of step 0 included. */
  readonly saves: number;
  /** The most that lies on the disk at a time: a new one is there before an older one goes. */
  readonly total: number;
}

/** Whether the run's KL term refers to the weights that the checkpoint of step 0 holds. */
export function refersToStart({ model, ppo }: TrainConfig): boolean {
  return model === null && ppo.klCoefficient > 0;
}

/** Adds up what the checkpoints of a run will take. */
export function planDisk(config: TrainConfig, model: ModelConfig): DiskPlan {
  const float32 = (head: "lm" | "value") => 4 * parameterLayout(model, head).size;
  const policy = float32("lm");
  const first = policy + (config.ppo.estimator === "gae" ? float32("value") : 0);
  const sizes = { model: policy, first, checkpoint: 3 * first };
  const saves = savesOf(config);
  return { ...sizes, saves, total: most(config, sizes, saves) };
}

/** The bytes when the last checkpoint has been written and nothing has been removed for it yet. */
function most(
  config: TrainConfig,
  { model, first, checkpoint }: Pick<DiskPlan, "model" | "first" | "checkpoint">,
  saves: number,
): number {
  const { keep, keepWeights } = config;
  const whole = Math.min(saves, keep === null ? Infinity : keep + 1), older = saves - whole;
  if (older === 0) return first + (saves - 1) * checkpoint;
  return whole * checkpoint + model * (keepWeights ? older : refersToStart(config) ? 1 : 0);
}

/** The plan as a line of text. */
export function formatDisk({ checkpoint, model, saves, total }: DiskPlan): string {
  return `on disk: up to ${formatBytes(total)} at a time, of ${saves} checkpoints of ` +
    `${formatBytes(checkpoint)} (the model alone ${formatBytes(model)})`;
}

/** Where a run writes. */
export interface RunPlace {
  /** The run folder, whether it exists or not. */
  readonly out: string;
  /** Bytes that a run which goes on has there already; undefined for a new one. */
  readonly present?: number;
}

/**
 * Refuses a run whose checkpoints have no room, where the program may ask how much there is.
 *
 * @throws {UserError} naming what it takes, what is free, and what to lower.
 */
export async function checkDisk(
  config: TrainConfig,
  model: ModelConfig,
  { out, present }: RunPlace,
): Promise<void> {
  const free = await freeBytes(out), plan = planDisk(config, model);
  const least = present === undefined ? 0 : plan.checkpoint; // some will go, but a new one comes first
  const needed = Math.max(least, plan.total - (present ?? 0));
  if (free === undefined || needed <= free) return;
  throw new UserError(
    `the checkpoints of this run take up to ${formatBytes(needed)}${
      present === undefined ? "" : " more"
    }, and where ${out} is, ${formatBytes(free)} are free`,
    { hint: advise(config, plan, free + (present ?? 0), present === undefined) },
  );
}

/** What would do with the room there is: the most that can be kept, or the least to save less often. */
function advise(config: TrainConfig, plan: DiskPlan, room: number, fresh: boolean): string {
  const { steps, saveEvery, keep, keepWeights } = config;
  const fits = (changes: Partial<TrainConfig>) => {
    const changed = { ...config, ...changes };
    return most(changed, plan, savesOf(changed)) <= room;
  };
  const kept = (keepWeights: boolean) =>
    last(1, (keep ?? plan.saves) - 1, (keep) => fits({ keep, keepWeights }));
  const some = kept(keepWeights), bare = kept(false);
  const every = steps - last(0, steps - saveEvery - 1, (n) => fits({ saveEvery: steps - n }));
  return [
    ...(some > 0 ? [`keep fewer with --keep ${some}`] : []),
    ...(some === 0 && bare > 0 ? [`add --keep ${bare} --set keepWeights=false`] : []),
    ...(fresh && every <= steps ? [`save less often with --set saveEvery=${every}`] : []),
    "free some room",
    ...(fresh ? ["name a folder on another disk with --out"] : []),
  ].join(", or ");
}

/** Checkpoints that a run without a break writes. */
function savesOf({ steps, saveEvery }: TrainConfig): number {
  return 1 + Math.ceil(steps / saveEvery);
}

/** The last number from `least` to `most` that is good, where all before a good one are; else `least` - 1. */
function last(least: number, most: number, good: (n: number) => boolean): number {
  let low = least - 1, high = most + 1;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (good(middle)) low = middle;
    else high = middle;
  }
  return low;
}
