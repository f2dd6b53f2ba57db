/**
 * Decides whether an answer equals the gold answer: cheap string checks first, then exact numbers,
 * then both answers as mathematical objects.
 *
 * @module
 */

import { lastBoxed } from "./box.ts";
import { pickedChoices } from "./choices.ts";
import { compareAnswers } from "./compare.ts";
import { equalExact, parseExact, type Rational } from "./exact.ts";
import { type NormalForm, normalForm, normalizeAnswer } from "./normalize.ts";
import { conversion, unitName } from "./units.ts";

/**
 * How a comparison came about.
 *
 * - `string`: the same text after normalising
 * - `exact`: the same rational number
 * - `algebra`: the same expression, equation, tuple, set, interval, matrix or list
 * - `choice`: the right one of the given options, by letter or by value
 * - `symbolic`: found equal by the symbolic stage of a `GradePool`
 * - `different`: found unequal
 * - `no-answer`: one side is missing or empty
 * - `undecided`: neither equal nor unequal as far as could be seen; counts as not equal. It is what
 *   the symbolic stage is asked about
 * - `time`, `memory`, `queue`: undecided because the symbolic stage met that limit
 */
export type Reason =
  | "exact"
  | "string"
  | "algebra"
  | "choice"
  | "symbolic"
  | "different"
  | "no-answer"
  | "undecided"
  | "time"
  | "memory"
  | "queue";

/** The outcome of comparing two answers. */
export interface Comparison {
  /** True only where equality is established. */
  readonly equal: boolean;
  /** Which check decided. */
  readonly reason: Reason;
}

/** What is known about a question beside its gold answer. */
export interface GradeOptions {
  /** Options of a multiple-choice question by letter; the answer may be a letter or an option. */
  readonly choices?: Readonly<Record<string, string>>;
}

/** Equality of the numbers; a percent sign divides by 100 or, beside a bare number, is only a unit. */
function sameNumber(a: NormalForm, b: NormalForm, x: Rational, y: Rational): boolean {
  const [percent, bare] = a.unit === "percent" ? [a, b] : [b, a];
  if (percent.unit !== "percent" || bare.unit !== "") return equalExact(x, y);
  const [share, other] = percent === a ? [x, y] : [y, x];
  // Of "0.5" and "0.5%" one is a share and the other is not.
  return (equalExact(share, other) && exceedsOne(other)) ||
    equalExact({ ...share, den: share.den * 100n }, other);
}

function exceedsOne({ num, den }: Rational): boolean {
  return num * num > den * den;
}

/** Equality of numbers with two different units, where these convert. */
function sameConverted(a: NormalForm, b: NormalForm): Comparison {
  const factor = conversion(a.unit, b.unit);
  if (!factor || !a.number || !b.number) return { equal: false, reason: "undecided" };
  const converted = { num: a.number.num * factor.num, den: a.number.den * factor.den };
  const equal = equalExact(converted, b.number);
  return { equal, reason: equal ? "exact" : "different" };
}

/** Two optional parts agree when they are the same or one is missing. */
function compatible(a: string, b: string): boolean {
  return a === b || a === "" || b === "";
}

/** A maximum may be said to be local or not, but not local and global. */
function compatibleLabels(a: string, b: string): boolean {
  return compatible(a, b) || a.endsWith(` ${b}`) || b.endsWith(` ${a}`);
}

/** `5m` and `5 m/s` where the other answer says that this is a unit: `5 \text{ m}`. */
function withUnitOf(form: NormalForm, other: NormalForm): NormalForm {
  // Degrees of an unnamed scale.
  if (form.unit === "degree" && /^(?:celsius|fahrenheit)$/.test(other.unit)) {
    return { ...form, unit: other.unit };
  }
  if (form.unit !== "" || other.unit === "" || form.number || form.source.length > 100) return form;
  const bare = form.name === "" ? form.source : form.source.slice(form.source.indexOf("=") + 1);
  const [, digits, letters, power] = LETTERED.exec(bare.trim()) ?? [];
  const number = digits === undefined ? undefined : parseExact(digits);
  if (!number || unitName(letters, power) !== other.unit) return form;
  return { ...form, number, value: digits.trim(), unit: other.unit };
}

