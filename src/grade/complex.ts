/**
 * Complex numbers as pairs of balls, and the elementary functions of them.
 *
 * @module
 */
import { type Ball, NONE, type Reals } from "./ball.ts";

/** A complex number; the imaginary part of a real one is exactly zero. */
export interface Complex {
  /** Real part. */
  readonly re: Ball;
  /** Imaginary part. */
  readonly im: Ball;
}

const ZERO: Ball = { mid: 0n, err: -Infinity };

/** No number, or none that is sure. */
export const NOWHERE: Complex = { re: NONE, im: NONE };

/** A real number as a complex one. */
export function real(re: Ball): Complex {
  return { re, im: ZERO };
}

/** Whether a number is known to be real. */
export function isReal({ im }: Complex): boolean {
  return im.mid === 0n && im.err === -Infinity;
}

/** The imaginary unit. */
export function imaginary(r: Reals): Complex {
  return { re: ZERO, im: r.fraction(1n) };
}

/** a + b. */
export function add(r: Reals, a: Complex, b: Complex): Complex {
  return { re: r.add(a.re, b.re), im: r.add(a.im, b.im) };
}

/** -a. */
export function neg(r: Reals, a: Complex): Complex {
  return { re: r.neg(a.re), im: r.neg(a.im) };
}

/** a - b. */
export function sub(r: Reals, a: Complex, b: Complex): Complex {
  return add(r, a, neg(r, b));
}

/** a * b. */
export function mul(r: Reals, a: Complex, b: Complex): Complex {
  if (isReal(a) && isReal(b)) return real(r.mul(a.re, b.re));
  return {
    re: r.sub(r.mul(a.re, b.re), r.mul(a.im, b.im)),
    im: r.add(r.mul(a.re, b.im), r.mul(a.im, b.re)),
  };
}

/** |a| squared. */
function norm(r: Reals, a: Complex): Ball {
  return r.add(r.mul(a.re, a.re), r.mul(a.im, a.im));
}

/** a / b; nowhere where b may be zero. */
export function div(r: Reals, a: Complex, b: Complex): Complex {
  if (isReal(b)) {
    return { re: r.div(a.re, b.re), im: isReal(a) && r.sign(b.re) ? ZERO : r.div(a.im, b.re) };
  }
  const length = norm(r, b), top = mul(r, a, { re: b.re, im: r.neg(b.im) });
  return { re: r.div(top.re, length), im: r.div(top.im, length) };
}

/** |a|. */
export function abs(r: Reals, a: Complex): Complex {
  return real(isReal(a) ? r.abs(a.re) : r.sqrt(norm(r, a)));
}

/** e^a. */
export function exp(r: Reals, a: Complex): Complex {
  const length = r.exp(a.re);
  if (isReal(a)) return real(length);
  const [cos, sin] = r.circle(a.im);
  return { re: r.mul(length, cos), im: r.mul(length, sin) };
}

/** The principal ln(a); without `complex` that of positive numbers only. */
export function ln(r: Reals, a: Complex, complex: boolean): Complex {
  if (isReal(a) && r.sign(a.re) === 1) return real(r.ln(a.re));
  if (!complex) return NOWHERE;
  const half = r.fraction(1n, 2n);
  return { re: r.mul(half, r.ln(norm(r, a))), im: r.angle(a.im, a.re) };
}

/** The principal square root; without `complex` that of real numbers only. */
export function sqrt(r: Reals, a: Complex, complex: boolean): Complex {
  if (isReal(a) && (!complex || (r.sign(a.re) ?? -1) >= 0)) return real(r.sqrt(a.re));
  if (!complex) return NOWHERE;
  if (isReal(a)) return { re: ZERO, im: r.sign(a.re) ? r.sqrt(r.neg(a.re)) : NONE };
  return exp(r, mul(r, real(r.fraction(1n, 2n)), ln(r, a, complex)));
}

function whole(r: Reals, a: Complex): bigint | undefined {
  return isReal(a) ? r.whole(a.re) : undefined;
}

function powWhole(r: Reals, a: Complex, n: bigint): Complex {
  if (isReal(a)) return real(r.pow(a.re, n));
  if (n > 10_000n) return exp(r, mul(r, real(r.fraction(n)), ln(r, a, true)));
  let value = real(r.fraction(1n));
  for (let square = a; n > 0n; n >>= 1n, square = mul(r, square, square)) {
    if (n & 1n) value = mul(r, value, square);
  }
  return value;
}

/** The principal a^b; without `complex` powers of negative numbers have whole exponents only. */
export function pow(r: Reals, a: Complex, b: Complex, complex: boolean): Complex {
  const n = whole(r, b), one = real(r.fraction(1n));
  if (n !== undefined) {
    return n < 0n ? div(r, one, powWhole(r, a, -n)) : powWhole(r, a, n);
  }
  const twice = whole(r, add(r, b, b));
  if (twice !== undefined) return pow(r, sqrt(r, a, complex), real(r.fraction(twice)), complex);
  if (isReal(a) && r.sign(a.re) === 0) return isReal(b) && r.sign(b.re) === 1 ? a : NOWHERE;
  return exp(r, mul(r, b, ln(r, a, complex)));
}

/** cosh a and sinh a. */
export function hyperbola(r: Reals, a: Complex): [Complex, Complex] {
  const up = exp(r, a), down = exp(r, neg(r, a)), half = real(r.fraction(1n, 2n));
  return [mul(r, half, add(r, up, down)), mul(r, half, sub(r, up, down))];
}

/** cos a and sin a. */
export function circle(r: Reals, a: Complex): [Complex, Complex] {
  const [cos, sin] = r.circle(a.re);
  if (isReal(a)) return [real(cos), real(sin)];
  const [cosh, sinh] = hyperbola(r, real(a.im));
  return [
    { re: r.mul(cos, cosh.re), im: r.neg(r.mul(sin, sinh.re)) },
    { re: r.mul(sin, cosh.re), im: r.mul(cos, sinh.re) },
  ];
}

/** arcsin x, or arccos x, of a real x between -1 and 1. */
export function arc(r: Reals, x: Ball, fn: "arcsin" | "arccos"): Ball {
  const other = r.sqrt(r.sub(r.fraction(1n), r.mul(x, x)));
  return fn === "arcsin" ? r.angle(x, other) : r.angle(other, x);
}
