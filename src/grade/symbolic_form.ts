/**
 * What the symbolic stage can see of an expression before it evaluates anything, in compute-engine's
 * JSON form (`["Add", "x", 1]`): whether it may be evaluated, what that costs, its variables.
 *
 * @module
 */

/** An expression in compute-engine's JSON form. */
export type Json = string | number | { readonly num: string } | readonly Json[];

/** Name of the function of a node; "" for numbers and symbols. */
export function head(json: Json): string {
  return isCall(json) && typeof json[0] === "string" ? json[0] : "";
}

/** Arguments of a node. */
export function args(json: Json): readonly Json[] {
  return isCall(json) ? json.slice(1) : [];
}

function isCall(json: Json): json is readonly Json[] {
  return Array.isArray(json);
}

/** Whether the property holds for a part of the expression, or for all of it. */
export function contains(json: Json, has: (part: Json) => boolean): boolean {
  return has(json) || args(json).some((arg) => contains(arg, has));
}

/** The expression with values for some of its symbols. */
export function substituted(json: Json, values: ReadonlyMap<string, Json>): Json {
  if (typeof json === "string") return values.get(json) ?? json;
  return isCall(json) ? [json[0], ...args(json).map((arg) => substituted(arg, values))] : json;
}

/** A sum, product, integral or limit taken apart. */
export interface Loop {
  readonly index: string;
  readonly body: Json;
  /** Where it begins and ends; of a limit, the point it goes to and the side it comes from. */
  readonly bounds: readonly Json[];
}

const INFINITE = /^(?:Positive|Negative)Infinity$/;

/** Whether a bound is at infinity. */
export function isInfinite(json: Json): boolean {
  return typeof json === "string" && INFINITE.test(json);
}

const LOOPS = new Set(["Sum", "Product", "Integrate", "Limit"]);

/** The parts of a loop; `undefined` where one is missing. */
export function loopOf(json: Json): Loop | undefined {
  const [first, ...rest] = args(json);
  let body = first;
  let index: Json | undefined;
  if (head(first) === "Function") [body, index] = args(first);
  if (head(body) === "Block") [body] = args(body);
  if (head(json) === "Limit") {
    return typeof index === "string" ? { index, body, bounds: rest } : undefined;
  }
  const [limits] = rest;
  if (rest.length !== 1 || head(limits) !== "Limits") return undefined;
  const [name, ...bounds] = args(limits);
  if (typeof name !== "string" || bounds.length !== 2 || bounds.includes("Nothing")) {
    return undefined;
  }
  return { index: name, body, bounds };
}

/** Terms of a sum or product that are added one by one. */
const MAX_TERMS = 2000;
/** Terms, or evaluations, that are reckoned with where the bounds do not tell. */
const RECKONED = { variable: 12, growing: 300, infinite: 250, integral: 800, limit: 8 };
/** Operations in floating point that take as long as one with 80 digits. */
const FAST = 1000;
/** Functions that take 80 digits many operations. */
const SLOW = /^(?:Sin|Cos|Tan|Cot|Sec|Csc|Arc.*|Ar.*|.*h|Ln|Log|Lb|Exp|Gamma|Root)$/;
const SLOWNESS = 20;

function terms([from, to]: readonly Json[]): number {
  if (isInfinite(from) || isInfinite(to)) return RECKONED.infinite;
  if (typeof from === "number" && typeof to === "number") return Math.max(1, to - from + 1);
  const grows = contains([from, to], (part) => /^(?:Power|Factorial)$/.test(head(part)));
  return grows ? RECKONED.growing : RECKONED.variable;
}

/**
 * Operations that one evaluation takes, about 20 µs each; counted, so that it is no matter of load.
 *
 * @param slowness How many of them a function such as the sine takes.
 */
export function cost(json: Json, slowness = SLOWNESS): number {
  if (!isCall(json)) return 1;
  const name = head(json);
  // Integrals are computed in floating point.
  const each = name === "Integrate" ? 1 : slowness;
  const all = args(json).reduce<number>((sum, arg) => sum + cost(arg, each), 1);
  const isRoot = name === "Power" && /^(?:Rational|Divide)$/.test(head(args(json)[1]));
  switch (name) {
    case "Sum":
    case "Product":
      return all * terms(loopOf(json)?.bounds ?? []);
    case "Integrate":
      return Math.ceil(all * RECKONED.integral / (slowness === 1 ? 1 : FAST));
    case "Limit":
      return all * RECKONED.limit;
    case "D":
      return all * 2;
    default:
      return SLOW.test(name) || isRoot ? all + slowness : all;
  }
}

