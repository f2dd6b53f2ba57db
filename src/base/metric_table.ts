/**
 * What every logged number says, and what it does not: docs/metrics.md is made from this table.
 *
 * @module
 */

/** One metric of a run. */
export interface MetricEntry {
  /** The key; `<stage>` stands for the name of a stage, and is there only if the stage was reached. */
  readonly key: string;
  /** What one of it is. */
  readonly unit: string;
  /** The values it can have. */
  readonly range: string;
  /** What it says. */
  readonly meaning: string;
  /** What it must not be taken for. */
  readonly blind: string;
}

/** A log of a run and what its lines hold. */
export interface MetricLog {
  /** The file in the run folder. */
  readonly file: string;
  /** What one line is. */
  readonly line: string;
  /** Everything that may stand in a line. */
  readonly entries: readonly MetricEntry[];
}

const [natural, share, nonNegative, any] = ["0, 1, 2, …", "0 to 1", "0 and up", "any"];

const progress: MetricEntry[] = [{
  key: "step",
  unit: "PPO steps",
  range: natural,
  meaning: "Which step the line is about. Step 0 is the evaluation before training.",
  blind:
    "How much was learned from: steps differ in tokens. Compare runs at equal `tokens/trained`.",
}, {
  key: "tokens/trained",
  unit: "tokens",
  range: natural,
  meaning:
    "Action tokens that the policy was updated from since the beginning of the run; those of skipped " +
    "updates do not count.",
  blind: "Cost: prompts and what tools say are read too, but not counted.",
}];

const quality: MetricEntry[] = [{
  key: "accuracy/<stage>",
  unit: "share",
  range: share,
  meaning:
    "Right answers among the turns of the stage in this step's rollout. Of a stage that judges: " +
    "the mean of its recall on right and on wrong answers, there only if both occurred.",
  blind:
    "Progress from one step to the next, whose questions differ; and of a later stage: it is " +
    "asked only where earlier ones failed, so it may fall because they got better.",
}, {
  key: "eval/<stage>",
  unit: "share",
  range: share,
  meaning:
    "As `accuracy/<stage>`, on the fixed held-out problems, under the model's own verdicts, " +
    "sampled at temperature 1 at step 0, every `evalEvery` steps and at the end. Step 0 has the " +
    "reference task's stages too.",
  blind:
    "Differences below its standard error, at most √(a(1−a)/n) for n problems; and knowledge: a " +
    "policy that only samples less at random rises too. Compare `greedy/<stage>`.",
}, {
  key: "eval/<stage>_after_right",
  unit: "share",
  range: share,
  meaning:
    "Right answers of the stage where a verdict stands before it and what was judged was right: " +
    "what a false No costs. There only if it occurred.",
  blind: "How often it occurred.",
}, {
  key: "eval/<stage>_after_wrong",
  unit: "share",
  range: share,
  meaning: "The same where what was judged was wrong: what the second try is worth.",
  blind: "Progress: the better the first stage, the harder the questions that are left.",
}, {
  key: "eval/final",
  unit: "share",
  range: share,
  meaning: "Held-out problems whose final answer is right; for tasks of more than one stage.",
  blind: "The same; and whether an answer was found or guessed.",
}, {
  key: "greedy/<stage>",
  unit: "share",
  range: share,
  meaning: "As `eval/<stage>`, with the likeliest token each time: one answer to each problem.",
  blind: "What sampling finds, and training learns from.",
}, {
  key: "greedy/final",
  unit: "share",
  range: share,
  meaning: "As `eval/final`, likewise.",
  blind: "The same.",
}, {
  key: "pass@<k>/<stage>",
  unit: "share",
  range: share,
  meaning:
    "Unbiased estimate (arXiv 2107.03374) of how often one of k sampled answers of the first stage " +
    "is right; k = 2, 4, … up to `evalSamples`, at step 0 and at the end.",
  blind: "Use, where nothing tells which of the k it is.",
}, {
  key: "pass@<k>/final",
  unit: "share",
  range: share,
  meaning: "The same of the final answer; for tasks of more than one stage.",
  blind: "The same.",
}, {
  key: "eval/tokens",
  unit: "tokens",
  range: nonNegative,
  meaning: "Mean sampled tokens of a held-out episode; for tasks of more than one stage.",
  blind: "Time: tokens of a prompt are not counted, and sequences decode together.",
}, {
  key: "eval/<stage>_tokens",
  unit: "tokens",
  range: nonNegative,
  meaning: "The same of the first stage alone, which every episode passes through.",
  blind: "Lengths of later stages: see `length/<stage>`.",
}];

