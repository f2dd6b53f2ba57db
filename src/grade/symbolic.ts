/**
 * The symbolic stage: asks compute-engine for the values of expressions that our own parser does not
 * read (sums, products, integrals, limits, derivatives). It may use any amount of time and memory on
 * a hostile input and must only run in a worker of a `GradePool`.
 *
 * Its simplifications are not relied upon (version 0.140 turns the product of all i up to n into i^n);
 * what counts is that the values of both sides agree wherever they are compared.
 *
 * @module
 */
import type { BoxedExpression, ComputeEngine } from "npm:@cortex-js/compute-engine@0.140.0";
import type { Finding } from "./precise.ts";
import { type NormalForm, normalForm } from "./normalize.ts";

/** Longer answers are not asked about. */
const MAX_CHARS = 400;
/** Constructs beyond our own parser that compute-engine can evaluate. */
const BEYOND = new RegExp(
  "\\\\(?:sum|prod|int|lim|max|min|gcd|lcm|bmod|mod|choose|arcsec|arccsc|arccot|arsinh|arcosh|" +
    "artanh|coth|sech|csch|Re|Im|frac ?\\{ ?d ?\\})(?![a-zA-Z])",
);
/** What no answer needs and what takes compute-engine forever: long numbers, towers, many loops. */
const ENDLESS = /\d{6}|\^[^^]*\^[^^]*\^[^^]*\^|!\s*\)?\s*!|\d{3} ?!/;
const LOOP = /\\(?:sum|prod|int|lim)(?![a-zA-Z])/g;
const MAX_LOOPS = 2;
/** Terms of a sum or product that are added one by one. */
const MAX_TERMS = 2000;
/** Relative difference up to which two values are the same. */
const TOLERANCE = 1e-10;
/** A plain number with more digits than this cannot be told from a value near it. */
const MAX_DIGITS = 9;
/** Values for the variables; whole, so that they can be bounds of sums. */
const VALUES = [3, 5, 2, 7, 4, 6];
const POINTS = 4;

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
  const [a, b] = [normalForm(answer), normalForm(gold)].map(question);
  return a === undefined || b === undefined ? undefined : { a, b };
}

/** Words, lists and relations have no one value to compare. */
const NO_VALUE = /[=<>,;]|\\(?:text|mathrm|leq|geq|neq|in|cup|pm|mp)(?![a-zA-Z])/;

function question({ source, name }: NormalForm): string | undefined {
  const value = name === "" ? source : source.slice(source.indexOf("=") + 1);
  if (value.length > MAX_CHARS || value.trim() === "" || NO_VALUE.test(outermost(value))) {
    return undefined;
  }
  const loops = value.match(LOOP)?.length ?? 0;
  return loops > MAX_LOOPS || ENDLESS.test(value) ? undefined : value;
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
    if (!isUsable(left) || !isUsable(right)) return "unknown";
    if (isLongNumber(left) || isLongNumber(right)) return "unknown";
    return sameValues(engine, left, right);
  } finally {
    engine.popScope();
  }
}

/** No syntax error, no unknown function, no integral without bounds, no derivative of a constant. */
function isUsable(expression: BoxedExpression): boolean {
  if (!expression.isValid) return false;
  return !JSON.stringify(expression.json).match(/"(?:Error|Nothing|Derivative|Apply|String)"/) &&
    isUsableJson(expression.json);
}

function isUsableJson(json: unknown): boolean {
  if (!Array.isArray(json)) return true;
  const [head, body, ...rest] = json;
  if (head === "D" && !JSON.stringify(body).includes(JSON.stringify(rest[0]))) return false;
  if (head === "Power" && !isSmall(rest[0], 1000)) return false;
  if (head === "Factorial" && !isSmall(body, 1000)) return false;
  if (head === "Limits" && rest.some((bound) => !isSmall(bound, MAX_TERMS))) return false;
  return json.slice(1).every(isUsableJson);
}

/** No number beyond the limit, and no power or factorial that could make one of small numbers. */
function isSmall(json: unknown, limit: number): boolean {
  if (typeof json === "number") return Math.abs(json) <= limit;
  if (!Array.isArray(json)) return true;
  const [head, ...args] = json;
  const grows = (head === "Power" || head === "Factorial") && typeof args[0] === "number";
  return !grows && args.every((arg) => isSmall(arg, limit));
}

function isLongNumber({ json }: BoxedExpression): boolean {
  const text = JSON.stringify(json);
  return /^\D*\d*\.?\d*\D*$/.test(text) && text.replace(/\D/g, "").length > MAX_DIGITS;
}

function sameValues(engine: ComputeEngine, a: BoxedExpression, b: BoxedExpression): Finding {
  const names = [...new Set([...a.unknowns, ...b.unknowns])].sort();
  const [left, right] = [derived(a), derived(b)];
  const points = names.length === 0 ? 1 : POINTS;
  for (let point = 0; point < points; point++) {
    const values = Object.fromEntries(
      names.map((name, i) => [name, engine.number(VALUES[(point + 2 * i) % VALUES.length])]),
    );
    const [x, y] = [left, right].map((each) => numeric(each.subs(values)));
    if (x === undefined || y === undefined) return "unknown";
    const scale = Math.max(Math.abs(x), Math.abs(y));
    if (Math.abs(x - y) > TOLERANCE * scale) return "different";
  }
  return "equal";
}

/** Derivatives carried out before their variable is replaced by a number. */
function derived(expression: BoxedExpression): BoxedExpression {
  return JSON.stringify(expression.json).includes('"D"') ? expression.evaluate() : expression;
}

function numeric(expression: BoxedExpression): number | undefined {
  const value = expression.N();
  return value.im === 0 && Number.isFinite(value.re) ? value.re : undefined;
}
