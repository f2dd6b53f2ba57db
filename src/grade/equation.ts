/**
 * Equations: by which arrangements two of them say the same, and what a left side may be that only
 * names the value on the right.
 *
 * @module
 */
import type { Work } from "./rational.ts";
import { isRoundingOf, proportional, sameExpression, vanishes } from "./identity.ts";
import type { Finding } from "./precise.ts";
import { call, children, integer, type Node, rewrite, some, variables } from "./node.ts";

/** An equation, inequality, or chain of them. */
export type Relation = Extract<Node, { type: "relation" }>;

/** Left side minus right side. */
export function difference(node: Relation): Node {
  return call("-", node.sides[0], node.sides[1]);
}

/** How often a variable stands in an expression. */
function occurrences(node: Node, name: string): number {
  const own = node.type === "sym" && node.name === name ? 1 : 0;
  return children(node).reduce((sum, child) => sum + occurrences(child, name), own);
}

/** What arranging an equation knows. */
interface Context {
  readonly work: Work;
  /** Variables by which one of the equations divides: they are not zero. */
  readonly divisors: ReadonlySet<string>;
}

/** Variables that are divided by, alone or as a factor. */
function divisorsOf(node: Node, into: Set<string>): Set<string> {
  if (node.type === "call" && node.fn === "/") {
    const isProduct = !some(
      node.args[1],
      (part) => part.type === "call" && part.fn !== "*" && part.fn !== "neg",
    );
    if (isProduct) variables(node.args[1], into);
  }
  for (const child of children(node)) divisorsOf(child, into);
  return into;
}

/** Functions with one value for each argument and one argument for each value. */
const INVERSE_OF = new Map([["ln", "exp"], ["log", "ten"]]);

/** The inside of `fn(inside) = other`, or `undefined` where that has several solutions or none. */
function inverted(
  node: Extract<Node, { type: "call" }>,
  at: number,
  other: Node,
  context: Context,
): Node | undefined {
  const rest = node.args[1 - at];
  switch (node.fn) {
    case "neg":
      return call("neg", other);
    case "+":
      return call("-", other, rest);
    case "-":
      return at === 0 ? call("+", other, rest) : call("-", rest, other);
    case "*":
      return isHarmless(rest, other, context) ? call("/", other, rest) : undefined;
    case "/":
      if (at === 0) return call("*", other, rest);
      return isHarmless(other, rest, context) ? call("/", rest, other) : undefined;
    case "^":
      // e^x = other; x^3 = other.
      if (at === 1 && rest.type === "sym" && rest.name === "e") return call("ln", other);
      if (at === 0 && rest.type === "num" && rest.value.den === 1n && rest.value.num % 2n === 1n) {
        return rest.value.num > 0n ? call("root", other, rest) : undefined;
      }
      return undefined;
  }
  const inverse = INVERSE_OF.get(node.fn);
  if (inverse === "exp") return call("^", { type: "sym", name: "e" }, other);
  return inverse === "ten" ? call("^", integer(10), other) : undefined;
}

/** Whether dividing by the factor loses no solution: it is a product of symbols whose zeros are none. */
function isHarmless(factor: Node, other: Node, { work, divisors }: Context): boolean {
  const names = variables(factor);
  if (names.size === 0) return !vanishes(factor, work);
  if (some(factor, (part) => part.type === "call" && !["*", "neg", "/"].includes(part.fn))) {
    return false;
  }
  return [...names].every((name) => {
    if (divisors.has(name)) return true;
    const zero = rewrite(
      other,
      (part) => part.type === "sym" && part.name === name ? integer(0) : part,
    );
    return !vanishes(zero, work);
  });
}

/** What an equation says a variable is, when it stands in it once and on an invertible path. */
function isolated(name: string, equation: Relation, context: Context): Node | undefined {
  const counts = equation.sides.map((side) => occurrences(side, name));
  if (counts[0] + counts[1] !== 1) return undefined;
  let inner: Node = equation.sides[counts[0] === 1 ? 0 : 1];
  let other: Node = equation.sides[counts[0] === 1 ? 1 : 0];
  while (inner.type === "call") {
    const at = inner.args.findIndex((arg) => occurrences(arg, name) === 1);
    const next: Node | undefined = inverted(inner, at, other, context);
    if (!next) return undefined;
    [inner, other] = [inner.args[at], next];
  }
  return inner.type === "sym" ? other : undefined;
}

/** Whether two equations have the same solutions; "different" only where one shows that they do not. */
export function sameEquation(a: Relation, b: Relation, work: Work): Finding {
  const scaled = proportional(difference(a), difference(b), false, work);
  if (scaled === "equal") return "equal";
  const shared = variables(a);
  const context = { work, divisors: divisorsOf(b, divisorsOf(a, new Set())) };
  let refuted = false;
  for (const name of variables(b)) {
    if (!shared.has(name)) continue;
    const [x, y] = [isolated(name, a, context), isolated(name, b, context)];
    if (!x || !y) continue;
    const finding = sameExpression(x, y, work);
    if (finding === "equal") return "equal";
    refuted ||= finding === "different";
  }
  return refuted || isRefuted(a, b, scaled) ? "different" : "unknown";
}

