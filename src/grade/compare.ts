/**
 * Compares two answers as mathematical objects: numbers, expressions, equations, tuples, sets,
 * intervals, matrices.
 *
 * @module
 */
import { type Canonical, nameOf } from "./canonical.ts";
import {
  infinite,
  isCollection,
  sameAsOne,
  sameCollection,
  sameInOrder,
  sameMatrix,
  sameQuotient,
  sameTuple,
  sameVector,
} from "./collections.ts";
import { chainValues, difference, namesValue, type Relation, sameEquation } from "./equation.ts";
import { isRoundingOf, proportional, sameExpression, sign } from "./identity.ts";
import type { Finding } from "./precise.ts";
import { call, integer, type Node, some, variables } from "./node.ts";
import type { NormalForm } from "./normalize.ts";
import { read, sidesOf } from "./read.ts";
import type { Work } from "./rational.ts";
import { otherReadings } from "./reading.ts";
import { conversion } from "./units.ts";

/** Node evaluations that one comparison may take: some ten milliseconds. */
const MAX_WORK = 200_000;

/** What a comparison knows beside the two answers. */
interface Context {
  readonly work: Work;
  /** Both name what they give, so that constants may have other names. */
  readonly isEquation: boolean;
}

/**
 * Compares two answers that are no plain numbers.
 *
 * @param a The normal form of an answer.
 * @param b Another.
 * @returns `unknown` when one cannot be read, or neither equality nor difference is established.
 */
export function compareAnswers(a: NormalForm, b: NormalForm): Finding {
  const work = { left: MAX_WORK };
  const swapped = sidesOf(a.source), others = sidesOf(b.source);
  if (swapped && others && swapped[0] === others[1] && swapped[1] === others[0]) {
    // "1 = 2" says nothing, in whatever order.
    if (/[a-zA-Z]/.test(a.source)) return "equal";
  }
  const agree = (one: Canonical, other: Canonical) => sameAnswer(one, other, work) === "equal";
  const x = read(a, agree);
  const y = x && read(b, agree);
  if (!x || !y) return "unknown";
  const areValues = [x, y].every(({ value }) => isPlain(value) || value.type === "quantity");
  if (a.unit !== b.unit && areValues) {
    if (a.unit === "percent") return sameShare(x, y, work);
    if (b.unit === "percent") return sameShare(y, x, work);
  }
  const finding = sameAnswer(x, y, work);
  if (finding === "equal" || (a.unit === "degree") === (b.unit === "degree")) return finding;
  return a.unit === "degree" ? sameAngle(x, y, work) : sameAngle(y, x, work);
}

