/**
 * Grading: finds the final answer of a response and decides whether it equals the gold answer.
 *
 * Checks run from cheap to dear: the last `\boxed{}` by brace matching ({@linkcode lastBoxed}), one
 * spelling ({@linkcode normalizeAnswer}), exact rational numbers ({@linkcode parseExact}). A pair that
 * these cannot decide is `undecided` and counts as wrong. The whole room is synchronous and pure, so
 * it may run in any worker.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { gradeResponse } from "./mod.ts";
 *
 * assertEquals(gradeResponse("so \\boxed{0.5}", "\\frac12"), { equal: true, reason: "exact" });
 * assertEquals(gradeResponse("so it is a half", "\\frac12").equal, false); // no box
 * ```
 *
 * @module
 */

export { lastBoxed } from "./box.ts";
export { equalExact, parseExact, type Rational } from "./exact.ts";
export {
  grade,
  type GradeOptions,
  gradeResponse,
  parseVerdict,
  type Reason,
  type Verdict,
} from "./grade.ts";
export { type NormalForm, normalForm, normalizeAnswer } from "./normalize.ts";
export { type GradeCounts, GradePool, type GradePoolOptions } from "./pool.ts";
