/**
 * Grading: finds the final answer of a response and decides whether it equals the gold answer.
 *
 * Checks run from cheap to dear: the last `\boxed{}` by brace matching ({@linkcode lastBoxed}), one
 * spelling ({@linkcode normalizeAnswer}), exact rational numbers ({@linkcode parseExact}), both answers as
 * mathematical objects ({@linkcode grade}). So far everything is synchronous and pure. What these leave
 * `undecided` counts as wrong, unless a {@linkcode GradePool} asks compute-engine in a worker thread.
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
  type Comparison,
  grade,
  type GradeOptions,
  gradeResponse,
  parseVerdict,
  type Reason,
} from "./grade.ts";
export { type NormalForm, normalForm, normalizeAnswer } from "./normalize.ts";
export {
  type GradeCounts,
  type GradedProblem,
  GradePool,
  type GradePoolOptions,
  type Grader,
} from "./pool.ts";
