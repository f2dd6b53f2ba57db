/**
 * Whether two expressions are the same function of their variables: exactly where both are rational,
 * otherwise by comparing their values at fixed points. Double precision only refutes; what looks equal
 * there is evaluated again to 60 digits and more. Work is counted, not timed, so a verdict never
 * depends on load.
 *
 * @module
 */
import { type Approximate, approximateValue, isComplex, over } from "./arithmetic.ts";
import { equalExact, type Rational } from "./exact.ts";
import { equalFactored, factoredValue } from "./factored.ts";
import { call, children, integer, type Node, rewrite, some, variables } from "./node.ts";
import { exactPoints, samplePoints } from "./points.ts";
import { agreeAt, EQUAL_ERROR, type Finding, preciseValue, ZERO_ERROR } from "./precise.ts";
import { exactValue, type Work } from "./rational.ts";

/** Points at which both sides must have a value before agreement counts. */
const ENOUGH = 5;
/** After so many agreements the rest of the points is not looked at. */
const CONVINCING = 14;
/** Of the exact points, how many must have a value. */
const EXACT_ENOUGH = 9;
/** Points at which agreement is confirmed with many digits. */
const CONFIRMED = 3;

/** Differences of more bits than this are left undecided. */
const MAX_DETAIL = 14_000;
/** Constants count as zero only below this power of two: \frac{\pi}{2004!} is none. */
const CONSTANT_ZERO = -15_000;

const NO_VARIABLES = { values: new Map<string, number>(), complex: true };

/** Whether all variables and operators have values. */
function isExpression(node: Node): boolean {
  return node.type === "num" || node.type === "sym" ||
    (node.type === "call" && node.args.every(isExpression)) ||
    (node.type === "loop" && [node.from, node.to, node.body].every(isExpression));
}

const BOUNDED = new Set(["abs", "max", "min", "arcsin", "arccos", "arcsec", "arccsc"]);

/**
 * Whether it matters where an expression has a value: those that change their form, and roots of even
 * powers, must not be the same as one that is only real where the form does not change.
 */
function isFaceted(node: Node): boolean {
  return some(node, (part) =>
    part.type === "call" && (BOUNDED.has(part.fn) || isRounded(part) ||
      (part.fn === "sqrt" && some(part.args[0], (inner) =>
        inner.type === "call" && inner.fn === "^" && isEven(inner.args[1])))));
}

function isEven(node: Node): boolean {
  return node.type === "num" && node.value.den === 1n && node.value.num % 2n === 0n;
}

function isRounded(node: Node): boolean {
  return node.type === "call" && (node.fn === "floor" || node.fn === "ceil");
}

/** The names of all variables of two expressions, in a fixed order. */
function namesOf(a: Node, b: Node): string[] {
  return [...variables(a, variables(b))].sort();
}

/**
 * Compares rational functions at exact points, where no large term can hide a small difference.
 * `unknown` for all other expressions.
 */
function compareExactly(
  a: Node,
  b: Node,
  work: Work,
  agree: (x: Rational, y: Rational) => boolean,
): Finding {
  const points = exactPoints(namesOf(a, b), a, b);
  let equal = 0;
  for (const point of points) {
    const x = exactValue(a, work, point), y = exactValue(b, work, point);
    if (!x || !y) continue; // a pole, or nothing rational
    if (!agree(x, y)) return "different";
    equal++;
  }
  return equal >= Math.min(EXACT_ENOUGH, points.length) ? "equal" : "unknown";
}

/** A point of variables by name. */
type PointValues = ReadonlyMap<string, Rational>;

/**
 * Looks for a difference in floating point.
 *
 * @param visit Tells of two values whether they differ; called where both sides have one.
 * @returns The points at which no difference was found, none where only one side has a value somewhere
 *   and that matters, or undefined where a difference was found.
 */
