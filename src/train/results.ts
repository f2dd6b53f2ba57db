/**
 * What a run writes down: evaluation metrics, sampled dialogues, the report's rows and notes.
 *
 * @module
 */
import { type Evaluation, standardError } from "../rollout/mod.ts";
import type { GradeCounts } from "../grade/mod.ts";
import type { Tokenizer } from "../model/mod.ts";
import type { ScoredEpisode } from "../ppo/mod.ts";
import type { RunTasks, TrainConfig } from "../setup/mod.ts";
import type { Task } from "../task/mod.ts";
import type { EpisodeSample } from "./episodes.ts";
import type { Metrics } from "../base/mod.ts";
import type { ProblemSource } from "./problems.ts";
import type { ReportRow } from "./report.ts";

/** Metrics `eval/*` of one evaluation. */
export function evalMetrics({ accuracy, tokens, firstTokens }: Evaluation, task: Task): Metrics {
  const [{ name: first }, ...later] = task.stages;
  if (later.length === 0) {
    return { [`eval/${first}`]: accuracy[first] ?? 0, [`eval/${first}_tokens`]: tokens };
  }
  const metrics: Metrics = { "eval/tokens": tokens, [`eval/${first}_tokens`]: firstTokens };
  for (const [name, value] of Object.entries(accuracy)) metrics[`eval/${name}`] = value;
  return metrics;
}

/**
 * Metrics `grade/*` of what was graded between two counts: pairs that stayed undecided (they count as
 * not equal), and questions that met a limit of time, memory or queue. Only the latter could depend on
 * how busy the machine is; as long as `grade/limit` is 0, nothing does.
 */
export function gradeMetrics(before: GradeCounts, after: GradeCounts): Metrics {
  const limited = ({ time, memory, queue }: GradeCounts) => time + memory + queue;
  return {
    "grade/undecided": after.undecided - before.undecided,
    "grade/symbolic": after.symbolic - before.symbolic,
    "grade/limit": limited(after) - limited(before),
  };
}

/** The results of a run: what it started from and what came of it. */
export function reportRows(
  { task, reference }: Pick<RunTasks, "task" | "reference">,
  problems: ProblemSource,
  first: Metrics,
  last: Metrics,
): ReportRow[] {
  const n = problems.held.length, set = problems.name;
  const row = (name: string, accuracy: number | undefined, tokens: number | undefined) =>
    accuracy === undefined || tokens === undefined
      ? []
      : [{ name, set, accuracy, standardError: standardError(accuracy, n), tokens }];
  const firstStage = (of: Task, metrics: Metrics) => {
    const { name } = of.stages[0];
    return [metrics[`eval/${name}`], metrics[`eval/${name}_tokens`]] as const;
  };
  const whole = (of: Task, metrics: Metrics) =>
    of.stages.length === 1
      ? firstStage(of, metrics)
      : [metrics["eval/final"], metrics["eval/tokens"]] as const;
  const { title, firstTitle } = task.spec;
  return [
    ...row("Pretrained", ...whole(reference, first)),
    ...row(title, ...whole(task, last)),
    ...(firstTitle ? row(firstTitle, ...firstStage(task, last)) : []),
  ];
}

/** What a reader should know before judging the numbers. */
export function reportNotes(
  config: TrainConfig,
  { reference, compared }: Pick<RunTasks, "reference" | "compared">,
  problems: ProblemSource,
): string[] {
  const { held } = problems, mixed = compared.map(({ spec }) => spec.title).join(" and ");
  const notes = [
    held.length === 0
      ? "There are too few problems to hold any out: accuracy was not measured."
      : `Accuracy is measured on ${held.length} held-out problems, one sample each at ` +
        `temperature 1, under the model's own verdicts.`,
  ];
  if (config.model === null && held.length > 0) {
    notes.push(
      `Pretrained is the model after its supervised warm start on dialogues of ${mixed}, measured as ` +
        `${reference.spec.title}.`,
    );
  }
  if (config.model === null && config.data !== null) {
    notes.push(
      "This model has under a million parameters and has only ever seen sums: on real problems an " +
        "accuracy near zero is expected. The run shows that the machine works on them.",
    );
  }
  if (problems.skipped > 0) {
    notes.push(`${problems.skipped} rows were left out: no answer, or a prompt over the limit.`);
  }
  return notes;
}

/** A dialogue as text, for people. */
export function episodeSample(
  step: number,
  { episode, rewards }: ScoredEpisode,
  tokenizer: Tokenizer,
): EpisodeSample {
  let at = 0;
  return {
    step,
    id: episode.problem.id,
    question: episode.problem.question,
    answer: episode.problem.answer ?? "",
    turns: episode.segments.map((segment, i) => {
      const prompt = tokenizer.decode(episode.ids.slice(at, segment.start));
      at = segment.start + segment.length;
      return {
        stage: segment.stage,
        prompt,
        response: segment.text,
        reward: rewards[i],
        tokens: segment.length,
        truncated: segment.truncated,
      };
    }),
  };
}
