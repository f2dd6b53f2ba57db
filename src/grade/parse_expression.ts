/**
 * The part of the parser that reads sums, products, powers, and what stands beside each other.
 *
 * @module
 */
import { Unreadable } from "./cursor.ts";
import { parseExact } from "./exact.ts";
import { call, integer, type Node } from "./node.ts";
import { StructureParser } from "./parse_structure.ts";
import { ACCENTS, FUNCTIONS, GREEK, MANY_VALUED, MATRIX } from "./vocabulary.ts";

/** The grammar from sums down to factors, one method per level. */
export abstract class ExpressionParser extends StructureParser {
  /** A value without an operator. */
  protected abstract primary(): Node;

  /** An unknown function of what stands in the bracket that comes next, if the letter is one. */
  protected abstract applied(name: string, letter: string): Node | undefined;

  protected override sum(): Node {
    let left: Node;
    if (this.take("-")) left = this.call("neg", this.product());
    else if (this.take("\\pm")) left = this.call("pm", integer(0), this.product());
    else if (this.take("\\mp")) left = this.call("mp", integer(0), this.product());
    else {
      this.take("+");
      left = this.product();
    }
    for (;;) {
      if (this.take("+")) {
        left = this.take("\\ldots")
          ? this.#progression(left)
          : this.call("+", left, this.product());
      } else if (this.take("-")) left = this.call("-", left, this.product());
      else if (this.take("\\pm")) left = this.call("pm", left, this.product());
      else if (this.take("\\mp")) left = this.call("mp", left, this.product());
      else return left;
    }
  }