const rollout: MetricEntry[] = [{
  key: "reward/<stage>",
  unit: "reward",
  range: "the task's; Thinker's: 0 to 1, of `verify` at most 0.95",
  meaning: "Mean reward of a turn of the stage.",
  blind:
    "Skill where the reward moves with the policy: a verification is paid by how rare its case is.",
}, {
  key: "reward/episode",
  unit: "reward",
  range: "the task's",
  meaning: "Mean sum of an episode's rewards.",
  blind:
    "Quality: an episode that goes wrong reaches more stages, each of which can be paid, so it falls " +
    "as the policy gets better. It is on no screen and in no chart.",
}, {
  key: "length/<stage>",
  unit: "tokens",
  range: "1 to the stage's budget",
  meaning: "Mean action tokens of a turn, its stop token included.",
  blind: "How many turns met the budget: see `truncated/<stage>`.",
}, {
  key: "truncated/<stage>",
  unit: "share",
  range: share,
  meaning: "Turns that spent their budget before a stop token.",
  blind: "Whether the budget was too small or the turn went in circles: read `episodes.jsonl`.",
}];

const learning: MetricEntry[] = [{
  key: "ppo/policy_loss",
  unit: "advantage",
  range: any,
  meaning: "Clipped surrogate loss, mean over action tokens; without entropy bonus and KL term.",
  blind: "Progress. With whitened advantages and one update a rollout it is 0 but for rounding.",
}, {
  key: "ppo/entropy",
  unit: "nats",
  range: "0 to ln(vocabulary)",
  meaning: "Mean entropy of the policy where it acted.",
  blind: "Variety of whole answers: a low mean may hide a few open choices, and the reverse.",
}, {
  key: "ppo/zero_advantages",
  unit: "share",
  range: share,
  meaning:
    "Action tokens whose advantage is 0: with `grpo` those of questions whose samples were all paid " +
    "the same. At 1 the step teaches nothing, which the screen and the report say.",
  blind: "Size: advantages next to 0 teach little.",
}, {
  key: "ppo/explained_variance",
  unit: "share",
  range: "up to 1",
  meaning:
    "1 − Var(return − value) / Var(return) over the rollout's actions, with the critic's values from " +
    "before its updates; with a critic only, and only if returns differ.",
  blind:
    "Bias: a critic that is too high by the same everywhere explains all. See `ppo/value_loss`.",
}, {
  key: "ppo/actor_lr",
  unit: "per update",
  range: nonNegative,
  meaning: "Learning rate of the policy's last update in the step.",
  blind: "The size of the change.",
}, {
  key: "ppo/critic_lr",
  unit: "per update",
  range: nonNegative,
  meaning: "The same of the critic, which counts its own updates for its warm-up.",
  blind: "The same.",
}, {
  key: "ppo/kl",
  unit: "nats",
  range: nonNegative,
  meaning:
    "Estimate (k3) of how far the policy moved from that of the rollout while it learned from it.",
  blind:
    "Drift over the run, and what a `ppo.klCoefficient` works on: that is `ppo/kl_ref`. With one " +
    "update a rollout it is 0 by construction, measured before that update, and not on the screen.",
}, {
  key: "ppo/kl_ref",
  unit: "nats",
  range: "0 and up; of k1 any",
  meaning: "KL to the policy before PPO by `ppo.klEstimator`; with a `ppo.klCoefficient` only.",
  blind: "Distance on other texts than the rollout's.",
}, {
  key: "ppo/clip_fraction",
  unit: "share",
  range: share,
  meaning: "Action tokens whose probability ratio the clip cut off.",
  blind: "Anything with one update a rollout: then every ratio is 1.",
}, {
  key: "ppo/grad_norm",
  unit: "L2 norm",
  range: nonNegative,
  meaning:
    "Norm of the policy's gradient before clipping, mean over the step's updates that were taken.",
  blind: "The size of the change: Adam divides by its own estimate of that size.",
}, {
  key: "ppo/skipped_updates",
  unit: "updates",
  range: natural,
  meaning:
    "Policy updates left out because their gradient was not finite; three in a row end the run.",
  blind: "Why it was not finite.",
}, {
  key: "ppo/spikes",
  unit: "updates",
  range: natural,
  meaning:
    "Policy updates whose gradient norm was over `ppo.spikeFactor` times its median of the last 32 " +
    "steps: scaled down to that bound.",
  blind:
    "Spikes before there are 8 steps to compare with; and whether the data or the policy is why.",
}, {
  key: "ppo/value_loss",
  unit: "reward²",
  range: nonNegative,
  meaning:
    "Half the squared error of the critic, clipped, mean over action tokens. With a critic only, " +
    "as the four below.",
  blind: "Use: it is low, too, where rewards hardly vary.",
}, {
  key: "ppo/value_clip_fraction",
  unit: "share",
  range: share,
  meaning: "Action tokens whose value the clip held back.",
  blind: "Whether the move would have been right.",
}, {
  key: "ppo/critic_grad_norm",
  unit: "L2 norm",
  range: nonNegative,
  meaning: "As `ppo/grad_norm`, of the critic.",
  blind: "The size of the change.",
}, {
  key: "ppo/critic_skipped_updates",
  unit: "updates",
  range: natural,
  meaning: "As `ppo/skipped_updates`, of the critic.",
  blind: "Why.",
}, {
  key: "ppo/critic_spikes",
  unit: "updates",
  range: natural,
  meaning: "As `ppo/spikes`, of the critic.",
  blind: "The same.",
}];

