/**
 * Answers of several values: sets, lists, unions, tuples, matrices, ratios.
 *
 * @module
 */
import type { Finding } from "./precise.ts";
import { call, integer, type Node } from "./node.ts";
import { mergedPieces, pieces } from "./region.ts";

/** Longer lists are not matched element by element. */
const MAX_ITEMS = 64;

/** Ratios of more values are not compared. */
const MAX_RATIO = 6;

/** Compares two parts of answers. */
export type Same = (a: Node, b: Node) => Finding;

/** Values in any order. */
export type Collection = Extract<Node, { type: "set" | "union" | "list" }>;
/** Values between brackets, in order. */
export type Tuple = Extract<Node, { type: "tuple" }>;
type Matrix = Extract<Node, { type: "matrix" }>;

/** Whether the order of a node's parts means nothing. */
export function isCollection(node: Node): node is Collection {
  return node.type === "set" || node.type === "list" || node.type === "union";
}

/** The values of a collection. */
export function members(node: Collection): readonly Node[] {
  return node.type === "union" ? pieces(node) : node.items;
}

/** 1 for infinity, -1 for minus infinity, 0 for everything else. */
export function infinite(node: Node): number {
  if (node.type === "sym" && node.name === "\\infty") return 1;
  if (node.type === "call" && node.fn === "neg") return -infinite(node.args[0]);
  return 0;
}

/** All findings equal, or one different, or neither. */
export function every(findings: Iterable<Finding>): Finding {
  let all: Finding = "equal";
  for (const finding of findings) {
    if (finding === "different") return "different";
    if (finding === "unknown") all = "unknown";
  }
  return all;
}

/** Values in the same order. */
export function sameInOrder(a: readonly Node[], b: readonly Node[], same: Same): Finding {
  return a.length === b.length ? every(a.map((item, i) => same(item, b[i]))) : "different";
}

function isDots(node: Node): boolean {
  return node.type === "sym" && node.name === "\\ldots";
}

/** Points, vectors, intervals, ratios, cycles. */
export function sameTuple(a: Tuple, b: Tuple, same: Same): Finding {
  if (a.close === ":" || b.close === ":") return sameRatio(a, b, same);
  if (a.open === "cycle" || b.open === "cycle") {
    return a.open === b.open ? sameInOrder(rotated(a), rotated(b), same) : "unknown";
  }
  if (a.items.some(isDots) && b.items.some(isDots)) return sameWithDots(a, b, same);
  if (a.items.length !== b.items.length) return "different";
  // Of two numbers brackets make an interval; of three or more they are a matter of taste.
  const isInterval = a.items.length === 2;
  if (isInterval && (a.open !== b.open || a.close !== b.close)) {
    // At an infinite end no bracket means more than the other.
    const openTo = (end: number, bracket: "open" | "close") =>
      a[bracket] === b[bracket] || (infinite(a.items[end]) !== 0 && infinite(b.items[end]) !== 0);
    if (!openTo(0, "open") || !openTo(1, "close")) return "different";
  }
  return sameInOrder(a.items, b.items, same);
}

/** The cycle of a permutation from its smallest number on. */
function rotated({ items }: Tuple): readonly Node[] {
  const numbers = items.map((item) => item.type === "num" ? item.value.num : 0n);
  const first = numbers.indexOf(numbers.reduce((a, b) => b < a ? b : a));
  return [...items.slice(first), ...items.slice(0, first)];
}

/** `(1, 1, \ldots, 1)`: all the same value, however many of them are written out. */
function sameWithDots(a: Tuple, b: Tuple, same: Same): Finding {
  if (sameInOrder(a.items, b.items, same) === "equal") return "equal";
  const values = [...a.items, ...b.items].filter((item) => !isDots(item));
  return values.every((value) => same(value, values[0]) === "equal") ? "equal" : "unknown";
}

function sameRatio(a: Tuple, b: Tuple, same: Same): Finding {
  if (a.close !== b.close) return "unknown";
  if (a.items.length !== b.items.length) return "different";
  // A time of day is no fraction.
  if (a.open === "::" || b.open === "::") {
    return sameInOrder(a.items, b.items, same) === "equal" ? "equal" : "unknown";
  }
  // 0 : 0 is proportional to everything.
  const isNothing = ({ items }: Tuple) => items.every((item) => same(item, integer(0)) === "equal");
  if (a.items.length > MAX_RATIO || isNothing(a) || isNothing(b)) return "unknown";
  return every(
    a.items.flatMap((x, i) =>
      a.items.slice(i + 1).map((y, j) =>
        same(call("*", x, b.items[i + 1 + j]), call("*", y, b.items[i]))
      )
    ),
  );
}

