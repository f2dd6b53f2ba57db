/**
 * Real numbers to any precision with a bound of their error, in fixed point on BigInt.
 *
 * @module
 */

/** A real number: `mid` units of 2^-bits, off by at most 2^err units. */
export interface Ball {
  /** The middle, in units of 2^-bits. */
  readonly mid: bigint;
  /** Log2 of the error bound in units; -Infinity is exact, NaN is no number at all. */
  readonly err: number;
}

/** The value of what has none, or none that is sure; every operation hands it on. */
export const NONE: Ball = { mid: 0n, err: NaN };

/** Larger numbers, in bits before the point, are not built. */
const MAX_MAGNITUDE = 40_000;
/** Makes up for the rounding of logarithms that are computed in floating point. */
const SLACK = 1e-9;

/** Log2 of |value|, to about 1e-12; -Infinity for zero. */
export function log2(value: bigint): number {
  const digits = (value < 0n ? -value : value).toString(16);
  const rest = Math.max(0, digits.length - 13);
  return Math.log2(parseInt(digits.slice(0, 13), 16)) + 4 * rest;
}

/** Log2 of a sum of powers of two, rounded up. */
export function logSum(...terms: number[]): number {
  const max = Math.max(...terms);
  if (!Number.isFinite(max)) return max;
  let sum = 0;
  for (const each of terms) sum += 2 ** (each - max);
  return max + Math.log2(sum) + SLACK;
}

/** Log2 of 2^a - 2^b, rounded down; NaN where that may not be positive. */
function logLess(a: number, b: number): number {
  return b === -Infinity ? a - SLACK : b < a - 1e-3 ? a + Math.log2(1 - 2 ** (b - a)) - 2e-6 : NaN;
}

/** `value` times 2^shift, rounded down. */
function shifted(value: bigint, shift: number): bigint {
  return shift >= 0 ? value << BigInt(shift) : value >> BigInt(-shift);
}

/** The quotient rounded down, for a positive divisor. */
function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a < 0n && quotient * b !== a ? quotient - 1n : quotient;
}

