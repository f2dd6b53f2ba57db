/**
 * Compares two answers as mathematical objects: numbers, expressions, equations, tuples, sets,
 * intervals, matrices.
 *
 * @module
 */
import { approximateValue, type Work } from "./arithmetic.ts";
import { type Canonical, canonical, pieces } from "./canonical.ts";
import { type Finding, proportional, sameExpression } from "./identity.ts";
import { call, type Node, rewrite, some, variables } from "./node.ts";
import { parseAnswer } from "./parse.ts";

/** Node evaluations that one comparison may take: some ten milliseconds. */
const MAX_WORK = 200_000;
/** Longer lists are not matched element by element. */
const MAX_ITEMS = 64;

/**
 * Compares two answers that are no plain numbers.
 *
 * @param a A respelled answer without its unit.
 * @param b Another.
 * @returns `unknown` when one cannot be read, or neither equality nor difference is established.
 */
export function compareAnswers(a: string, b: string): Finding {
  const work = { left: MAX_WORK };
  const x = read(a, work);
  const y = x && read(b, work);
  return x && y ? sameAnswer(x, y, work) : "unknown";
}

/** An answer in canonical form; one that is given twice (`x > 2 : (2, \infty)`) must agree with itself. */
function read(source: string, work: Work): Canonical | undefined {
  const halves = source.split(":", 3);
  const [first, second] = halves.length === 2 ? halves.map(parseAnswer) : [];
  if (first && second) {
    const [one, other] = [canonical(first), canonical(second)];
    return sameAnswer(one, other, work) === "equal" ? one : undefined;
  }
  const tree = parseAnswer(source);
  return tree && canonical(tree);
}

function sameAnswer(a: Canonical, b: Canonical, work: Work): Finding {
  const named = a.name !== "" && b.name !== "" && a.name !== b.name;
  const finding = named ? "unknown" : same(a.value, b.value, work);
  if (finding === "equal" || a.name === b.name) return finding;
  // "y = 2x + 3" and "2x - y + 3 = 0": an equation by another arrangement.
  const x = equation(a), y = equation(b);
  const rearranged = x && y ? sameEquation(x, y, work) : "unknown";
  return rearranged === "unknown" ? finding : rearranged;
}

/** The two sides of an answer that is an equation, or gives one with its name. */
function equation({ name, value }: Canonical): Node | undefined {
  if (value.type === "relation" && value.ops.length === 1 && value.ops[0] === "=") return value;
  if (name === "" || name.includes("(")) return undefined;
  if (value.type !== "num" && value.type !== "sym" && value.type !== "call") return undefined;
  return { type: "relation", ops: ["="], sides: [{ type: "sym", name }, value] };
}

function difference(node: Node): Node {
  return node.type === "relation" ? call("-", node.sides[0], node.sides[1]) : node;
}

function sameEquation(a: Node, b: Node, work: Work): Finding {
  return inAnyReading(difference(a), difference(b), (x, y) => proportional(x, y, false, work));
}

function same(a: Node, b: Node, work: Work): Finding {
  if (a.type === "quantity" || b.type === "quantity") return sameQuantity(a, b, work);
  if (isCollection(a) && isCollection(b)) {
    const distinct = a.type === "set" || b.type === "set";
    return sameCollection(members(a), members(b), distinct, work);
  }
  if (isCollection(a) || isCollection(b)) {
    const [many, one] = isCollection(a) ? [a, b] : [b, a];
    if (many.type === "set" && members(many).length === 1 && isPlain(one)) {
      return same(members(many)[0], one, work);
    }
    return many.type === "union" || one.type === "union" || !isPlain(one)
      ? "unknown"
      : lengthMismatch(members(many), one, work);
  }
  if (a.type === "tuple" && b.type === "tuple") return sameTuple(a, b, work);
  if (a.type === "matrix" && b.type === "matrix") return sameMatrix(a, b, work);
  if (a.type === "matrix" || b.type === "matrix") return sameVector(a, b, work);
  if (a.type === "relation" && b.type === "relation") return sameRelation(a, b, work);
  if (a.type === "relation" || b.type === "relation") return sameChain(a, b, work);
  if (a.type === "based" && b.type === "based") {
    return a.digits === b.digits && a.base === b.base ? "equal" : "unknown";
  }
  if (isPlain(a) && isPlain(b)) return samePlain(a, b, work);
  return "unknown";
}

