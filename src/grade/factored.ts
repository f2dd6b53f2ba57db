/**
 * Exact values that are too long to write out, as products of powers: 3^6567340, or 9891!.
 *
 * @module
 */
import { exactValue, type Work } from "./rational.ts";
import type { Rational } from "./exact.ts";
import type { Node } from "./node.ts";

/** A rational number as sign times a product of powers. */
export interface Factored {
  /** -1 or 1; 0 for zero, whose product is empty. */
  readonly sign: -1 | 0 | 1;
  /**
   * Bases and their exponents, none of them zero. Bases up to `MAX_PRIME` are primes, larger ones
   * have no factor among those but may have one in common.
   */
  readonly powers: ReadonlyMap<bigint, bigint>;
}

/** Numbers are divided by primes up to here, and factorials go as far. */
const MAX_PRIME = 100_000;
/** Exponents of more bits are refused; a tower of powers grows no further. */
const MAX_EXPONENT = 1n << 4096n;
/** Bits of the parts of a sum that are added up beside their common factor. */
const MAX_SUM_BITS = 2000n;
/** Factors of a binomial coefficient of a number that is too large for its factorial. */
const MAX_CHOSEN = 100n;

const ZERO: Factored = { sign: 0, powers: new Map() };
const ONE: Factored = { sign: 1, powers: new Map() };

let sieve: number[] | undefined;

function primes(): number[] {
  if (sieve) return sieve;
  const composite = new Uint8Array(MAX_PRIME + 1);
  sieve = [];
  for (let p = 2; p <= MAX_PRIME; p++) {
    if (composite[p]) continue;
    sieve.push(p);
    for (let q = p * p; q <= MAX_PRIME; q += p) composite[q] = 1;
  }
  return sieve;
}

function bitLength(value: bigint): bigint {
  return BigInt(value.toString(2).length);
}

/** The product of both, the second one raised to a power. */
function multiply(a: Factored, b: Factored, times = 1n): Factored | undefined {
  if (b.sign === 0) return times > 0n ? ZERO : undefined;
  if (a.sign === 0) return ZERO;
  const powers = new Map(a.powers);
  for (const [base, exponent] of b.powers) {
    const sum = (powers.get(base) ?? 0n) + exponent * times;
    if (sum > MAX_EXPONENT || sum < -MAX_EXPONENT) return undefined;
    if (sum === 0n) powers.delete(base);
    else powers.set(base, sum);
  }
  return { sign: b.sign === 1 || times % 2n === 0n ? a.sign : a.sign === 1 ? -1 : 1, powers };
}

/** A whole number by trial division; what is left stays in one piece. */
function factorNatural(value: bigint, work: Work): Factored | undefined {
  const powers = new Map<bigint, bigint>();
  const cost = 1 + Number(bitLength(value) >> 10n);
  let rest = value;
  for (const p of primes()) {
    const prime = BigInt(p);
    if (prime * prime > rest) break;
    work.left -= cost;
    if (work.left < 0) return undefined;
    let exponent = 0n;
    while (rest % prime === 0n) {
      rest /= prime;
      exponent++;
    }
    if (exponent > 0n) powers.set(prime, exponent);
  }
  if (rest > 1n) powers.set(rest, 1n);
  return { sign: 1, powers };
}

function factorRational({ num, den }: Rational, work: Work): Factored | undefined {
  if (num === 0n) return ZERO;
  const top = factorNatural(num < 0n ? -num : num, work);
  const bottom = factorNatural(den < 0n ? -den : den, work);
  const value = top && bottom && multiply(top, bottom, -1n);
  return value && { sign: num < 0n === den < 0n ? 1 : -1, powers: value.powers };
}

/** n! by Legendre's formula. */
function factorial(n: bigint, work: Work): Factored | undefined {
  if (n < 0n || n > BigInt(MAX_PRIME)) return undefined;
  const powers = new Map<bigint, bigint>();
  for (const p of primes()) {
    if (p > n) break;
    let exponent = 0;
    for (let rest = Math.floor(Number(n) / p); rest > 0; rest = Math.floor(rest / p)) {
      exponent += rest;
    }
    powers.set(BigInt(p), BigInt(exponent));
  }
  work.left -= powers.size;
  return { sign: 1, powers };
}

/** n (n-2) (n-4) ... by way of factorials. */
function doubleFactorial(n: bigint, work: Work): Factored | undefined {
  const half = factorial(n >> 1n, work);
  const twos = { sign: 1, powers: new Map([[2n, 1n]]) } as const;
  const even = half && multiply(half, twos, n >> 1n);
  if (n % 2n === 0n) return even;
  const all = factorial(n, work);
  return all && even && multiply(all, even, -1n);
}

function binomial(n: bigint, k: bigint, work: Work): Factored | undefined {
  if (n < 0n || k < 0n) return undefined;
  if (k > n) return ZERO;
  const chosen = 2n * k > n ? n - k : k;
  const below = factorial(chosen, work);
  if (n <= BigInt(MAX_PRIME)) {
    const all = factorial(n, work), others = factorial(n - chosen, work);
    const part = all && others && multiply(all, others, -1n);
    return part && below && multiply(part, below, -1n);
  }
  if (chosen > MAX_CHOSEN) return undefined;
  let value = below && multiply(ONE, below, -1n);
  for (let i = 0n; value && i < chosen; i++) {
    const factor = factorNatural(n - i, work);
    value = factor && multiply(value, factor);
  }
  return value;
}

