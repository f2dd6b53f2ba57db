/**
 * Decides whether an answer equals the gold answer: cheap string checks first, then exact numbers.
 *
 * @module
 */

import { lastBoxed } from "./box.ts";
import { equalExact, type Rational } from "./exact.ts";
import { type NormalForm, normalForm, normalizeAnswer } from "./normalize.ts";

/**
 * How a verdict came about.
 *
 * - `string`: the same text after normalising
 * - `exact`: the same rational number
 * - `different`: proven unequal
 * - `no-answer`: one side is missing or empty
 * - `undecided`: neither proven equal nor unequal; counts as not equal, and is what a dearer
 *   (symbolic) checker may be asked about
 */
export type Reason = "exact" | "string" | "different" | "no-answer" | "undecided";

/** The outcome of comparing two answers. */
export interface Verdict {
  /** True only where equality is established. */
  readonly equal: boolean;
  /** Which check decided. */
  readonly reason: Reason;
}

/** Equality of the numbers; a percent sign divides by 100 or, beside a bare number, is only a unit. */
function sameNumber(a: NormalForm, b: NormalForm, x: Rational, y: Rational): boolean {
  if (equalExact(x, y)) return true;
  if (a.unit === "percent" && b.unit === "") return equalExact({ ...x, den: x.den * 100n }, y);
  if (b.unit === "percent" && a.unit === "") return equalExact(x, { ...y, den: y.den * 100n });
  return false;
}

/** Two optional parts agree when they are the same or one is missing. */
function compatible(a: string, b: string): boolean {
  return a === b || a === "" || b === "";
}

const CHOICE = /^[A-Z]$/;

/**
 * Compares an answer with the gold answer. Symmetric: `grade(a, b)` equals `grade(b, a)`.
 *
 * An empty answer equals nothing, not even an empty gold answer. Names and units may be missing on
 * one side (`x = 5 \text{ cm}` equals `5`) but not contradict (`5 cm` and `5 kg` are undecided).
 * Nothing the model wrote is ever evaluated as code; time is linear in the length of the inputs.
 *
 * @param answer What the model answered, as LaTeX; `undefined` when it gave none.
 * @param gold The right answer, as LaTeX.
 */
export function grade(answer: string | undefined, gold: string): Verdict {
  if (answer === undefined) return { equal: false, reason: "no-answer" };
  const a = normalForm(answer);
  const b = normalForm(gold);
  if (a.value === "" || b.value === "") return { equal: false, reason: "no-answer" };
  if (a.number && b.number && !sameNumber(a, b, a.number, b.number)) {
    return { equal: false, reason: "different" };
  }
  if (!compatible(a.name, b.name) || !compatible(a.unit, b.unit)) {
    return { equal: false, reason: "undecided" };
  }
  if (a.value === b.value) return { equal: true, reason: "string" };
  if (a.number && b.number) return { equal: true, reason: "exact" };
  const choices = CHOICE.test(a.value) && CHOICE.test(b.value);
  return { equal: false, reason: choices ? "different" : "undecided" };
}

/**
 * Grades a whole response: the content of its last box against the gold answer.
 *
 * @param text The model's response.
 * @param gold The right answer, as LaTeX.
 */
export function gradeResponse(text: string, gold: string): Verdict {
  return grade(lastBoxed(text), gold);
}

/**
 * Reads the verdict of the Verification stage: `\boxed{Yes}` or `\boxed{No}`, in any case, also as
 * `\boxed{\text{yes}}`. Anything else in the last box, or no box, is `undefined`.
 *
 * @param text The model's response.
 */
export function parseVerdict(text: string): "yes" | "no" | undefined {
  const box = lastBoxed(text);
  if (box === undefined) return undefined;
  const word = normalizeAnswer(box).toLowerCase();
  return word === "yes" || word === "no" ? word : undefined;
}
