/**
 * The value of an expression to any precision, with a bound of its error. Where floating point only
 * says that two values are close, this says whether they differ.
 *
 * @module
 */
import type { Work } from "./rational.ts";
import { type Ball, log2, logSum, NONE, Reals } from "./ball.ts";
import * as c from "./complex.ts";
import type { Complex } from "./complex.ts";
import type { Rational } from "./exact.ts";
import { type Node, some } from "./node.ts";
import { infiniteSum } from "./series.ts";

/** Proven (or, for equal, as good as proven), refuted, or neither. */
export type Finding = "equal" | "different" | "unknown";

/** Larger factorials have too many digits. */
const MAX_FACTORIAL = 4000n;
/** Finite sums and products of more terms are not evaluated. */
const MAX_TERMS = 5000n;
/** Precision that agreement is first looked for at, and the most that it is raised to. */
const FIRST_BITS = 256;
const LAST_BITS = 16_384;
/** Log2 of the distance from zero that counts as zero. */
export const ZERO_ERROR = -400;
/** Log2 of the error, absolute and relative, that counts as agreement elsewhere: 60 digits. */
export const EQUAL_ERROR = -200;

/** Functions of real numbers that are not defined by others. */
const REAL: Record<string, (r: Reals, x: Ball) => Ball> = {
  arcsin: (r, x) => c.arc(r, x, "arcsin"),
  arccos: (r, x) => c.arc(r, x, "arccos"),
  arctan: (r, x) => r.angle(x, r.fraction(1n)),
  // Between 0 and pi, so that it is continuous.
  arccot: (r, x) => r.angle(r.fraction(1n), x),
  arcsec: (r, x) => c.arc(r, r.div(r.fraction(1n), x), "arccos"),
  arccsc: (r, x) => c.arc(r, r.div(r.fraction(1n), x), "arcsin"),
  arsinh: (r, x) => {
    const positive = r.abs(x);
    const root = r.sqrt(r.add(r.mul(x, x), r.fraction(1n)));
    const value = r.ln(r.add(positive, root));
    return x.mid < 0n ? r.neg(value) : value;
  },
  arcosh: (r, x) => {
    const one = r.fraction(1n);
    if (r.sign(r.add(x, one)) !== 1) return NONE;
    return r.ln(r.add(x, r.sqrt(r.sub(r.mul(x, x), one))));
  },
  artanh: (r, x) => {
    const one = r.fraction(1n);
    return r.mul(r.fraction(1n, 2n), r.ln(r.div(r.add(one, x), r.sub(one, x))));
  },
  floor: (r, x) => r.floor(x),
  ceil: (r, x) => r.neg(r.floor(r.neg(x))),
};

/** Functions that a pair of others gives: cos and sin, or cosh and sinh. */
const PAIRS: Record<string, "circle" | "hyperbola"> = {
  ...Object.fromEntries(
    ["cos", "sin", "tan", "cot", "sec", "csc", "cis"].map((f) => [f, "circle"]),
  ),
  ...Object.fromEntries(
    ["cosh", "sinh", "tanh", "coth", "sech", "csch"].map((f) => [f, "hyperbola"]),
  ),
};

function fromPair(r: Reals, fn: string, cos: Complex, sin: Complex): Complex {
  const one = c.real(r.fraction(1n));
  switch (fn) {
    case "cis":
      return c.add(r, cos, c.mul(r, c.imaginary(r), sin));
    case "cos":
    case "cosh":
      return cos;
    case "sin":
    case "sinh":
      return sin;
    case "tan":
    case "tanh":
      return c.div(r, sin, cos);
    case "cot":
    case "coth":
      return c.div(r, cos, sin);
    case "sec":
    case "sech":
      return c.div(r, one, cos);
    default:
      return c.div(r, one, sin);
  }
}

/** A fixed smooth function for an unknown one, so that equal arguments give equal values. */
function unknownFunction(r: Reals, name: string, args: readonly Complex[]): Complex {
  let seed = 7;
  for (let i = 0; i < name.length; i++) seed = (seed * 31 + name.charCodeAt(i)) % 9973;
  let sum = r.fraction(BigInt(9973 + seed), 9973n);
  for (const [i, arg] of args.entries()) {
    if (!c.isReal(arg)) return c.NOWHERE;
    const rate = r.fraction(BigInt(1211 + 10 * ((seed * (i + 3)) % 101)), 1730n);
    sum = r.add(sum, r.circle(r.add(r.mul(rate, arg.re), r.fraction(BigInt(i + seed))))[1]);
  }
  return c.real(sum);
}

function gcd(a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b];
  return a < 0n ? -a : a;
}

/** gcd or lcm of whole numbers. */
function common(r: Reals, fn: "gcd" | "lcm", args: readonly Ball[]): Ball {
  let value = fn === "gcd" ? 0n : 1n;
  for (const arg of args) {
    const next = r.whole(arg);
    if (next === undefined || log2(value) > 40_000) return NONE;
    if (fn === "gcd") value = gcd(value, next);
    else if (next === 0n || value === 0n) value = 0n;
    else value = value / gcd(value, next) * (next < 0n ? -next : next);
  }
  return r.fraction(value);
}