  /** `1 + 2 + \ldots + n`: numbers at one distance from each other, up to the last. */
  #progression(left: Node): Node {
    const terms: bigint[] = [];
    let rest = left;
    for (; rest.type === "call" && rest.fn === "+"; rest = rest.args[0]) {
      terms.unshift(wholeOf(rest.args[1]));
    }
    terms.unshift(wholeOf(rest));
    this.expect("+");
    const last = this.product();
    const step = terms.length < 2 ? 0n : terms[1] - terms[0];
    if (step === 0n || terms.some((term, i) => term !== terms[0] + BigInt(i) * step)) {
      throw new Unreadable();
    }
    const first = integer(terms[0]);
    const count = call("+", call("/", call("-", last, first), integer(step)), integer(1));
    return call("/", call("*", call("+", first, last), count), integer(2));
  }

  protected product(): Node {
    let left = this.factor();
    for (;;) {
      if (this.take("*") || this.take("\\cdot")) {
        left = this.call("*", left, this.#signed());
      } else if (this.take("/") || this.take("\\div")) {
        left = this.call("/", left, this.#signed());
      } else if (this.startsFactor()) left = this.beside(left);
      else return left;
    }
  }

  /** A factor that may carry a sign, as after an operator. */
  #signed(): Node {
    if (this.take("-")) return this.call("neg", this.nested(() => this.#signed()));
    return this.factor();
  }

  /** What stands beside a value without an operator: a product, or the fraction of a mixed number. */
  protected beside(left: Node): Node {
    const before = this.tokens[this.at - 1];
    const { kind, text } = this.peek;
    // "(-1) 7" and "2^{k} 2" are products, "1 7" nothing that one could be sure of.
    // "2^3 3^2" and "x 3^x" are products again: nothing but a factor has a power of its own.
    const isFactor = /^[)}!]$/.test(before.text) ||
      (this.peek.spaced && (this.tokens[this.at + 1].text === "^" || this.#followsPower()));
    if (kind === "number" && (!isFactor || (before.kind === "number" && !this.#followsPower()))) {
      throw new Unreadable();
    }
    const right = this.factor();
    if (before.kind === "number" && text === "\\frac" && left.type === "num") {
      const [num, den] = right.type === "call" && right.fn === "/" ? right.args : [];
      if (num?.type === "num" && den?.type === "num") {
        if (left.value.den !== 1n || num.value.num >= den.value.num) throw new Unreadable();
        return this.call("+", left, right);
      }
    }
    return this.call("*", left, right);
  }

  /** Whether what was read last is the exponent of a power. */
  #followsPower(): boolean {
    return this.tokens[this.at - 2]?.text === "^";
  }

  protected startsFactor(): boolean {
    const { kind, text } = this.peek;
    if (kind === "number" || kind === "letter") return true;
    if (kind === "text") return text.length === 1 && !this.#isUnitLetter();
    if (kind === "sign") return text === "(" || text === "[" || text === "{" || this.#opensBar();
    return kind === "command" &&
      (FUNCTIONS.has(text) || GREEK.test(text) || ACCENTS.has(text) ||
        /^\\(?:frac|sqrt|pi|infty|lfloor|lceil|binom|lvert|langle|sum|prod|\{)$/.test(text) ||
        MANY_VALUED.has(text) || MATRIX.test(text));
  }

  #opensBar(): boolean {
    return this.is("|") && this.bars === 0;
  }

  /** An upright letter that is the unit of a number: `450 \mathrm{~m}`. */
  #isUnitLetter(): boolean {
    const before = this.tokens[this.at - 1];
    return this.peek.spaced && "mgshAVWNJKCFL".includes(this.peek.text) &&
      (before?.kind === "number" || before?.text === "}" || before?.text === ")");
  }

  /** A primary with its powers, factorials and degree signs. */
  protected factor(): Node {
    let base = this.nested(() => this.primary());
    for (;;) {
      if (this.take("^")) base = this.#power(base);
      else if (this.take("!")) {
        const double = this.is("!") && !this.peek.spaced && this.take("!");
        base = this.call(double ? "factorial2" : "factorial", base);
      } else if (this.take("'")) base = this.#prime(base);
      else if (this.take("\\%") || this.take("%")) base = this.call("/", base, integer(100));
      else return base;
    }
  }

  /** A derivative of an unknown function is another unknown function. */
  #prime(base: Node): Node {
    this.count();
    if (base.type === "sym") {
      const name = `${base.name}'`;
      return this.applied(name, base.name.replace(/'+$/, "")) ?? { type: "sym", name };
    }
    if (base.type === "call" && base.fn.startsWith("@")) return { ...base, fn: `${base.fn}'` };
    throw new Unreadable();
  }

  #power(base: Node): Node {
    const braced = this.is("{");
    if (this.tokens[this.at + (braced ? 1 : 0)].text === "\\circ") {
      this.at += braced ? 3 : 1;
      if (braced && this.tokens[this.at - 1].text !== "}") throw new Unreadable();
      return this.call("degree", base);
    }
    if (this.tokens[this.at + (braced ? 1 : 0)].text === "\\prime") {
      let each = base;
      if (braced) this.at++;
      while (this.take("\\prime")) each = this.#prime(each);
      if (braced) this.expect("}");
      return each;
    }
    return this.call("^", base, this.argument());
  }

  /** What `\frac`, `^` and their like take: a braced expression, or one token. */
  protected argument(): Node {
    if (this.take("{")) {
      const inner = this.nested(() => this.union());
      this.expect("}");
      return inner;
    }
    const { kind, text } = this.peek;
    if (kind === "number") {
      // TeX takes one digit, but "2^10" is written for 2^{10}, and "\frac12" is respelled before.
      this.at++;
      return number(text);
    }
    if (text === "-" && kind === "sign") {
      this.at++;
      return call("neg", this.nested(() => this.argument()));
    }
    return this.nested(() => this.primary());
  }
}

/** A token's number, or not readable. */
export function number(text: string): Node {
  const value = parseExact(text);
  if (!value) throw new Unreadable();
  return { type: "num", value };
}

/** A whole number of a progression. */
function wholeOf(node: Node): bigint {
  if (node.type !== "num" || node.value.den !== 1n) throw new Unreadable();
  return node.value.num;
}
