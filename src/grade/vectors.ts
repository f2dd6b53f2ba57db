/**
 * Sums and multiples of matrices and vectors, carried out entry by entry.
 *
 * @module
 */
import { call, type Node, rewrite, some } from "./node.ts";

type Matrix = Extract<Node, { type: "matrix" }>;
type Tuple = Extract<Node, { type: "tuple" }>;

/** Products of more entries are not multiplied out. */
const MAX_ENTRIES = 64;

function isVector(node: Node): node is Tuple {
  return node.type === "tuple" && node.open === "(" && node.close === ")";
}

function isScalar(node: Node): boolean {
  return node.type === "num" || node.type === "call" ||
    (node.type === "sym" && node.name !== "\\infty");
}

function each(node: Node, change: (entry: Node) => Node): Node {
  if (node.type === "matrix") return { ...node, rows: node.rows.map((row) => row.map(change)) };
  return isVector(node) ? { ...node, items: node.items.map(change) } : node;
}

function isArray(node: Node): node is Matrix | Tuple {
  return node.type === "matrix" || isVector(node);
}

function added(fn: string, a: Node, b: Node): Node | undefined {
  if (a.type === "matrix" && b.type === "matrix") {
    if (a.rows.length !== b.rows.length || a.rows[0].length !== b.rows[0].length) return undefined;
    return { ...a, rows: a.rows.map((row, i) => row.map((x, j) => call(fn, x, b.rows[i][j]))) };
  }
  if (!isVector(a) || !isVector(b) || a.items.length !== b.items.length) return undefined;
  return { ...a, items: a.items.map((x, i) => call(fn, x, b.items[i])) };
}

function product(a: Matrix, b: Matrix): Node | undefined {
  const inner = b.rows.length;
  if (a.rows[0].length !== inner || a.rows.length * b.rows[0].length * inner > MAX_ENTRIES) {
    return undefined;
  }
  const rows = a.rows.map((row) =>
    b.rows[0].map((_, j) =>
      row.map((x, k) => call("*", x, b.rows[k][j])).reduce((x, y) => call("+", x, y))
    )
  );
  return { type: "matrix", rows };
}

function carriedOut(node: Node): Node {
  if (node.type !== "call" || !node.args.some(isArray)) return node;
  const [a, b] = node.args;
  if (node.fn === "neg") return each(a, (entry) => call("neg", entry));
  if (node.fn === "+" || node.fn === "-") return added(node.fn, a, b) ?? node;
  if (node.fn === "/" && isScalar(b)) return each(a, (entry) => call("/", entry, b));
  if (node.fn !== "*") return node;
  if (isScalar(a)) return each(b, (entry) => call("*", a, entry));
  if (isScalar(b)) return each(a, (entry) => call("*", entry, b));
  return (a.type === "matrix" && b.type === "matrix" && product(a, b)) || node;
}

/** The tree with every sum and multiple of matrices and vectors carried out where their sizes fit. */
export function folded(node: Node): Node {
  return some(node, (part) => part.type === "call" && part.args.some(isArray))
    ? rewrite(node, carriedOut)
    : node;
}
