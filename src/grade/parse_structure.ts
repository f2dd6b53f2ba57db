/**
 * The part of the parser that reads what answers are made of around expressions: lists, relations,
 * units, tuples, intervals, sets, matrices.
 *
 * @module
 */
import { Cursor, Unreadable } from "./cursor.ts";
import { call, integer, type Node, type RelationOp, variables } from "./node.ts";
import { intersection } from "./region.ts";
import { isUnit, unitName } from "./units.ts";
import { CLOSING, RELATIONS } from "./vocabulary.ts";

/** The grammar down to sums. */
export abstract class StructureParser extends Cursor {
  /** Inside `|...|`, where another bar closes. */
  protected bars = 0;
  /** Inside `{...}`, where a colon introduces a condition. */
  #sets = 0;

  /** An expression without relations and without `\cup`. */
  protected abstract sum(): Node;

  /** Clauses separated by commas, semicolons, "and", "or"; `"or"` joins regions into a union. */
  protected clauses(end: string): Node[] {
    const items = [this.clause()];
    while (this.peek.kind !== "end" && !this.is(end)) {
      let separated = false;
      while (this.take(",") || this.take(";")) separated = true;
      const { kind, text } = this.peek;
      if (kind === "text" && (text === "and" || text === "or")) {
        // "x > 1 and x < 3" is an intersection; a list of them means either.
        if (text === "and" && isInequality(items.at(-1)!)) return [this.#both(items)];
        this.at++;
        separated = true;
      } else if (this.take("\\vee") || this.take("\\lor")) separated = true;
      if (!separated) throw new Unreadable();
      items.push(this.clause());
    }
    return items;
  }

  /** Two inequalities that hold at once. */
  #both(items: readonly Node[]): Node {
    this.at++;
    const second = this.clause();
    if (items.length > 1 || !isInequality(second)) throw new Unreadable();
    const both = intersection(items[0], second);
    if (!both) throw new Unreadable();
    return both;
  }

