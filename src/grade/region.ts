/**
 * Inequalities in one variable as regions of the real line, and unions of regions in one form.
 *
 * @module
 */
import { approximateValue } from "./arithmetic.ts";
import { exactValue } from "./rational.ts";
import { sign } from "./identity.ts";
import { call, integer, type Node, type RelationOp, some, variables } from "./node.ts";

/** A region with the name of the variable that lies in it. */
export interface Region {
  /** The variable's name. */
  readonly name: string;
  /** An interval, or a union of intervals. */
  readonly value: Node;
}

const INFINITY: Node = { type: "sym", name: "\\infty" };
const MINUS_INFINITY = call("neg", INFINITY);
const ZERO = integer(0);
const ONE = integer(1);

/** The whole real line. */
export const ALL_REALS: Node = interval("(", MINUS_INFINITY, INFINITY, ")");

function interval(open: string, from: Node, to: Node, close: string): Node {
  return { type: "tuple", open, close, items: [from, to] };
}

function isZero(node: Node): boolean {
  return node.type === "num" && node.value.num === 0n;
}

function plus(a: Node, b: Node): Node {
  return isZero(a) ? b : isZero(b) ? a : call("+", a, b);
}

function times(a: Node, b: Node): Node {
  if (isZero(a) || isZero(b)) return ZERO;
  return a === ONE ? b : b === ONE ? a : call("*", a, b);
}

/** An expression as `slope * x + offset`, both free of the variable. */
export interface Linear {
  /** Factor of the variable. */
  readonly slope: Node;
  /** The rest. */
  readonly offset: Node;
}

/** An expression as a linear one in the variable; `undefined` when it is none as written. */
export function linearIn(name: string, node: Node): Linear | undefined {
  if (!some(node, (part) => part.type === "sym" && part.name === name)) {
    return { slope: ZERO, offset: node };
  }
  if (node.type === "sym") return { slope: ONE, offset: ZERO };
  if (node.type !== "call") return undefined;
  const [a, b] = node.args.map((arg) => linearIn(name, arg));
  if (!a) return undefined;
  const negated = ({ slope, offset }: Linear): Linear => ({
    slope: isZero(slope) ? ZERO : call("neg", slope),
    offset: isZero(offset) ? ZERO : call("neg", offset),
  });
  if (node.fn === "neg") return negated(a);
  if (!b) return undefined;
  switch (node.fn) {
    case "+":
      return { slope: plus(a.slope, b.slope), offset: plus(a.offset, b.offset) };
    case "-": {
      const minus = negated(b);
      return { slope: plus(a.slope, minus.slope), offset: plus(a.offset, minus.offset) };
    }
    case "*": {
      const [many, factor] = isZero(b.slope) ? [a, b.offset] : [b, a.offset];
      if (!isZero(a.slope) && !isZero(b.slope)) return undefined;
      return { slope: times(many.slope, factor), offset: times(many.offset, factor) };
    }
    case "/":
      if (!isZero(b.slope)) return undefined;
      return {
        slope: call("/", a.slope, b.offset),
        offset: isZero(a.offset) ? ZERO : call("/", a.offset, b.offset),
      };
    default:
      return undefined;
  }
}

const FLIPPED = new Map<RelationOp, RelationOp>([["<", ">"], [">", "<"], ["<=", ">="], [
  ">=",
  "<=",
]]);

function isBounded(op: RelationOp): boolean {
  return FLIPPED.has(op);
}

function flip(op: RelationOp): RelationOp {
  return FLIPPED.get(op) ?? op;
}

/** What `x op bound` allows. */
function half(op: RelationOp, bound: Node): Node {
  switch (op) {
    case "<":
    case "<=":
      return interval("(", MINUS_INFINITY, bound, op === "<" ? ")" : "]");
    case ">":
    case ">=":
      return interval(op === ">" ? "(" : "[", bound, INFINITY, ")");
    default:
      return { type: "union", items: [half("<", bound), half(">", bound)] };
  }
}