function refute(
  a: Node,
  b: Node,
  work: Work,
  visit: (x: Approximate, y: Approximate) => boolean,
): readonly PointValues[] | undefined {
  const names = namesOf(a, b);
  const complex = isComplex(a) || isComplex(b);
  const faceted = isFaceted(a) || isFaceted(b);
  const agreed: PointValues[] = [];
  let elsewhere = false;
  for (const point of names.length === 0 ? [new Map()] : samplePoints(names, a, b)) {
    const values = new Map(
      [...point].map(([name, { num, den }]) => [name, Number(num) / Number(den)]),
    );
    const x = approximateValue(a, { values, complex }, work);
    const y = approximateValue(b, { values, complex }, work);
    if (work.left < 0) return [];
    // Near a step the value is only unknown.
    if (faceted && !x !== !y && !some(x ? b : a, isRounded)) elsewhere = true;
    if (!x || !y) continue;
    if (visit(x, y)) return undefined;
    agreed.push(point);
    if (agreed.length === CONVINCING) break;
  }
  return elsewhere ? [] : agreed;
}

function differ(a: Approximate, b: Approximate): boolean {
  return Math.hypot(a.re - b.re, a.im - b.im) > 4 * (a.err + b.err);
}

/** Whether two expressions agree at a point, to 60 digits. */
function agreesAt(a: Node, b: Node, point: PointValues, work: Work): Finding {
  const complex = isComplex(a) || isComplex(b);
  const detail = 2 * (detailOf(a) + detailOf(b));
  // More digits are not calculated; who needs them has to be exact.
  if (!(detail <= MAX_DETAIL)) return "unknown";
  return agreeAt((bits) => {
    const x = preciseValue(a, point, bits, complex, work);
    const y = x && preciseValue(b, point, bits, complex, work);
    return y && [x, y];
  }, { equal: EQUAL_ERROR - detail, zero: point.size === 0 ? CONSTANT_ZERO : ZERO_ERROR - detail });
}

/**
 * How many bits the powers, factorials and exponentials of an expression could hide a difference in:
 * 1 - e^{-1000} is not 1.
 */
function detailOf(node: Node): number {
  if (node.type !== "call") return children(node).reduce((sum, child) => sum + detailOf(child), 0);
  const inner = node.args.reduce((sum, arg) => sum + detailOf(arg), 0);
  if (variables(node).size > 0) return inner;
  const [a, b] = node.args.map((arg) => {
    const value = approximateValue(arg, NO_VARIABLES, { left: 1000 });
    return value ? Math.hypot(value.re, value.im) : Infinity;
  });
  switch (node.fn) {
    case "^":
      return inner + b * Math.abs(Math.log2(a || 1)) + b;
    case "factorial":
      return inner + a * Math.log2(a + 1);
    case "sinh":
    case "cosh":
    case "tanh":
    case "coth":
    case "sech":
    case "csch":
      return inner + 2 * a;
    default:
      return inner;
  }
}

/** Whether two expressions agree at all points. */
function confirm(a: Node, b: Node, points: readonly PointValues[], work: Work): Finding {
  for (const point of points) {
    const finding = agreesAt(a, b, point, work);
    if (finding !== "equal") return finding;
  }
  return "equal";
}

/** Points at which only high precision has values: huge numbers, infinite sums. */
function precisePoints(a: Node, b: Node): readonly PointValues[] {
  const names = namesOf(a, b);
  if (names.length === 0) return [new Map()];
  const hasLoop = some(a, isLoop) || some(b, isLoop);
  if (!hasLoop) return [];
  // Power series converge near zero, if anywhere.
  return [3n, -5n, 7n, -2n, 4n].map((num, i) =>
    new Map(names.map((name, j) => [name, { num: num + BigInt(j), den: 16n + BigInt(i) }]))
  );
}

function isLoop(node: Node): boolean {
  return node.type === "loop";
}

/** Whether two expressions have the same value, for all values of their variables. */
export function sameExpression(a: Node, b: Node, work: Work): Finding {
  if (!isExpression(a) || !isExpression(b)) return "unknown";
  const exact = compareExactly(a, b, work, equalExact);
  if (exact !== "unknown") return exact;
  const isConstant = namesOf(a, b).length === 0;
  if (isConstant) {
    const x = factoredValue(a, work), y = x && factoredValue(b, work);
    if (x && y) return equalFactored(x, y) ? "equal" : "different";
  }
  const agreed = refute(a, b, work, differ);
  if (!agreed) return "different";
  if (agreed.length >= (isConstant ? 1 : ENOUGH)) {
    return confirm(a, b, spread(agreed), work);
  }
  const points = precisePoints(a, b);
  return points.length > 0 ? confirm(a, b, points, work) : "unknown";
}

