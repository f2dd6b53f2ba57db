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
  "hundred thousand dozen score gross lakh crore myriad grand thou bn mn tn mio mio. mln bln mrd mil googol half halve third " +
  "quarter zero one two three four five six seven eight nine ten eleven twelve " +
  "double triple quadruple quintuple twice thrice kilo mega mille permille promille basis bps ppm " +
  "ppb doubled tripled quadrupled halved multiplied divided increased decreased reduced negated " +
  // Ways of writing a number, and its era.
  "binary ternary quaternary octal decimal duodecimal hexadecimal hex recurring repeating repeated " +
  "periodic bc bce b.c. b.c.e. " +
  // Operations.
  "squared cubed square cube root factorial power exponent times plus minus negative choose mod " +
  "modulo base sqrt log ln inverse reciprocal opposite am pm a.m. p.m. i pi e tau infinity alpha " +
  "beta gamma delta epsilon theta lambda sigma omega phi mu radian gradian rad"
).split(" "));
/** Their endings: quintillion, fifteen, forty, twelfths, millionfold. */
const NUMBER_WORD =
  /(?:illion|[bmt]illiard|(?:thir|four|fif|six|seven|eigh|nine)teen|^(?:twen|thir|fou?r|fif|six|seven|eigh|nine)ty|(?:^|teen|tie|hundred|thousand|illion)(?:th)|^(?:four|fif|six|seven|eigh|nin|ten|eleven|twelf)th|fold)s?$|illionths?$/;
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
  return !each.some((word) =>
    NOT_A_UNIT.has(word) || NOT_A_UNIT.has(singular(word)) || NUMBER_WORD.test(word)
  );
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
define(
  "time",
  "1 second s sec secs",
  "60 minute min mins",
  "3600 hour h hr hrs",
  "86400 day",
  "604800 week wk",
);
// In cubic and square meters.
define("volume", "1/1000000 milliliter ml mL millilitre", "1/1000 liter l L litre");
define("area", "10000 hectare ha", "4046.8564224 acre");
define("energy", "1 joule J", "1000 kilojoule kJ");
define("force", "1 newton N", "1000 kilonewton kN");
define("power", "1 watt W", "1000 kilowatt kW");
define("pressure", "1 pascal Pa", "1000 kilopascal kPa");
define("voltage", "1 volt V", "1000 kilovolt kV", "1/1000 millivolt mV");
define("frequency", "1 hertz Hz", "1000 kilohertz kHz", "1000000 megahertz MHz");
define("temperature in C", "1 celsius degreecelsius degreescelsius degreeC degreesC");
define("temperature in F", "1 fahrenheit degreefahrenheit degreesfahrenheit degreeF degreesF");
define("money", "1 dollar USD usd bucks", "1/100 cent");
define("angle", "1 degree deg", "1/60 arcminute", "1/3600 arcsecond");
define("share", "1 percent pct per-cent percentage");
define(
  "speed",
  "0.44704 mileperhour mph mile/hour",
  "5/18 kilometer/hour kmh kph",
  "1 meter/second mps",
);

/** One name for the spellings of a unit: `square feet`, `ft` with the power `^2`. */
export function unitName(words: string, power = ""): string {
  const [, written, rest] = /^(square |cubic |sq\.? |cu\.? )?(.*)$/.exec(words.trim()) ?? [];
  const inside = /^(.*?) ?\^ ?\{? ?(\d) ?\}?$/.exec(rest);
  // "meters per second" is "m/s".
  const parts = (inside ? inside[1] : rest).split(/ ?\/ ?| per /);
  const [over] = written ?? "";
  const exponent = over === undefined
    ? inside ? `^${inside[2]}` : power.replace(/[ {}]/g, "")
    : over === "s"
    ? "^2"
    : "^3";
  const joined = parts.map((part) => spelled(part.replace(/[ .]/g, ""))).join("/");
  return (NAMES.get(joined) ?? joined) + exponent;
}

function spelled(name: string): string {
  // "Mg" is not "mg", and "MJ" not "mJ".
  const isPrefixed = name.length === 1 || (name.length === 2 && name.startsWith("M"));
  const small = isPrefixed ? name : name.toLowerCase();
  for (const each of [name, singular(name), small, singular(small)]) {
    if (NAMES.has(each)) return NAMES.get(each)!;
    if (UNITS.has(each)) return each;
  }
  return singular(/^[A-Z]?[a-z]{3,}$/.test(name) ? small : name);
}

/** How many of the second unit make one of the first; `undefined` when they measure other things. */
export function conversion(from: string, to: string): Rational | undefined {
  const x = measure(from), y = measure(to);
  if (!x || !y || x.kind !== y.kind) return undefined;
  return { num: x.size.num * y.size.den, den: x.size.den * y.size.num };
}