const engine: MetricEntry[] = [{
  key: "rollout/logprob_gap_max",
  unit: "nats",
  range: "0 with these kernels",
  meaning:
    "Largest difference, over all action tokens, between the log-prob recorded while sampling and " +
    "the training pass's, before any update. Anything above 0 is a bug: see docs/numerics.md.",
  blind: "Whether either of the two is right.",
}, {
  key: "rollout/importance_weight_mean",
  unit: "ratio",
  range: "0 to `ppo.importanceCap`",
  meaning:
    "Mean truncated importance weight; with a `ppo.importanceCap` only. 1 where the gap is 0.",
  blind: "Spread: weights above and below 1 cancel.",
}, {
  key: "rollout/reward_spread",
  unit: "reward",
  range: nonNegative,
  meaning:
    "Standard deviation of the turns' rewards around the mean of their stage. At 0 there is nothing to " +
    "learn from.",
  blind:
    "Spread inside a group, which is all that `grpo` learns from: questions that differ spread too.",
}, {
  key: "rollout/trailing_accuracy",
  unit: "share",
  range: "0.05 to 0.95",
  meaning:
    "Share of right first answers in the rollout before, by which this step's verifications were " +
    "paid; for tasks with a stage that judges.",
  blind: "This step's accuracy: it is one step behind.",
}, {
  key: "rollout/final_at_least",
  unit: "share",
  range: share,
  meaning:
    "Episodes of the rollout whose counting turn, by the model's own verdict, is right; for tasks of " +
    "more than one stage.",
  blind:
    "Accuracy when used, of which it is a lower bound: in training the truth decides what follows, so " +
    "a right answer that is called wrong gets no second try. Do not compare it with `eval/final`.",
}, {
  key: "rollout/check_cost",
  unit: "ratio",
  range: nonNegative,
  meaning:
    "Mean tokens of an answer with its verdict over mean tokens of the stage after a No: Thinker's " +
    "(fast + verify) / slow. Below 1, trying and checking is cheaper than thinking at once.",
  blind: "Cost of the whole: that depends on how often the verdict is No.",
}, {
  key: "rollout/sampled_tokens",
  unit: "tokens",
  range: natural,
  meaning: "Action tokens sampled in this step.",
  blind: "Work: see `rollout/prefilled_tokens` for what was read.",
}, {
  key: "rollout/prefilled_tokens",
  unit: "tokens",
  range: natural,
  meaning:
    "Tokens read: prompts, once for all samples of a question, what stands between turns, and again " +
    "what was preempted.",
  blind: "Work of attention, which grows with what stands before.",
}, {
  key: "tool/calls",
  unit: "calls",
  range: natural,
  meaning: "Calls of the task's tools in this step; there only if there were any.",
  blind: "Whether they helped: compare `accuracy/<stage>`.",
}, {
  key: "tool/failed",
  unit: "calls",
  range: natural,
  meaning: "Calls that threw or gave no string; the model read `(the tool failed)`.",
  blind: "Whose fault it was.",
}, {
  key: "tool/late",
  unit: "calls",
  range: natural,
  meaning: "Calls that took longer than the tool's limit. Above 0 the run depended on the clock.",
  blind: "How late they were.",
}, {
  key: "grade/undecided",
  unit: "answers",
  range: natural,
  meaning:
    "Answers of this step that the grader could not tell from the gold answer either way; they " +
    "count as wrong.",
  blind: "How many of them were right; and errors among those it did decide.",
}, {
  key: "grade/symbolic",
  unit: "answers",
  range: natural,
  meaning: "Answers that the symbolic stage was asked about.",
  blind: "What it found.",
}, {
  key: "grade/limit",
  unit: "answers",
  range: natural,
  meaning:
    "Questions to the symbolic stage that met a limit of time, memory or queue. Above 0 the run " +
    "may have depended on how busy the machine was.",
  blind: "Which limit.",
}];

