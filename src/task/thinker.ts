/**
 * The four-stage Thinker task (arXiv 2505.21097): Fast Thinking, Verification, Slow Thinking, Summarization
 * as one dialogue. In training the truth decides what follows; at inference the model's own verdict does.
 *
 * @module
 */
import * as z from "npm:zod@4.6.7";
import type { Fields, Schema } from "../base/mod.ts";
import defaults from "./prompts/default.json" with { type: "json" };
import { correctness, summaryReward, verifyReward } from "./rewards.ts";
import type { Mode, Next, RewardContext, Segment, StageSpec, TaskSpec } from "./types.ts";

/** Settings of the Thinker task. */
export interface ThinkerSettings {
  /** Weight of the log-probability term in the summary's reward; 0 leaves correctness alone. */
  readonly summaryCoefficient: number;
  /** Whether that term is the sum or the mean of the tokens' log-probabilities. */
  readonly summaryReduce: "sum" | "mean";
}

const settings: Schema<ThinkerSettings> = z.strictObject<Fields<ThinkerSettings>>({
  summaryCoefficient: z.number().nonnegative().default(1e-3),
  summaryReduce: z.enum(["sum", "mean"]).default("sum"),
});

/** Budgets of Fast Thinking and Verification are reported for Thinker; the other two mirror them. */
const fast: StageSpec<ThinkerSettings> = {
  name: "fast",
  title: "Fast Thinking",
  prompt: defaults.fast,
  budget: 1000,
  reward: correctness,
};

const verify: StageSpec<ThinkerSettings> = {
  name: "verify",
  title: "Verification",
  prompt: defaults.verify,
  budget: 6000,
  judges: "fast",
  reward: ({ verdict }, { episode: { segments: [first] }, trailing }) =>
    verifyReward(first.correct === true, verdict, trailing),
};

const slow: StageSpec<ThinkerSettings> = {
  name: "slow",
  title: "Slow Thinking",
  prompt: defaults.slow,
  budget: 6000,
  reward: correctness,
};

const summary: StageSpec<ThinkerSettings> = {
  name: "summary",
  title: "Summarization",
  prompt: defaults.summary,
  budget: 1000,
  extra: true,
  reward: rewardSummary,
  // Under the fast prompt: a summary that could have been given at once is paid best.
  reread: ({ correct }, { episode: { ids, segments: [first] }, settings }) =>
    correct === true && settings.summaryCoefficient > 0 ? ids.slice(0, first.start) : undefined,
};

function rewardSummary(
  { correct, length }: Segment,
  { episode, logprobs, settings }: RewardContext<ThinkerSettings>,
): number {
  const { summaryCoefficient: coefficient, summaryReduce: reduce } = settings;
  if (correct !== true) return 0;
  if (coefficient === 0) return 1;
  if (logprobs?.length !== length) {
    throw new Error(
      `episode ${episode.id}: ${logprobs?.length ?? "no"} summary log-probabilities for ` +
        `${length} tokens`,
    );
  }
  const sum = logprobs.reduce((total, each) => total + each, 0);
  return summaryReward(correct, sum, length, { coefficient, reduce });
}

/**
 * The transition table. Fast is always verified, even without an answer (which counts as wrong).
 * An invalid verdict counts as No at inference and changes nothing in training. Only a right slow
 * answer is worth a summary in training, only an existing one at inference.
 */
function next(turns: readonly Segment[], mode: Mode): Next {
  const [first] = turns, last = turns[turns.length - 1];
  if (last.stage === "fast") return { stage: "verify" };
  if (last.stage === "verify") {
    if (mode !== "train") return last.verdict === "yes" ? "end" : { stage: "slow" };
    return byTruth(first, { right: "end", wrong: { stage: "slow" } });
  }
  if (last.stage === "slow") {
    if (mode === "train") return byTruth(last, { right: { stage: "summary" }, wrong: "end" });
    return mode === "complete" && last.answer !== undefined ? { stage: "summary" } : "end";
  }
  return "end";
}

function byTruth({ correct }: Segment, then: { right: Next; wrong: Next }): Next {
  if (correct === undefined) return "await grade";
  return correct ? then.right : then.wrong;
}

/** The plain question in one stage: what Thinker is compared with. The same in training and at inference. */
export const baseline: TaskSpec = {
  name: "baseline",
  title: "Baseline",
  stages: [{
    name: "answer",
    title: "Answer",
    prompt: defaults.answer,
    budget: 8000, // as in Open-Reasoner-Zero
    reward: correctness,
  }],
  next: () => "end",
  final: ([only]) => only,
};

/** The four stages. */
export const thinker: TaskSpec<ThinkerSettings> = {
  name: "thinker",
  title: "Thinker",
  firstTitle: "Thinker-Fast",
  stages: [fast, verify, slow, summary],
  next,
  /** The fast answer after a Yes, otherwise the slow one. */
  final: ([first, verdict, second]) =>
    verdict === undefined || verdict.verdict === "yes" ? first : second,
  reference: baseline,
  settings,
};

/** Fast Thinking alone: the episode ends after the first stage. */
export const thinkerFast: TaskSpec<ThinkerSettings> = {
  name: "thinker-fast",
  title: "Thinker-Fast",
  stages: [fast],
  next: () => "end",
  final: ([only]) => only,
  reference: baseline,
  settings,
};

/** The tasks that come with the program. */
export const builtinTasks: readonly TaskSpec[] = [thinker, thinkerFast, baseline];

/**
 * The tasks whose runs are compared with a run on this one: they start from the same model, are measured on
 * the same problems, and leave the same ones out.
 */
export function comparedTasks(task: TaskSpec): readonly TaskSpec[] {
  if (builtinTasks.includes(task)) return [thinker, baseline];
  return task.reference === undefined ? [task] : [task, task.reference];
}
