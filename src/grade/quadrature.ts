/**
 * Definite integrals in floating point, with a bounded number of evaluations: the double exponential
 * rule, which takes singular and infinite ends as they come.
 *
 * @module
 */
import { args, contains, head, isInfinite, type Json, loopOf } from "./symbolic_form.ts";

/** Values of symbols. */
export type Bindings = ReadonlyMap<string, number>;
/** A function of its symbols; NaN where it has no real value. */
export type Real = (at: Bindings) => number;

const CONSTANTS = new Map([["Pi", Math.PI], ["ExponentialE", Math.E], ["Half", 0.5]]);
const { sin, cos, tan, log } = Math;
const FUNCTIONS: Readonly<Record<string, (...all: number[]) => number>> = {
  Add: (...all) => all.reduce((a, b) => a + b, 0),
  Multiply: (...all) => all.reduce((a, b) => a * b, 1),
  Subtract: (a, b) => a - b,
  Negate: (a) => -a,
  Divide: (a, b) => a / b,
  Rational: (a, b) => a / b,
  Power: (a, b) => a ** b,
  Square: (a) => a * a,
  Root: (a, n) => a < 0 && n % 2 === 1 ? -((-a) ** (1 / n)) : a ** (1 / n),
  Sqrt: Math.sqrt,
  Exp: Math.exp,
  Ln: (a, base = Math.E) => log(a) / log(base),
  Log: (a, base = 10) => log(a) / log(base),
  Lb: Math.log2,
  Abs: Math.abs,
  Max: Math.max,
  Min: Math.min,
  Sin: sin,
  Cos: cos,
  Tan: tan,
  Cot: (a) => 1 / tan(a),
  Sec: (a) => 1 / cos(a),
  Csc: (a) => 1 / sin(a),
  Arcsin: Math.asin,
  Arccos: Math.acos,
  Arctan: Math.atan,
  Sinh: Math.sinh,
  Cosh: Math.cosh,
  Tanh: Math.tanh,
};

/** A function that computes an expression, integrals included; `undefined` for what it does not know. */
export function realFunction(json: Json): Real | undefined {
  if (typeof json === "number") return () => json;
  if (typeof json === "string") {
    const constant = CONSTANTS.get(json);
    return constant === undefined ? (at) => at.get(json) ?? NaN : () => constant;
  }
  if (!Array.isArray(json)) {
    const value = Number((json as { num: string }).num);
    return () => value;
  }
  if (head(json) === "Integrate") return innerIntegral(json);
  const name = head(json);
  const apply = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
  const parts = args(json).map(realFunction);
  if (!apply || !parts.every((part) => part !== undefined)) return undefined;
  return (at) => apply(...parts.map((part) => part(at)));
}

function innerIntegral(json: Json): Real | undefined {
  const loop = loopOf(json);
  const body = loop && realFunction(loop.body);
  if (!loop || !body || loop.bounds.some(isInfinite)) return undefined;
  const [from, to] = loop.bounds.map(realFunction);
  if (!from || !to) return undefined;
  return (at) =>
    integral((x) => body(new Map([...at, [loop.index, x]])), from(at), to(at))?.value ?? NaN;
}

/** A definite integral, how far two step widths disagree about it, and the integral of the absolute value. */
export interface Integral {
  readonly value: number;
  readonly error: number;
  readonly size: number;
}

/** Where the weights of the rule have vanished. */
const END = 3.8;
/** Where they are below a millionth of a millionth. */
const FAINT = 3;
/** Steps of the coarser rule on either side; the finer one has twice as many. */
const STEPS = 64;

/** Where the rule looks for the parameter t, and with which weight. */
function node(t: number, from: number, to: number): readonly [x: number, weight: number] {
  const [s, c] = [Math.PI / 2 * Math.sinh(t), Math.PI / 2 * Math.cosh(t)];
  if (from === -Infinity && to === Infinity) return [Math.sinh(s), c * Math.cosh(s)];
  if (to === Infinity) return [from + Math.exp(s), c * Math.exp(s)];
  if (from === -Infinity) return [to - Math.exp(s), c * Math.exp(s)];
  const width = to - from;
  // From the nearer end, so that a point beside it does not fall onto it.
  const near = 1 / (1 + Math.exp(2 * Math.abs(s)));
  const x = s < 0 ? from + width * near : to - width * near;
  return [x, width / 2 * c / Math.cosh(s) ** 2];
}

/** An integral with 257 evaluations; `undefined` where the integrand has no value. */
export function integral(f: (x: number) => number, from: number, to: number): Integral | undefined {
  if (from > to) {
    const turned = integral(f, to, from);
    return turned && { ...turned, value: -turned.value };
  }
  if (from === to) return { value: 0, error: 0, size: 0 };
  let fine = 0, coarse = 0, size = 0;
  for (let k = -2 * STEPS; k <= 2 * STEPS; k++) {
    const t = k * END / (2 * STEPS);
    const [x, weight] = node(t, from, to);
    // On the very end, or so far out that the weight has no value: nothing is left there.
    if (x === from || x === to || !Number.isFinite(x) || !Number.isFinite(weight)) continue;
    const y = f(x);
    // "e^x - 1" is nothing so near to 0; the weight is, too.
    if (!Number.isFinite(y) && Math.abs(t) > FAINT) continue;
    if (!Number.isFinite(y)) return undefined;
    const term = y === 0 ? 0 : y * weight;
    fine += term;
    size += Math.abs(term);
    if (k % 2 === 0) coarse += term;
  }
  const h = END / (2 * STEPS);
  const value = fine * h;
  if (!Number.isFinite(size)) return undefined;
  return { value, error: Math.abs(value - coarse * 2 * h), size: size * h };
}

/** Whether an integrand holds a number that makes it change within less than the rule's steps. */
export function isSteep(json: Json, limit: number): boolean {
  return contains(json, (part) => typeof part === "number" && Math.abs(part) > limit);
}
