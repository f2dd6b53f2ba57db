/**
 * Rewards of the stages (Thinker, arXiv 2505.21097). Every stage is paid for itself alone; a
 * missing or truncated answer and an invalid verdict earn 0.
 */

import type { Episode } from "./types.ts";

/**
 * Verification: (1 - p) for Yes on a right answer, p for No on a wrong one, else 0. With p the
 * share of right answers, both classes weigh the same, and a constant verdict earns p(1 - p)
 * whichever it is.
 *
 * @param p Trailing accuracy of the fast stage.
 */
export function verifyReward(
  fastCorrect: boolean,
  verdict: "yes" | "no" | undefined,
  p: number,
): number {
  if (fastCorrect) return verdict === "yes" ? 1 - p : 0;
  return verdict === "no" ? p : 0;
}

/** How the summary's likelihood under the fast prompt enters its reward. */
export interface SummaryRewardOptions {
  /** Weight of the log-probability term; default 1e-3. 0 leaves correctness alone. */
  readonly coefficient?: number;
  /** Whether the term is the sum over the summary's tokens (default) or their mean. */
  readonly reduce?: "sum" | "mean";
}

/**
 * Summarization: 1{correct} · max(0, 1 + c · Σ log π(summary | fast prompt)). A summary that the
 * model could have given at once is paid best: this is what carries slow insight into intuition.
 *
 * @param sumLogprob Sum of the summary's log-probabilities after the fast prompt.
 * @param tokens Number of the summary's action tokens.
 */
export function summaryReward(
  correct: boolean,
  sumLogprob: number,
  tokens: number,
  { coefficient = 1e-3, reduce = "sum" }: SummaryRewardOptions = {},
): number {
  if (!correct) return 0;
  const term = reduce === "sum" ? sumLogprob : sumLogprob / tokens;
  return Math.max(0, 1 + coefficient * term);
}

/** A sequence for the extra forward pass that scores a summary. */
export interface ScoringInput {
  /** The fast prompt followed by the summary's actions. */
  readonly ids: number[];
  /** Index of the summary's first action. */
  readonly start: number;
}

/**
 * What to score for the summary's reward; undefined where no forward pass is needed because the
 * episode has no right summary.
 */
export function summaryScoringInput(episode: Episode): ScoringInput | undefined {
  const summary = episode.segments.find((segment) => segment.stage === "summary");
  if (!summary?.correct) return undefined;
  const prompt = episode.ids.slice(0, episode.segments[0].start);
  const actions = episode.ids.slice(summary.start, summary.start + summary.length);
  return { ids: [...prompt, ...actions], start: prompt.length };
}

/** What {@linkcode scoreEpisode} needs besides the episode. */
export interface ScoreOptions extends SummaryRewardOptions {
  /** Trailing accuracy of the fast stage. */
  readonly p: number;
  /** Log-probabilities of a right summary's actions from the scoring pass: `(length,)`. */
  readonly summaryLogprobs?: readonly number[];
}

/**
 * One reward per segment of a finished episode.
 *
 * @throws Error when the episode is not done or not graded, or when a right summary comes without
 * its log-probabilities.
 */
export function scoreEpisode(episode: Episode, options: ScoreOptions): number[] {
  if (!episode.done) throw new Error(`episode ${episode.id} is scored before it is done`);
  if (episode.problem.answer === undefined) {
    throw new Error(`episode ${episode.id} has no gold answer and cannot be scored`);
  }
  return episode.segments.map((segment) => {
    const correct = segment.correct === true;
    switch (segment.stage) {
      case "verify":
        return verifyReward(episode.segments[0].correct === true, segment.verdict, options.p);
      case "summary": {
        if (!correct) return 0;
        if (options.coefficient === 0) return 1;
        const logprobs = options.summaryLogprobs;
        if (logprobs?.length !== segment.length) {
          throw new Error(
            `episode ${episode.id}: ${logprobs?.length ?? "no"} summary log-probabilities for ` +
              `${segment.length} tokens`,
          );
        }
        const sum = logprobs.reduce((total, each) => total + each, 0);
        return summaryReward(correct, sum, segment.length, options);
      }
      default:
        return correct ? 1 : 0;
    }
  });
}

/**
 * p of the verification reward: the mean fast accuracy of the previous rollout batch, 0.5 before
 * the first, kept within [0.05, 0.95] so that neither verdict ever becomes worthless.
 */
export class TrailingAccuracy {
  #accuracy = 0.5;

  /** The value to score the current batch with. */
  get p(): number {
    return Math.min(0.95, Math.max(0.05, this.#accuracy));
  }

  /** Takes a whole rollout batch, once it is scored; an empty one changes nothing. */
  update(fastCorrect: readonly boolean[]): void {
    if (fastCorrect.length === 0) return;
    this.#accuracy = fastCorrect.filter(Boolean).length / fastCorrect.length;
  }

  /** Goes back to an earlier tracker's `toJSON()`. */
  restore(accuracy: number): void {
    if (!(accuracy >= 0 && accuracy <= 1)) {
      throw new RangeError(`trailing accuracy must be within [0, 1], got ${accuracy}`);
    }
    this.#accuracy = accuracy;
  }

  /** The state to store in a checkpoint. */
  toJSON(): number {
    return this.#accuracy;
  }
}
