/**
 * Units behind a value: which words can be one, their spellings, and how they convert.
 *
 * @module
 */
import { parseExact, type Rational } from "./exact.ts";

/** Words that change a value, limit it or judge it: what they follow is not the value alone. */
const NOT_A_UNIT = new Set((
  // Relations, conditions, judgements.
  "and or nor if for when where with without to at from by as than then unless except but only " +
  "not no never none is are was were be been equals equal isn't aren't wrong incorrect false true " +
  "right correct invalid impossible undefined unknown unclear maybe perhaps probably possibly " +
  "less more fewer greater larger smaller bigger higher lower above below under over beyond before " +
  "after ago past between least most maximum minimum up down off short " +
  // Magnitudes and numbers.
  "hundred thousand million billion trillion dozen score gross lakh crore myriad half halve third " +
  "fourth quarter fifth sixth seventh eighth ninth tenth hundredth thousandth millionth one two " +
  "three four five six seven eight nine ten twenty double triple twice thrice kilo mega " +
  // Operations.
  "squared cubed square cube root factorial power exponent times plus minus negative choose mod " +
  "modulo base sqrt log ln inverse reciprocal opposite am pm a.m. p.m. i pi e tau infinity alpha " +
  "beta gamma delta epsilon theta lambda sigma omega phi mu radian gradian rad"
).split(" "));
const MAX_WORDS = 6;

function singular(word: string): string {
  return word.length > 2 && word.endsWith("s") && !/(?:ss|us|is)$/.test(word)
    ? word.slice(0, -1)
    : word;
}

/** Whether words behind a value can be left out, as a unit can. */
export function isUnit(words: string): boolean {
  if (!/^[A-Za-z][A-Za-z .\-\/]*$/.test(words)) return false;
  const shape = /^(?:square|cubic|sq\.?|cu\.?) (?=[a-z])/;
  const each = words.trim().toLowerCase().replace(shape, "").split(/[ \-\/]+/);
  // "in" alone is an inch; "percent less" is no percentage.
  if (each.length > MAX_WORDS || (each.length > 1 && /^(?:in|percent)$/.test(each[0]))) {
    return false;
  }
  return !each.some((word) => NOT_A_UNIT.has(word) || NOT_A_UNIT.has(singular(word)));
}

/** What one of a unit is in the base unit of its kind. */
interface Unit {
  readonly kind: string;
  readonly size: Rational;
}

const UNITS = new Map<string, Unit>();
/** Full, singular names of units by their abbreviations and irregular plurals. */
const NAMES = new Map<string, string>();

function define(kind: string, ...units: string[]): void {
  for (const text of units) {
    const [size, name, ...others] = text.split(" ");
    UNITS.set(name, { kind, size: parseExact(size)! });
    for (const other of others) NAMES.set(other, name);
  }
}

define(
  "length",
  "1/1000 millimeter mm millimetre",
  "1/100 centimeter cm centimetre",
  "1 meter m metre",
  "1000 kilometer km kilometre",
  "0.0254 inch in inches",
  "0.3048 foot ft feet",
  "0.9144 yard yd yds",
  "1609.344 mile mi",
);
define(
  "mass",
  "1/1000 milligram mg",
  "1 gram g",
  "1000 kilogram kg",
  "453.59237 pound lb lbs",
  "28.349523125 ounce oz",
);
define("time", "1 second s sec secs", "60 minute min mins", "3600 hour h hr hrs", "86400 day");
define("volume", "1/1000 milliliter ml mL millilitre", "1 liter l L litre");
define("money", "1 dollar USD usd bucks", "1/100 cent");
define("angle", "1 degree deg", "1/60 arcminute", "1/3600 arcsecond");
define("share", "1 percent pct per-cent percentage");
define(
  "speed",
  "1 mileperhour mph milesperhour mile/hour mi/h",
  "1.609344 kilometer/hour km/h kmh kph kilometersperhour",
);

/** One name for the spellings of a unit: `square feet`, `ft` with the power `^2`. */
export function unitName(words: string, power = ""): string {
  const [, written, rest] = /^(square |cubic |sq\.? |cu\.? )?(.*)$/.exec(words.trim()) ?? [];
  const inside = /^(.*?) ?\^ ?\{? ?(\d) ?\}?$/.exec(rest);
  const name = (inside ? inside[1] : rest).replace(/[ .]/g, "");
  const [over] = written ?? "";
  const exponent = over === undefined
    ? inside ? `^${inside[2]}` : power.replace(/[ {}]/g, "")
    : over === "s"
    ? "^2"
    : "^3";
  return spelled(name) + exponent;
}

function spelled(name: string): string {
  for (const each of [name, singular(name), name.toLowerCase(), singular(name.toLowerCase())]) {
    if (NAMES.has(each)) return NAMES.get(each)!;
    if (UNITS.has(each)) return each;
  }
  return singular(name);
}

/** How many of the second unit make one of the first; `undefined` when they measure other things. */
export function conversion(from: string, to: string): Rational | undefined {
  const [a, b] = [from, to].map((unit) => /^(.*?)(?:\^(\d))?$/.exec(unit)!);
  const x = UNITS.get(a[1]), y = UNITS.get(b[1]);
  const power = Number(a[2] ?? 1);
  if (!x || !y || x.kind !== y.kind || power !== Number(b[2] ?? 1)) return undefined;
  const ratio = { num: x.size.num * y.size.den, den: x.size.den * y.size.num };
  return { num: ratio.num ** BigInt(power), den: ratio.den ** BigInt(power) };
}

