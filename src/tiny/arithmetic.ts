/**
 * The generated arithmetic data set: endless training problems and a held-out set that never leaks
 * into them, for training a very small model without any download.
 *
 * @module
 */

import { hash64, Random, UserError } from "../base/mod.ts";
import { type Attempt, type Kind, rightAttempt, wrongAttempts } from "./arithmetic_work.ts";
import type { Problem } from "../data/mod.ts";

/** Difficulty: 1 one fact, 2 two digits, 3 with a carry or borrow, 4 several steps. */
export type Level = 1 | 2 | 3 | 4;

/** A sum with its worked solution. */
export interface ArithmeticProblem extends Problem {
  /** The operation. */
  kind: Kind;
  /** The difficulty. */
  level: Level;
  /** The operands in the order of the question. */
  terms: readonly number[];
  /** The right solution step by step, at most 40 characters; `answer` is the fast answer. */
  work: string;
}

/** How often each level is drawn: weights, not necessarily adding up to 1. */
export type LevelMix = Readonly<Record<Level, number>>;

/** Mostly two-digit sums, so that fast answers often fail and step-by-step work pays. */
const DEFAULT_MIX: LevelMix = { 1: 0.1, 2: 0.45, 3: 0.35, 4: 0.1 };

const LEVELS: readonly Level[] = [1, 2, 3, 4];
const KINDS: Readonly<Record<Level, readonly Kind[]>> = {
  1: ["add1", "mul"],
  2: ["add2", "sub2"],
  3: ["add2", "sub2"],
  4: ["add3", "mul"],
};
/** One problem in so many is held out: enough for 1,000 distinct ones of the default mix. */
const HELD_OUT_ONE_IN = 5n;
/** So many draws without a new problem mean that the held-out set is used up. */
const MAX_FRUITLESS_DRAWS = 20_000;

function levelOf(kind: Kind, terms: readonly number[]): Level {
  const [a, b] = terms;
  switch (kind) {
    case "add1":
      return 1;
    case "add2":
      return a % 10 + b % 10 >= 10 ? 3 : 2;
    case "sub2":
      return a % 10 < b % 10 ? 3 : 2;
    case "mul":
      return a < 10 && b < 10 ? 1 : 4;
    case "add3":
      return 4;
  }
}

function operator(kind: Kind): string {
  return kind === "mul" ? "*" : kind === "sub2" ? "-" : "+";
}

/**
 * Builds a problem from its operands.
 *
 * @param kind The operation.
 * @param terms Its operands, in the range that the kind names.
 */
export function arithmeticProblem(kind: Kind, terms: readonly number[]): ArithmeticProblem {
  const sum = terms.join(operator(kind));
  const { work, answer } = rightAttempt(kind, terms);
  const level = levelOf(kind, terms);
  return { id: `arithmetic/${sum}`, question: `${sum}=`, answer, kind, level, terms, work };
}

/** The problem with its operands in order where their order does not matter. */
function canonical({ kind, terms }: ArithmeticProblem): string {
  const ordered = kind === "sub2" ? terms : terms.toSorted((a, b) => a - b);
  return ordered.join(operator(kind));
}

/**
 * Whether a problem belongs to the held-out side. Decided by a hash of the problem alone, with
 * commuting operands sorted, so that `47+85` and `85+47` are on the same side in every run. Facts are
 * for training: a worked solution cannot do without them.
 */
export function isHeldOut(problem: ArithmeticProblem): boolean {
  return !isFact(problem) && hash64(canonical(problem)) % HELD_OUT_ONE_IN === 0n;
}

/** Whether a problem is a step of other worked solutions that nothing but memory gives. */
function isFact({ kind, terms }: ArithmeticProblem): boolean {
  const digits = terms.every((term) => term < 10);
  // A column with its carry (`4+8+1`), and a product by tens (`3*40`).
  return digits && (kind !== "add3" || terms.includes(1)) ||
    kind === "mul" && terms.some((term) => term >= 10 && term % 10 === 0);
}

/**
 * Whether a text asks a held-out sum, be it in a step of a solution or as the end of a longer sum
 * (`41+12+25=` ends with `12+25=`).
 */
function asksHeldOut(text: string): boolean {
  for (const [, sum] of text.matchAll(/([\d+*-]+)=/g)) {
    for (let start = 0; start < sum.length; start++) {
      const problem = parseSum(sum.slice(start));
      if (problem && isHeldOut(problem)) return true;
    }
  }
  return false;
}

/** The problem that a sum spells, where it is one of the data set's. */
function parseSum(sum: string): ArithmeticProblem | undefined {
  if (!/^(0|[1-9]\d?)([+*-](0|[1-9]\d?)){1,2}$/.test(sum)) return;
  const terms = sum.split(/[+*-]/).map(Number), signs = new Set(sum.match(/[+*-]/g));
  const small = terms.filter((term) => term < 10).length;
  const kind = KINDS_OF_SUM[`${[...signs].join("")} ${terms.length} ${small}`];
  return kind && arithmeticProblem(kind, terms);
}

