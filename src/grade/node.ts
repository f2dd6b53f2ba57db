/**
 * The tree that an answer is read into: expressions, and the structures that answers are made of.
 *
 * @module
 */
import type { Rational } from "./exact.ts";

/** How two sides of a relation compare; `~` is "about equal". */
export type RelationOp = "=" | "<" | ">" | "<=" | ">=" | "!=" | "in" | "~";

/** One node of an answer. */
export type Node =
  /** An exact number. */
  | { readonly type: "num"; readonly value: Rational }
  /** A variable or a named constant; `e`, `i`, `\pi` and `\infty` among them. */
  | { readonly type: "sym"; readonly name: string }
  /** An operator or function. A name that begins with `@` is an unknown function. */
  | { readonly type: "call"; readonly fn: string; readonly args: readonly Node[] }
  /**
   * A point, a vector or an interval by its brackets; a ratio (`:`), one that could be a time of day
   * (`::`), or the cycle of a permutation (`cycle`).
   */
  | {
    readonly type: "tuple";
    readonly open: string;
    readonly close: string;
    readonly items: readonly Node[];
  }
  /** A set by its elements, or a union by its parts; order means nothing. */
  | { readonly type: "set" | "union"; readonly items: readonly Node[] }
  /** Values side by side, in any order; `alternatives` are joined by "or" and may say the same twice. */
  | {
    readonly type: "list";
    readonly items: readonly Node[];
    readonly alternatives?: boolean;
  }
  /** A matrix or column, by rows. */
  | { readonly type: "matrix"; readonly rows: readonly (readonly Node[])[] }
  /** An equation or inequality, or a chain of them. */
  | { readonly type: "relation"; readonly ops: readonly RelationOp[]; readonly sides: Node[] }
  /** Digits with a base: `52_8`. */
  | { readonly type: "based"; readonly digits: string; readonly base: string }
  /** A sum or product over a whole-numbered index that stands for nothing outside of it. */
  | {
    readonly type: "loop";
    readonly fn: "sum" | "prod";
    readonly index: string;
    readonly from: Node;
    readonly to: Node;
    readonly body: Node;
  }
  /** A value with a unit. */
  | { readonly type: "quantity"; readonly value: Node; readonly unit: string };

/** A whole number as a node. */
export function integer(value: bigint | number): Node {
  return { type: "num", value: { num: BigInt(value), den: 1n } };
}

/** An operator or function applied to arguments. */
export function call(fn: string, ...args: Node[]): Node {
  return { type: "call", fn, args };
}

/** The direct parts of a node. */
export function children(node: Node): readonly Node[] {
  switch (node.type) {
    case "call":
      return node.args;
    case "tuple":
    case "set":
    case "union":
    case "list":
      return node.items;
    case "matrix":
      return node.rows.flat();
    case "relation":
      return node.sides;
    case "quantity":
      return [node.value];
    case "loop":
      return [node.from, node.to, node.body];
    default:
      return [];
  }
}

/** Whether a part of the tree, or the tree itself, has the property. */
export function some(node: Node, has: (part: Node) => boolean): boolean {
  return has(node) || children(node).some((child) => some(child, has));
}

/** The tree with every node replaced, parts first. */
export function rewrite(node: Node, change: (part: Node) => Node): Node {
  const all = (nodes: readonly Node[]) => nodes.map((each) => rewrite(each, change));
  switch (node.type) {
    case "call":
      return change({ ...node, args: all(node.args) });
    case "tuple":
    case "set":
    case "union":
    case "list":
      return change({ ...node, items: all(node.items) });
    case "matrix":
      return change({ ...node, rows: node.rows.map(all) });
    case "relation":
      return change({ ...node, sides: all(node.sides) });
    case "quantity":
      return change({ ...node, value: rewrite(node.value, change) });
    case "loop":
      return change({
        ...node,
        from: rewrite(node.from, change),
        to: rewrite(node.to, change),
        body: rewrite(node.body, change),
      });
    default:
      return change(node);
  }
}

/** Names of the free variables in a tree, constants left out. */
export function variables(node: Node, into: Set<string> = new Set()): Set<string> {
  if (node.type === "sym" && !CONSTANTS.has(node.name)) into.add(node.name);
  if (node.type === "loop") {
    const inner = variables(node.body);
    inner.delete(node.index);
    for (const name of inner) into.add(name);
    variables(node.from, into);
    variables(node.to, into);
    return into;
  }
  for (const child of children(node)) variables(child, into);
  return into;
}

/** Symbols with a fixed value. */
export const CONSTANTS: ReadonlySet<string> = new Set(["e", "i", "\\pi", "\\infty", "\\ldots"]);
