/**
 * Whether two expressions are the same function of their variables: exactly where both are rational
 * constants, otherwise by comparing their values at fixed points. The points are the same on every
 * machine and in every run, and work is counted, not timed, so a verdict never depends on load.
 *
 * @module
 */
import {
  type Approximate,
  approximateValue,
  exactValue,
  isComplex,
  over,
  type Point,
  type Work,
} from "./arithmetic.ts";
import { equalExact, type Rational } from "./exact.ts";
import { type Node, some, variables } from "./node.ts";

/** Proven (or, for equal, as good as proven), refuted, or neither. */
export type Finding = "equal" | "different" | "unknown";

/** Points at which both sides must have a value before agreement counts. */
const ENOUGH = 5;
/** After so many agreements the rest of the points is not looked at. */
const CONVINCING = 14;
/** Points tried, for the sake of expressions that have a value in few places only. */
const POINTS = 48;
/** Exact points tried, and how many of them must agree. */
const EXACT_POINTS = 12;
const EXACT_ENOUGH = 9;
/** Values whose error bound is not this small relative to their size tell nothing. */
const SHARP = 1e-7;
/** An error bound this small is the noise around a zero, whatever the relative size. */
const NOISE = 1e-12;
/** A decimal of more digits cannot be told from an irrational number in floating point. */
const MAX_DECIMAL = 10n ** 9n;

/** The golden ratio's and its kin's fractional parts: an even spread that repeats nowhere. */
const STRIDES = [0.6180339887498949, 0.4142135623730951, 0.7320508075688772, 0.23606797749978969];

/** Points of the real line: sizes from 0.05 to 40, with signs mixed in. */
function samplePoints(
  names: readonly string[],
  isWhole: (name: string) => boolean,
  complex: boolean,
): Point[] {
  const scales = [1, 3, 0.4, 12, 2, 40, 5, 0.7];
  return Array.from({ length: POINTS }, (_, i) => {
    const values = new Map<string, number>();
    for (const [j, name] of names.entries()) {
      const spread = ((i + 1) * STRIDES[j % 4] + (j + 1) * 0.3819660112501051) % 1;
      const negative = i % 5 === 4 || (i % 5 === 2 && (j + i) % 2 === 0);
      const size = 0.05 + spread * scales[(i + j) % scales.length];
      const natural = 1 + Math.floor(spread * (4 + i)) + (j % 3);
      values.set(name, isWhole(name) ? natural : negative ? -size : size);
    }
    return { values, complex };
  });
}

function agree(a: Approximate, b: Approximate): Finding {
  const gap = Math.hypot(a.re - b.re, a.im - b.im);
  const bound = a.err + b.err;
  const scale = Math.max(Math.hypot(a.re, a.im), Math.hypot(b.re, b.im));
  if (gap > 4 * bound) return "different";
  return bound <= SHARP * scale || bound <= NOISE ? "equal" : "unknown";
}

/** Letters that stand for whole numbers where one rounds. */
const WHOLE_LETTER = /^[i-npqKMN](?:_|$)/;

/**
 * Which variables are whole numbers, so that equality is asked of those alone: all beside factorials
 * and powers of negative numbers, those with the usual letters beside floor and ceiling.
 */
function wholeVariables(...nodes: Node[]): (name: string) => boolean {
  const has = (test: (part: Extract<Node, { type: "call" }>) => boolean) =>
    nodes.some((node) => some(node, (part) => part.type === "call" && test(part)));
  const all = has(({ fn, args }) =>
    fn === "factorial" || fn === "binom" || (fn === "^" && isNegativeConstant(args[0]))
  );
  const rounded = has(({ fn }) => fn === "floor" || fn === "ceil");
  return (name) => all || (rounded && WHOLE_LETTER.test(name));
}

function isNegativeConstant(node: Node): boolean {
  return node.type === "call" && node.fn === "neg" && variables(node).size === 0;
}

function hasAbs(node: Node): boolean {
  return some(node, (part) => part.type === "call" && part.fn === "abs");
}

/** A tree that is no expression (a set, a relation, a matrix) has no value to compare. */
function isExpression(node: Node): boolean {
  return !some(node, (part) =>
    part.type !== "num" && part.type !== "sym" && part.type !== "call" ||
    (part.type === "call" && (part.fn === "pm" || part.fn === "mp")));
}

/**
 * Compares rational functions by their exact values at rational points, where no large term can hide
 * a small difference. `unknown` for all other expressions.
 */
function compareExactly(
  a: Node,
  b: Node,
  work: Work,
  agree: (x: Rational, y: Rational) => boolean,
): Finding {
  const names = [...variables(a, variables(b))].sort();
  const isWhole = wholeVariables(a, b);
  const points = names.length === 0 ? 1 : EXACT_POINTS;
  let equal = 0;
  for (let i = 0; i < points; i++) {
    const values = new Map(names.map((name, j) => {
      const num = BigInt(2 + (i * (3 + 2 * j) + j * 5) % 23);
      return [name, isWhole(name) ? { num, den: 1n } : { num: i % 3 === 2 ? -num : num, den: 7n }];
    }));
    const x = exactValue(a, work, values), y = exactValue(b, work, values);
    if (!x || !y) continue; // a pole, or nothing rational
    if (!agree(x, y)) return "different";
    equal++;
  }
  return equal >= Math.min(EXACT_ENOUGH, points) ? "equal" : "unknown";
}

/** Calls `visit` with the values of both sides where both have one, until it returns a finding. */
function compareAtPoints(
  a: Node,
  b: Node,
  work: Work,
  visit: (x: Approximate, y: Approximate) => Finding,
): Finding {
  const names = [...variables(a, variables(b))].sort();
  const complex = isComplex(a) || isComplex(b);
  const strict = hasAbs(a) !== hasAbs(b);
  const points = names.length === 0
    ? [{ values: new Map(), complex }]
    : samplePoints(names, wholeVariables(a, b), complex);
  let equal = 0, onlyOne = 0;
  for (const point of points) {
    const x = approximateValue(a, point, work);
    const y = approximateValue(b, point, work);
    if (work.left < 0) return "unknown";
    if (!x !== !y) onlyOne++;
    if (!x || !y) continue;
    const finding = visit(x, y);
    if (finding === "different") return "different";
    if (finding === "equal" && ++equal === CONVINCING) break;
  }
  if (strict && onlyOne > 0) return "different";
  return equal >= Math.min(ENOUGH, points.length) ? "equal" : "unknown";
}

/** Whether two expressions have the same value, for all values of their variables. */
export function sameExpression(a: Node, b: Node, work: Work): Finding {
  if (!isExpression(a) || !isExpression(b)) return "unknown";
  const exact = compareExactly(a, b, work, equalExact);
  if (exact !== "unknown") return exact;
  const finding = compareAtPoints(a, b, work, agree);
  const rational = exactValue(a, work) ?? exactValue(b, work);
  // Of a long decimal and a root, floating point can only say that they are close.
  if (finding === "equal" && rational && rational.den > MAX_DECIMAL) return "unknown";
  return finding;
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
  const finding = compareAtPoints(a, b, work, (x, y) => {
    const ratio = over(x, y);
    if (!ratio) return Math.hypot(x.re, x.im) > 1e3 * x.err ? "different" : "unknown";
    if (Math.hypot(ratio.re, ratio.im) <= ratio.err * 4) return "different";
    if (positive && ratio.re < 0) return "different";
    first ??= ratio;
    return agree(first, ratio);
  });
  return finding;
}
