/**
 * The configuration of a training run: one schema for presets, files and what config.json records.
 *
 * @module
 */
import * as z from "npm:zod@^4";
import { UserError } from "../errors.ts";
import { ppoSchema, warmstartSchema } from "../ppo/mod.ts";

const count = z.int().positive();

/** The schema of a training config. */
export const trainConfigSchema = z.strictObject({
  /** The preset that the rest started from. */
  preset: z.enum(["tiny"]),
  task: z.enum(["thinker", "baseline"]).default("thinker"),
  seed: z.int().nonnegative().default(1),
  device: z.enum(["auto", "cpu"]).default("auto"),
  /** A model folder to start from; null: a small model made here and warm-started. */
  model: z.string().nullable().default(null),
  /** Shape of the model made here. */
  shape: z.strictObject({
    hidden: count,
    ffn: count,
    layers: count,
    heads: count,
    kvHeads: count,
    headDim: count,
    maxPositions: count,
  }),
  /** A file of problems; null: generated arithmetic. */
  data: z.string().nullable().default(null),
  /** Wording of the stages: the tiny set, the default set, or a file. */
  prompts: z.string().default("tiny"),
  /** Most action tokens of each stage; `answer` is the baseline's. */
  budgets: z.strictObject({
    fast: count,
    verify: count,
    slow: count,
    summary: count,
    answer: count,
  }),
  /** Problems whose first prompt is longer are left out and counted. */
  promptLimit: count,
  /** PPO steps. */
  steps: count,
  /** Stop once so many action tokens went through the policy loss; null: no such limit. */
  tokens: count.nullable().default(null),
  evalEvery: count,
  saveEvery: count,
  /** Held-out problems of an evaluation. */
  evalProblems: count,
  /** Dialogues of each step that go into episodes.jsonl. */
  keepEpisodes: z.int().nonnegative().default(4),
  engine: z.strictObject({
    maxSequences: count,
    cacheTokens: count,
    prefillChunk: count.default(1024),
    stepsPerSync: count.default(4),
  }),
  warmstart: warmstartSchema,
  ppo: ppoSchema,
});

/** A resolved training config. */
export type TrainConfig = z.output<typeof trainConfigSchema>;

/**
 * Checks that a run is resumed with the settings it was started with; `steps` and `tokens` may change.
 *
 * @param saved Content of the run's config.json.
 * @throws {UserError} naming the first setting that differs.
 */
export function checkResumed(saved: unknown, config: TrainConfig): void {
  const before = trainConfigSchema.safeParse(saved);
  if (!before.success) throw new UserError("the run's config.json does not fit this version");
  const difference = firstDifference(
    { ...before.data, steps: 0, tokens: 0 },
    { ...config, steps: 0, tokens: 0 },
    "",
  );
  if (difference) {
    throw new UserError(`the run was started with another ${difference}`, {
      hint: "on --resume only --steps and --tokens may change",
    });
  }
}

function firstDifference(a: unknown, b: unknown, path: string): string | undefined {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) {
    const show = (value: unknown) => JSON.stringify(value);
    return a === b ? undefined : `${path} (${show(a)}, now ${show(b)})`;
  }
  const [left, right] = [a, b] as Record<string, unknown>[];
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
    const found = firstDifference(left[key], right[key], path ? `${path}.${key}` : key);
    if (found) return found;
  }
  return undefined;
}
