/**
 * Where two expressions are compared: which variables are whole numbers, and the fixed points at which
 * values are taken. The points are the same on every machine and in every run.
 *
 * @module
 */
import { approximateValue } from "./arithmetic.ts";
import type { Rational } from "./exact.ts";
import { children, type Node, some, variables } from "./node.ts";

/** What values a variable takes: any real, any whole number, or natural numbers only. */
type Domain = "real" | "whole" | "natural";

/** Letters that stand for whole numbers where one counts or rounds. */
const WHOLE_LETTER = /^[i-npqKMN](?:_|$)/;

function isNegativeConstant(node: Node): boolean {
  return node.type === "call" && node.fn === "neg" && variables(node).size === 0;
}

/** Variables inside of factorials, binomials, bounds of sums, and exponents of negative constants. */
function counted(node: Node, natural: Set<string>, whole: Set<string>): void {
  if (node.type === "call") {
    const { fn, args } = node;
    if (fn === "factorial" || fn === "factorial2") variables(node, natural);
    if (fn === "binom") {
      // Of a fixed number of choices the binomial is a polynomial of any number.
      if (variables(args[1]).size > 0) variables(node, natural);
    }
    if (fn === "^" && isNegativeConstant(args[0])) variables(args[1], whole);
    if (fn === "gcd" || fn === "lcm") variables(node, natural);
  }
  if (node.type === "loop") {
    variables(node.from, natural);
    variables(node.to, natural);
  }
  for (const child of children(node)) counted(child, natural, whole);
}

/**
 * The domain of each variable of two expressions. A variable is whole where both count with it; where
 * only one does, its letter must say so too: an answer that writes `(-1)^x` must not make x whole in
 * the other one.
 */
function domainsOf(a: Node, b: Node): (name: string) => Domain {
  const natural = [new Set<string>(), new Set<string>()];
  const whole = [new Set<string>(), new Set<string>()];
  for (const [i, node] of [a, b].entries()) counted(node, natural[i], whole[i]);
  const rounded = [a, b].every((node) =>
    some(node, (part) => part.type === "call" && (part.fn === "floor" || part.fn === "ceil"))
  );
  return (name) => {
    const counts = [0, 1].map((i) => natural[i].has(name) || whole[i].has(name));
    const isLetter = WHOLE_LETTER.test(name);
    if (!(counts[0] && counts[1]) && !(isLetter && (counts[0] || counts[1]))) {
      return rounded && isLetter ? "natural" : "real";
    }
    return natural.some((names) => names.has(name)) ? "natural" : "whole";
  };
}

/** Points tried, for the sake of expressions that have a value in few places only. */
const POINTS = 48;
/** The golden ratio's and its kin's fractional parts: an even spread that repeats nowhere. */
const STRIDES = [0.6180339887498949, 0.4142135623730951, 0.7320508075688772, 0.23606797749978969];
const SCALES = [1, 3, 0.4, 12, 2, 40, 5, 0.7];

/** Functions that change their form at some place, possibly far from zero. */
const BROKEN = new Set(["abs", "sqrt", "root", "floor", "ceil", "max", "min"]);

const NOWHERE = { values: new Map<string, number>(), complex: false };

/** The largest constant of an expression whose form may change near it; 0 without such a place. */
function reach(...nodes: Node[]): number {
  const broken = nodes.some((node) =>
    some(node, (part) => part.type === "call" && BROKEN.has(part.fn))
  );
  if (!broken) return 0;
  const hasLogarithm = nodes.some((node) =>
    some(node, (part) => part.type === "call" && (part.fn === "ln" || part.fn === "log"))
  );
  let largest = 1;
  const visit = (part: Node) => {
    if (variables(part).size > 0) return false;
    const value = Math.abs(approximateValue(part, NOWHERE, { left: 1000 })?.re ?? 0);
    if (value > 1e-15 && value < 1e15) largest = Math.max(largest, value, 1 / value);
    // Beside a logarithm the place is as far as a power.
    if (hasLogarithm && value < 15) largest = Math.max(largest, 10 ** value);
    return false;
  };
  for (const node of nodes) some(node, visit);
  return largest;
}

/** Far points on both sides of every place where the form may change. */
function farPoints(names: readonly string[], limit: number): Map<string, Rational>[] {
  if (limit === 0) return [];
  return [2.5, -2.5, 41, -41, 2.5 * limit, -2.5 * limit, 0.6, -0.6].map((factor, i) =>
    new Map(names.map((name, j) => {
      const sign = (i + j) % 3 === 2 && j > 0 ? -1 : 1;
      const value = BigInt(Math.round(sign * factor * limit * (1 + 0.37 * j) * 16)) + 5n;
      return [name, { num: value, den: 16n }];
    }))
  );
}

/** A point of few binary digits: the same number as a fraction and in floating point. */
function fraction(value: number): Rational {
  return { num: BigInt(Math.round(value * 4096)), den: 4096n };
}

/**
 * Points with sizes from 0.05 to 40 and signs mixed in; first, where an expression may change its form,
 * some far out.
 */
export function samplePoints(
  names: readonly string[],
  a: Node,
  b: Node,
): readonly ReadonlyMap<string, Rational>[] {
  const domain = domainsOf(a, b);
  const near = Array.from(
    { length: POINTS },
    (_, i) =>
      new Map(names.map((name, j): [string, Rational] => {
        const spread = ((i + 1) * STRIDES[j % 4] + (j + 1) * 0.3819660112501051) % 1;
        const negative = i % 5 === 4 || (i % 5 === 2 && (j + i) % 2 === 0);
        const kind = domain(name);
        if (kind === "real") {
          const size = 0.05 + spread * SCALES[(i + j) % SCALES.length];
          return [name, fraction(negative ? -size : size)];
        }
        const natural = BigInt(1 + Math.floor(spread * (4 + i)) + (j % 3));
        return [name, { num: negative && kind === "whole" ? -natural : natural, den: 1n }];
      })),
  );
  const far = farPoints(names, reach(a, b)).map((point) =>
    new Map([...point].map(([name, value]): [string, Rational] => {
      if (domain(name) === "real") return [name, value];
      const whole = value.num / value.den;
      return [name, { num: domain(name) === "natural" && whole < 0n ? -whole : whole, den: 1n }];
    }))
  );
  return [...far, ...near];
}

/** Small fractions and whole numbers, at which rational functions are compared exactly. */
export function exactPoints(
  names: readonly string[],
  a: Node,
  b: Node,
): readonly ReadonlyMap<string, Rational>[] {
  if (names.length === 0) return [new Map()];
  const domain = domainsOf(a, b);
  const near = Array.from(
    { length: 12 },
    (_, i) =>
      new Map(names.map((name, j): [string, Rational] => {
        const num = BigInt(2 + (i * (3 + 2 * j) + j * 5) % 23);
        if (domain(name) === "natural") return [name, { num, den: 1n }];
        if (domain(name) === "whole") return [name, { num: i % 3 === 2 ? -num : num, den: 1n }];
        return [name, { num: i % 3 === 2 ? -num : num, den: 7n }];
      })),
  );
  const limit = reach(a, b);
  return limit === 0 ? near : [...near, ...samplePoints(names, a, b).slice(0, 8)];
}