function isPlain(node: Node): boolean {
  return node.type === "num" || node.type === "sym" || node.type === "call";
}

type Collection = Extract<Node, { type: "set" | "union" | "list" }>;

function isCollection(node: Node): node is Collection {
  return node.type === "set" || node.type === "list" || node.type === "union";
}

function members(node: Node): readonly Node[] {
  if (node.type === "union") return pieces(node);
  return node.type === "set" || node.type === "list" ? node.items : [node];
}

/** A list is never one value, unless all it says is that value again. */
function lengthMismatch(items: readonly Node[], one: Node, work: Work): Finding {
  const findings = items.map((item) => same(item, one, work));
  return findings.includes("different") ? "different" : "unknown";
}

function samePlain(a: Node, b: Node, work: Work): Finding {
  const ends = [a, b].map(infinite);
  if (ends[0] !== 0 || ends[1] !== 0) return ends[0] === ends[1] ? "equal" : "different";
  return inAnyReading(a, b, (x, y) => sameExpression(x, y, work));
}

/** What `find` finds about two expressions, or about other readings of them if they differ. */
function inAnyReading(a: Node, b: Node, find: (a: Node, b: Node) => Finding): Finding {
  const finding = find(a, b);
  if (finding !== "different") return finding;
  const readings = [...otherReadings(a, b), ...otherReadings(b, a)];
  return readings.some(([x, y]) => find(x, y) === "equal") ? "equal" : "different";
}

/** What a reader who knows one answer would take the other to mean. */
function* otherReadings(a: Node, b: Node): Iterable<[Node, Node]> {
  // "\log" beside "\ln" is the natural logarithm.
  if (calls(a, "log") && !calls(b, "log") && calls(b, "ln")) {
    const natural = (part: Node): Node =>
      part.type === "call" && part.fn === "log" ? { ...part, fn: "ln" } : part;
    yield [rewrite(a, natural), b];
  }
  // C and c stand for the same constant of integration.
  const [x, y] = [variables(a), variables(b)];
  if (x.has("C") && !x.has("c") && y.has("c") && !y.has("C")) {
    const small = (part: Node): Node =>
      part.type === "sym" && part.name === "C" ? { ...part, name: "c" } : part;
    yield [rewrite(a, small), b];
  }
}

function calls(node: Node, fn: string): boolean {
  return some(node, (part) => part.type === "call" && part.fn === fn);
}

/** 1 for infinity, -1 for minus infinity, 0 for everything else. */
function infinite(node: Node): number {
  if (node.type === "sym" && node.name === "\\infty") return 1;
  if (node.type === "call" && node.fn === "neg") return -infinite(node.args[0]);
  return 0;
}

function sameQuantity(a: Node, b: Node, work: Work): Finding {
  const unit = (node: Node) => node.type === "quantity" ? node.unit : "";
  const value = (node: Node) => node.type === "quantity" ? node.value : node;
  if (unit(a) !== "" && unit(b) !== "" && unit(a) !== unit(b)) return "unknown";
  return same(value(a), value(b), work);
}

/** All findings equal, or one different, or neither. */
function every(findings: Iterable<Finding>): Finding {
  let all: Finding = "equal";
  for (const finding of findings) {
    if (finding === "different") return "different";
    if (finding === "unknown") all = "unknown";
  }
  return all;
}

function* pairwise(a: readonly Node[], b: readonly Node[], work: Work): Iterable<Finding> {
  for (const [i, item] of a.entries()) yield same(item, b[i], work);
}

type Tuple = Extract<Node, { type: "tuple" }>;

function sameTuple(a: Tuple, b: Tuple, work: Work): Finding {
  if (a.items.length !== b.items.length) return "different";
  // Of two numbers brackets make an interval; of three or more they are a matter of taste.
  const isInterval = a.items.length === 2;
  if (isInterval && (a.open !== b.open || a.close !== b.close)) {
    // At an infinite end no bracket means more than the other.
    const openTo = (end: number, bracket: "open" | "close") =>
      a[bracket] === b[bracket] || (infinite(a.items[end]) !== 0 && infinite(b.items[end]) !== 0);
    if (!openTo(0, "open") || !openTo(1, "close")) return "different";
  }
  return every(pairwise(a.items, b.items, work));
}

