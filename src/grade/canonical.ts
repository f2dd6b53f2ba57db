/**
 * Brings the tree of an answer into the form in which answers are compared: names split off, signs
 * `\pm` written out, inequalities as regions.
 *
 * @module
 */
import { call, CONSTANTS, integer, type Node, rewrite, some } from "./node.ts";

/** An answer ready to be compared. */
export interface Canonical {
  /** What the answer calls its value (`x`, `f(x)`), or "". */
  readonly name: string;
  /** The value itself. */
  readonly value: Node;
}

const TRIGONOMETRIC = new Set(["sin", "cos", "tan", "cot", "sec", "csc"]);
const INFINITY: Node = { type: "sym", name: "\\infty" };
/** `\pm` doubles a value; more of them than this are not written out. */
const MAX_SIGNS = 4;

/** Degree signs: a factor inside of trigonometric functions, nothing but a unit elsewhere. */
function resolveDegrees(node: Node): Node {
  const radians = (part: Node): Node =>
    part.type === "call" && part.fn === "degree"
      ? call("*", part.args[0], call("/", { type: "sym", name: "\\pi" }, integer(180)))
      : part;
  const inside = rewrite(
    node,
    (part) =>
      part.type === "call" && TRIGONOMETRIC.has(part.fn)
        ? { ...part, args: part.args.map((arg) => rewrite(arg, radians)) }
        : part,
  );
  return rewrite(
    inside,
    (part) => part.type === "call" && part.fn === "degree" ? part.args[0] : part,
  );
}

function isSign(part: Node): boolean {
  return part.type === "call" && (part.fn === "pm" || part.fn === "mp");
}

/** The two values that `\pm` stands for, upper signs first. */
function bothSigns(node: Node): Node[] {
  let count = 0;
  some(node, (part) => {
    if (isSign(part)) count++;
    return false;
  });
  if (count === 0) return [node];
  if (count > MAX_SIGNS) return [node];
  return [true, false].map((upper) =>
    rewrite(node, (part) => {
      if (part.type !== "call" || !isSign(part)) return part;
      const fn = (part.fn === "pm") === upper ? "+" : "-";
      const [left, right] = part.args;
      return left.type === "num" && left.value.num === 0n
        ? fn === "+" ? right : call("neg", right)
        : call(fn, left, right);
    })
  );
}

/** The name that a side of an equation gives to the other: `x`, `f(x)`. */
function nameOf(side: Node): string {
  if (side.type === "sym" && !CONSTANTS.has(side.name)) return side.name;
  if (side.type === "call" && side.fn.startsWith("@") && side.args.every((a) => nameOf(a) !== "")) {
    return `${side.fn.slice(1)}(${side.args.map(nameOf).join(",")})`;
  }
  return "";
}

function interval(open: string, from: Node, to: Node, close: string): Node {
  return { type: "tuple", open, close, items: [from, to] };
}

const MINUS_INFINITY = call("neg", INFINITY);

/** The region that an inequality in one bare variable describes, with the variable's name. */
function region(node: Node): Canonical | undefined {
  if (node.type !== "relation") return undefined;
  const { ops, sides } = node;
  if (ops.length === 2) {
    const name = nameOf(sides[1]);
    const up = ops.every((op) => op === "<" || op === "<=");
    const down = ops.every((op) => op === ">" || op === ">=");
    if (name === "" || (!up && !down)) return undefined;
    const [from, to] = up ? [sides[0], sides[2]] : [sides[2], sides[0]];
    const [first, last] = up ? ops : [ops[1], ops[0]];
    const value = interval(
      first.endsWith("=") ? "[" : "(",
      from,
      to,
      last.endsWith("=") ? "]" : ")",
    );
    return { name, value };
  }
  if (ops.length !== 1) return undefined;
  const [op] = ops;
  const [left, right] = sides;
  if (op === "in") return nameOf(left) === "" ? undefined : { name: nameOf(left), value: right };
  if (op === "=") return undefined;
  // Constants on one side only: "x > y" stays a relation.
  const flipped = nameOf(left) === "" || !isConstant(right);
  const name = nameOf(flipped ? right : left);
  const bound = flipped ? left : right;
  if (name === "" || !isConstant(bound)) return undefined;
  if (op === "!=") {
    const below = interval("(", MINUS_INFINITY, bound, ")");
    return {
      name,
      value: { type: "union", items: [below, interval("(", bound, INFINITY, ")")] },
    };
  }
  const greater = (op === ">" || op === ">=") !== flipped;
  const closed = op.endsWith("=");
  const value = greater
    ? interval(closed ? "[" : "(", bound, INFINITY, ")")
    : interval("(", MINUS_INFINITY, bound, closed ? "]" : ")");
  return { name, value };
}

function isConstant(node: Node): boolean {
  return !some(node, (part) => part.type === "sym" && !CONSTANTS.has(part.name));
}

/** One clause: `x = 5` gives name and value. */
function clause(node: Node): Canonical {
  if (node.type === "sym" && node.name === "\\mathbb{R}") {
    return { name: "", value: interval("(", MINUS_INFINITY, INFINITY, ")") };
  }
  const asRegion = region(node);
  if (asRegion) return asRegion;
  if (node.type === "relation" && node.ops.length === 1 && node.ops[0] === "=") {
    const name = nameOf(node.sides[0]);
    // "y = x" names y; "x + y = 3" is an equation.
    if (name !== "") return { name, value: node.sides[1] };
  }
  return { name: "", value: node };
}

function isRegion(node: Node): boolean {
  return node.type === "union" || (node.type === "tuple" && node.items.length === 2);
}

/** The form in which an answer is compared. */
export function canonical(tree: Node): Canonical {
  const resolved = resolveDegrees(tree);
  const parts = resolved.type === "list" ? resolved.items : [resolved];
  const clauses = parts.map(clause);
  const names = new Set(clauses.map((each) => each.name).filter((name) => name !== ""));
  const isNamedFirst = clauses[0].name !== "" || names.size === 0;
  if (names.size > 1 || !isNamedFirst) {
    // "x = 1, y = 2": every value keeps its name.
    return { name: "", value: list(parts.flatMap(bothSigns)) };
  }
  const [name = ""] = names;
  // "x < 1 or x > 3" is one region.
  const inequalities = parts.every((part) => part.type === "relation" && region(part));
  if (parts.length > 1 && inequalities && clauses.every(({ value }) => isRegion(value))) {
    return { name, value: { type: "union", items: clauses.flatMap(({ value }) => pieces(value)) } };
  }
  const values = clauses.flatMap(({ value }) => bothSigns(flatten(value)));
  return { name, value: list(values) };
}

function list(items: Node[]): Node {
  return items.length === 1 ? items[0] : { type: "list", items };
}

/** The intervals and sets of a region. */
export function pieces(node: Node): readonly Node[] {
  return node.type === "union" ? node.items.flatMap(pieces) : [node];
}

/** Sets with signs written out; unions of unions as one. */
function flatten(node: Node): Node {
  if (node.type === "set" || node.type === "list") {
    return { ...node, items: node.items.flatMap(bothSigns) };
  }
  if (node.type === "union") return { ...node, items: pieces(node).map(flatten) };
  return node;
}