/** What a unit with its power measures: liters are cubic meters. */
function measure(text: string): Unit | undefined {
  const [, name, digits = "1"] = /^(.*?)(?:\^(\d))?$/.exec(text)!;
  const unit = UNITS.get(name);
  const power = BigInt(digits);
  // The power of "km/h^2" is that of the hour alone.
  if (!unit || (power !== 1n && unit.kind === "speed")) return undefined;
  if (unit.kind === "volume" || unit.kind === "area") {
    return power === 1n ? { ...unit, kind: `length^${unit.kind === "area" ? 2 : 3}` } : undefined;
  }
  const size = { num: unit.size.num ** power, den: unit.size.den ** power };
  return { kind: power === 1n ? unit.kind : `${unit.kind}^${power}`, size };
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

const TEMPERATURE =
  / ?\^ ?(?:\{ ?\\circ ?\}|\\circ) ?(?:\\(?:text|mathrm|textrm|mbox) ?\{ ?[CF] ?\}|[CF])$/;

/** Splits a unit from the right (or a currency sign from the left) of a respelled answer. */
export function splitUnit(text: string): { readonly rest: string; readonly unit: string } {
  const circle = / ?\^ ?(?:\{ ?\\circ ?\}|\\circ)$/.exec(text);
  // The degrees of "\sin 30^\circ" are no unit of the whole.
  if (circle && circle.index > 0 && !TRIGONOMETRIC.test(text)) {
    return { rest: text.slice(0, circle.index), unit: "degree" };
  }
  const scale = text.includes("\\circ") ? TEMPERATURE.exec(text) : null;
  if (scale && scale.index > 0) {
    return {
      rest: text.slice(0, scale.index),
      unit: scale[0].includes("C") ? "celsius" : "fahrenheit",
    };
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
    if (plausible && /\d|\\pi/.test(rest) && /(?:[\d})]|\\pi)$/.test(rest)) {
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
const SEPARATOR = /, ?|; ?| ?\\text ?\{ ?(?:and|or) ?\} ?|(?<![a-z])(?:and|or)(?![a-z])/;

/**
 * Splits the unit from a respelled answer, unless it lists several quantities: the last unit of
 * `5 \text{ cm}, 6 \text{ kg}` is none of the whole.
 */
export function splitUnits(text: string): { readonly rest: string; readonly unit: string } {
  const last = splitUnit(text);
  if (text.length > 500 || !SEPARATOR.test(text) || parseExact(last.rest)) return last;
  const units = text.split(SEPARATOR).map((item) => splitUnit(item.trim()).unit);
  if (units.slice(0, -1).every((unit) => unit === "")) return last;
  // Beside other quantities degrees are a unit like theirs.
  const hasAngles = !TRIGONOMETRIC.test(text) && !/[([{]\s*[-\d.]/.test(text);
  return { rest: hasAngles ? text.replace(DEGREES, "\\text{ degree}") : text, unit: "" };
}

const MIXED_PART =
  /^([\d.,]+) ?(?:\\(?:text|mathrm|textrm|mbox) ?\{ ?([a-z.]+) ?\}|([a-z]+))(?: ?,? ?(?:and )?)/;
const MAX_PARTS = 4;

/** `2 \text{ hours } 30 \text{ minutes}` in the unit of its last part. */
export function splitMixed(
  text: string,
): { readonly number: Rational; readonly unit: string } | undefined {
  if (text.length > 200 || !/^\d/.test(text)) return undefined;
  let sum: Rational = { num: 0n, den: 1n };
  let last = "";
  let count = 0;
  for (let rest = text.replace(/\\text ?\{ ?and ?\}/g, "and"); rest !== ""; count++) {
    const [all, digits, inText, plain] = MIXED_PART.exec(rest) ?? [];
    const value = all === undefined || count >= MAX_PARTS ? undefined : parseExact(digits);
    const unit = unitName(inText ?? plain ?? "");
    if (!value || !UNITS.has(unit)) return undefined;
    const factor = last === "" ? { num: 1n, den: 1n } : conversion(last, unit);
    // From large to small: "30 minutes 2 hours" is no one quantity.
    if (!factor || (last !== "" && factor.num <= factor.den)) return undefined;
    const num = sum.num * factor.num * value.den + value.num * sum.den * factor.den;
    sum = { num, den: sum.den * factor.den * value.den };
    last = unit;
    rest = rest.slice(all!.length);
  }
  return count > 1 ? { number: sum, unit: last } : undefined;
}

/** The text without degree signs, where they are no arguments. */
export function withoutDegrees(text: string): string {
  // Replaced by a space, lest the numbers on both sides become one.
  return TRIGONOMETRIC.test(text) ? text : text.replace(DEGREES, " ");
}
