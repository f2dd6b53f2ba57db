/**
 * Numbers of a rollout that are none, and where they stand.
 *
 * @module
 */
import { UserError } from "../base/mod.ts";
import type { Episode } from "../task/mod.ts";

/** Beyond 0 by no more than this, a log-prob is 0 but for rounding. */
const rounding = 1e-3;

/**
 * A token of an episode, for messages; turns and tokens count from 1.
 *
 * @param turn Index of the turn, whether the episode has it yet or not.
 * @param token Index among the turn's actions.
 */
export function tokenPlace(
  { id, problem }: Pick<Episode, "id" | "problem">,
  { turn, stage, token }: { turn: number; stage: string; token: number },
): string {
  return `token ${token + 1} of turn ${turn + 1} (${stage}) of question ` +
    `${JSON.stringify(problem.id)}, episode ${id}`;
}

/**
 * Checks the log-probs of one turn's actions.
 *
 * @param whose What they are, for the message.
 * @throws {UserError} naming the first that is NaN, infinite or above 0.
 */
export function checkLogprobs(
  logprobs: ArrayLike<number>,
  episode: Pick<Episode, "id" | "problem">,
  { turn, stage, whose }: { turn: number; stage: string; whose: string },
): void {
  for (let token = 0; token < logprobs.length; token++) {
    const value = logprobs[token];
    if (value <= rounding && value > -Infinity) continue;
    const place = tokenPlace(episode, { turn, stage, token });
    throw new UserError(`${whose} of ${place}, is ${value}`, { hint: brokenModel });
  }
}

/** What helps where a model gives no numbers. */
export const brokenModel: string =
  "the model computes no usable numbers there: take an earlier checkpoint, or get the model again";