/** A few of many points, the first and the last among them. */
function spread<T>(points: readonly T[]): readonly T[] {
  if (points.length <= CONFIRMED) return points;
  return [points[0], points[points.length >> 1], points[points.length - 1]];
}

/**
 * Whether two expressions are zero at the same places because one is a constant multiple of the other.
 *
 * @param positive The factor must be positive, as for the two sides of an inequality.
 */
export function proportional(a: Node, b: Node, positive: boolean, work: Work): Finding {
  if (!isExpression(a) || !isExpression(b)) return "unknown";
  // Between constants every ratio is constant.
  if (variables(a).size === 0 || variables(b).size === 0) return "unknown";
  let exactly: Rational | undefined;
  const exact = compareExactly(a, b, work, (x, y) => {
    if (x.num === 0n || y.num === 0n) return x.num === y.num;
    const ratio = { num: x.num * y.den, den: x.den * y.num };
    exactly ??= ratio;
    const isNegative = ratio.num < 0n !== ratio.den < 0n;
    return equalExact(exactly, ratio) && !(positive && isNegative);
  });
  if (exact !== "unknown") return exact;
  let first: Approximate | undefined;
  const agreed = refute(a, b, work, (x, y) => {
    const ratio = over(x, y);
    if (!ratio) return Math.hypot(x.re, x.im) > 1e3 * x.err;
    if (Math.hypot(ratio.re, ratio.im) <= ratio.err * 4) return true;
    if (positive && ratio.re < 0) return true;
    first ??= ratio;
    return differ(first, ratio);
  });
  if (!agreed) return "different";
  if (agreed.length < ENOUGH || !first) return "unknown";
  const [one, ...others] = spread(agreed).map((point) => [a, b].map((node) => at(node, point)));
  for (const [x, y] of others) {
    const finding = confirm(call("*", one[0], y), call("*", one[1], x), [new Map()], work);
    if (finding !== "equal") return finding;
  }
  return "equal";
}

/** An expression with numbers for its variables. */
function at(node: Node, point: PointValues): Node {
  return rewrite(node, (part) => {
    const value = part.type === "sym" ? point.get(part.name) : undefined;
    return value ? { type: "num", value } : part;
  });
}

/** Whether an expression is zero for all values of its variables, as far as can be seen. */
export function vanishes(node: Node, work: Work): boolean {
  return sameExpression(node, integer(0), work) === "equal";
}

/** The sign of a constant: 1, -1, or 0 where it is zero or unknown. */
export function sign(node: Node): number {
  const work = { left: 5000 };
  const exact = exactValue(node, work);
  if (exact) return exact.num === 0n ? 0 : exact.num < 0n !== exact.den < 0n ? -1 : 1;
  const value = approximateValue(node, { ...NO_VARIABLES, complex: false }, work);
  return value && Math.abs(value.re) > 4 * value.err ? Math.sign(value.re) : 0;
}

/** Whether a decimal is what a constant rounds to with the decimals it has. */
export function isRoundingOf(decimal: Node, constant: Node, work: Work): boolean {
  const isNegative = decimal.type === "call" && decimal.fn === "neg";
  const number = isNegative ? decimal.args[0] : decimal;
  if (number.type !== "num" || !/^10+$/.test(String(number.value.den))) return false;
  const value = approximateValue(constant, NO_VARIABLES, work);
  if (!value || value.im !== 0) return false;
  const written = Number(number.value.num) / Number(number.value.den) * (isNegative ? -1 : 1);
  return Math.abs(value.re - written) <= 0.5000001 / Number(number.value.den);
}

/** Whether a logarithm to base 10 is a rational number with a small denominator. */
export function isRationalLog(node: Node, work: Work): boolean {
  const value = variables(node).size === 0 ? approximateValue(node, NO_VARIABLES, work) : undefined;
  if (!value || value.im !== 0) return false;
  return [1, 2, 3, 4, 5, 6].some((den) =>
    Math.abs(value.re * den - Math.round(value.re * den)) <= 1e-9
  );
}