  /** A relation, or a value with or without a unit. */
  protected clause(): Node {
    if (this.take("\\ldots")) return { type: "sym", name: "\\ldots" };
    const currency = this.is("\\$") ? "dollar" : "";
    const sides = [this.#ratio()];
    const ops: RelationOp[] = [];
    for (let op = RELATIONS.get(this.peek.text); op; op = RELATIONS.get(this.peek.text)) {
      this.at++;
      ops.push(op);
      sides.push(this.#ratio());
    }
    const behind = this.unit();
    if (currency !== "" && behind !== "" && behind !== currency) throw new Unreadable();
    const unit = behind || (ops.length === 0 ? currency : "");
    if (unit !== "") sides.push({ type: "quantity", value: sides.pop()!, unit });
    return ops.length === 0 ? sides[0] : { type: "relation", ops, sides };
  }

  /** `4 : 1`, also of more than two values; of a time of day `12:30` nothing is cancelled. */
  #ratio(): Node {
    const start = this.at;
    const items = [this.union()];
    while (this.#sets === 0 && this.take(":")) items.push(this.union());
    if (items.length === 1) return items[0];
    const [hours, , minutes] = this.tokens.slice(start, this.at).map(({ text }) => text);
    const isTime = items.length === 2 && this.at === start + 3 && /^\d\d?$/.test(hours) &&
      /^[0-5]\d$/.test(minutes);
    return { type: "tuple", open: isTime ? "::" : ":", close: ":", items };
  }

  /** Unit words at the end of a clause: `\mathrm{~ft} / \mathrm{s}^2`. */
  protected unit(): string {
    let unit = "";
    for (let join = "";;) {
      const { kind, text } = this.peek;
      if (kind !== "text" || text === "and" || text === "or" || !isUnit(text)) break;
      this.at++;
      let power = "";
      if (this.take("^")) {
        const braced = this.take("{");
        const digits = this.next();
        if (digits.kind !== "number") throw new Unreadable();
        power = `^${digits.text}`;
        if (braced) this.expect("}");
      }
      unit += join + unitName(text, power);
      const after = this.tokens[this.at + 1];
      const joint = this.is("/") || this.is("\\cdot") || this.is("-");
      if (joint && after.kind === "text") join = this.next().text === "/" ? "/" : "";
      else join = "";
    }
    return unit;
  }

  /** Intervals and sets joined by \cup; otherwise a sum. */
  protected union(): Node {
    return this.nested(() => {
      const items = [this.sum()];
      while (this.take("\\cup")) items.push(this.sum());
      return items.length === 1 ? items[0] : { type: "union", items };
    });
  }

  protected absolute(close: string): Node {
    this.bars++;
    const inner = this.nested(() => this.sum());
    this.bars--;
    this.expect(close);
    return call("abs", inner);
  }

  /** Round or square brackets: a group, a tuple, an interval, or a matrix inside. */
  protected bracket(open: string): Node {
    const cycle = this.#cycle(open);
    if (cycle) return cycle;
    const bars = this.bars;
    this.bars = 0;
    const items = this.nested(() => this.items());
    this.bars = bars;
    const close = this.next().text;
    if (close !== ")" && close !== "]") throw new Unreadable();
    if (items.length === 1) {
      if (close !== CLOSING.get(open) || items[0].type === "relation") throw new Unreadable();
      return items[0];
    }
    return { type: "tuple", open, close, items };
  }

  /** `(1 3 2)`: numbers with nothing but space between them are the cycle of a permutation. */
  #cycle(open: string): Node | undefined {
    let end = this.at;
    while (this.tokens[end].kind === "number") end++;
    const numbers = this.tokens.slice(this.at, end);
    if (open !== "(" || this.tokens[end].text !== ")" || numbers.length < 2) return undefined;
    this.at = end + 1;
    const items = numbers.map(({ text }): Node => integer(BigInt(text.replace(/\D/g, "") || 0)));
    return { type: "tuple", open: "cycle", close: ")", items };
  }

  /** Clauses up to a closing bracket, separated by commas or semicolons only. */
  protected items(): Node[] {
    const items = [this.clause()];
    while (this.take(",") || this.take(";")) items.push(this.clause());
    return items;
  }

  protected set(): Node {
    if (this.take("\\}")) return { type: "set", items: [] };
    const bars = this.bars;
    this.bars = 1;
    this.#sets++;
    const items = this.nested(() => this.items());
    this.#sets--;
    this.bars = bars;
    if (items.length === 1 && (this.take("\\mid") || this.take("|") || this.take(":"))) {
      // {x | x > 2}: the condition says it all.
      const [variable] = items;
      const name = variable.type === "relation" ? variable.sides[0] : variable;
      // Of whole numbers, or of those in an interval, the condition says only half.
      if (variable.type === "relation" && !isRealLine(variable)) throw new Unreadable();
      const condition = this.clause();
      if (name.type !== "sym" || condition.type !== "relation") throw new Unreadable();
      if (!variables(condition).has(name.name)) throw new Unreadable();
      this.expect("\\}");
      return condition;
    }
    this.expect("\\}");
    return { type: "set", items };
  }

  protected matrix(name: string): Node {
    if (name === "array" && this.is("{")) this.script();
    const rows: Node[][] = [[]];
    while (!this.take(`\\end{${name}}`)) {
      if (this.take("\\\\")) {
        if (!this.is(`\\end{${name}}`)) rows.push([]);
        continue;
      }
      if (rows.at(-1)!.length > 0) this.expect("&");
      rows.at(-1)!.push(this.nested(() => this.sum()));
    }
    if (rows.some((row) => row.length === 0 || row.length !== rows[0].length)) {
      throw new Unreadable();
    }
    return { type: "matrix", rows };
  }
}

/** `x \in \mathbb{R}` */
function isRealLine({ ops, sides }: Extract<Node, { type: "relation" }>): boolean {
  const [, domain] = sides;
  return ops.length === 1 && ops[0] === "in" && domain.type === "sym" &&
    domain.name === "\\mathbb{R}";
}

function isInequality(node: Node): boolean {
  return node.type === "relation" && node.ops.some((op) => op !== "=");
}
