/**
 * The exact value of an expression where it is rational.
 *
 * @module
 */
import type { Rational } from "./exact.ts";
import type { Node } from "./node.ts";

/** A counter of work, so that the cost of a comparison is bounded without a clock. */
export interface Work {
  /** Node evaluations left; below zero everything is undefined. */
  left: number;
}

/** Numbers with more bits than this are not built. */
const MAX_BITS = 20_000;
const MAX_FACTORIAL = 1000;
/** Terms of a sum that are added one by one. */
const MAX_TERMS = 2000;

function gcd(a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b];
  return a < 0n ? -a : a;
}

function bits(value: bigint): number {
  return value.toString(16).length * 4;
}

function reduced(num: bigint, den: bigint): Rational | undefined {
  if (den === 0n) return undefined;
  if (den === 1n) return { num, den };
  const factor = gcd(num, den) * (den < 0n ? -1n : 1n);
  return { num: num / factor, den: den / factor };
}

function add(a: Rational, b: Rational): Rational | undefined {
  return reduced(a.num * b.den + b.num * a.den, a.den * b.den);
}

function multiply(a: Rational, b: Rational): Rational | undefined {
  return reduced(a.num * b.num, a.den * b.den);
}

function negate(a: Rational): Rational {
  return { num: -a.num, den: a.den };
}

function invert(a: Rational): Rational | undefined {
  return reduced(a.den, a.num);
}

/** The n-th root of a natural number, when it is one. */
function wholeRoot(value: bigint, n: number): bigint | undefined {
  if (value < 0n || bits(value) > 900) return undefined;
  const guess = BigInt(Math.round(Number(value) ** (1 / n)));
  for (let root = guess - 2n; root <= guess + 2n; root++) {
    if (root >= 0n && root ** BigInt(n) === value) return root;
  }
  return undefined;
}

function rootOf(a: Rational, n: number): Rational | undefined {
  const sign = a.num < 0n && n % 2 === 1 ? -1n : 1n;
  const num = wholeRoot(a.num * sign, n), den = wholeRoot(a.den, n);
  return num === undefined || den === undefined ? undefined : { num: num * sign, den };
}

function power(base: Rational, exponent: Rational): Rational | undefined {
  if (exponent.den !== 1n) {
    if (exponent.den > 12n || base.num < 0n) return undefined;
    const root = rootOf(base, Number(exponent.den));
    return root && power(root, { num: exponent.num, den: 1n });
  }
  const n = exponent.num < 0n ? -exponent.num : exponent.num;
  if (base.num === 0n && exponent.num <= 0n) return undefined;
  const size = Math.max(bits(base.num), bits(base.den));
  const isUnit = base.den === 1n && (base.num === 1n || base.num === -1n || base.num === 0n);
  if (!isUnit && n * BigInt(size) > BigInt(MAX_BITS)) return undefined;
  const m = isUnit ? n % 2n || 2n : n;
  const value = { num: base.num ** m, den: base.den ** m };
  return exponent.num < 0n ? invert(value) : value;
}

function whole(a: Rational): number | undefined {
  return a.den === 1n && a.num >= 0n && a.num <= MAX_FACTORIAL ? Number(a.num) : undefined;
}

/** n (n - step) (n - 2 step) ..., down to 1. */
function factorial(a: Rational, step: bigint): Rational | undefined {
  const n = whole(a);
  if (n === undefined) return undefined;
  let num = 1n;
  for (let i = BigInt(n); i > 1n; i -= step) num *= i;
  return { num, den: 1n };
}

/** The number of choices; for a fraction the polynomial that agrees with it. */
function binomial(a: Rational, b: Rational): Rational | undefined {
  const k = whole(b);
  if (k === undefined || (k > 64 && whole(a) === undefined)) return undefined;
  let num = 1n, den = 1n;
  for (let i = 0n; i < k; i++) {
    num *= a.num - i * a.den;
    den *= a.den * (i + 1n);
  }
  return reduced(num, den);
}

function isLess(a: Rational, b: Rational): boolean {
  return a.num * b.den < b.num * a.den;
}