const MAGNITUDES = new Map<string, bigint>([
  ["hundred", 100n],
  ["thousand", 1000n],
  ["million", 10n ** 6n],
  ["billion", 10n ** 9n],
  ["trillion", 10n ** 12n],
  ["dozen", 12n],
  ["lakh", 10n ** 5n],
  ["crore", 10n ** 7n],
]);
const MAGNITUDE = new RegExp(
  `^(.*[\\d})]) ?(?:\\\\(?:text|mathrm|textrm|mbox) ?\\{ ?)?(${
    [...MAGNITUDES.keys()].join("|")
  })s?(?![a-z])( ?\\}| )? ?(.*)$`,
);

/** `5 \text{ million dollars}`: the number in front, what it is multiplied by, and the rest. */
export function splitMagnitude(
  text: string,
): { readonly number: Rational; readonly rest: string } | undefined {
  if (text.length > 500 || !/[a-z]{4}/.test(text)) return undefined;
  const [, digits, word, end, rest] = MAGNITUDE.exec(text) ?? [];
  const value = digits === undefined ? undefined : parseExact(digits);
  if (!value) return undefined;
  const words = end?.trim() === "}" ? rest : rest.replace(/ ?\}$/, "");
  const unit = words.replace(/^of /, "").trim();
  if (unit !== "" && !isUnit(unit)) return undefined;
  return { number: { ...value, num: value.num * MAGNITUDES.get(word)! }, rest: unit };
}

const TEXT_COMMAND = "\\\\(?:text|textbf|textit|textrm|textnormal|mbox|hbox|mathrm|mathbf|mathit)";
const TEXT_UNIT = new RegExp(`( ?)${TEXT_COMMAND} ?\\{([^{}]*)\\}( ?\\^ ?\\{? ?\\d ?\\}?)?$`);
/** Words behind a bare number: a long lower-case word is always a unit, a short one only if known. */
const WORD_UNIT =
  /^(.*?[\d})%])(?: ?((?:cm|mm|km|kg|mg|ml|ft|in|mi|hr|min|sec|mph|pct|USD)\b)| ([a-z]{4,}(?: [a-z]+){0,3}))( ?\^ ?\{? ?\d ?\}?)?$/;
const UNIT_LETTERS = "mgshAVWNJKCFLlT";
const TRIGONOMETRIC = /\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])/;

/** Splits a unit from the right (or a currency sign from the left) of a respelled answer. */
export function splitUnit(text: string): { readonly rest: string; readonly unit: string } {
  const circle = / ?\^ ?(?:\{ ?\\circ ?\}|\\circ)$/.exec(text);
  // The degrees of "\sin 30^\circ" are no unit of the whole.
  if (circle && circle.index > 0 && !TRIGONOMETRIC.test(text)) {
    return { rest: text.slice(0, circle.index), unit: "degree" };
  }
  const percent = text.endsWith("%") ? / ?\\?%$/.exec(text) : null;
  if (percent && /[^ \\]$/.test(text.slice(0, percent.index))) {
    return { rest: text.slice(0, percent.index), unit: "percent" };
  }
  const currency = /^([+-]? ?)\\\$ ?([^\\].*)$/.exec(text);
  if (currency) {
    // "\$5 \text{ dollars}"
    const { rest, unit } = splitUnit(currency[1] + currency[2]);
    return unit === "" || unit === "dollar" ? { rest, unit: "dollar" } : { rest: text, unit: "" };
  }
  const foreign = /^\\text\{ (euro|pound sterling)\} ?(.+)$/.exec(text);
  if (foreign) return { rest: foreign[2], unit: unitName(foreign[1]) };
  const group = TEXT_UNIT.exec(text);
  if (group) {
    const [, space, content, power] = group;
    const rest = text.slice(0, group.index).trimEnd();
    const inside = /^(.*[a-z]) ?\^ ?\{? ?\d ?\}?$/.exec(content.trim());
    const words = inside ? inside[1] : content.trim();
    const spaced = space !== "" || content.startsWith(" ");
    const plausible = isUnit(words) &&
      (words.length > 1 || (spaced && UNIT_LETTERS.includes(words)));
    if (plausible && /\d/.test(rest) && /(?:[\d})]|\\pi)$/.test(rest)) {
      return { rest, unit: unitName(content, power) };
    }
    // Radians are no unit that a bare number could do without.
    if (/^rad(?:ian)?s?$/.test(words) && rest.includes("\\pi")) return { rest, unit: "" };
  }
  const word = WORD_UNIT.exec(text.length < 200 ? text : "");
  if (word) {
    const [, rest, short, long, power] = word;
    const words = short ?? long;
    if (isUnit(words) && parseExact(rest)) return { rest, unit: unitName(words, power) };
  }
  return { rest: text, unit: "" };
}

const DEGREES = / ?\^ ?(?:\{ ?\\circ ?\}|\\circ)/g;

/** The text without degree signs, where they are no arguments. */
export function withoutDegrees(text: string): string {
  // Replaced by a space, lest the numbers on both sides become one.
  return TRIGONOMETRIC.test(text) ? text : text.replace(DEGREES, " ");
}
