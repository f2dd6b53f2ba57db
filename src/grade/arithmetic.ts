/**
 * The value of an expression: exactly where it is rational, otherwise in floating point with a bound
 * of its rounding error.
 *
 * @module
 */
import type { Rational } from "./exact.ts";
import { type Node, some } from "./node.ts";

/** A counter of work, so that the cost of a comparison is bounded without a clock. */
export interface Work {
  /** Node evaluations left; below zero everything is undefined. */
  left: number;
}

/** Numbers with more bits than this are not built. */
const MAX_BITS = 20_000;
const MAX_FACTORIAL = 1000;

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

function factorial(a: Rational): Rational | undefined {
  const n = whole(a);
  if (n === undefined) return undefined;
  let num = 1n;
  for (let i = 2n; i <= n; i++) num *= i;
  return { num, den: 1n };
}

function binomial(a: Rational, b: Rational): Rational | undefined {
  const n = whole(a), k = whole(b);
  if (n === undefined || k === undefined) return undefined;
  let num = 1n;
  if (k > n) return { num: 0n, den: 1n };
  for (let i = 0; i < k; i++) num = num * BigInt(n - i) / BigInt(i + 1);
  return { num, den: 1n };
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
  if (!value) return undefined;
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
  if (node.type !== "call") return undefined;
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
      return factorial(a);
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

/** A complex number and a bound of its absolute error. */
export interface Approximate {
  /** Real part. */
  readonly re: number;
  /** Imaginary part. */
  readonly im: number;
  /** Bound of the absolute error. */
  readonly err: number;
}

/** Relative error granted to one operation; elementary functions may be off by a few bits. */
const EPS = 8 * Number.EPSILON;

/** Values of the variables, and whether roots and logarithms of negative numbers exist. */
export interface Point {
  /** By name. */
  readonly values: ReadonlyMap<string, number>;
  /** Complex values are admitted; otherwise the result is undefined where one appears. */
  readonly complex: boolean;
}

function real(re: number, err = Math.abs(re) * EPS): Approximate {
  return { re, im: 0, err };
}

function size(a: Approximate): number {
  return Math.hypot(a.re, a.im);
}

function times(a: Approximate, b: Approximate): Approximate {
  const re = a.re * b.re - a.im * b.im, im = a.re * b.im + a.im * b.re;
  const x = size(a), y = size(b);
  return { re, im, err: x * b.err + y * a.err + a.err * b.err + EPS * x * y };
}

/** The quotient, or `undefined` where the divisor may be zero. */
export function over(a: Approximate, b: Approximate): Approximate | undefined {
  const y = size(b);
  if (y <= 4 * b.err || y === 0) return undefined;
  const norm = y * y;
  const re = (a.re * b.re + a.im * b.im) / norm, im = (a.im * b.re - a.re * b.im) / norm;
  const quotient = Math.hypot(re, im);
  return { re, im, err: (a.err + quotient * b.err) / (y - b.err) + EPS * quotient };
}

function exp(a: Approximate): Approximate | undefined {
  const r = Math.exp(a.re);
  const spread = Math.expm1(Math.min(a.err, 1)) + EPS * (1 + size(a));
  return { re: r * Math.cos(a.im), im: a.im === 0 ? 0 : r * Math.sin(a.im), err: r * spread };
}

function log(a: Approximate, complex: boolean): Approximate | undefined {
  const r = size(a);
  if (r <= 4 * a.err || r === 0) return undefined;
  if (!complex && (a.re < 0 || a.im !== 0)) return undefined;
  const value = Math.log(r);
  const angle = Math.atan2(a.im, a.re);
  return { re: value, im: angle, err: a.err / (r - a.err) + EPS * (1 + Math.abs(value)) };
}

function raise(a: Approximate, b: Approximate, complex: boolean): Approximate | undefined {
  if (b.im === 0 && Number.isInteger(b.re) && b.err <= Math.abs(b.re) * EPS) {
    const n = Math.abs(b.re);
    if (n <= 64) {
      let value = real(1, 0);
      for (let i = 0; i < n; i++) value = times(value, a);
      return b.re < 0 ? over(real(1, 0), value) : value;
    }
    if (a.im === 0) {
      const re = a.re ** b.re;
      return real(re, Math.abs(re) * (n * (a.err / Math.abs(a.re)) + EPS * (1 + n * 0.01)));
    }
  }
  if (size(a) === 0 && a.err === 0 && b.im === 0 && b.re > 0) return real(0, 0);
  const ln = log(a, complex);
  return ln && exp(times(ln, b));
}

/** f(x) of a real argument with its error; undefined for a complex one. */
function realFunction(
  a: Approximate,
  f: (x: number) => number,
  slope: (x: number) => number,
): Approximate | undefined {
  if (a.im !== 0) return undefined;
  const value = f(a.re);
  const steep = Math.abs(slope(a.re));
  return real(value, a.err * steep * 1.01 + EPS * (Math.abs(value) + steep * Math.abs(a.re)));
}

const REAL_FUNCTIONS: Record<string, [(x: number) => number, (x: number) => number]> = {
  sin: [Math.sin, () => 1],
  cos: [Math.cos, () => 1],
  tan: [Math.tan, (x) => 1 + Math.tan(x) ** 2],
  cot: [(x) => 1 / Math.tan(x), (x) => 1 / Math.sin(x) ** 2],
  sec: [(x) => 1 / Math.cos(x), (x) => 1 / Math.cos(x) ** 2],
  csc: [(x) => 1 / Math.sin(x), (x) => 1 / Math.sin(x) ** 2],
  arcsin: [Math.asin, (x) => 1 / Math.sqrt(1 - x * x)],
  arccos: [Math.acos, (x) => 1 / Math.sqrt(1 - x * x)],
  arctan: [Math.atan, () => 1],
  sinh: [Math.sinh, Math.cosh],
  cosh: [Math.cosh, Math.cosh],
  tanh: [Math.tanh, () => 1],
};

/** A fixed smooth function for an unknown one, so that equal arguments give equal values. */
function unknownFunction(name: string, args: readonly Approximate[]): Approximate | undefined {
  let seed = 7;
  for (let i = 0; i < name.length; i++) seed = (seed * 31 + name.charCodeAt(i)) % 9973;
  let sum = 1 + seed / 9973, err = 0;
  for (const [i, arg] of args.entries()) {
    if (arg.im !== 0) return undefined;
    const rate = 0.7 + ((seed * (i + 3)) % 101) / 173;
    sum += Math.sin(rate * arg.re + i + seed);
    err += rate * arg.err + EPS;
  }
  return real(sum, err + EPS * Math.abs(sum));
}

const OPERATORS: Record<
  string,
  (a: Approximate, b: Approximate, complex: boolean) => Approximate | undefined
> = {
  "+": (a, b) => {
    const re = a.re + b.re, im = a.im + b.im;
    return { re, im, err: a.err + b.err + EPS * Math.hypot(re, im) };
  },
  "-": (a, b) => {
    const re = a.re - b.re, im = a.im - b.im;
    return { re, im, err: a.err + b.err + EPS * Math.hypot(re, im) };
  },
  "*": times,
  "/": over,
  "^": raise,
  root: (a, b, complex) => {
    if (a.im === 0 && a.re < 0 && !complex && b.re % 2 === 1) {
      const value = raise({ ...a, re: -a.re }, over(real(1, 0), b)!, false);
      return value && { ...value, re: -value.re };
    }
    const inverse = over(real(1, 0), b);
    return inverse && raise(a, inverse, complex);
  },
  binom: (a, b) => {
    const n = Math.round(a.re), k = Math.round(b.re);
    if (n !== a.re || k !== b.re || k < 0 || n < 0 || n > 300) return undefined;
    let value = 1;
    for (let i = 0; i < k; i++) value = value * (n - i) / (i + 1);
    return real(value, Math.abs(value) * EPS * (k + 1));
  },
};

function apply(
  fn: string,
  args: readonly Approximate[],
  complex: boolean,
): Approximate | undefined {
  if (fn.startsWith("@")) return unknownFunction(fn, args);
  const [a, b] = args;
  if (OPERATORS[fn]) return b && OPERATORS[fn](a, b, complex);
  if (REAL_FUNCTIONS[fn]) return realFunction(a, ...REAL_FUNCTIONS[fn]);
  switch (fn) {
    case "neg":
      return { re: -a.re, im: a.im === 0 ? 0 : -a.im, err: a.err };
    case "abs":
      return real(size(a), a.err + EPS * size(a));
    case "sqrt":
      // The root of a value near zero amplifies its error without bound.
      if (size(a) <= 4 * a.err) return size(a) === 0 && a.err === 0 ? a : undefined;
      return a.im === 0 && a.re > 0
        ? real(Math.sqrt(a.re), a.err / (2 * Math.sqrt(a.re - a.err)) + EPS * Math.sqrt(a.re))
        : raise(a, real(0.5, 0), complex);
    case "ln":
      return log(a, complex);
    // Without a base: to base 10, unless the other answer speaks of natural logarithms.
    case "log": {
      const value = log(a, complex);
      return value && over(value, real(Math.LN10));
    }
    case "factorial": {
      if (a.im !== 0 || !Number.isInteger(a.re) || a.re < 0 || a.re > 150) return undefined;
      let value = 1;
      for (let i = 2; i <= a.re; i++) value *= i;
      return real(value, value * EPS * (1 + a.re));
    }
    case "floor":
    case "ceil": {
      // Just below or just above an integer the rounding decides, not the value.
      const off = Math.abs(a.re - Math.round(a.re));
      if (a.im !== 0 || (off !== 0 && off <= 4 * a.err)) return undefined;
      return real(fn === "floor" ? Math.floor(a.re) : Math.ceil(a.re), 0);
    }
    default:
      return undefined;
  }
}

/** The value of an expression at a point, or `undefined` where it has none, or none that is sure. */
export function approximateValue(node: Node, point: Point, work: Work): Approximate | undefined {
  if (--work.left < 0) return undefined;
  if (node.type === "num") {
    const value = Number(node.value.num) / Number(node.value.den);
    if (!Number.isFinite(value)) return undefined;
    return real(value, Number.isInteger(value) && Math.abs(value) < 2 ** 53 ? 0 : undefined);
  }
  if (node.type === "sym") {
    if (node.name === "\\pi") return real(Math.PI);
    if (node.name === "e") return real(Math.E);
    if (node.name === "i") return point.complex ? { re: 0, im: 1, err: 0 } : undefined;
    const value = point.values.get(node.name);
    return value === undefined ? undefined : real(value, 0);
  }
  if (node.type !== "call") return undefined;
  const args: Approximate[] = [];
  for (const each of node.args) {
    const value = approximateValue(each, point, work);
    if (!value) return undefined;
    args.push(value);
  }
  const value = apply(node.fn, args, point.complex);
  return value && Number.isFinite(value.re + value.im + value.err) ? value : undefined;
}

/** Whether the imaginary unit occurs, so that complex values are meant. */
export function isComplex(node: Node): boolean {
  return some(node, (part) => part.type === "sym" && part.name === "i");
}