/** A function of any number of values. */
function ofMany(fn: string, values: readonly Rational[]): Rational | undefined {
  if (fn === "min") return values.reduce((a, b) => isLess(b, a) ? b : a);
  if (fn === "max") return values.reduce((a, b) => isLess(a, b) ? b : a);
  if (values.some(({ den }) => den !== 1n)) return undefined;
  const size = (a: bigint) => a < 0n ? -a : a;
  const num = values.map((value) => size(value.num)).reduce((a, b) => {
    const common = gcd(a, b);
    return fn === "gcd" ? common : common === 0n ? 0n : a / common * b;
  });
  return { num, den: 1n };
}

/** A sum or product with whole bounds, term by term. */
function loopValue(
  node: Extract<Node, { type: "loop" }>,
  work: Work,
  values: ReadonlyMap<string, Rational>,
): Rational | undefined {
  const from = exactValue(node.from, work, values), to = exactValue(node.to, work, values);
  if (!from || !to || from.den !== 1n || to.den !== 1n) return undefined;
  if (to.num - from.num > BigInt(MAX_TERMS)) return undefined;
  const isSum = node.fn === "sum";
  let total: Rational | undefined = { num: isSum ? 0n : 1n, den: 1n };
  for (let i = from.num; total && i <= to.num; i++) {
    const term = exactValue(node.body, work, new Map(values).set(node.index, { num: i, den: 1n }));
    const next: Rational | undefined = term && (isSum ? add(total, term) : multiply(total, term));
    total = next && kept(next, work);
    if (work.left < 0) return undefined;
  }
  return total;
}

function floor(a: Rational): Rational {
  const quotient = a.num / a.den;
  return { num: a.num < 0n && quotient * a.den !== a.num ? quotient - 1n : quotient, den: 1n };
}

/** The exact value of an expression, reduced, or `undefined` when none is found. */
export function exactValue(
  node: Node,
  work: Work,
  values: ReadonlyMap<string, Rational> = NO_VALUES,
): Rational | undefined {
  if (--work.left < 0) return undefined;
  const value = exactResult(node, work, values);
  return value && kept(value, work);
}

/** The value, paid for by its length; undefined beyond the limit. */
function kept(value: Rational, work: Work): Rational | undefined {
  const length = bits(value.num) + bits(value.den);
  // Reducing a fraction takes time by the square of its length.
  work.left -= length >> 5;
  if (value.den !== 1n) work.left -= (length >> 7) ** 2;
  return length <= MAX_BITS ? value : undefined;
}

const NO_VALUES: ReadonlyMap<string, Rational> = new Map();

function exactResult(
  node: Node,
  work: Work,
  values: ReadonlyMap<string, Rational>,
): Rational | undefined {
  if (node.type === "num") return reduced(node.value.num, node.value.den);
  if (node.type === "sym") {
    const value = values.get(node.name);
    return value && reduced(value.num, value.den);
  }
  if (node.type === "loop") return loopValue(node, work, values);
  if (node.type !== "call") return undefined;
  if (/^(?:min|max|gcd|lcm)$/.test(node.fn)) {
    const all = node.args.map((arg) => exactValue(arg, work, values));
    return all.every((each) => each !== undefined) ? ofMany(node.fn, all) : undefined;
  }
  const a = exactValue(node.args[0], work, values);
  if (!a) return undefined;
  switch (node.fn) {
    case "neg":
      return negate(a);
    case "abs":
      return a.num < 0n ? negate(a) : a;
    case "sqrt":
      return rootOf(a, 2);
    case "factorial":
      return factorial(a, 1n);
    case "factorial2":
      return factorial(a, 2n);
    case "floor":
      return floor(a);
    case "ceil":
      return negate(floor(negate(a)));
  }
  if (node.args.length !== 2) return undefined;
  const b = exactValue(node.args[1], work, values);
  if (!b) return undefined;
  switch (node.fn) {
    case "+":
      return add(a, b);
    case "-":
      return add(a, negate(b));
    case "*":
      return multiply(a, b);
    case "/": {
      const inverse = invert(b);
      return inverse && multiply(a, inverse);
    }
    case "^":
      return power(a, b);
    case "root":
      return b.den === 1n && b.num >= 2n && b.num <= 12n ? rootOf(a, Number(b.num)) : undefined;
    case "binom":
      return binomial(a, b);
    default:
      return undefined;
  }
}
