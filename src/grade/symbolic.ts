/**
 * The symbolic stage: asks compute-engine for the values of expressions that our own parser does not
 * read (integrals, limits, derivatives, maxima, infinite sums). It must only run in a worker of a
 * `GradePool`: work is bounded by counting, but a hostile input may find what is not counted.
 *
 * Its simplifications are not relied upon (version 0.140 turns the product of all i up to n into i^n);
 * what counts is that the values of both sides agree wherever they are compared.
 *
 * @module
 */
import type { ComputeEngine } from "npm:@cortex-js/compute-engine@0.140.0";
import type { Finding } from "./precise.ts";
import { type NormalForm, normalForm } from "./normalize.ts";
import {
  args,
  contains,
  cost,
  head,
  isInfinite,
  isUsable,
  type Json,
  loopOf,
  wholeSymbols,
  withoutNames,
} from "./symbolic_form.ts";
import { Evaluator, type Value } from "./symbolic_value.ts";

/** Longer answers are not asked about. */
const MAX_CHARS = 400;
/** Constructs beyond our own parser that compute-engine can evaluate. */
const BEYOND = new RegExp(
  "\\\\(?:sum|prod|int|lim|max|min|gcd|lcm|bmod|mod|choose|arcsec|arccsc|arccot|arsinh|arcosh|" +
    "artanh|coth|sech|csch|Re|Im|frac ?\\{ ?d ?(?:\\^ ?\\{? ?2 ?\\}? ?)?\\})(?![a-zA-Z])",
);
/** What no answer needs and what takes compute-engine forever: long numbers, towers, many loops. */
const ENDLESS = /\d{6}|\^ ?\{[^{}]*\^ ?\{[^{}]*\^|!\s*\)?\s*!|\d{3} ?!/;
const LOOP = /\\(?:sum|prod|int|lim)(?![a-zA-Z])/g;
const MAX_LOOPS = 2;
/**
 * Letters side by side that are no product: words, names of lines. Two small letters may be one, `xy`,
 * if they are no word.
 */
const WORD =
  /(?<![\\a-zA-Z]|\\operatorname ?\{)(?!d[a-z]\b)(?:[a-zA-Z]{3,}|[a-z]*[A-Z][a-zA-Z]+|[a-zA-Z]+[A-Z]|(?:a[mnst]|b[ey]|do|go|h[ei]|i[fnst]|m[ey]|no|o[fnr]|so|to|up|us|we)(?![a-zA-Z]))/;
/** A number of more digits than this cannot be told from a value near it in floating point. */
const MAX_DIGITS = 9;
/** Operations that a comparison may take: about half a second. */
const BUDGET = 24_000;
/** Points at which expressions with variables are compared at most. */
const POINTS = 24;
/** Agreements that are enough, and after which no more are looked for. */
const ENOUGH = 4;
const CONVINCING = 12;

/** Two expressions to be compared by compute-engine. */
export interface SymbolicQuestion {
  /** One answer, respelled. */
  readonly a: string;
  /** The other. */
  readonly b: string;
}

/**
 * The question that the symbolic stage could answer about a pair which the other stages left
 * undecided, or `undefined` when it could not help.
 */
export function symbolicQuestion(answer: string, gold: string): SymbolicQuestion | undefined {
  if (!BEYOND.test(answer) && !BEYOND.test(gold)) return undefined;
  const [x, y] = [normalForm(answer), normalForm(gold)];
  const contradict = (one: string, other: string) => one !== other && one !== "" && other !== "";
  if (contradict(x.name, y.name) || contradict(x.unit, y.unit)) return undefined;
  // A label or a modulus says more than the value.
  if (x.label !== y.label || x.modulus !== y.modulus) return undefined;
  // A percent sign beside none may be a unit or a factor.
  if (x.unit !== y.unit && (x.unit === "percent" || y.unit === "percent")) return undefined;
  const [a, b] = [x, y].map(question);
  return a === undefined || b === undefined ? undefined : { a, b };
}

/** Words, lists and relations have no one value to compare. */
const NO_VALUE = /[=<>,;]|\\(?:max|min) ?_|\\(?:text|mathrm|leq|geq|neq|in|cup|pm|mp)(?![a-zA-Z])/;

function question({ source, name }: NormalForm): string | undefined {
  const value = name === "" ? source : source.slice(source.indexOf("=") + 1);
  if (value.length > MAX_CHARS || value.trim() === "" || NO_VALUE.test(outermost(value))) {
    return undefined;
  }
  const loops = value.match(LOOP)?.length ?? 0;
  return loops > MAX_LOOPS || ENDLESS.test(value) || WORD.test(value) ? undefined : value;
}

/** What stands outside of all brackets and braces. */
function outermost(text: string): string {
  let depth = 0, outer = "";
  for (const c of text) {
    if (/[([{]/.test(c)) depth++;
    if (depth === 0) outer += c;
    if (/[)\]}]/.test(c)) depth--;
  }
  return outer;
}

/** Whether two expressions have the same value, wherever compute-engine can tell. */
export function sameSymbolic(engine: ComputeEngine, { a, b }: SymbolicQuestion): Finding {
  // Declarations made while parsing must not reach the next question.
  engine.pushScope();
  try {
    const left = engine.parse(a), right = engine.parse(b);
    if (!left.isValid || !right.isValid) return "unknown";
    const [x, y] = [left.json as Json, right.json as Json];
    const isWhole = [x, y].every((each) =>
      !/"(?:Error|Nothing|String)"/.test(JSON.stringify(each))
    );
    // The same series, but for the letter that counts.
    if (isWhole && JSON.stringify(withoutNames(x)) === JSON.stringify(withoutNames(y))) {
      return "equal";
    }
    if (!isUsable(x) || !isUsable(y)) return "unknown";
    const names = [...new Set([...left.unknowns, ...right.unknowns])].sort();
    return sameValues(new Evaluator(engine), x, y, names);
  } finally {
    engine.popScope();
  }
}

function sameValues(
  evaluator: Evaluator,
  a: Json,
  b: Json,
  names: readonly string[],
): Finding {
  const affordable = Math.floor(BUDGET / (cost(a) + cost(b)));
  const count = names.length === 0 ? Math.min(1, affordable) : Math.min(POINTS, affordable);
  const enough = names.length === 0 ? 1 : ENOUGH;
  if (names.some((name) => isWholeByChance(name, a, b))) return "unknown";
  const pieces = new Pieces([a, b], names);
  let equal = 0;
  for (const point of samplePoints([a, b], names, count)) {
    const x = evaluator.at(a, point), y = evaluator.at(b, point);
    if (!x || !y) continue;
    const finding = agree(evaluator, x, y);
    // A number so large that it hides others says nothing, other points may.
    if (finding === "hidden") continue;
    if (finding !== "equal") return finding;
    if ((x.err > 0 || y.err > 0) && [a, b].some((side) => isTooFine(evaluator, side))) {
      return "unknown";
    }
    pieces.visit(evaluator, point);
    if (++equal >= CONVINCING && pieces.allSeen) break;
  }
  return equal >= enough && pieces.allSeen ? "equal" : "unknown";
}

/** Letters that stand for whole numbers by themselves; of divisors, a and b, too. */
const WHOLE_LETTER = /^[abi-npqKMN](?:_|$)/;

/**
 * Whether only one side makes a whole number of a variable that is none by its letter: beside
 * `\gcd(x, 1)` any multiple of `\sin \pi x` would be 0.
 */
function isWholeByChance(name: string, a: Json, b: Json): boolean {
  return !WHOLE_LETTER.test(name) && wholeSymbols(a).has(name) !== wholeSymbols(b).has(name);
}

/** Values for the variables: whole ones up to 12, others of all sizes, some negative. */
function samplePoints(
  sides: readonly Json[],
  names: readonly string[],
  count: number,
): Map<string, Json>[] {
  const whole = new Set(sides.flatMap((side) => [...wholeSymbols(side)]));
  // Power series converge near zero.
  const isSeries = sides.some((side) =>
    contains(side, (part) => head(part) === "Sum" && loopOf(part)!.bounds.some(isInfinite))
  );
  const range = isSeries ? 9 : 600;
  const strides = [0.6180339887498949, 0.4142135623730951, 0.7320508075688772, 0.23606797749978969];
  return Array.from({ length: count }, (_, i) =>
    new Map(names.map((name, j): [string, Json] => {
      const spread = ((i + 1) * strides[j % 4] + (j + 1) * 0.3819660112501051) % 1;
      if (whole.has(name)) return [name, 1 + Math.floor(spread * 12)];
      const size = (0.06 * range ** spread).toFixed(5);
      return [name, { num: (i + j) % 3 === 2 ? `-${size}` : size }];
    })));
}

/** Whether two values are the same number, as far as they are known. */
function agree(evaluator: Evaluator, x: Value, y: Value): Finding | "hidden" {
  const difference = evaluator.at(["Subtract", { num: x.text }, { num: y.text }], new Map());
  if (!difference) return "unknown";
  const gap = Math.abs(Number(difference.text));
  const scale = Math.max(Math.abs(Number(x.text)), Math.abs(Number(y.text)));
  const err = x.err + y.err;
  if (err === 0) {
    // Beside a number of 80 digits any other would vanish.
    if (scale > 1e45) return gap > 1e-30 * scale ? "different" : "hidden";
    const noise = 1e-55 * Math.max(scale, 1e-10);
    return gap <= noise ? "equal" : gap > 1e5 * noise ? "different" : "unknown";
  }
  if (x.text === "0" && y.text === "0") return "equal";
  if (gap <= 1e-11 * scale && err <= 1e-6 * scale) return "equal";
  return gap > 100 * err + 1e-8 * scale ? "different" : "unknown";
}

/**
 * Whether floating point loses something of it: a long decimal, a constant term so small or large that
 * it, or what stands beside it, vanishes.
 */
function isTooFine(evaluator: Evaluator, json: Json): boolean {
  return contains(json, (part) => {
    const literal = typeof part === "object" && "num" in part ? part.num : String(part);
    if (/^-?[\d.]+(?:e.*)?$/.test(literal)) {
      return literal.replace(/e.*$|\D/g, "").replace(/^0+/, "").length > MAX_DIGITS;
    }
    return /^(?:Add|Subtract)$/.test(head(part)) && args(part).some((term) => {
      if (contains(term, (each) => typeof each === "string" && /^[a-z]/.test(each))) return false;
      const value = evaluator.at(term, new Map());
      const size = value ? Math.abs(Number(value.text)) : 1;
      return size !== 0 && (size < 1e-6 || size > 1e6);
    });
  });
}

/** Between which values a function decides: the root of a square, like `|x|`, between x and -x. */
function casesOf(node: Json): (readonly Json[])[] {
  const [first, second] = args(node);
  const signs = (json: Json): readonly Json[] => [json, ["Negate", json]];
  if (/^M(?:ax|in)$/.test(head(node))) return [args(node)];
  if (head(node) === "Abs") return [signs(first)];
  const isRoot = /^(?:Sqrt|Root)$/.test(head(node)) ||
    (head(node) === "Power" && !Number.isInteger(second));
  if (!isRoot) return [];
  const squares: Json[] = [];
  contains(first, (part) => {
    const [base, exponent] = args(part);
    const isEven = typeof exponent === "number" && exponent % 2 === 0;
    if (head(part) === "Square" || (head(part) === "Power" && isEven)) squares.push(base);
    return false;
  });
  return squares.map(signs);
}

/** The cases of maxima, absolute values and roots: agreement counts where each has been met. */
class Pieces {
  readonly #nodes: readonly { node: Json; cases: readonly Json[]; seen: Set<number> }[];

  constructor(sides: readonly Json[], names: readonly string[]) {
    const nodes: { node: Json; cases: readonly Json[]; seen: Set<number> }[] = [];
    for (const side of sides) {
      contains(side, (node) => {
        for (const cases of casesOf(node)) {
          if (names.some((name) => JSON.stringify(cases).includes(`"${name}"`))) {
            nodes.push({ node, cases, seen: new Set() });
          }
        }
        return false;
      });
    }
    this.#nodes = nodes;
  }

  /** Notes which cases hold at a point. */
  visit(evaluator: Evaluator, point: ReadonlyMap<string, Json>): void {
    for (const { node, cases, seen } of this.#nodes) {
      const values = cases.map((each) => Number(evaluator.at(each, point)?.text));
      const best = head(node) === "Min" ? Math.min(...values) : Math.max(...values);
      for (const [i, value] of values.entries()) if (value === best) seen.add(i);
    }
  }

  /** Whether every case was met. */
  get allSeen(): boolean {
    return this.#nodes.every(({ cases, seen }) => seen.size === cases.length);
  }
}
