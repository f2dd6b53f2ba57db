/**
 * What turns are paid. Every stage is paid for itself alone; a missing or truncated answer and an invalid
 * verdict earn 0. (Thinker, arXiv 2505.21097.)
 *
 * @module
 */
import { UserError } from "../base/mod.ts";
import type { Episode, RewardContext, Segment } from "./types.ts";
import type { Task } from "./task.ts";

/** 1 for a right answer, else 0. */
export function correctness({ correct }: Pick<Segment, "correct">): number {
  return correct === true ? 1 : 0;
}

/**
 * Verification: (1 - p) for Yes on a right answer, p for No on a wrong one, else 0. With p the
 * share of right answers, both classes weigh the same, and a constant verdict earns p(1 - p)
 * whichever it is.
 *
 * @param p Trailing accuracy of the answers that are judged.
 */
export function verifyReward(
  judgedCorrect: boolean,
  verdict: "yes" | "no" | undefined,
  p: number,
): number {
  if (judgedCorrect) return verdict === "yes" ? 1 - p : 0;
  return verdict === "no" ? p : 0;
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
  { coefficient, reduce }: { coefficient: number; reduce: "sum" | "mean" },
): number {
  if (!correct) return 0;
  const term = reduce === "sum" ? sumLogprob : sumLogprob / tokens;
  return Math.max(0, 1 + coefficient * term);
}

/** A turn that is read once more before it is paid. */
export interface Reread {
  /** Which turn of the episode. */
  readonly segment: number;
  /** Prompt and actions. */
  readonly ids: readonly number[];
  /** Index of the first action. */
  readonly start: number;
}

/**
 * The turns of a finished episode that the rollout policy has to read once more, and under which prompt.
 *
 * @throws {UserError} for a prompt without a token.
 */
export function rereads(task: Task, episode: Episode, trailing: number): Reread[] {
  return episode.segments.flatMap((turn, segment) => {
    const stage = stageOf(task, turn);
    const context = { episode, trailing, settings: task.settings };
    const prompt = stage.reread?.(turn, context);
    if (!prompt) return [];
    // The first action's log-prob stands where the token before it is read.
    if (prompt.length === 0) {
      throw new UserError(
        `task ${task.name}: reread of stage "${turn.stage}" gave no prompt tokens`,
        {
          hint: "return at least one token id, or undefined where the turn is not to be read again",
        },
      );
    }
    const actions = episode.ids.slice(turn.start, turn.start + turn.length);
    return [{ segment, ids: [...prompt, ...actions], start: prompt.length }];
  });
}

/**
 * One reward per segment of a finished episode.
 *
 * @param logprobs By segment: log-probs of the turns that {@linkcode rereads} named.
 * @throws {UserError} when a reward is no number that float32 can hold.
 * @throws {Error} when the episode is not over or has no gold answer.
 */
export async function scoreEpisode(
  task: Task,
  episode: Episode,
  { trailing, logprobs }: {
    trailing: number;
    logprobs?: ReadonlyMap<number, readonly number[]>;
  },
): Promise<number[]> {
  if (!episode.done) throw new Error(`episode ${episode.id} is scored before it is over`);
  if (episode.problem.answer === undefined) {
    throw new Error(`episode ${episode.id} has no gold answer and cannot be scored`);
  }
  const { settings } = task;
  return await Promise.all(episode.segments.map(async (turn, i) => {
    const context: RewardContext = { episode, trailing, settings, logprobs: logprobs?.get(i) };
    const reward = await stageOf(task, turn).reward(turn, context);
    // A number beyond float32, in which it is trained on, would be infinite there.
    if (typeof reward === "number" && Number.isFinite(Math.fround(reward))) return reward;
    const place = `turn ${i + 1} (${turn.stage}) of question ${JSON.stringify(episode.problem.id)}`;
    throw new UserError(
      `task ${task.name}: the reward of ${place}, episode ${episode.id}, is ${reward}`,
      {
        hint: `the reward of stage "${turn.stage}" must be a finite number: log what it gets there`,
      },
    );
  }));
}

function stageOf(task: Task, { stage }: Segment) {
  return task.stages.find(({ name }) => name === stage)!;
}

/**
 * Share of right first answers in the previous rollout batch: 0.5 before the first, kept within [0.05, 0.95]
 * so that neither verdict ever becomes worthless.
 */
export class TrailingAccuracy {
  #accuracy = 0.5;

  /** The value to score the current batch with. */
  get p(): number {
    return Math.min(0.95, Math.max(0.05, this.#accuracy));
  }

  /** Takes a whole rollout batch, once it is scored; an empty one changes nothing. */
  update(episodes: readonly Pick<Episode, "segments">[]): void {
    if (episodes.length === 0) return;
    const right = episodes.filter(({ segments: [first] }) => first.correct === true);
    this.#accuracy = right.length / episodes.length;
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
