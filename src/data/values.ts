/**
 * Values of rows as JSON would have them, with every digit that stands in the file.
 *
 * @module
 */

/** What of a column's type its values do not show: which numbers are float32. */
export interface ColumnType {
  /** The values are float32. */
  readonly single?: boolean;
  /** The type of the items, of a list. */
  readonly item?: ColumnType;
  /** The types of the fields by name, of an object. */
  readonly fields?: Readonly<Record<string, ColumnType>>;
}

/**
 * A value of a binary table as JSON would have it: 64-bit integers are numbers where that is exact and
 * text where it is not, float32 has its shortest digits (0.1, not 0.10000000149), NaN is null.
 */
export function plainValue(value: unknown, type: ColumnType = {}): unknown {
  if (typeof value === "bigint") return exactNumber(String(value));
  if (typeof value === "number") {
    if (!Number.isFinite(value)) return null;
    return exactNumber(String(type.single ? shortestSingle(value) : value));
  }
  if (ArrayBuffer.isView(value)) return plainValue(Array.from(value as Float32Array), type);
  if (Array.isArray(value)) return value.map((inner) => plainValue(inner, type.item));
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  const entries = Object.entries(value)
    .map(([key, inner]) => [key, plainValue(inner, type.fields?.[key])]);
  return Object.fromEntries(entries);
}

/** Number literals of JSON that a float64 may not give back as they stand. */
const inexact = /[:[,]\s*-?(?:[\d.]{16,}|\d+\.\d*0\s*[,\]}]|[\d.]+[eE])/;

/**
 * Parses JSON without losing digits: a number that a float64 would not give back as it stands becomes text.
 * Python's NaN and Infinity are null.
 *
 * @throws {SyntaxError} when the text is no JSON.
 */
export function exactJson(text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    // Strings are matched as well so that what they spell stays.
    const mended = text.replace(
      /"(?:[^"\\]|\\.)*"|\bNaN\b|-?\bInfinity\b/g,
      (word) => word.startsWith('"') ? word : "null",
    );
    if (mended === text) throw error;
    return parse(mended);
  }
}

function parse(text: string): unknown {
  // Calling back for every value takes several times as long as parsing.
  if (!inexact.test(text)) return JSON.parse(text);
  type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;
  const revive: Reviver = (_, value, { source }) =>
    typeof value === "number" && source !== undefined ? exactNumber(source) : value;
  return JSON.parse(text, revive as Parameters<typeof JSON.parse>[1]);
}

/** A number literal as a number where that has the same digits, else as text without an exponent. */
function exactNumber(source: string): number | string {
  // Python writes whole floats so: 27.0.
  const text = plainDigits(source).replace(/^(-?\d+)\.0$/, "$1"), number = Number(text);
  return String(number) === text ? number : text;
}

function plainDigits(source: string): string {
  const [, sign, whole, fraction = "", exponent] =
    source.match(/^(-?)(\d+)(?:\.(\d+))?e([+-]?\d+)$/i) ?? [];
  const shift = Number(exponent);
  if (whole === undefined || Math.abs(shift) > 400) return source;
  const digits = whole + fraction, point = whole.length + shift;
  const left = point > 0 ? digits.slice(0, point).padEnd(point, "0") : "0";
  const right = point < 0 ? "0".repeat(-point) + digits : digits.slice(point);
  const trimmed = right.replace(/0+$/, "");
  return sign + (left.replace(/^0+(?=\d)/, "")) + (trimmed === "" ? "" : `.${trimmed}`);
}

/** The number with the fewest digits that is the same float32. */
function shortestSingle(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number(value.toPrecision(9));
}
