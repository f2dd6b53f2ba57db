/**
 * Brings the tree of an answer into the form in which answers are compared: names split off, signs
 * `\pm` written out, inequalities as regions, matrices and vectors carried out.
 *
 * @module
 */
import { call, CONSTANTS, integer, type Node, rewrite, some, variables } from "./node.ts";
import { ALL_REALS, pieces, regionOf } from "./region.ts";
import { folded } from "./vectors.ts";

/** An answer ready to be compared. */
export interface Canonical {
  /** What the answer calls its value (`x`, `f(x)`), or "". */
  readonly name: string;
  /** The value itself. */
  readonly value: Node;
}

const TRIGONOMETRIC = new Set(["sin", "cos", "tan", "cot", "sec", "csc", "cis"]);
/** `\pm` doubles a value; more of them than this are not written out. */
const MAX_SIGNS = 4;

/** Degree signs: a factor inside of trigonometric functions, nothing but a unit elsewhere. */
function resolveDegrees(node: Node): Node {
  if (!some(node, (part) => part.type === "call" && part.fn === "degree")) return node;
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

/** The name that a side of an equation gives to the other: `x`, `f(x)`, `(x, y)`. */
export function nameOf(side: Node): string {
  if (side.type === "sym" && !CONSTANTS.has(side.name)) return side.name;
  if (side.type === "call" && side.fn.startsWith("@") && side.args.every((a) => nameOf(a) !== "")) {
    return `${side.fn.slice(1)}(${side.args.map(nameOf).join(",")})`;
  }
  if (side.type === "tuple" && side.open === "(" && side.items.every((a) => nameOf(a) !== "")) {
    return `(${side.items.map(nameOf).join(",")})`;
  }
  return "";
}

/** The region that an inequality in one variable describes, with the variable's name. */
function region(node: Node): Canonical | undefined {
  if (node.type !== "relation") return undefined;
  const { ops, sides } = node;
  if (ops.length === 1 && ops[0] === "in") {
    return nameOf(sides[0]) === ""
      ? undefined
      : { name: nameOf(sides[0]), value: realLine(sides[1]) };
  }
  if (ops.length > 2 || ops.some((op) => op === "=" || op === "~" || op === "in")) return undefined;
  // "0 < f(x) < 1" bounds the value of f.
  const named = sides.map((side) =>
    rewrite(
      side,
      (part) =>
        part.type === "call" && nameOf(part) !== "" ? { type: "sym", name: nameOf(part) } : part,
    )
  );
  return regionOf(ops, named);
}

function realLine(node: Node): Node {
  return node.type === "sym" && node.name === "\\mathbb{R}" ? ALL_REALS : node;
}

function isEquality({ ops }: Extract<Node, { type: "relation" }>): boolean {
  return ops.every((op) => op === "=" || op === "~");
}

/** `x = y = z = 1` as three assignments. */
function assigned(node: Node): readonly Node[] {
  if (node.type !== "relation" || node.ops.length < 2 || node.ops.some((op) => op !== "=")) {
    return [node];
  }
  const value = node.sides.at(-1)!;
  const names = node.sides.slice(0, -1);
  const distinct = new Set(names.map(nameOf));
  if (distinct.size !== names.length || distinct.has("") || nameOf(value) !== "") return [node];
  return names.map((name): Node => ({ type: "relation", ops: ["="], sides: [name, value] }));
}

/** One clause: `x = 5` gives name and value, `x = 2 + 3 = 5` a chain as its value. */
function clause(node: Node): Canonical {
  if (node.type === "sym") return { name: "", value: realLine(node) };
  const asRegion = region(node);
  if (asRegion) return asRegion;
  if (node.type !== "relation" || !isEquality(node)) return { name: "", value: node };
  const { ops, sides } = node;
  // "y = x" names y; "x + y = 3" is an equation.
  const name = nameOf(sides[0]);
  if (ops.length === 1) {
    // "\frac13 \approx 0.33" rounds; "\sin\theta \approx 0.33" names.
    return name === ""
      ? { name, value: variables(sides[0]).size > 0 ? { ...node, ops: ["="] } : node }
      : { name, value: realLine(sides[1]) };
  }
  if (name === "") return { name, value: node };
  return { name, value: { type: "relation", ops: ops.slice(1), sides: sides.slice(1) } };
}

function isRegion(node: Node): boolean {
  return node.type === "union" || (node.type === "tuple" && node.items.length === 2);
}

/** The form in which an answer is compared. */
export function canonical(tree: Node): Canonical {
  const resolved = resolveDegrees(tree);
  const parts = partsOf(resolved).map(labelled).map(folded).flatMap(assigned);
  const alternatives = resolved.type === "list" && resolved.alternatives;
  const clauses = parts.map(clause);
  const names = new Set(clauses.map((each) => each.name).filter((name) => name !== ""));
  const isNamedFirst = clauses[0].name !== "" || names.size === 0;
  if (names.size > 1 || !isNamedFirst) {
    // "x = 1, y = 2": every value keeps its name.
    return { name: "", value: list(parts.flatMap(bothSigns), alternatives) };
  }
  const [name = ""] = names;
  // "x < 1 or x > 3" is one region; so are "x < 1, x > 3", unless they overlap.
  const inequalities = parts.every((part) => part.type === "relation" && region(part));
  if (parts.length > 1 && inequalities && clauses.every(({ value }) => isRegion(value))) {
    const items = clauses.flatMap(({ value }) => pieces(value));
    return { name, value: { type: alternatives ? "union" : "list", items } };
  }
  const values = clauses.flatMap(({ value }) => bothSigns(flatten(value)));
  return { name, value: list(values, alternatives) };
}

/** `A(1, 2)`: a point with its name. */
function labelled(node: Node): Node {
  if (node.type !== "call" || node.fn !== "*") return node;
  const [label, point] = node.args;
  if (label.type !== "sym" || !/^[A-Z]$/.test(label.name) || point.type !== "tuple") return node;
  return { type: "relation", ops: ["="], sides: [label, point] };
}

/** Values side by side; `[x = 1, y = 2]` is no vector. */
function partsOf(node: Node): readonly Node[] {
  if (node.type === "list") return node.items;
  const isSystem = node.type === "tuple" &&
    node.items.every((item) => item.type === "relation" && nameOf(item.sides[0]) !== "");
  return isSystem ? node.items : [node];
}

function list(items: Node[], alternatives = false): Node {
  return items.length === 1 ? items[0] : { type: "list", items, alternatives };
}

/** Sets with signs written out; unions of unions as one. */
function flatten(node: Node): Node {
  if (node.type === "set" || node.type === "list") {
    return { ...node, items: node.items.flatMap(bothSigns) };
  }
  if (node.type === "union") return { ...node, items: pieces(node).map(flatten) };
  return node;
}
