/**
 * Exact rational numbers: reads the ways people write one and compares without rounding.
 *
 * @module
 */

/** The fraction `num / den`, not reduced; `den` is never zero. */
export interface Rational {
  /** Numerator, with the sign. */
  readonly num: bigint;
  /** Denominator, positive or negative, not zero. */
  readonly den: bigint;
}

/** Longer text is no number that anybody checks by hand; the limit bounds the cost of BigInt. */
const MAX_CHARS = 2000;
/** `1e999999999` is short to write and would need 400 MB as an integer. */
const MAX_EXPONENT = 2000;

const DECIMAL = /^(\d+|\d{1,3}(?:,\d{3})+)?(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;
const SCIENTIFIC = /^(.+?) ?\\(?:times|cdot) ?10 ?\^ ?(?:\{ ?([+-]? ?\d+) ?\}|(\d+))$/;
const POWER_OF_TEN = /^10 ?\^ ?(?:\{ ?([+-]? ?\d+) ?\}|(\d+))$/;
const FRACTION = /^\\[dtc]?frac ?\{([^{}]*)\} ?\{([^{}]*)\}$/;
const MIXED = /^(\d+) ?(?=\\[dtc]?frac)(.+)$|^(\d+) (\d+ ?\/ ?\d+)$/;
const QUOTIENT = /^([^/]+)\/([^/]+)$/;

/** The value of a power of ten's exponent, or undefined where it is too large to build. */
function exponent(digits: string): number | undefined {
  const value = Number(digits.replaceAll(" ", ""));
  return Math.abs(value) <= MAX_EXPONENT ? value : undefined;
}

function scale(value: Rational, digits: string): Rational | undefined {
  const power = exponent(digits);
  if (power === undefined) return undefined;
  const factor = 10n ** BigInt(Math.abs(power));
  return power < 0
    ? { num: value.num, den: value.den * factor }
    : { num: value.num * factor, den: value.den };
}

function parseDecimal(text: string): Rational | undefined {
  const match = DECIMAL.exec(text);
  if (!match) return undefined;
  const [, whole = "", decimals = "", power] = match;
  const digits = whole.replaceAll(",", "") + decimals;
  if (digits === "") return undefined;
  const value = { num: BigInt(digits), den: 10n ** BigInt(decimals.length) };
  return power === undefined ? value : scale(value, power);
}

function divide(a: Rational | undefined, b: Rational | undefined): Rational | undefined {
  if (!a || !b || b.num === 0n) return undefined;
  return { num: a.num * b.den, den: a.den * b.num };
}

function parseUnsigned(text: string): Rational | undefined {
  const decimal = parseDecimal(text);
  if (decimal) return decimal;
  let match: RegExpExecArray | null;
  if ((match = /^\(([^(),]*)\)$/.exec(text))) return parseSigned(match[1]);
  if ((match = POWER_OF_TEN.exec(text))) {
    return scale({ num: 1n, den: 1n }, match[1] ?? match[2]);
  }
  if ((match = SCIENTIFIC.exec(text))) {
    const mantissa = parseDecimal(match[1]);
    return mantissa && scale(mantissa, match[2] ?? match[3]);
  }
  if ((match = FRACTION.exec(text))) return divide(parseSigned(match[1]), parseSigned(match[2]));
  if ((match = MIXED.exec(text))) {
    const whole = BigInt(match[1] ?? match[3]);
    const part = parseUnsigned(match[2] ?? match[4]);
    // "3 5/2" is no mixed number: whoever writes one keeps the fraction below 1.
    return part && part.num >= 0n && part.num < part.den
      ? { num: whole * part.den + part.num, den: part.den }
      : undefined;
  }
  if ((match = QUOTIENT.exec(text))) {
    return divide(parseSigned(match[1]), parseDecimal(match[2].trim()));
  }
  return undefined;
}

function parseSigned(text: string): Rational | undefined {
  const trimmed = text.trim();
  const sign = trimmed[0];
  if (sign !== "-" && sign !== "+") return parseUnsigned(trimmed);
  const rest = trimmed.slice(1).trim();
  // A second sign ("--5", "+-5") is a slip of the pen, not a number.
  if (rest[0] === "-" || rest[0] === "+") return undefined;
  const value = parseUnsigned(rest);
  return value && sign === "-" ? { num: -value.num, den: value.den } : value;
}

/**
 * Reads one number exactly: `-12`, `.5`, `1,234.5`, `3/4`, `\frac{3}{4}`, `3\frac{1}{2}`, `3 1/2`,
 * `4.5e33`, `4.5 \times 10^{33}`, `12.5\%`.
 *
 * A comma is only ever a thousands separator with three digits behind it (`1,234`); `2,3` and
 * `(1,2)` are lists and give `undefined`, as does everything that is not one number, that divides
 * by zero, or that is too large to build (more than 2,000 characters or powers of ten).
 *
 * @param text LaTeX without dollar signs and spacing commands; single spaces are allowed.
 */
export function parseExact(text: string): Rational | undefined {
  if (text.length > MAX_CHARS) return undefined;
  const trimmed = text.trim();
  if (!trimmed.endsWith("%")) return parseSigned(trimmed);
  const value = parseSigned(trimmed.replace(/ ?\\?%$/, ""));
  return value && { num: value.num, den: value.den * 100n };
}

/** Whether two fractions are the same number, by cross-multiplication. */
export function equalExact(a: Rational, b: Rational): boolean {
  return a.num * b.den === b.num * a.den;
}