const LETTERED = /^(.*[\d}]) ?([a-zA-Z]{1,3}(?: ?\/ ?[a-zA-Z]{1,3})?)((?:\^\{ ?\d ?\}|\^\d)?)$/;
const CHOICE = /^[A-Z]$/;
/** Longer texts are no answers: they are not looked at. */
const MAX_CHARS = 20_000;

/**
 * Compares an answer with the gold answer. Symmetric: `grade(a, b)` equals `grade(b, a)`.
 *
 * An empty answer equals nothing, not even an empty gold answer. Names and units may be missing on
 * one side (`x = 5 \text{ cm}` equals `5`) but not contradict (`5 cm` and `5 kg` are undecided).
 * Expressions are equal when they agree at fixed sample points within their rounding error, so
 * `(x^2-1)/(x-1)` equals `x+1`. Nothing the model wrote is ever evaluated as code. Work is bounded
 * by counting, never by a clock: the result depends on the two texts alone.
 *
 * @param answer What the model answered, as LaTeX; `undefined` when it gave none.
 * @param gold The right answer, as LaTeX.
 * @param options What else is known about the question.
 */
export function grade(
  answer: string | undefined,
  gold: string,
  { choices }: GradeOptions = {},
): Comparison {
  if (answer === undefined) return { equal: false, reason: "no-answer" };
  if (answer.length > MAX_CHARS || gold.length > MAX_CHARS) {
    return { equal: false, reason: "undecided" };
  }
  if (choices) {
    const right = pickedChoices(gold, choices, gradeValues);
    // Without a right option among the choices the gold answer is compared as it is.
    if (right.length > 0) {
      if (normalizeAnswer(answer) === "") return { equal: false, reason: "no-answer" };
      const picked = pickedChoices(answer, choices, gradeValues);
      if (picked.length === 0) return { equal: false, reason: "undecided" };
      const equal = picked.every((letter) => right.includes(letter));
      return { equal, reason: equal ? "choice" : "different" };
    }
  }
  return gradeValues(answer, gold);
}

function gradeValues(answer: string, gold: string): Comparison {
  const [one, other] = [normalForm(answer), normalForm(gold)];
  const a = withUnitOf(one, other), b = withUnitOf(other, one);
  if (a.value === "" || b.value === "") return { equal: false, reason: "no-answer" };
  if (!compatibleLabels(a.label, b.label) || !compatible(a.modulus, b.modulus)) {
    return { equal: false, reason: "different" };
  }
  if (a.letter && b.letter && (CHOICE.test(a.value) || CHOICE.test(b.value))) {
    const equal = a.letter === b.letter;
    return { equal, reason: equal ? "string" : "different" };
  }
  if (!compatible(a.unit, b.unit)) return sameConverted(a, b);
  // An angle of \pi degrees is none of \pi radians.
  if (
    (a.unit === "degree") !== (b.unit === "degree") &&
    /\\pi.*\n.*\\pi/.test(`${a.value}\n${b.value}`)
  ) {
    return { equal: false, reason: "undecided" };
  }
  if (a.number && b.number && !sameNumber(a, b, a.number, b.number)) {
    return { equal: false, reason: "different" };
  }
  if (compatible(a.name, b.name)) {
    if (a.value === b.value) return { equal: true, reason: "string" };
    if (a.number && b.number) return { equal: true, reason: "exact" };
  }
  const finding = compareAnswers(a, b);
  if (finding === "equal") return { equal: true, reason: "algebra" };
  return { equal: false, reason: finding === "different" ? "different" : "undecided" };
}

/**
 * Grades a whole response: the content of its last box against the gold answer.
 *
 * @param text The model's response.
 * @param gold The right answer, as LaTeX.
 * @param options What else is known about the question.
 */
export function gradeResponse(text: string, gold: string, options?: GradeOptions): Comparison {
  return grade(lastBoxed(text), gold, options);
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
