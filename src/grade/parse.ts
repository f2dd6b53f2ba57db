/**
 * Reads an answer into a tree: a recursive-descent parser of the LaTeX that answers are written in.
 *
 * It reads no more than it understands: whatever is unknown or ambiguous makes the whole answer
 * unreadable, and an unreadable answer is compared as text only.
 *
 * @module
 */
import { parseExact } from "./exact.ts";
import { Unreadable } from "./cursor.ts";
import { call, integer, type Node } from "./node.ts";
import { StructureParser } from "./parse_structure.ts";
import { tokenize } from "./tokens.ts";
import { ACCENTS, FUNCTION_LETTERS, FUNCTIONS, GREEK, INVERSE, MATRIX } from "./vocabulary.ts";

/** Longer answers are compared as text only. */
const MAX_CHARS = 4000;

/**
 * The tree of an answer, or `undefined` where it cannot be read.
 *
 * @param source A respelled answer without its unit; dollar signs and spacing commands are gone.
 */
export function parseAnswer(source: string): Node | undefined {
  if (source.length > MAX_CHARS) return undefined;
  const tokens = tokenize(source);
  if (!tokens || tokens.length === 1) return undefined;
  try {
    return new Parser(tokens).answer();
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

/** The grammar of expressions, one method per level. */
class Parser extends StructureParser {
  answer(): Node {
    const items = this.clauses("end");
    if (this.peek.kind !== "end") throw new Unreadable();
    return items.length === 1 ? items[0] : { type: "list", items };
  }

  protected override sum(): Node {
    let left: Node;
    if (this.take("-")) left = this.call("neg", this.#product());
    else if (this.take("\\pm")) left = this.call("pm", integer(0), this.#product());
    else if (this.take("\\mp")) left = this.call("mp", integer(0), this.#product());
    else {
      this.take("+");
      left = this.#product();
    }
    for (;;) {
      if (this.take("+")) left = this.call("+", left, this.#product());
      else if (this.take("-")) left = this.call("-", left, this.#product());
      else if (this.take("\\pm")) left = this.call("pm", left, this.#product());
      else if (this.take("\\mp")) left = this.call("mp", left, this.#product());
      else return left;
    }
  }

  #product(): Node {
    let left = this.#factor();
    for (;;) {
      if (this.take("*") || this.take("\\cdot") || this.take("\\times") || this.take("\\ast")) {
        left = this.call("*", left, this.#signed());
      } else if (this.take("/") || this.take("\\div")) {
        left = this.call("/", left, this.#signed());
      } else if (this.#startsFactor()) left = this.#beside(left);
      else return left;
    }
  }

  /** A factor that may carry a sign, as after an operator. */
  #signed(): Node {
    if (this.take("-")) return this.call("neg", this.nested(() => this.#signed()));
    return this.#factor();
  }

  /** What stands beside a value without an operator: a product, or the fraction of a mixed number. */
  #beside(left: Node): Node {
    const before = this.tokens[this.at - 1];
    const { kind, text } = this.peek;
    // "(-1) 7" and "2^{k} 2" are products, "1 7" nothing that one could be sure of.
    if (kind === "number" && before.text !== ")" && before.text !== "}") throw new Unreadable();
    const right = this.#factor();
    if (before.kind === "number" && text === "\\frac" && left.type === "num") {
      const [num, den] = right.type === "call" && right.fn === "/" ? right.args : [];
      if (num?.type === "num" && den?.type === "num") {
        if (left.value.den !== 1n || num.value.num >= den.value.num) throw new Unreadable();
        return this.call("+", left, right);
      }
    }
    return this.call("*", left, right);
  }

  #startsFactor(): boolean {
    const { kind, text } = this.peek;
    if (kind === "number" || kind === "letter") return true;
    if (kind === "text") return text.length === 1 && !this.#isUnitLetter();
    if (kind === "sign") return text === "(" || text === "[" || text === "{" || this.#opensBar();
    return kind === "command" &&
      (FUNCTIONS.has(text) || GREEK.test(text) || ACCENTS.has(text) ||
        /^\\(?:frac|sqrt|pi|infty|lfloor|lceil|binom|lvert|langle|\{)$/.test(text) ||
        MATRIX.test(text));
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
  #factor(): Node {
    let base = this.nested(() => this.#primary());
    for (;;) {
      if (this.take("^")) base = this.#power(base);
      else if (this.take("!")) base = this.call("factorial", base);
      else if (this.take("'")) base = this.#prime(base);
      else if (this.take("\\%") || this.take("%")) base = this.call("/", base, integer(100));
      else return base;
    }
  }

  /** A derivative of an unknown function is another unknown function. */
  #prime(base: Node): Node {
    this.count();
    if (base.type === "sym") return { type: "sym", name: `${base.name}'` };
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
    return this.call("^", base, this.#argument());
  }

  /** What `\frac`, `^` and their like take: a braced expression, or one token. */
  #argument(): Node {
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
      return call("neg", this.nested(() => this.#argument()));
    }
    return this.nested(() => this.#primary());
  }

  #primary(): Node {
    const token = this.next();
    const { kind, text } = token;
    switch (kind) {
      case "number":
        return this.#number(text);
      case "letter":
        return this.#symbol(text);
      case "text":
        if (/^[a-zA-Z]$/.test(text)) return this.#symbol(text);
        throw new Unreadable();
      case "sign":
        if (text === "{") {
          const inner = this.union();
          this.expect("}");
          return inner;
        }
        if (text === "|") return this.absolute("|");
        if (text === "(" || text === "[") return this.bracket(text);
        throw new Unreadable();
      case "command":
        return this.#command(text);
      default:
        throw new Unreadable();
    }
  }

  #number(text: string): Node {
    if (this.is("\\overline")) {
      this.at++;
      this.expect("{");
      const { kind, text: period } = this.next();
      this.expect("}");
      if (kind !== "number" || !/^\d+$/.test(period) || !text.includes(".")) throw new Unreadable();
      const shift = 10n ** BigInt(text.length - text.indexOf(".") - 1);
      const den = shift * (10n ** BigInt(period.length) - 1n);
      return call("+", number(text), { type: "num", value: { num: BigInt(period), den } });
    }
    if (this.take("_")) return { type: "based", digits: text, base: this.script() };
    return number(text);
  }

  /** A variable with its subscript, or an unknown function of what stands in the bracket behind. */
  #symbol(letter: string): Node {
    let name = letter;
    if (this.take("_")) name += `_${this.script()}`;
    let inverse = false;
    if (FUNCTION_LETTERS.has(letter) && this.matches("^", "{", "-", "1", "}", "(")) {
      this.at += 5;
      inverse = true;
    }
    if (this.is("(") && (FUNCTION_LETTERS.has(letter) || this.#isApplied())) {
      this.at++;
      const args = this.nested(() => this.clauses(")"));
      this.expect(")");
      return call(`@${name}${inverse ? "^-1" : ""}`, ...args);
    }
    return { type: "sym", name };
  }

  /** `u(t)` and `I(0)`: a bracket around a single symbol or number makes a product unlikely. */
  #isApplied(): boolean {
    const [, inner, close] = this.tokens.slice(this.at, this.at + 3);
    return close?.text === ")" && (inner.kind === "letter" || inner.kind === "number");
  }

  #command(text: string): Node {
    if (FUNCTIONS.has(text)) return this.#function(text);
    if (text === "\\infty" || text === "\\pi") return { type: "sym", name: text };
    if (GREEK.test(text)) {
      if (text === "\\emptyset") return { type: "set", items: [] };
      return this.#symbol(text);
    }
    switch (text) {
      case "\\frac":
        return this.#fraction();
      case "\\sqrt":
        return this.#root();
      case "\\binom": {
        const upper = this.#argument();
        return call("binom", upper, this.#argument());
      }
      case "\\lfloor":
      case "\\lceil": {
        const inner = this.nested(() => this.sum());
        this.expect(text === "\\lfloor" ? "\\rfloor" : "\\rceil");
        return call(text === "\\lfloor" ? "floor" : "ceil", inner);
      }
      case "\\lvert":
        return this.absolute("\\rvert");
      case "\\{":
        return this.set();
      case "\\langle": {
        const items = this.nested(() => this.items());
        this.expect("\\rangle");
        return { type: "tuple", open: "(", close: ")", items };
      }
      case "\\mathbb": {
        const set = this.script();
        return { type: "sym", name: `\\mathbb{${set}}` };
      }
      default:
        if (MATRIX.test(text)) return this.matrix(MATRIX.exec(text)![1]);
        if (ACCENTS.has(text)) return { type: "sym", name: `${text}{${this.script()}}` };
        throw new Unreadable();
    }
  }

  /** `\sin 2x`, `\sin^2 x`, `\log_3(27)`, `\sin(x) / x`. */
  #function(command: string): Node {
    let name = command;
    let base: Node | undefined;
    let power: Node | undefined;
    for (;;) {
      if (base === undefined && (name === "\\log") && this.take("_")) base = this.#argument();
      else if (power === undefined && this.take("^")) power = this.#argument();
      else break;
    }
    const isInverse = power?.type === "call" && power.fn === "neg" && isOne(power.args[0]);
    if (isInverse) {
      name = INVERSE.get(name) ?? "";
      power = undefined;
      if (name === "") throw new Unreadable();
    }
    const argument = this.#functionArgument();
    let value: Node;
    if (name === "\\exp") value = call("^", { type: "sym", name: "e" }, argument);
    else if (name === "\\log" && base) value = call("/", call("ln", argument), call("ln", base));
    else if (name === "\\lg") value = call("/", call("ln", argument), call("ln", integer(10)));
    else value = call(name.slice(1), argument);
    return power ? call("^", value, power) : value;
  }

  /** A bracket is the whole argument; without one it runs over factors up to an operator. */
  #functionArgument(): Node {
    if (this.is("(") || this.is("[")) return this.bracket(this.next().text);
    if (this.is("{")) return this.#argument();
    if (this.is("|")) return this.#primary();
    if (this.take("-")) return call("neg", this.nested(() => this.#functionArgument()));
    let value = this.#factor();
    for (;;) {
      const { text, kind } = this.peek;
      const opens = text === "(" || text === "[" || text === "{" || text === "|";
      if (opens || FUNCTIONS.has(text) || !this.#startsFactor() || kind === "text") return value;
      value = this.#beside(value);
    }
  }

  /** `\frac{a}{b}`; that of two differentials is one unknown symbol, no quotient. */
  #fraction(): Node {
    const start = this.at;
    const isDifferential = () => {
      const token = this.tokens[this.is("{") ? this.at + 1 : this.at];
      return token.text === "d" || token.text === "\\partial";
    };
    const first = isDifferential();
    const num = this.nested(() => this.#argument());
    const second = isDifferential();
    const den = this.nested(() => this.#argument());
    if (!first || !second) return call("/", num, den);
    // An operator: what it is applied to stands behind it.
    if (num.type === "sym") throw new Unreadable();
    const text = this.tokens.slice(start, this.at).map((token) => token.text).join("");
    return { type: "sym", name: `\\frac${text.replaceAll(/[{}]/g, "")}` };
  }

  #root(): Node {
    let degree: Node | undefined;
    if (this.take("[")) {
      degree = this.sum();
      this.expect("]");
    }
    if (this.is("(")) {
      this.at++;
      const inner = this.bracket("(");
      return degree ? call("root", inner, degree) : call("sqrt", inner);
    }
    const inner = this.#argument();
    return degree ? call("root", inner, degree) : call("sqrt", inner);
  }
}

function number(text: string): Node {
  const value = parseExact(text);
  if (!value) throw new Unreadable();
  return { type: "num", value };
}

function isOne(node: Node): boolean {
  return node.type === "num" && node.value.num === node.value.den;
}