/** Evaluates trees at one point to one precision. */
class Evaluator {
  readonly #r: Reals;

  constructor(
    readonly values: ReadonlyMap<string, Rational>,
    readonly bits: number,
    readonly complex: boolean,
    readonly work: Work,
  ) {
    this.#r = new Reals(bits);
  }

  value(node: Node): Complex {
    this.work.left -= 1 + (this.bits >> 9);
    if (this.work.left < 0) return c.NOWHERE;
    if (node.type === "num") return c.real(this.#r.fraction(node.value.num, node.value.den));
    if (node.type === "sym") return this.#symbol(node.name);
    if (node.type === "loop") return this.#loop(node);
    if (node.type !== "call") return c.NOWHERE;
    const args: Complex[] = [];
    for (const each of node.args) {
      const value = this.value(each);
      if (Number.isNaN(value.re.err + value.im.err)) return c.NOWHERE;
      args.push(value);
    }
    return this.#apply(node.fn, args);
  }

  #symbol(name: string): Complex {
    const r = this.#r;
    const value = this.values.get(name);
    if (value) return c.real(r.fraction(value.num, value.den));
    if (name === "\\pi") return c.real(r.pi());
    if (name === "e") return c.real(r.exp(r.fraction(1n)));
    return name === "i" && this.complex ? c.imaginary(r) : c.NOWHERE;
  }

  /** The functions that are quick, and those of whole numbers. */
  #apply(fn: string, args: readonly Complex[]): Complex {
    const r = this.#r;
    const [a, b] = args;
    switch (fn) {
      case "neg":
        return c.neg(r, a);
      case "abs":
        return c.abs(r, a);
      case "+":
        return b ? c.add(r, a, b) : c.NOWHERE;
      case "-":
        return b ? c.sub(r, a, b) : c.NOWHERE;
      case "*":
        return b ? c.mul(r, a, b) : c.NOWHERE;
      case "/":
        return b ? c.div(r, a, b) : c.NOWHERE;
      case "binom":
        return b ? this.#binomial(a, b) : c.NOWHERE;
    }
    if (["gcd", "lcm", "max", "min", "mod", "factorial", "factorial2"].includes(fn)) {
      return args.every(c.isReal) ? c.real(this.#ofReals(fn, args.map(({ re }) => re))) : c.NOWHERE;
    }
    return this.#elementary(fn, args);
  }

  #ofReals(fn: string, args: readonly Ball[]): Ball {
    const r = this.#r;
    const [a, b] = args;
    switch (fn) {
      case "gcd":
      case "lcm":
        return common(r, fn, args);
      case "max":
        return args.reduce((x, y) => r.max(x, y));
      case "min":
        return r.neg(args.map((x) => r.neg(x)).reduce((x, y) => r.max(x, y)));
      case "mod":
        return b ? r.sub(a, r.mul(b, r.floor(r.div(a, b)))) : NONE;
      default:
        return this.#factorial(a, fn === "factorial" ? 1n : 2n);
    }
  }

  #factorial(a: Ball, step: bigint): Ball {
    const n = this.#r.whole(a);
    if (n === undefined || n < 0n || n > MAX_FACTORIAL) return NONE;
    this.work.left -= Number(n >> 3n);
    let value = 1n;
    for (let i = n; i > 1n; i -= step) value *= i;
    return this.#r.fraction(value);
  }

  /** x over k as a polynomial in x. */
  #binomial(x: Complex, k: Complex): Complex {
    const r = this.#r;
    const n = c.isReal(x) ? r.whole(x.re) : undefined;
    let count = c.isReal(k) ? r.whole(k.re) : undefined;
    if (count === undefined || count < 0n) return c.NOWHERE;
    if (n !== undefined && n >= count && 2n * count > n) count = n - count;
    if (n !== undefined && n >= 0n && count > n) return c.real(r.fraction(0n));
    this.work.left -= Number(count);
    if (count > MAX_TERMS || this.work.left < 0) return c.NOWHERE;
    let value = c.real(r.fraction(1n));
    for (let i = 0n; i < count; i++) {
      const factor = c.sub(r, x, c.real(r.fraction(i)));
      value = c.div(r, c.mul(r, value, factor), c.real(r.fraction(i + 1n)));
    }
    return value;
  }

  /** The functions that take time: roots, powers, logarithms, trigonometry. */
  #elementary(fn: string, args: readonly Complex[]): Complex {
    this.work.left -= Math.ceil(4 * (this.bits / 256) ** 1.75);
    if (this.work.left < 0) return c.NOWHERE;
    const r = this.#r;
    const [a, b] = args;
    if (fn.startsWith("@")) return unknownFunction(r, fn, args);
    if (fn in PAIRS) return fromPair(r, fn, ...c[PAIRS[fn]](r, a));
    if (fn in REAL) return c.isReal(a) ? c.real(REAL[fn](r, a.re)) : c.NOWHERE;
    switch (fn) {
      case "^":
        return b ? c.pow(r, a, b, this.complex) : c.NOWHERE;
      case "root":
        return b ? this.#root(a, b) : c.NOWHERE;
      case "sqrt":
        return c.sqrt(r, a, this.complex);
      case "ln":
        return c.ln(r, a, this.complex);
      case "log":
        return c.div(r, c.ln(r, a, this.complex), c.real(r.ln(r.fraction(10n))));
      default:
        return c.NOWHERE;
    }
  }

  #root(a: Complex, degree: Complex): Complex {
    const r = this.#r;
    const inverse = c.div(r, c.real(r.fraction(1n)), degree);
    const odd = c.isReal(degree) && (r.whole(degree.re) ?? 0n) % 2n === 1n;
    return odd && !this.complex && c.isReal(a) && r.sign(a.re) === -1
      ? c.neg(r, c.pow(r, c.neg(r, a), inverse, false))
      : c.pow(r, a, inverse, this.complex);
  }

  #loop(node: Extract<Node, { type: "loop" }>): Complex {
    const r = this.#r;
    const from = this.value(node.from);
    const first = c.isReal(from) ? r.whole(from.re) : undefined;
    if (first === undefined) return c.NOWHERE;
    const at = (bits: number) => (index: bigint): Complex => {
      const values = new Map(this.values).set(node.index, { num: index, den: 1n });
      return new Evaluator(values, bits, this.complex, this.work).value(node.body);
    };
    if (node.to.type === "sym" && node.to.name === "\\infty") {
      // The terms seen say nothing of steps and kinks far out.
      const isBroken = some(
        node.body,
        (part) => part.type === "call" && /^(?:floor|ceil|abs|min|max|mod)$/.test(part.fn),
      );
      if (isBroken) return c.NOWHERE;
      return node.fn === "sum" ? infiniteSum(first, this.bits, at) : c.NOWHERE;
    }
    const to = this.value(node.to);
    const last = c.isReal(to) ? r.whole(to.re) : undefined;
    if (last === undefined || last - first >= MAX_TERMS) return c.NOWHERE;
    let value = c.real(r.fraction(node.fn === "sum" ? 0n : 1n));
    for (let i = first; i <= last; i++) {
      const term = at(this.bits)(i);
      if (Number.isNaN(term.re.err + term.im.err)) return c.NOWHERE;
      value = node.fn === "sum" ? c.add(r, value, term) : c.mul(r, value, term);
    }
    return value;
  }
}