const clock: MetricEntry[] = [{
  key: "seconds",
  unit: "s",
  range: nonNegative,
  meaning: "Wall-clock time of the step, from the first question to the last update.",
  blind: "The time between lines: evaluation, logs and checkpoints are not in it.",
}, {
  key: "time/generate",
  unit: "s",
  range: nonNegative,
  meaning: "The rollout: sampling, and waiting for grades and tools.",
  blind: "What it waited for.",
}, {
  key: "time/grade",
  unit: "s",
  range: nonNegative,
  meaning: "Part of `time/generate` that the grader held the main thread.",
  blind: "Work of the symbolic stage, which goes on beside it.",
}, {
  key: "time/score",
  unit: "s",
  range: nonNegative,
  meaning: "Rewards, with the turns that are read once more for them.",
  blind: "Which stage took it.",
}, {
  key: "time/forward",
  unit: "s",
  range: nonNegative,
  meaning: "The critic's values, and the advantages.",
  blind: "Forward passes of the updates.",
}, {
  key: "time/critic",
  unit: "s",
  range: nonNegative,
  meaning: "Updates of the critic.",
  blind: "Forward against backward.",
}, {
  key: "time/actor",
  unit: "s",
  range: nonNegative,
  meaning: "Updates of the policy, with the passes that compare log-probs where there are any.",
  blind: "Forward against backward.",
}, {
  key: "time/update",
  unit: "s",
  range: nonNegative,
  meaning: "`time/critic` and `time/actor` together.",
  blind: "Which of the two.",
}, {
  key: "time/eval",
  unit: "s",
  range: nonNegative,
  meaning: "The evaluation, on steps that had one; not part of `seconds`.",
  blind: "Cost of a token: its problems and transitions are others.",
}, {
  key: "generate/tokens_per_second",
  unit: "tokens/s",
  range: nonNegative,
  meaning: "Sampled tokens over the engine's wall-clock time.",
  blind: "Speed of decoding: prefill, slots left empty at the end, and waits are in it.",
}, {
  key: "generate/idle",
  unit: "share",
  range: share,
  meaning:
    "Share of the rows' steps that sampled nothing, of as many rows as ever ran at once: rows " +
    "that wait to read or for a grade, and the tail, when few episodes are left.",
  blind: "What an idle row costs: where reading the weights is the bound, nothing.",
}, {
  key: "generate/preempted",
  unit: "sequences",
  range: natural,
  meaning: "How often a sequence gave its part of the cache back and read its tokens again later.",
  blind: "Time lost: reading is much faster than sampling.",
}, {
  key: "generate/bytes_per_second",
  unit: "B/s",
  range: nonNegative,
  meaning:
    "What decoding had to read at least (weights once a step, live keys and values once a row) " +
    "over the same time.",
  blind: "What it did read.",
}, {
  key: "generate/bound_share",
  unit: "share",
  range: nonNegative,
  meaning:
    "The same as a share of the read bandwidth, the best of measurements before the run and between " +
    "its steps, so that load while one is taken does not count.",
  blind:
    "Room for more speed where compute is the bound: large batches, small models. Weights that lie " +
    "in a cache may push it above 1.",
}];

const warmstart: MetricEntry[] = [{
  key: "step",
  unit: "updates",
  range: "1, 2, …",
  meaning: "Which update the line is about.",
  blind: "Anything of PPO's steps.",
}, {
  key: "loss",
  unit: "nats",
  range: nonNegative,
  meaning: "Mean cross-entropy of an action token of the scripted dialogues.",
  blind: "Accuracy: the scripts are wrong on purpose part of the time, so it has a floor above 0.",
}, {
  key: "grad_norm",
  unit: "L2 norm",
  range: nonNegative,
  meaning: "Norm of the gradient before clipping.",
  blind: "The size of the change.",
}, {
  key: "skipped_updates",
  unit: "updates",
  range: "0 or 1",
  meaning: "1 where the update was left out because its gradient was not finite.",
  blind: "Why.",
}, {
  key: "tokens",
  unit: "tokens",
  range: natural,
  meaning: "Action tokens trained on so far; those of skipped updates do not count.",
  blind: "New text: dialogues may repeat.",
}, {
  key: "seconds",
  unit: "s",
  range: nonNegative,
  meaning: "Wall-clock time of the update.",
  blind: "Which part took it.",
}];

/** Every metric of a run, by the log it stands in. */
export const metricLogs: readonly MetricLog[] = [{
  file: "metrics.jsonl",
  line: "one PPO step",
  entries: [...progress, ...quality, ...rollout, ...learning, ...engine, ...clock],
}, {
  file: "warmstart.jsonl",
  line: "one update of the supervised warm start",
  entries: warmstart,
}];