/** Where a linear expression equals the bound, and whether it falls; `undefined` when it is constant. */
function crossing(linear: Linear, bound: Node): { at: Node; falls: boolean } | undefined {
  if (linear.slope === ONE && isZero(linear.offset)) return { at: bound, falls: false };
  const direction = sign(linear.slope);
  if (direction === 0) return undefined;
  const rest = isZero(linear.offset) ? bound : call("-", bound, linear.offset);
  return { at: call("/", rest, linear.slope), falls: direction < 0 };
}

/** `below op1 x op2 above` for a linear expression in between. */
function between(
  linear: Linear,
  bounds: readonly [Node, Node],
  ops: readonly RelationOp[],
): Node | undefined {
  const [first, last] = bounds.map((bound) => crossing(linear, bound));
  if (!first || !last) return undefined;
  const closed = ops.map((op) => op.endsWith("="));
  const [low, high] = first.falls ? [last, first] : [first, last];
  const [lowClosed, highClosed] = first.falls ? closed.toReversed() : closed;
  return interval(lowClosed ? "[" : "(", low.at, high.at, highClosed ? "]" : ")");
}

/** The only variable, unless there are several or it stands in an unknown function. */
function onlyVariable(...nodes: Node[]): string | undefined {
  const names = new Set<string>();
  for (const node of nodes) variables(node, names);
  const unknown = nodes.some((node) =>
    some(node, (part) => part.type === "call" && part.fn.startsWith("@"))
  );
  return names.size === 1 && !unknown ? [...names][0] : undefined;
}

/** The region that an inequality, or a chain of two, in one variable describes. */
export function regionOf(ops: readonly RelationOp[], sides: readonly Node[]): Region | undefined {
  const name = onlyVariable(...sides);
  if (name === undefined) return undefined;
  const value = ops.length === 2 ? chained(name, ops, sides) : single(name, ops[0], sides);
  return value && { name, value };
}

function chained(
  name: string,
  ops: readonly RelationOp[],
  sides: readonly Node[],
): Node | undefined {
  const up = ops.every((op) => op === "<" || op === "<=");
  if (!up && !ops.every((op) => op === ">" || op === ">=")) return undefined;
  if (variables(sides[0]).size + variables(sides[2]).size > 0) return undefined;
  const linear = linearIn(name, sides[1]);
  const bounds: [Node, Node] = up ? [sides[0], sides[2]] : [sides[2], sides[0]];
  return linear && between(linear, bounds, up ? ops : ops.toReversed());
}

function single(name: string, op: RelationOp, [left, right]: readonly Node[]): Node | undefined {
  if (!isBounded(op) && op !== "!=") return undefined;
  const absolute = absoluteBelow(name, op, left, right) ??
    absoluteBelow(name, flip(op), right, left);
  if (absolute) return absolute;
  const [a, b] = [linearIn(name, left), linearIn(name, right)];
  if (!a || !b) return undefined;
  // All of the variable to one side, all constants to the other.
  const linear = isZero(b.slope)
    ? a
    : isZero(a.slope)
    ? b
    : { slope: call("-", a.slope, b.slope), offset: call("-", a.offset, b.offset) };
  const bound = isZero(b.slope) ? b.offset : isZero(a.slope) ? a.offset : ZERO;
  const turned = isZero(a.slope) ? flip(op) : op;
  const root = crossing(linear, bound);
  return root && half(root.falls ? flip(turned) : turned, root.at);
}

/** `|x - 2| < 3` with a constant on the right. */
function absoluteBelow(name: string, op: RelationOp, left: Node, right: Node): Node | undefined {
  if (left.type !== "call" || left.fn !== "abs" || variables(right).size > 0) return undefined;
  if (!isBounded(op) || sign(right) <= 0) return undefined;
  const linear = linearIn(name, left.args[0]);
  if (!linear) return undefined;
  const low = call("neg", right);
  if (op === "<" || op === "<=") return between(linear, [low, right], [op, op]);
  const [first, last] = [crossing(linear, low), crossing(linear, right)];
  if (!first || !last) return undefined;
  const [from, to] = first.falls ? [last, first] : [first, last];
  return { type: "union", items: [half(flip(op), from.at), half(op, to.at)] };
}

