/**
 * Other readings of an answer: what somebody who knows the other answer would take it to mean. A
 * reading is tried only where the first one found a difference, and only when what it changes shows in
 * one of the two answers.
 *
 * @module
 */
import type { Work } from "./rational.ts";
import { isRationalLog } from "./identity.ts";
import { call, type Node, rewrite, some, variables } from "./node.ts";
import { linearIn } from "./region.ts";
import { FUNCTION_LETTERS } from "./vocabulary.ts";

type Call = Extract<Node, { type: "call" }>;

function calls(node: Node, fn: string): boolean {
  return some(node, (part) => part.type === "call" && part.fn === fn);
}

function renamed(node: Node, names: ReadonlyMap<string, string>): Node {
  return rewrite(node, (part) => {
    const name = part.type === "sym" ? names.get(part.name) : undefined;
    return name === undefined ? part : { type: "sym", name };
  });
}

function symbols(node: Node): Set<string> {
  const names = new Set<string>();
  some(node, (part) => {
    if (part.type === "sym") names.add(part.name);
    return false;
  });
  return names;
}

/** `\log` beside `\ln` is the natural logarithm, unless its decadic value is a rational number. */
function* naturalLogs(a: Node, b: Node, work: Work): Iterable<[Node, Node]> {
  if (!calls(a, "log") || calls(b, "log") || !calls(b, "ln")) return;
  if (some(a, (part) => part.type === "call" && part.fn === "log" && isRationalLog(part, work))) {
    return;
  }
  yield [
    rewrite(a, (part) => part.type === "call" && part.fn === "log" ? { ...part, fn: "ln" } : part),
    b,
  ];
}

/** `h(a + b)` is a product where the other answer has h as a variable. */
function* factors(a: Node, b: Node): Iterable<[Node, Node]> {
  const names = variables(b);
  const isFactor = ({ fn, args: [inner, ...more] }: Call) => {
    const letter = fn.slice(1);
    if (!fn.startsWith("@") || more.length > 0 || !names.has(letter) || calls(b, fn)) return false;
    // "f(2)" and "f(x)" are values of functions, "x(2)" is none.
    return !FUNCTION_LETTERS.has(letter) || inner.type === "call";
  };
  if (!some(a, (part) => part.type === "call" && isFactor(part))) return;
  const product = (part: Node): Node =>
    part.type === "call" && isFactor(part)
      ? call("*", { type: "sym", name: part.fn.slice(1) }, part.args[0])
      : part;
  yield [rewrite(a, product), b];
}

/** Engineers write j for the imaginary unit; unit vectors may be bold or not. */
function* unitLetters(a: Node, b: Node): Iterable<[Node, Node]> {
  const [x, y] = [symbols(a), symbols(b)];
  if (x.has("j") && !x.has("i") && y.has("i") && !y.has("j")) {
    yield [renamed(a, new Map([["j", "i"]])), b];
  }
  const bold = [..."ijk"].map((letter) => [`\\mathbf{${letter}}`, letter] as const);
  if (bold.some(([name]) => x.has(name)) && !bold.some(([name]) => y.has(name))) {
    // Both as the same variables, lest i be the imaginary unit on one side.
    const vectors = new Map(bold.map(([name, letter]) => [letter, name]));
    yield [a, renamed(b, vectors)];
  }
}

/** `\frac{dy}{dt}` is y' where the other answer writes primes. */
function* derivatives(a: Node, b: Node): Iterable<[Node, Node]> {
  const found = [...symbols(a)].map((name) => /^\\fracd(\w)d\w$/.exec(name)).filter((match) =>
    match !== null
  );
  const names = symbols(b);
  if (found.length !== 1 || !names.has(`${found[0][1]}'`)) return;
  yield [renamed(a, new Map([[found[0][0], `${found[0][1]}'`]])), b];
}

/** Symbols that people use for constants that nobody determined; in equations of y or f(x) some more. */
const ARBITRARY = /^[Cc](?:_\d+)?$/;
const ARBITRARY_OF_EQUATION = /^[ABCcKk](?:_\d+)?$/;
const MAX_CONSTANTS = 4;

function* permutations<T>(items: readonly T[]): Iterable<readonly T[]> {
  if (items.length === 0) yield [];
  for (const [i, first] of items.entries()) {
    for (const rest of permutations(items.toSpliced(i, 1))) yield [first, ...rest];
  }
}

/**
 * The constants of integration of an expression, or undefined where a symbol that could be one is a
 * parameter: it must stand once, as a factor of a function of other variables or as a term beside them.
 */
function integrationConstants(node: Node, pattern: RegExp): readonly string[] | undefined {
  const names = [...variables(node)];
  const constants = names.filter((name) => pattern.test(name));
  if (constants.length === 0 || constants.length > MAX_CONSTANTS) return undefined;
  const isOther = (name: string) => !pattern.test(name);
  if (!names.some(isOther)) return undefined;
  const areCoefficients = constants.every((name) => {
    const linear = linearIn(name, node);
    if (!linear) return false;
    const beside = [...variables(linear.slope)];
    // A and B beside no function are parameters: y = Ax + B.
    return beside.every(isOther) && (beside.length > 0 || /^[Cc]/.test(name));
  });
  return areCoefficients ? constants : undefined;
}

/** Constants of integration by other names, or in another order. */
function* constants(a: Node, b: Node, isEquation: boolean): Iterable<[Node, Node]> {
  const pattern = isEquation ? ARBITRARY_OF_EQUATION : ARBITRARY;
  const [own, others] = [a, b].map((node) => integrationConstants(node, pattern));
  if (!own || !others || own.length !== others.length) return;
  for (const order of permutations(others)) {
    yield [renamed(a, new Map(own.map((name, i) => [name, order[i]]))), b];
  }
}

/** The pairs to compare instead of a pair of expressions that differ as they stand. */
export function* otherReadings(
  a: Node,
  b: Node,
  isEquation: boolean,
  work: Work,
): Iterable<[Node, Node]> {
  for (const [x, y] of [[a, b], [b, a]]) {
    yield* naturalLogs(x, y, work);
    yield* factors(x, y);
    yield* unitLetters(x, y);
    yield* derivatives(x, y);
  }
  yield* constants(a, b, isEquation);
  yield* withoutConstant(a, b);
  yield* withoutConstant(b, a);
}

/**
 * A constant of integration that the other answer leaves out. Only beside what is visibly no polynomial
 * with whole coefficients: there C may be a parameter.
 */
function* withoutConstant(a: Node, b: Node): Iterable<[Node, Node]> {
  if (a.type !== "call" || a.fn !== "+") return;
  const [rest, constant] = a.args;
  if (constant.type !== "sym" || !/^[Cc]$/.test(constant.name)) return;
  if (variables(rest).has(constant.name) || variables(b).has(constant.name)) return;
  if (variables(rest).size === 0) return;
  const isAntiderivative = some(
    rest,
    (part) => part.type === "call" && !["+", "-", "*", "^", "neg"].includes(part.fn),
  );
  if (isAntiderivative) yield [rest, b];
}