/**
 * The value of an expression to about `bits` binary digits after the point, with a bound of its
 * error; `undefined` where it has none, none that is sure, or none within the work.
 *
 * @param values Values of the variables.
 * @param complex Complex values are admitted; otherwise roots and logarithms of negative numbers
 *   have none.
 */
export function preciseValue(
  node: Node,
  values: ReadonlyMap<string, Rational>,
  bits: number,
  complex: boolean,
  work: Work,
): Complex | undefined {
  const value = new Evaluator(values, bits, complex, work).value(node);
  return Number.isNaN(value.re.err + value.im.err) ? undefined : value;
}

/** How two real numbers compare, and how many bits more would tell where they do not. */
function compareBalls(
  a: Ball,
  b: Ball,
  bits: number,
  errors: { readonly equal: number; readonly zero: number },
): { finding: Finding; missing: number } {
  const r = new Reals(bits);
  const error = logSum(a.err, b.err);
  const gap = log2(a.mid - b.mid);
  if (gap - 1e-9 > error) return { finding: "different", missing: 0 };
  const size = Math.max(r.size(a), r.size(b));
  const isZero = !r.sign(a) && !r.sign(b);
  const wanted = isZero ? errors.zero : errors.equal + Math.min(0, size);
  const missing = error - bits - wanted;
  return missing <= 0 ? { finding: "equal", missing } : { finding: "unknown", missing };
}

/**
 * Whether two values are the same: `different` is proven, `equal` says that they agree to 60 digits,
 * around zero to 120. The precision is raised until one of them holds or the limit is met.
 *
 * @param evaluate Both values to so many bits, or `undefined` where one is not known.
 * @param errors Up to which error, as a power of two, values must agree to be equal, and be near zero.
 */
export function agreeAt(
  evaluate: (bits: number) => readonly [Complex, Complex] | undefined,
  errors = { equal: EQUAL_ERROR, zero: ZERO_ERROR },
): Finding {
  let bits = FIRST_BITS;
  for (let attempt = 0; attempt < 5 && bits <= LAST_BITS; attempt++) {
    const pair = evaluate(bits);
    if (!pair) {
      // A divisor may only look like zero; more digits than these seldom help.
      if (bits > 4 * FIRST_BITS) return "unknown";
      bits *= 4;
      continue;
    }
    const [a, b] = pair;
    const re = compareBalls(a.re, b.re, bits, errors);
    const im = compareBalls(a.im, b.im, bits, errors);
    if (re.finding === "different" || im.finding === "different") return "different";
    if (re.finding === "equal" && im.finding === "equal") return "equal";
    bits = 64 * Math.ceil((bits + Math.max(re.missing, im.missing)) / 64) + 64;
  }
  return "unknown";
}