function sameAnswer(a: Canonical, b: Canonical, work: Work): Finding {
  // "x = 5" and "f(2) = 5" speak of different things, as "x = 5" and "y = 5" do.
  const named = (a.name !== "" && b.name !== "" && a.name !== b.name) ||
    namesOther(a.name, b.value) || namesOther(b.name, a.value);
  // Of y and of f(x) one gives solutions; other names have formulas with parameters.
  const isSolution = (name: string) => /^[uvwyz]$|\(/.test(name);
  const context = { work, isEquation: isSolution(a.name) && isSolution(b.name) };
  const finding = named ? "unknown" : same(a.value, b.value, context);
  if (finding === "equal") return finding;
  const assigned = sameAssignments(a, b, context);
  if (assigned !== "unknown") return assigned;
  if (a.name === b.name) return finding;
  // "y = 2x + 3" and "2x - y + 3 = 0": an equation by another arrangement.
  const x = equation(a), y = equation(b);
  const rearranged = x && y
    // Other names of constants are for values of one name only.
    ? inAnyReading(
      difference(x),
      difference(y),
      { work, isEquation: false },
      (p, q) => sameEquation(asEquation(p, x), asEquation(q, y), work),
    )
    : "unknown";
  return rearranged === "unknown" ? named ? "unknown" : finding : rearranged;
}

/** Whether a value, or one of several, has another name than this. */
function namesOther(name: string, value: Node): boolean {
  if (name === "") return false;
  if (value.type === "list") {
    // Of several values each says what it is of: "\cos\pi = -1, \sin\pi = 0".
    return value.items.some((item) =>
      namesOther(name, item) || (item.type === "relation" && nameOf(item.sides[0]) === "")
    );
  }
  if (value.type !== "relation") return false;
  const own = nameOf(value.sides[0]);
  return own !== "" ? own !== name : namesValue(value);
}

/** The sides of an equation in another reading of their difference. */
function asEquation(read: Node, original: Relation): Relation {
  if (read.type !== "call" || read.fn !== "-") return original;
  return { type: "relation", ops: ["="], sides: [...read.args] };
}

/** The two sides of an answer that is an equation, or gives one with its name. */
function equation({ name, value }: Canonical): Relation | undefined {
  if (value.type === "relation" && value.ops.length === 1 && value.ops[0] === "=") return value;
  if (name === "" || /[("]/.test(name)) return undefined;
  if (value.type !== "num" && value.type !== "sym" && value.type !== "call") return undefined;
  return { type: "relation", ops: ["="], sides: [{ type: "sym", name }, value] };
}

/** `x = 3, y = 4` by name; undefined for everything else. */
function assignments({ name, value }: Canonical): Map<string, Node> | undefined {
  if (name !== "" || value.type !== "list") return undefined;
  const found = new Map<string, Node>();
  for (const item of value.items) {
    if (item.type !== "relation" || item.ops.length !== 1 || item.ops[0] !== "=") return undefined;
    const own = nameOf(item.sides[0]);
    if (own === "" || found.has(own)) return undefined;
    found.set(own, item.sides[1]);
  }
  return found;
}

/** `x = 3, y = 4` against `(3, 4)` or `3, 4`: the values in the order of their names. */
function sameAssignments(a: Canonical, b: Canonical, context: Context): Finding {
  const [first, second] = [assignments(a), assignments(b)];
  if (!first === !second) return "unknown";
  const named = first ?? second!;
  const { name, value } = first ? b : a;
  const names = [...named.keys()].sort();
  if (name !== "" && name !== `(${names.join(",")})`) return "unknown";
  const items = value.type === "tuple" && value.open === "(" && value.close === ")"
    ? value.items
    : value.type === "list" && name === ""
    ? value.items
    : [];
  if (items.length !== names.length) return "unknown";
  const inOrder = (order: readonly string[]) =>
    sameInOrder(order.map((each) => named.get(each)!), items, (x, y) => same(x, y, context));
  const finding = inOrder(names);
  // Values without brackets stand in the order in which they were written.
  if (value.type === "list" && inOrder([...named.keys()]) === "equal") return "equal";
  return value.type === "list" && finding === "different" ? "unknown" : finding;
}

function same(a: Node, b: Node, context: Context): Finding {
  const inside = (x: Node, y: Node) => same(x, y, context);
  if (a.type === "quantity" || b.type === "quantity") return sameQuantity(a, b, context);
  if (isCollection(a) && isCollection(b)) return sameCollection(a, b, inside);
  if (isCollection(a)) return sameAsOne(a, b, inside);
  if (isCollection(b)) return sameAsOne(b, a, inside);
  if (a.type === "tuple" && b.type === "tuple") return sameTuple(a, b, inside);
  if (a.type === "tuple" && a.close === ":" && isPlain(b)) return sameQuotient(a, b, inside);
  if (b.type === "tuple" && b.close === ":" && isPlain(a)) return sameQuotient(b, a, inside);
  if (a.type === "matrix" && b.type === "matrix") return sameMatrix(a, b, inside);
  if (a.type === "matrix" || b.type === "matrix") return sameVector(a, b, inside);
  if (a.type === "relation" && b.type === "relation") return sameRelation(a, b, context);
  if (a.type === "relation") return sameChain(a, b, context);
  if (b.type === "relation") return sameChain(b, a, context);
  if (a.type === "based" && b.type === "based") {
    return a.digits === b.digits && a.base === b.base ? "equal" : "unknown";
  }
  return isPlain(a) && isPlain(b) ? samePlain(a, b, context) : "unknown";
}

function isPlain(node: Node): boolean {
  return node.type === "num" || node.type === "sym" || node.type === "call" || node.type === "loop";
}

function samePlain(a: Node, b: Node, context: Context): Finding {
  const ends = [a, b].map(infinite);
  if (ends[0] !== 0 || ends[1] !== 0) return ends[0] === ends[1] ? "equal" : "different";
  return inAnyReading(a, b, context, (x, y) => sameExpression(x, y, context.work));
}

/** What `find` finds about two expressions, or about other readings of them if they differ. */
function inAnyReading(
  a: Node,
  b: Node,
  { work, isEquation }: Context,
  find: (a: Node, b: Node) => Finding,
): Finding {
  const finding = find(a, b);
  if (finding === "equal") return finding;
  for (const [x, y] of otherReadings(a, b, isEquation, work)) {
    if (find(x, y) === "equal") return "equal";
  }
  return finding;
}

function sameQuantity(a: Node, b: Node, context: Context): Finding {
  const unit = (node: Node) => node.type === "quantity" ? node.unit : "";
  const value = (node: Node) => node.type === "quantity" ? node.value : node;
  if (unit(a) === "" || unit(b) === "" || unit(a) === unit(b)) {
    return same(value(a), value(b), context);
  }
  const factor = conversion(unit(a), unit(b));
  return factor
    ? same(call("*", value(a), { type: "num", value: factor }), value(b), context)
    : "unknown";
}

/** Whether two expressions are the same as they stand. */
function isWrittenAs(a: Node, b: Node): boolean {
  const text = (node: Node) =>
    JSON.stringify(node, (_, value) => typeof value === "bigint" ? String(value) : value);
  return text(a) === text(b);
}

function sameRelation(a: Relation, b: Relation, context: Context): Finding {
  const inside = (x: Node, y: Node) => same(x, y, context);
  const isStatement = [a, b].every((each) => variables(each).size === 0);
  const isSame = a.ops.length === b.ops.length && a.ops.every((op, i) => op === b.ops[i]) &&
    sameInOrder(a.sides, b.sides, inside) === "equal";
  // "\log_3 27 = 3" and "\log_6 216 = 3" are both true, and not the same.
  if (isSame && (!isStatement || isWrittenAs(a.sides[0], b.sides[0]))) return "equal";
  if (a.ops.length !== 1 || b.ops.length !== 1) return sameChains(a, b, context);
  const [p] = a.ops, [q] = b.ops;
  if (p === "in" || q === "in") return "unknown";
  const isLess = (op: string) => op.startsWith("<");
  if (p.replace(">", "<") !== q.replace(">", "<")) return "different";
  if (p === "=" || p === "!=") {
    return inAnyReading(
      difference(a),
      difference(b),
      context,
      (x, y) => sameEquation(asEquation(x, a), asEquation(y, b), context.work),
    );
  }
  const flipped = isLess(p) !== isLess(q)
    ? { ...b, sides: [b.sides[1], b.sides[0]] } satisfies Relation
    : b;
  const finding = proportional(difference(a), difference(flipped), true, context.work);
  return finding === "equal" ? "equal" : "unknown";
}

/** Two chains of equal values with the same beginning: what is calculated. */
function sameChains(a: Relation, b: Relation, context: Context): Finding {
  if (!isWrittenAs(a.sides[0], b.sides[0])) return "unknown";
  const [x, y] = [a, b].map((each) => chainValues(each, context.work));
  return x && y && same(x[0], y[0], context) === "equal" ? "equal" : "unknown";
}

/** "2^3 + 1 = 9" against "9": a chain of equal values has one value; so has what only names one. */
function sameChain(chain: Relation, other: Node, context: Context): Finding {
  const values = chainValues(chain, context.work);
  if (!values) return "unknown";
  const [first, ...rest] = values;
  const finding = same(first, other, context);
  if (finding === "equal" || rest.some((value) => same(value, other, context) === "equal")) {
    return "equal";
  }
  // Whoever names an expression of variables may mean another equation than the other.
  return namesValue(chain) && some(first, ({ type }) => type === "sym") ? "unknown" : finding;
}

/** A percentage against a bare value: a hundredth of it, or, beyond 1, the same with a unit more. */
function sameShare(percent: Canonical, bare: Canonical, work: Work): Finding {
  const share = { ...percent, value: call("/", percent.value, integer(100)) };
  const finding = sameAnswer(share, bare, work);
  if (finding === "equal") return finding;
  const beyondOne = sign(call("-", call("abs", bare.value), integer(1))) > 0;
  return beyondOne ? sameAnswer(percent, bare, work) : finding;
}

/** Degrees against radians; degrees in decimals may be rounded where the angle is no whole fraction. */
function sameAngle(degrees: Canonical, radians: Canonical, work: Work): Finding {
  if (!isPlain(degrees.value) || !isPlain(radians.value)) return "unknown";
  const isAngle = some(
    radians.value,
    (part) =>
      (part.type === "sym" && part.name === "\\pi") ||
      (part.type === "call" && part.fn.startsWith("arc")),
  );
  if (!isAngle) return "different";
  const inDegrees = call("/", call("*", radians.value, integer(180)), {
    type: "sym",
    name: "\\pi",
  });
  const finding = sameExpression(degrees.value, inDegrees, work);
  if (finding === "equal") return "equal";
  const isMeasured = degrees.value.type === "num" && degrees.value.value.den >= 100n;
  return isMeasured && isRoundingOf(degrees.value, inDegrees, work) ? "equal" : finding;
}