/** Lines and other equations of the first degree: no factor but a constant keeps their solutions. */
function isRefuted(a: Relation, b: Relation, scaled: Finding): boolean {
  const isPolynomial = (node: Node) =>
    !some(node, (part) =>
      part.type !== "num" && part.type !== "sym" &&
      !(part.type === "call" && ["+", "-", "*", "neg"].includes(part.fn)));
  const [x, y] = [a, b].map(difference);
  return scaled === "different" && isPolynomial(x) && isPolynomial(y) &&
    [x, y].every((node) => ![...variables(node)].some((name) => occurrences(node, name) > 1));
}

const POLYNOMIAL = new Set(["+", "-", "*", "/", "^", "neg", "abs"]);

/**
 * Whether a left side only names the value on its right, as in `x + y = 5`, `f(2) = 5`,
 * `\sin\theta = \frac12`: so that the right side is the answer. What a reader would solve (`2x = 6`,
 * `x + 3 = 5`, `x^2 + y^2 = 25`, `2x + 3y = 12`) does not.
 */
function isQuantity(side: Node): boolean {
  if (side.type === "tuple") {
    return side.close === ":" &&
      side.items.every((item) => item.type === "sym" || isQuantity(item));
  }
  if (side.type !== "call") return false;
  if (side.fn.startsWith("@")) return true;
  // "\gcd(m, n) = 1" is a condition.
  if (side.fn === "gcd" || side.fn === "lcm") return false;
  const names = variables(side);
  if (!POLYNOMIAL.has(side.fn)) return names.size > 0;
  if (names.size < 2) return false;
  const hasNumber = some(side, (part) => part.type === "num");
  // A length |AB|, but no |x - a|.
  if (side.fn === "abs") return !hasNumber && [...names].every((name) => /^[A-Z]/.test(name));
  // Of coordinates only a bare combination: x + y, xy; other letters as they come: \frac{TM}{MK}.
  if (![...names].some((name) => /^[xyz]$/.test(name))) return true;
  return !hasNumber &&
    [...names].every((name) => /^[xyz]$/.test(name) && occurrences(side, name) === 1);
}

/**
 * Whether an equation says what its left side is, rather than for what it holds, as `a^2 + b = 0` and
 * `\ln y = x + c` do.
 */
export function namesValue({ ops, sides }: Relation): boolean {
  if (ops[0] !== "=" && ops[0] !== "~") return false;
  const [left, right] = sides;
  const isOpen = (node: Node) =>
    variables(node).size > 0 ||
    some(node, (part) => part.type === "call" && part.fn.startsWith("@"));
  // Only of a function's value at a place an expression says what it is.
  const isPlace = left.type === "call" && left.fn.startsWith("@") && !left.args.some(isOpen);
  if (isOpen(right) && !isPlace) return false;
  const isZero = right.type === "num" && right.value.num === 0n;
  return isQuantity(left) && !(isZero && left.type === "call" && POLYNOMIAL.has(left.fn));
}

/** The sides of a chain after a first one that only names them. */
function valuesOf(chain: Relation): Relation {
  return namesValue(chain) && chain.sides.length > 2
    ? { ...chain, ops: chain.ops.slice(1), sides: chain.sides.slice(1) }
    : chain;
}

/**
 * What a chain of equal values is (`2^3 + 1 = 9`, `\frac13 \approx 0.33`): its exact sides, and decimals
 * that they round to. `undefined` when the chain does not hold.
 */
export function chainValues(relation: Relation, work: Work): readonly Node[] | undefined {
  const chain = valuesOf(relation);
  if (chain.ops.some((op) => op !== "=" && op !== "~")) return undefined;
  if (chain.ops.length === 1 && namesValue(chain)) return [chain.sides[1]];
  // "0 = 0" says nothing.
  if (chain.sides.every((side) => side.type === "num") && chain.ops.every((op) => op === "=")) {
    return undefined;
  }
  // One rounding at the end; a second one would round what is rounded.
  const about = chain.ops.indexOf("~");
  if (about >= 0 && about < chain.ops.length - 1) return undefined;
  const [first] = chain.sides;
  for (let i = 1; i < chain.sides.length; i++) {
    const side = chain.sides[i];
    const holds = sameExpression(first, side, work) === "equal" ||
      (chain.ops.slice(0, i).includes("~") && isRoundingOf(side, first, work));
    if (!holds) return undefined;
  }
  return chain.sides;
}