/** Kinds by sign, number of terms, and how many of these have one digit. */
const KINDS_OF_SUM: Readonly<Record<string, Kind>> = {
  "+ 2 2": "add1",
  "+ 2 0": "add2",
  "- 2 0": "sub2",
  "* 2 2": "mul",
  "* 2 1": "mul",
  "+ 3 0": "add3",
  "+ 3 1": "add3",
  "+ 3 2": "add3",
  "+ 3 3": "add3",
};

function drawLevel(random: Random, mix: LevelMix): Level {
  const weights = LEVELS.map((level) => mix[level]);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (!weights.every((weight) => weight >= 0) || !(total > 0 && total < Infinity)) {
    throw new UserError(`arithmetic level mix ${JSON.stringify(mix)} is not a set of weights`, {
      hint: "give every level 1 to 4 a weight of 0 or more, at least one above 0",
    });
  }
  let left = random.next() * total;
  const level = LEVELS.find((level) => (left -= mix[level]) < 0);
  // Rounding may leave a crumb behind the last level with weight.
  return level ?? LEVELS.findLast((level) => mix[level] > 0)!;
}

function drawTerms(random: Random, kind: Kind, level: Level): number[] {
  const twoDigits = () => random.int(10, 99);
  const anyDigits = () => random.int(0, 1) ? twoDigits() : random.int(1, 9);
  switch (kind) {
    case "add1":
      return [random.int(0, 9), random.int(0, 9)];
    case "add2":
      return [twoDigits(), twoDigits()];
    case "sub2":
      return [twoDigits(), twoDigits()].sort((a, b) => b - a);
    case "mul":
      return random.shuffle([random.int(1, 9), level === 1 ? random.int(1, 9) : twoDigits()]);
    case "add3":
      return [anyDigits(), anyDigits(), anyDigits()];
  }
}

/** Draws level and kind, then operands until they fit both and the problem is accepted. */
function draw(
  random: Random,
  mix: LevelMix,
  accept: (problem: ArithmeticProblem) => boolean = () => true,
): ArithmeticProblem {
  const level = drawLevel(random, mix);
  const kind = random.pick(KINDS[level]);
  while (true) {
    const terms = drawTerms(random, kind, level);
    if (levelOf(kind, terms) !== level) continue;
    const problem = arithmeticProblem(kind, terms);
    if (accept(problem)) return problem;
  }
}

/**
 * Draws a training problem: neither it nor a step of its worked solution is on the held-out side.
 *
 * @param random The source of randomness; equal states give equal problems.
 * @param mix How often each level is drawn.
 * @throws {UserError} When the mix is not a set of weights.
 */
export function trainProblem(random: Random, mix: LevelMix = DEFAULT_MIX): ArithmeticProblem {
  return draw(random, mix, ({ question, work }) => !asksHeldOut(`${question} ${work}`));
}

/**
 * Draws distinct held-out problems; `a+b` and `b+a` count as the same. Where a level runs out (level
 * 1 is all facts, and has none), the other levels fill its place.
 *
 * @param n How many.
 * @param seed Equal seeds give equal lists.
 * @param mix How often each level is drawn.
 * @throws {UserError} When the mix is not a set of weights or its levels hold fewer than n problems.
 */
export function heldOut(
  n: number,
  seed: number,
  mix: LevelMix = DEFAULT_MIX,
): ArithmeticProblem[] {
  const random = new Random(seed).fork("held-out");
  const found = new Map<string, ArithmeticProblem>();
  for (let fruitless = 0; found.size < n; fruitless++) {
    if (fruitless > MAX_FRUITLESS_DRAWS) {
      throw new UserError(`cannot draw ${n} held-out arithmetic problems: found ${found.size}`, {
        hint: "ask for fewer, or give weight to more levels",
      });
    }
    const problem = draw(random, mix);
    const key = canonical(problem);
    if (found.has(key) || !isHeldOut(problem)) continue;
    found.set(key, problem);
    fruitless = 0;
  }
  return [...found.values()];
}

/**
 * A worked solution with one plausible slip (off by one or ten, forgotten carry, neighbour in the
 * multiplication table) and the wrong answer it leads to; never the right answer, never negative. Of a
 * training problem no step asks a held-out sum.
 */
export function wrongAttempt(problem: ArithmeticProblem, random: Random): Attempt {
  const attempts = wrongAttempts(problem.kind, problem.terms);
  // A slip may lead to a step that is held out, but not one in the last step, whose left side is right.
  const clean = attempts.filter(({ work }) => !asksHeldOut(work));
  return random.pick(isHeldOut(problem) ? attempts : clean);
}

/** The answer of a {@linkcode wrongAttempt}. */
export function wrongAnswer(problem: ArithmeticProblem, random: Random): string {
  return wrongAttempt(problem, random).answer;
}