/** `a < x < b` of `x > a` and `x < b`; undefined for everything else, and where nothing is left. */
export function intersection(a: Node, b: Node): Node | undefined {
  if (a.type !== "relation" || b.type !== "relation") return undefined;
  const [x, y] = [a, b].map(({ ops, sides }) =>
    ops.length === 1 ? regionOf(ops, sides) : undefined
  );
  if (!x || !y || x.name !== y.name || x.value.type !== "tuple" || y.value.type !== "tuple") {
    return undefined;
  }
  const [low, high] = position(x.value.items[0]) === -Infinity
    ? [y.value, x.value]
    : [x.value, y.value];
  const [from, to] = [low.items[0], high.items[1]];
  const areHalves = position(high.items[0]) === -Infinity && position(low.items[1]) === Infinity;
  if (!areHalves || !(position(from) < position(to))) return undefined;
  const ops = [low.open === "[" ? "<=" : "<", high.close === "]" ? "<=" : "<"] as const;
  return { type: "relation", ops: [...ops], sides: [from, { type: "sym", name: x.name }, to] };
}

/** The intervals and sets of a region. */
export function pieces(node: Node): readonly Node[] {
  return node.type === "union" ? node.items.flatMap(pieces) : [node];
}

interface Piece {
  readonly open: string;
  readonly close: string;
  readonly from: Node;
  readonly to: Node;
  readonly low: number;
  readonly high: number;
}

/** A real number in double precision, infinities included; NaN for everything else. */
function position(node: Node): number {
  if (node.type === "sym" && node.name === "\\infty") return Infinity;
  if (node.type === "call" && node.fn === "neg") return -position(node.args[0]);
  const work = { left: 5000 };
  const exact = exactValue(node, work);
  if (exact) return Number(exact.num) / Number(exact.den);
  const value = approximateValue(node, { values: new Map(), complex: false }, work);
  return value && value.im === 0 ? value.re : NaN;
}

function pieceOf(node: Node): Piece[] | undefined {
  if (node.type === "set") {
    return node.items.map((item) => ({
      open: "[",
      close: "]",
      from: item,
      to: item,
      low: position(item),
      high: position(item),
    }));
  }
  if (node.type !== "tuple" || node.items.length !== 2 || !/^[([]$/.test(node.open)) {
    return undefined;
  }
  const [from, to] = node.items;
  return [{
    open: node.open,
    close: node.close,
    from,
    to,
    low: position(from),
    high: position(to),
  }];
}

/**
 * The pieces of a union in order, with those that touch made one: `[0,1) \cup [1,2]` is `[0,2]`.
 *
 * @param same Whether two ends are the same number.
 * @returns The pieces as they are when one of them is no interval of known numbers.
 */
export function mergedPieces(
  items: readonly Node[],
  same: (a: Node, b: Node) => boolean,
): readonly Node[] {
  const all: Piece[] = [];
  for (const item of items) {
    const found = pieceOf(item);
    if (!found || found.some(({ low, high }) => Number.isNaN(low) || !(low <= high))) return items;
    all.push(...found);
  }
  all.sort((a, b) => a.low - b.low || (a.open === "[" ? 0 : 1) - (b.open === "[" ? 0 : 1));
  const merged: Piece[] = [];
  for (const piece of all) {
    const last = merged.at(-1);
    const touch = last !== undefined &&
      (piece.low < last.high && !same(piece.from, last.to) ||
        ((last.close === "]" || piece.open === "[") && same(piece.from, last.to)));
    if (!last || !touch) merged.push(piece);
    else if (same(piece.to, last.to)) {
      merged[merged.length - 1] = { ...last, close: piece.close === "]" ? "]" : last.close };
    } else if (piece.high > last.high) {
      merged[merged.length - 1] = { ...last, close: piece.close, to: piece.to, high: piece.high };
    }
  }
  return merged.map(({ open, close, from, to }) =>
    from === to ? { type: "set", items: [from] } : interval(open, from, to, close)
  );
}