function squareRoot(value: bigint): bigint {
  if (value === 0n) return 0n;
  // From above, Newton's steps fall until they reach the root rounded down.
  const half = Math.ceil(log2(value) / 2);
  let root = half < 50 ? 1n << BigInt(half + 1) : shifted(
    BigInt(Math.ceil(2 ** (log2(value) / 2 - half + 50) * (1 + 1e-9))) + 1n,
    half - 50,
  ) + 1n;
  while (true) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** arctan(1/n), or artanh(1/n), in units of 2^-bits; off by less than `bits` units. */
function inverseSeries(n: bigint, bits: number, hyperbolic: boolean): bigint {
  const square = n * n * (hyperbolic ? 1n : -1n);
  let term = (1n << BigInt(bits)) / n, sum = term;
  for (let k = 3n; term !== 0n; k += 2n) {
    term /= square;
    sum += term / k;
  }
  return sum;
}

/** A constant in units of 2^-bits, rounded down; longer ones are kept and cut. */
function cached(compute: (bits: number) => bigint): (bits: number) => bigint {
  let known = 0, value = 0n;
  return (bits) => {
    if (bits > known) {
      known = 2 ** Math.ceil(Math.log2(Math.max(bits, 512)));
      value = compute(known + 64) >> 64n;
    }
    return value >> BigInt(known - bits);
  };
}

const piUnits = cached((bits) =>
  16n * inverseSeries(5n, bits, false) - 4n * inverseSeries(239n, bits, false)
);

const ln2Units = cached((bits) =>
  18n * inverseSeries(26n, bits, true) - 2n * inverseSeries(4801n, bits, true) +
  8n * inverseSeries(8749n, bits, true)
);

/** e^x of 0 <= x < 1 in units of 2^-bits; off by at most 2 units. */
function expUnits(x: bigint, bits: number): bigint {
  const halvings = Math.ceil(Math.sqrt(bits) * 0.8);
  // Up to 2^10 terms are off by 3 units each; every squaring doubles that.
  const wide = BigInt(bits + halvings + 20);
  const small = x << 20n;
  const one = 1n << wide;
  let sum = one, term = one;
  for (let k = 1n; term !== 0n; k++) {
    term = ((term * small) >> wide) / k;
    sum += term;
  }
  for (let i = 0; i < halvings; i++) sum = (sum * sum) >> wide;
  return sum >> BigInt(halvings + 20);
}

/** [cos x, sin x] of 0 <= x < 1 in units of 2^-bits; each off by at most 2 units. */
function circleUnits(x: bigint, bits: number): [bigint, bigint] {
  const halvings = Math.ceil(Math.sqrt(bits) * 0.6);
  // As above: squaring a point of the unit circle doubles its error.
  const wide = BigInt(bits + halvings + 20);
  const small = x << 20n;
  const one = 1n << wide;
  let cos = one, sin = 0n, term = one;
  for (let k = 1; term !== 0n; k++) {
    term = ((term * small) >> wide) / BigInt(k);
    const signed = k & 2 ? -term : term;
    if (k & 1) sin += signed;
    else cos += signed;
  }
  for (let i = 0; i < halvings; i++) {
    [cos, sin] = [((cos - sin) * (cos + sin)) >> wide, (cos * sin) >> (wide - 1n)];
  }
  return [cos >> BigInt(halvings + 20), sin >> BigInt(halvings + 20)];
}

/** artanh or arctan of a small q by its power series; off by at most as many units as terms. */
function oddSeries(q: bigint, bits: bigint, hyperbolic: boolean): bigint {
  const square = (q * q) >> bits;
  let power = q < 0n ? -q : q, sum = power;
  for (let k = 3n; power !== 0n; k += 2n) {
    power = (power * square) >> bits;
    sum += (hyperbolic || k & 2n ? hyperbolic ? 1n : -1n : 1n) * (power / k);
  }
  return q < 0n ? -sum : sum;
}

/** Below this precision floating point starts the logarithm and the angle. */
const START_BITS = 45;

/** ln(x) of 1 <= x < 2 in units of 2^-bits; off by less than 1 unit. */
function lnUnits(x: bigint, bits: number): bigint {
  const wide = bits + 16, big = BigInt(wide);
  // A third of the digits is guessed; what is missing from there on is a short series.
  const guess = bits <= 3 * START_BITS
    ? BigInt(Math.round(Math.log(Number(x) / 2 ** bits) * 2 ** START_BITS)) <<
      BigInt(wide - START_BITS)
    : lnUnits(x >> BigInt(bits - Math.ceil(bits / 3) - 8), Math.ceil(bits / 3) + 8) <<
      BigInt(wide - Math.ceil(bits / 3) - 8);
  const value = x << 16n;
  const power = guess < 0n ? 1n << big : expUnits(guess, wide);
  const from = guess < 0n ? 0n : guess;
  const q = ((value - power) << big) / (value + power);
  return (from + 2n * oddSeries(q, big, true)) >> 16n;
}

/** The angle of a point with 1/2 <= max(x, y) <= 1, x and y >= 0, y <= x; off by less than 1 unit. */
function angleUnits(y: bigint, x: bigint, bits: number): bigint {
  const wide = bits + 16, big = BigInt(wide);
  const third = Math.ceil(bits / 3) + 8, cut = BigInt(bits - third);
  const guess = bits <= 3 * START_BITS
    ? BigInt(Math.round(Math.atan2(Number(y), Number(x)) * 2 ** START_BITS)) <<
      BigInt(wide - START_BITS)
    : angleUnits(y >> cut, x >> cut, third) << BigInt(wide - third);
  const from = guess < 0n ? 0n : guess;
  const [cos, sin] = circleUnits(from, wide);
  const q = ((y * cos - x * sin) << big) / (x * cos + y * sin);
  return (from + oddSeries(q, big, false)) >> 16n;
}

/** Arithmetic on balls of one precision. */
export class Reals {
  /** Binary digits after the point. */
  readonly bits: number;

  /** @param bits Binary digits after the point, at least 64. */
  constructor(bits: number) {
    this.bits = bits;
  }

  /** `value` with an error, or none where it is too large. */
  #ball(mid: bigint, err: number): Ball {
    return log2(mid) - this.bits > MAX_MAGNITUDE ? NONE : { mid, err };
  }

  /** A fraction, exact where it ends within the precision. */
  fraction(num: bigint, den = 1n): Ball {
    if (den < 0n) return this.fraction(-num, -den);
    const wide = num << BigInt(this.bits), mid = wide / den;
    return this.#ball(mid, mid * den === wide ? -Infinity : 0);
  }

  /** The circle's number. */
  pi(): Ball {
    return { mid: piUnits(this.bits), err: 0 };
  }

  /** The whole number that a ball is, or `undefined` where it is not exactly one. */
  whole(a: Ball): bigint | undefined {
    const value = a.mid >> BigInt(this.bits);
    return a.err === -Infinity && value << BigInt(this.bits) === a.mid ? value : undefined;
  }

  /** -1 or 1 where the sign is sure, 0 for an exact zero, otherwise `undefined`. */
  sign(a: Ball): -1 | 0 | 1 | undefined {
    if (a.mid === 0n) return a.err === -Infinity ? 0 : undefined;
    return log2(a.mid) - SLACK > a.err ? a.mid < 0n ? -1 : 1 : undefined;
  }

  /** Log2 of the largest absolute value in the ball, rounded up. */
  size(a: Ball): number {
    return (a.err === -Infinity ? log2(a.mid) : logSum(log2(a.mid), a.err)) - this.bits;
  }

  /** a + b. */
  add(a: Ball, b: Ball): Ball {
    return { mid: a.mid + b.mid, err: logSum(a.err, b.err) };
  }

  /** -a. */
  neg(a: Ball): Ball {
    return { mid: -a.mid, err: a.err };
  }

  /** a - b. */
  sub(a: Ball, b: Ball): Ball {
    return this.add(a, this.neg(b));
  }

  /** |a|. */
  abs(a: Ball): Ball {
    return a.mid < 0n ? this.neg(a) : a;
  }

  /** a * b. */
  mul(a: Ball, b: Ball): Ball {
    if (Number.isNaN(a.err) || Number.isNaN(b.err)) return NONE;
    if (this.sign(a) === 0 || this.sign(b) === 0) return { mid: 0n, err: -Infinity };
    const shift = BigInt(this.bits);
    const product = a.mid * b.mid, mid = product >> shift;
    if (a.err === -Infinity && b.err === -Infinity) {
      return this.#ball(mid, mid << shift === product ? -Infinity : 0);
    }
    const spread = logSum(log2(a.mid) + b.err, log2(b.mid) + a.err, a.err + b.err) - this.bits;
    return this.#ball(mid, logSum(spread, 0));
  }

  /** a / b; none where the divisor may be zero. */
  div(a: Ball, b: Ball): Ball {
    if (!this.sign(b)) return NONE;
    const wide = a.mid << BigInt(this.bits), mid = wide / b.mid;
    const exact = a.err === -Infinity && b.err === -Infinity;
    if (exact) return this.#ball(mid, mid * b.mid === wide ? -Infinity : 0);
    const size = log2(b.mid);
    const spread = logSum(a.err, log2(a.mid) - size + b.err) - logLess(size, b.err) + this.bits;
    return this.#ball(mid, logSum(spread, 0));
  }

  /** a^n by repeated squaring, for n >= 0. */
  pow(a: Ball, n: bigint): Ball {
    // Beforehand, so that no square on the way is built in vain.
    if (Number(n) * this.size(a) > MAX_MAGNITUDE) return NONE;
    let value: Ball | undefined;
    for (let square = a;; square = this.mul(square, square)) {
      if (n & 1n) value = value ? this.mul(value, square) : square;
      n >>= 1n;
      if (n === 0n) return value ?? this.fraction(1n);
    }
  }

  /** The square root; of a ball around zero that of what is not negative in it. */
  sqrt(a: Ball): Ball {
    if (a.mid < 0n && this.sign(a) === -1) return NONE;
    if (a.mid <= 0n) return { mid: 0n, err: (a.err + this.bits) / 2 + SLACK };
    const wide = a.mid << BigInt(this.bits), mid = squareRoot(wide);
    if (a.err === -Infinity) return { mid, err: mid * mid === wide ? -Infinity : 0 };
    const near = a.err + this.bits - log2(mid), far = (a.err + this.bits) / 2;
    return { mid, err: logSum(Math.min(near, far), 0) };
  }

  /** The rounding down, or none where it is not sure. */
  floor(a: Ball): Ball {
    const shift = BigInt(this.bits);
    const low = a.mid >> shift;
    if (a.err === -Infinity) return { mid: low << shift, err: a.err };
    if (!(a.err < this.bits)) return NONE;
    const off = 1n << BigInt(Math.max(0, Math.ceil(a.err)));
    if (a.mid - off >> shift !== low || a.mid + off >> shift !== low) return NONE;
    return { mid: low << shift, err: -Infinity };
  }

  /** The larger of two. */
  max(a: Ball, b: Ball): Ball {
    return { mid: a.mid > b.mid ? a.mid : b.mid, err: Math.max(a.err, b.err) };
  }

  /** The value in floating point. */
  approximate(a: Ball): number {
    const units = shifted(a.mid, 80 - this.bits);
    return Number(units) / 2 ** 80;
  }

  /** e^a. */
  exp(a: Ball): Ball {
    if (a.mid === 0n && a.err === -Infinity) return this.fraction(1n);
    const x = this.approximate(a);
    if (!(a.err <= this.bits) || x > MAX_MAGNITUDE * Math.LN2) return NONE;
    // e^(x + d) is off by at most 1.72 |d| e^x.
    const spread = x * Math.LOG2E + 1e-6 + a.err + 0.8;
    let k = Math.floor(x * Math.LOG2E);
    if (k < -this.bits) return { mid: 0n, err: logSum(spread, 0) };
    const wide = this.bits + Math.max(0, k) + 8;
    const ln2 = ln2Units(wide + 20);
    let rest = (a.mid << BigInt(wide + 20 - this.bits)) - BigInt(k) * ln2;
    while (rest < 0n) k--, rest += ln2;
    const value = expUnits(rest >> 20n, wide);
    return this.#ball(shifted(value, this.bits + k - wide), logSum(spread, 0.2));
  }

  /** ln(a); none where a may not be positive. */
  ln(a: Ball): Ball {
    if (this.sign(a) !== 1) return NONE;
    if (this.whole(a) === 1n) return this.fraction(0n);
    const size = log2(a.mid);
    const spread = a.err - logLess(size, a.err) + this.bits;
    let k = Math.floor(size);
    if (a.mid >> BigInt(k) === 0n) k--;
    const wide = this.bits + 24;
    const ln = lnUnits(shifted(a.mid, wide - k), wide);
    const mid = (ln + BigInt(k - this.bits) * ln2Units(wide)) >> 24n;
    return { mid, err: logSum(spread, 0.1) };
  }

  /** [cos a, sin a]. */
  circle(a: Ball): [Ball, Ball] {
    if (a.mid === 0n && a.err === -Infinity) return [this.fraction(1n), a];
    if (!(a.err <= this.bits + 2)) return [NONE, NONE];
    const wide = this.bits + 8;
    // The multiple of pi/2 is as long as the number: pi needs as many digits more.
    const long = wide + Math.max(0, Math.ceil(log2(a.mid) - this.bits)) + 8;
    const quarter = piUnits(long);
    const angle = (a.mid << BigInt(long - this.bits)) * 2n;
    const turns = floorDivide(angle + (quarter >> 1n), quarter);
    // Twice the rest, between -pi/4 and pi/4 times two.
    const rest = shifted(angle - turns * quarter, wide - long - 1);
    const [c, s] = circleUnits(rest < 0n ? -rest : rest, wide);
    const sin = rest < 0n ? -s : s;
    const [re, im] = [[c, sin], [-sin, c], [-c, -sin], [sin, -c]][Number(turns & 3n)];
    const err = logSum(a.err, 0.2);
    return [{ mid: re >> 8n, err }, { mid: im >> 8n, err }];
  }

  /** The angle of the point (x, y), from -pi to pi; none where it may be zero or on the cut. */
  angle(y: Ball, x: Ball): Ball {
    const cut = this.sign(x) !== 1 && this.sign(y) === undefined;
    const length = log2(x.mid * x.mid + y.mid * y.mid) / 2;
    const spread = logSum(x.err, y.err) - logLess(length, logSum(x.err, y.err)) + this.bits;
    if (cut || length === -Infinity || Number.isNaN(spread)) return NONE;
    if (this.sign(y) === 0 && this.sign(x) === 1) return y;
    const [p, q] = [this.abs(x).mid, this.abs(y).mid];
    const [long, short] = p > q ? [p, q] : [q, p];
    const wide = this.bits + 8, scale = wide - Math.floor(log2(long)) - 1;
    const pi = piUnits(wide);
    let units = angleUnits(shifted(short, scale), shifted(long, scale), wide);
    if (p <= q) units = (pi >> 1n) - units;
    if (x.mid < 0n) units = pi - units;
    if (y.mid < 0n) units = -units;
    return { mid: units >> 8n, err: logSum(spread, 0.2) };
  }
}