/** A ratio of two values against one value. */
export function sameQuotient(ratio: Tuple, one: Node, same: Same): Finding {
  if (ratio.items.length !== 2) return "unknown";
  const [num, den] = ratio.items;
  if (ratio.open === ":") return same(call("/", num, den), one);
  // "3:10" may be a time: it is a fraction only to who writes the same numbers.
  if (one.type !== "num" || num.type !== "num" || den.type !== "num") return "unknown";
  const isFraction = one.value.num === num.value.num && one.value.den === den.value.num;
  return isFraction ? "equal" : "unknown";
}

/** Members in any order, each matched once; of sets also each counted once. */
export function sameCollection(a: Collection, b: Collection, same: Same): Finding {
  const distinct = a.type === "set" || b.type === "set";
  const equal = (x: Node, y: Node) => same(x, y) === "equal";
  const [all, others] = [a, b].map((each) => {
    const items = each.type === "union" ? mergedPieces(members(each), equal) : members(each);
    if (items.length > MAX_ITEMS) return undefined;
    const once = distinct || (each.type === "list" && each.alternatives);
    return once ? unique(items, same) : items;
  });
  if (!all || !others) return "unknown";
  if (all.length !== others.length) {
    return isCertain(all, same) && isCertain(others, same) ? "different" : "unknown";
  }
  // A set is not the only member that it has.
  const member = (x: Node, y: Node): Finding =>
    (x.type === "set") !== (y.type === "set") ? "different" : same(x, y);
  return matched(all.map((x) => others.map((y) => member(x, y))));
}

/** Whether all members are told apart for sure, so that their number counts. */
function isCertain(items: readonly Node[], same: Same): boolean {
  return items.length <= 8 &&
    items.every((x, i) => items.slice(i + 1).every((y) => same(x, y) !== "unknown"));
}

/** What a table of findings says about a matching of its rows with its columns. */
function matched(findings: readonly (readonly Finding[])[]): Finding {
  const taken = new Set<number>();
  const all = findings.every((row) => {
    const hit = row.findIndex((finding, i) => finding === "equal" && !taken.has(i));
    taken.add(hit);
    return hit >= 0;
  });
  if (all) return "equal";
  // A member without any counterpart, on whichever side, settles it.
  const isAlone = (row: readonly Finding[]) => row.every((finding) => finding === "different");
  const columns = findings.map((_, i) => findings.map((row) => row[i]));
  if (findings.some(isAlone) || columns.some(isAlone)) return "different";
  // Without doubt anywhere a missing match is one of multiplicity: 2, 2, 3 against 2, 3, 3.
  return findings.flat().includes("unknown") ? "unknown" : "different";
}

function unique(items: readonly Node[], same: Same): Node[] {
  const kept: Node[] = [];
  for (const item of items) {
    if (!kept.some((other) => same(item, other) === "equal")) kept.push(item);
  }
  return kept;
}

/** A collection against one value. */
export function sameAsOne(many: Collection, one: Node, same: Same): Finding {
  const items = members(many);
  if (many.type === "set" && items.length === 1) return same(items[0], one);
  if (many.type === "union") {
    const merged = mergedPieces(items, (x, y) => same(x, y) === "equal");
    return merged.length === 1 ? same(merged[0], one) : "unknown";
  }
  // "x > 1, x < 3" may mean both at once.
  const areRegions = [...items, one].every(({ type }) => type === "tuple");
  const findings = items.map((item) => same(item, one));
  if (areRegions && one.type === "tuple" && one.items.length === 2) return "unknown";
  if (many.type === "list" && many.alternatives && every(findings) === "equal") return "equal";
  // A list is never one value, unless all it says is that value again.
  return findings.includes("different") ? "different" : "unknown";
}

/** Matrices entry by entry. */
export function sameMatrix(a: Matrix, b: Matrix, same: Same): Finding {
  if (a.rows.length !== b.rows.length || a.rows[0].length !== b.rows[0].length) return "different";
  return sameInOrder(a.rows.flat(), b.rows.flat(), same);
}

/** A column against a point with the same coordinates. */
export function sameVector(a: Node, b: Node, same: Same): Finding {
  const [matrix, other] = a.type === "matrix" ? [a, b] : [b, a];
  if (matrix.type !== "matrix" || other.type !== "tuple") return "unknown";
  if (matrix.rows.some((row) => row.length !== 1) || other.open !== "(") return "unknown";
  return sameInOrder(matrix.rows.flat(), other.items, same);
}
