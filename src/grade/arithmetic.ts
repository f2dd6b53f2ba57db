/**
 * The value of an expression in floating point, with a bound of its rounding error.
 *
 * @module
 */
import { type Node, some } from "./node.ts";
import type { Work } from "./rational.ts";

/** Terms of a sum that are added one by one. */
const MAX_TERMS = 2000;

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
  // Without the sign that a zero may have: it would choose the other branch of a logarithm.
  const re = a.re * b.re - a.im * b.im, im = a.re * b.im + a.im * b.re + 0;
  const x = size(a), y = size(b);
  return { re, im, err: x * b.err + y * a.err + a.err * b.err + EPS * x * y };
}

/** The quotient, or `undefined` where the divisor may be zero. */
export function over(a: Approximate, b: Approximate): Approximate | undefined {
  const y = size(b);
  if (y <= 4 * b.err || y === 0) return undefined;
  const norm = y * y;
  const re = (a.re * b.re + a.im * b.im) / norm, im = (a.im * b.re - a.re * b.im) / norm + 0;
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
  coth: [(x) => 1 / Math.tanh(x), (x) => 1 / Math.sinh(x) ** 2],
  sech: [(x) => 1 / Math.cosh(x), () => 1],
  csch: [(x) => 1 / Math.sinh(x), (x) => Math.cosh(x) / Math.sinh(x) ** 2],
  arccot: [(x) => Math.PI / 2 - Math.atan(x), () => 1],
  arcsec: [(x) => Math.acos(1 / x), (x) => 1 / (Math.abs(x) * Math.sqrt(x * x - 1))],
  arccsc: [(x) => Math.asin(1 / x), (x) => 1 / (Math.abs(x) * Math.sqrt(x * x - 1))],
  arsinh: [Math.asinh, () => 1],
  arcosh: [Math.acosh, (x) => 1 / Math.sqrt(x * x - 1)],
  artanh: [Math.atanh, (x) => 1 / (1 - x * x)],
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
    err += rate * arg.err + EPS * (Math.abs(rate * arg.re) + i + seed);
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
    const k = Math.round(b.re);
    if (k !== b.re || k < 0 || k > 300 || a.im !== 0) return undefined;
    let value = 1, steep = 0;
    for (let i = 0; i < k; i++) {
      value = value * (a.re - i) / (i + 1);
      steep += 1 / Math.max(Math.abs(a.re - i), a.err, Number.MIN_VALUE);
    }
    return real(value, Math.abs(value) * (EPS * (k + 1) + (a.err === 0 ? 0 : a.err * steep)));
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
  if (fn === "min" || fn === "max") {
    if (args.some(({ im }) => im !== 0)) return undefined;
    const value = args.map(({ re }) => re).reduce((x, y) =>
      fn === "min" ? Math.min(x, y) : Math.max(x, y)
    );
    return real(value, Math.max(...args.map(({ err }) => err)));
  }
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
    case "cis": {
      if (a.im !== 0 || !complex) return undefined;
      return { re: Math.cos(a.re), im: Math.sin(a.re), err: a.err + 2 * EPS };
    }
    case "factorial":
    case "factorial2": {
      if (a.im !== 0 || !Number.isInteger(a.re) || a.re < 0 || a.re > 150) return undefined;
      let value = 1;
      for (let i = a.re; i > 1; i -= fn === "factorial" ? 1 : 2) value *= i;
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
  if (node.type === "loop") return loopValue(node, point, work);
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

/** A sum or product with whole bounds, term by term; infinite ones are left to higher precision. */
function loopValue(
  node: Extract<Node, { type: "loop" }>,
  point: Point,
  work: Work,
): Approximate | undefined {
  const from = approximateValue(node.from, point, work),
    to = approximateValue(node.to, point, work);
  if (!from || !to || !Number.isInteger(from.re) || !Number.isInteger(to.re)) return undefined;
  if (to.re - from.re > MAX_TERMS) return undefined;
  let total = real(node.fn === "sum" ? 0 : 1, 0);
  for (let i = from.re; i <= to.re; i++) {
    const values = new Map(point.values).set(node.index, i);
    const term = approximateValue(node.body, { ...point, values }, work);
    if (!term) return undefined;
    total = node.fn === "sum" ? OPERATORS["+"](total, term, false)! : times(total, term);
  }
  return total;
}

/** Whether the imaginary unit occurs, so that complex values are meant. */
export function isComplex(node: Node): boolean {
  return some(
    node,
    (part) => part.type === "sym" ? part.name === "i" : part.type === "call" && part.fn === "cis",
  );
}