/** The value with all exponents divided, where that leaves whole ones. */
function rootOf(a: Factored, degree: bigint): Factored | undefined {
  if (a.sign === 0) return a;
  // Which root of a negative number is meant depends on whether complex ones are admitted.
  if (a.sign === -1 || degree <= 0n) return undefined;
  const powers = new Map<bigint, bigint>();
  for (const [base, exponent] of a.powers) {
    if (exponent % degree !== 0n) return undefined;
    powers.set(base, exponent / degree);
  }
  return { sign: 1, powers };
}

function raise(a: Factored, { num, den }: Rational): Factored | undefined {
  const [up, down] = den < 0n ? [-num, -den] : [num, den];
  const root = down === 1n ? a : rootOf(a, down);
  // 0^0 is left to others.
  return root && (root.sign === 0 && up <= 0n ? undefined : multiply(ONE, root, up));
}

/** The sum by way of the common factor, where the parts beside it are short. */
function sum(a: Factored, b: Factored, work: Work): Factored | undefined {
  if (a.sign === 0) return b;
  if (b.sign === 0) return a;
  const shared = new Map<bigint, bigint>();
  let size = 0n;
  for (const base of new Set([...a.powers.keys(), ...b.powers.keys()])) {
    const x = a.powers.get(base) ?? 0n, y = b.powers.get(base) ?? 0n;
    const least = x < y ? x : y;
    if (least !== 0n) shared.set(base, least);
    size += bitLength(base) * (x + y - 2n * least);
    if (size > MAX_SUM_BITS) return undefined;
  }
  const rest = ({ sign, powers }: Factored) => {
    let value = BigInt(sign);
    for (const base of new Set([...powers.keys(), ...shared.keys()])) {
      value *= base ** ((powers.get(base) ?? 0n) - (shared.get(base) ?? 0n));
    }
    return value;
  };
  const total = factorRational({ num: rest(a) + rest(b), den: 1n }, work);
  return total && multiply(total, { sign: 1, powers: shared });
}

/**
 * The exact value of a constant built of numbers, products, quotients, powers, factorials, binomial
 * coefficients, roots, and sums with a large common factor; `undefined` where it is not found.
 */
export function factoredValue(node: Node, work: Work): Factored | undefined {
  if (--work.left < 0) return undefined;
  if (node.type === "num") return factorRational(node.value, work);
  if (node.type !== "call") return undefined;
  const [a, b] = node.args;
  const whole = (part: Node | undefined) => {
    const value = part && exactValue(part, work);
    return value?.den === 1n ? value.num : undefined;
  };
  if (["factorial", "factorial2", "binom"].includes(node.fn)) {
    const n = whole(a);
    if (n === undefined || n < 0n) return undefined;
    if (node.fn === "factorial") return factorial(n, work);
    if (node.fn === "factorial2") return doubleFactorial(n, work);
    const k = whole(b);
    return k === undefined ? undefined : binomial(n, k, work);
  }
  const left = factoredValue(a, work);
  if (!left || work.left < 0) return undefined;
  work.left -= left.powers.size;
  if (node.fn === "neg") return { ...left, sign: left.sign === 0 ? 0 : left.sign === 1 ? -1 : 1 };
  if (node.fn === "abs") return { ...left, sign: left.sign === 0 ? 0 : 1 };
  if (node.fn === "sqrt") return rootOf(left, 2n);
  if (!b) return undefined;
  if (node.fn === "^") {
    const exponent = exactValue(b, work);
    return exponent && raise(left, exponent);
  }
  if (node.fn === "root") {
    const degree = whole(b);
    return degree === undefined ? undefined : rootOf(left, degree);
  }
  const right = factoredValue(b, work);
  if (!right) return undefined;
  work.left -= right.powers.size;
  switch (node.fn) {
    case "*":
      return multiply(left, right);
    case "/":
      return multiply(left, right, -1n);
    case "+":
      return sum(left, right, work);
    case "-":
      return sum(left, multiply(right, MINUS_ONE)!, work);
    default:
      return undefined;
  }
}

const MINUS_ONE: Factored = { sign: -1, powers: new Map() };

function gcd(a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b];
  return a;
}

/** Whether a product of powers is 1, also where its bases have factors in common. */
function isOne(powers: ReadonlyMap<bigint, bigint>): boolean {
  const todo: [bigint, bigint][] = [], coprime = new Map<bigint, bigint>();
  for (const [base, exponent] of powers) {
    if (base > MAX_PRIME) todo.push([base, exponent]);
    else if (exponent !== 0n) return false;
  }
  // Bases are split at their common factors until none is left: only then exponents decide.
  while (todo.length > 0) {
    const [base, exponent] = todo.pop()!;
    if (base === 1n || exponent === 0n) continue;
    const met = [...coprime].find(([other]) => gcd(base, other) > 1n);
    if (!met) {
      coprime.set(base, exponent);
      continue;
    }
    const [other, also] = met, shared = gcd(base, other);
    coprime.delete(other);
    todo.push([base / shared, exponent], [other / shared, also], [shared, exponent + also]);
  }
  return coprime.size === 0;
}

/** Whether two products are the same number. */
export function equalFactored(a: Factored, b: Factored): boolean {
  if (a.sign !== b.sign) return false;
  const powers = new Map(a.powers);
  for (const [base, exponent] of b.powers) powers.set(base, (powers.get(base) ?? 0n) - exponent);
  return isOne(powers);
}