/** Members in any order, each matched once; of sets also each counted once. */
function sameCollection(
  a: readonly Node[],
  b: readonly Node[],
  distinct: boolean,
  work: Work,
): Finding {
  if (a.length > MAX_ITEMS || b.length > MAX_ITEMS) return "unknown";
  const xs = distinct ? unique(a, work) : a;
  const ys = distinct ? unique(b, work) : b;
  if (xs.length !== ys.length) return "different";
  const findings = xs.map((x) => ys.map((y) => same(x, y, work)));
  const taken = new Set<number>();
  const matched = findings.every((row) => {
    const hit = row.findIndex((finding, i) => finding === "equal" && !taken.has(i));
    taken.add(hit);
    return hit >= 0;
  });
  if (matched) return "equal";
  // A member without any counterpart, on whichever side, settles it.
  const isAlone = (row: readonly Finding[]) => row.every((finding) => finding === "different");
  const columns = ys.map((_, i) => findings.map((row) => row[i]));
  if (findings.some(isAlone) || columns.some(isAlone)) return "different";
  // Without doubt anywhere a missing match is one of multiplicity: 2, 2, 3 against 2, 3, 3.
  return findings.flat().includes("unknown") ? "unknown" : "different";
}

function unique(items: readonly Node[], work: Work): Node[] {
  const kept: Node[] = [];
  for (const item of items) {
    if (!kept.some((other) => same(item, other, work) === "equal")) kept.push(item);
  }
  return kept;
}

type Matrix = Extract<Node, { type: "matrix" }>;

function sameMatrix(a: Matrix, b: Matrix, work: Work): Finding {
  if (a.rows.length !== b.rows.length || a.rows[0].length !== b.rows[0].length) return "different";
  return every(pairwise(a.rows.flat(), b.rows.flat(), work));
}

/** A column against a point with the same coordinates. */
function sameVector(a: Node, b: Node, work: Work): Finding {
  const [matrix, other] = a.type === "matrix" ? [a, b] : [b, a];
  if (matrix.type !== "matrix" || other.type !== "tuple") return "unknown";
  if (matrix.rows.some((row) => row.length !== 1) || other.open !== "(") return "unknown";
  if (matrix.rows.length !== other.items.length) return "different";
  return every(pairwise(matrix.rows.flat(), other.items, work));
}

type Relation = Extract<Node, { type: "relation" }>;

function sameRelation(a: Relation, b: Relation, work: Work): Finding {
  if (a.ops.length !== 1 || b.ops.length !== 1) {
    if (a.ops.length !== b.ops.length || a.ops.some((op, i) => op !== b.ops[i])) return "unknown";
    return every(pairwise(a.sides, b.sides, work)) === "equal" ? "equal" : "unknown";
  }
  const [p] = a.ops, [q] = b.ops;
  if (p === "in" || q === "in") {
    return p === q ? every(pairwise(a.sides, b.sides, work)) : "unknown";
  }
  const isLess = (op: string) => op.startsWith("<");
  if (p.replace(">", "<") !== q.replace(">", "<")) return "different";
  if (p === "=" || p === "!=") return sameEquation(a, b, work);
  const flipped = isLess(p) !== isLess(q)
    ? { ...b, sides: [b.sides[1], b.sides[0]] } satisfies Relation
    : b;
  return proportional(difference(a), difference(flipped), true, work);
}

/** "2^3 + 1 = 9" against "9": a chain of equal constants has one value. */
function sameChain(a: Node, b: Node, work: Work): Finding {
  const [chain, other] = a.type === "relation" ? [a, b] : [b, a];
  if (chain.type !== "relation" || !isPlain(other)) return "unknown";
  if (chain.ops.some((op) => op !== "=")) return "unknown";
  // "0 = 0" says nothing.
  if (chain.sides.every((side) => side.type === "num")) return "unknown";
  const point = { values: new Map<string, number>(), complex: true };
  if (!chain.sides.every((side) => isPlain(side) && approximateValue(side, point, work))) {
    return "unknown";
  }
  return every(chain.sides.map((side) => same(side, other, work)));
}