/** Errors, missing parts, and functions that are evaluated to something else than they mean. */
const USELESS = /"(?:Error|Nothing|Derivative|Apply|String|Sequence|Tuple|List|Set|Pair|Hold)"/;
/** Functions whose values run away, with the largest number that may stand in them. */
const GROWING = new Set(["Power", "Factorial", "Factorial2", "Binomial", "Gamma", "Choose"]);
const LARGEST = 1000;
const FACTORIALS = /^(?:Factorial2?|Binomial|Choose|Gamma|D|GCD|LCM)$/;

const COMPLEX = /^(?:Real|Imaginary|Conjugate|Arg.*|AbsArg|OverBar|OverVector|Norm|Star|.*Star)$/;

function isVariable(json: Json): boolean {
  return typeof json === "string" && /^[a-zA-Z](?:_|$)/.test(json);
}

/** Whether it can be evaluated at all, and grows no numbers beyond bounds. */
export function isUsable(json: Json): boolean {
  return !USELESS.test(JSON.stringify(json)) && !contains(json, (part) => {
    const name = head(part), all = args(part);
    if (LOOPS.has(name)) return !isUsableLoop(part);
    if (name === "D") return all.length !== 2 || !mentions(all[0], all[1]);
    // At real points a number is its own conjugate, and the greatest of S is no number at all.
    if (COMPLEX.test(name)) return contains(part, isVariable);
    if (/^M(?:ax|in)$/.test(name) && all.length < 2) return true;
    if (name === "Power") return !isSmall(all[1]);
    return GROWING.has(name) && !all.every(isSmall);
  });
}

function isUsableLoop(json: Json): boolean {
  const loop = loopOf(json);
  if (!loop) return false;
  const { index, body, bounds } = loop;
  // The terms of "a_n" are as many unknowns.
  if (contains(body, (part) => typeof part === "string" && part.endsWith(`_${index}`))) {
    return false;
  }
  if (!bounds.every(isSmall)) return false;
  // Far out on the way to a limit these would never end.
  if (head(json) === "Limit") {
    return !contains(body, (part) => LOOPS.has(head(part)) || FACTORIALS.test(head(part)));
  }
  if (head(json) === "Integrate") return true;
  const [from, to] = bounds;
  if (typeof from === "number" && !Number.isInteger(from)) return false;
  if (typeof from === "number" && typeof to === "number" && to - from >= MAX_TERMS) return false;
  // What has to be worked out for every term anew would take too long.
  return !contains(body, (part) => /^(?:Integrate|Limit|D)$/.test(head(part)));
}

/** Whether a symbol stands in an expression. */
function mentions(json: Json, symbol: Json): boolean {
  return contains(json, (part) => part === symbol);
}

/** No number beyond the limit, and no power or factorial that could make one of small numbers. */
function isSmall(json: Json): boolean {
  if (typeof json === "number") return Math.abs(json) <= LARGEST;
  if (typeof json === "object" && !isCall(json)) return Math.abs(Number(json.num)) <= LARGEST;
  const grows = GROWING.has(head(json)) && args(json).some((arg) => typeof arg === "number");
  return !(grows && head(json) !== "Power") && !(grows && typeof args(json)[0] === "number") &&
    args(json).every(isSmall);
}

/** Where only whole numbers have a meaning. */
const WHOLE = new Set(["Factorial", "Factorial2", "Binomial", "Choose", "GCD", "LCM", "Mod"]);

/** Which symbols stand for whole numbers: bounds of sums, arguments of factorials and their like. */
export function wholeSymbols(json: Json, into: Set<string> = new Set()): Set<string> {
  const add = (part: Json) => {
    contains(part, (symbol) => {
      if (typeof symbol === "string") into.add(symbol);
      return false;
    });
  };
  contains(json, (part) => {
    const name = head(part), all = args(part);
    if (WHOLE.has(name)) all.forEach(add);
    if (name === "Sum" || name === "Product") loopOf(part)?.bounds.forEach(add);
    if (name === "Power" && isNegative(all[0])) add(all[1]);
    return false;
  });
  return into;
}

function isNegative(json: Json): boolean {
  return typeof json === "number" ? json < 0 : head(json) === "Negate" &&
    !contains(json, (part) => typeof part === "string");
}

/** The expression with the indices of its loops numbered, so that their letters do not matter. */
export function withoutNames(json: Json, depth = 0): Json {
  if (!isCall(json)) return json;
  const loop = LOOPS.has(head(json)) ? loopOf(json) : undefined;
  if (!loop) return [json[0], ...args(json).map((arg) => withoutNames(arg, depth))];
  const name = `#${depth}`;
  const rename = (part: Json): Json => {
    if (part === loop.index) return name;
    if (typeof part === "string" && part.endsWith(`_${loop.index}`)) {
      return part.slice(0, -loop.index.length) + name;
    }
    return isCall(part) ? [part[0], ...args(part).map(rename)] : part;
  };
  return [
    json[0],
    withoutNames(rename(loop.body), depth + 1),
    ...loop.bounds.map((bound) => withoutNames(bound, depth + 1)),
  ];
}
