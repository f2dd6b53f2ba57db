/**
 * How answers of an evaluation are judged: by the checker that training uses.
 *
 * @module
 */
import type { Choices } from "../data/mod.ts";
import type { GradePool } from "../grade/mod.ts";

/** What a judge needs to know of a problem. */
export interface Judged {
  /** The options of a multiple-choice question. */
  readonly choices?: Choices;
}

/** Whether two answers to a problem are the same one; asynchronous only where it must be. */
export type Judge = (a: string, b: string, problem: Judged) => boolean | Promise<boolean>;

/** A judge that asks a pool of graders. */
export function judgeWith(pool: Pick<GradePool, "decide">): Judge {
  return (a, b, { choices }) => {
    const verdict = pool.decide(a, b, { choices });
    return verdict instanceof Promise ? verdict.then(({ equal }) => equal) : verdict.equal;
  };
}
