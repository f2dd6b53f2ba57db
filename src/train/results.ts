/**
 * What a run writes down: evaluation metrics, sampled dialogues, the report's rows and notes.
 *
 * @module
 */
import { powersUpTo, standardError } from "../rollout/mod.ts";
import type { GradeCounts } from "../grade/mod.ts";
import type { Tokenizer } from "../model/mod.ts";
import type { ScoredEpisode } from "../ppo/mod.ts";
import type { RunTasks, TrainConfig } from "../setup/mod.ts";
import type { Task } from "../task/mod.ts";
import type { EpisodeSample } from "./episodes.ts";
import type { Metrics } from "../base/mod.ts";
import type { ProblemSource } from "./problems.ts";
import type { ReportRow } from "./report.ts";

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

/** Whether a step had no advantage to learn from, such as with rewards that are all the same. */
export function nothingLearned(metrics: Metrics): boolean {
  return metrics["ppo/zero_advantages"] === 1;
}

/** The results of a run: what it started from and what came of it. */
export function reportRows(
  { evalSamples }: Pick<TrainConfig, "evalSamples">,
  { tasks: { task, reference }, problems, first, last }: {
    readonly tasks: Pick<RunTasks, "task" | "reference">;
    readonly problems: ProblemSource;
    /** The line of step 0, and the last one with an evaluation. */
    readonly first: Metrics;
    readonly last: Metrics;
  },
): ReportRow[] {
  const n = problems.held.length, set = problems.name;
  const ks = powersUpTo(evalSamples);
  const row = (title: string, metrics: Metrics, name: string, tokensOf: string): ReportRow[] => {
    const of = (group: string) => metrics[`${group}/${name}`];
    const sampled = of("eval"), greedy = of("greedy"), tokens = metrics[`eval/${tokensOf}`];
    if (sampled === undefined || greedy === undefined || tokens === undefined) return [];
    const passAt2 = of("pass@2"), k = ks.findLast((k) => of(`pass@${k}`) !== undefined);
    const several = passAt2 === undefined ? undefined : { samples: evalSamples, passAt2 };
    return [{
      name: title,
      set,
      accuracy: sampled,
      standardError: standardError(sampled, n, several),
      greedy: { accuracy: greedy, standardError: standardError(greedy, n) },
      ...(k !== undefined && { passAt: { k, share: of(`pass@${k}`) } }),
      tokens,
    }];
  };
  const firstStage = (title: string, of: Task, metrics: Metrics) => {
    const { name } = of.stages[0];
    return row(title, metrics, name, `${name}_tokens`);
  };
  const whole = (title: string, of: Task, metrics: Metrics) =>
    of.stages.length === 1
      ? firstStage(title, of, metrics)
      : row(title, metrics, "final", "tokens");
  const { title, firstTitle } = task.spec;
  return [
    ...whole("Pretrained", reference, first),
    ...(reference === task ? [] : whole(`Pretrained, as ${title}`, task, first)),
    ...whole(title, task, last),
    ...(firstTitle ? firstStage(firstTitle, task, last) : []),
  ];
}

/** What a reader should know before judging the numbers. */
export function reportNotes(
  config: TrainConfig,
  { tasks: { reference, compared }, problems, lines }: {
    readonly tasks: Pick<RunTasks, "reference" | "compared">;
    readonly problems: ProblemSource;
    readonly lines: readonly Metrics[];
  },
): string[] {
  const { held } = problems, mixed = compared.map(({ spec }) => spec.title).join(" and ");
  const n = config.evalSamples;
  const notes = [problems.split];
  if (held.length > 0) {
    notes.push(
      `Accuracy is that of answers to these under the model's own verdicts, sampled (${n} of each ` +
        `problem at temperature 1), and greedy (one, of the likeliest tokens), ± its standard error ` +
        `over problems.${n > 1 ? passNote : ""}`,
    );
  }
  const idle = lines.filter(nothingLearned).length;
  if (idle > 0) {
    notes.push(`In ${idle} steps all advantages were 0: nothing was learned in them.`);
  }
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

const passNote = " pass@k is the unbiased estimate of how often one of k samples is right.";

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
