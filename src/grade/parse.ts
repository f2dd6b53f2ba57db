/**
 * Reads an answer into a tree: a recursive-descent parser of the LaTeX that answers are written in.
 *
 * It reads no more than it understands: whatever is unknown or ambiguous makes the whole answer
 * unreadable, and an unreadable answer is compared as text only.
 *
 * @module
 */
import { Unreadable } from "./cursor.ts";
import { call, integer, type Node } from "./node.ts";
import { ExpressionParser, number } from "./parse_expression.ts";
import { tokenize } from "./tokens.ts";
import {
  ACCENTS,
  FUNCTION_LETTERS,
  FUNCTIONS,
  GREEK,
  INVERSE,
  MANY_VALUED,
  MATRIX,
} from "./vocabulary.ts";

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

/** The grammar of numbers, symbols and commands. */
class Parser extends ExpressionParser {
  /** Indices of the sums and products around. */
  readonly #indices = new Set<string>();

  answer(): Node {
    const items = this.clauses("end");
    if (this.peek.kind !== "end") throw new Unreadable();
    const alternatives = this.tokens.some(({ kind, text }) => kind === "text" && text === "or") &&
      !this.tokens.some(({ text }) => text === "," || text === ";");
    return items.length === 1 ? items[0] : { type: "list", items, alternatives };
  }

  protected override primary(): Node {
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
    if (this.take("_")) {
      const script = this.script();
      if (this.#indices.has(script)) return call(`@${name}_`, boundSymbol(script));
      name += `_${script}`;
    } else if (this.#indices.has(letter)) return boundSymbol(letter);
    const choice = this.#choice(letter);
    if (choice) return choice;
    let inverse = false;
    if (FUNCTION_LETTERS.has(letter) && this.matches("^", "{", "-", "1", "}", "(")) {
      this.at += 5;
      inverse = true;
    }
    return this.applied(inverse ? `${name}^-1` : name, letter) ?? { type: "sym", name };
  }

  protected override applied(name: string, letter: string): Node | undefined {
    if (!this.is("(") || !(FUNCTION_LETTERS.has(letter) || this.#isApplied())) return undefined;
    this.at++;
    const args = this.nested(() => this.clauses(")"));
    this.expect(")");
    return call(`@${name}`, ...args);
  }

  /** `C(10, 3)`, the number of choices. */
  #choice(letter: string): Node | undefined {
    const [open, n, comma, k, close] = this.tokens.slice(this.at, this.at + 5);
    if (letter !== "C" || open.text !== "(" || comma?.text !== "," || close?.text !== ")") {
      return undefined;
    }
    if (n.kind !== "number" || k.kind !== "number") return undefined;
    this.at += 5;
    return call("binom", number(n.text), number(k.text));
  }

  /** `\sum_{k=1}^{n} k^2`: the body is one product. */
  #loop(fn: "sum" | "prod"): Node {
    this.count();
    this.expect("_");
    this.expect("{");
    const { kind, text: index } = this.next();
    if (kind !== "letter") throw new Unreadable();
    this.expect("=");
    const from = this.nested(() => this.sum());
    this.expect("}");
    this.expect("^");
    const to = this.argument();
    const isNew = !this.#indices.has(index);
    this.#indices.add(index);
    const body = this.nested(() => this.product());
    if (isNew) this.#indices.delete(index);
    return { type: "loop", fn, index: boundSymbol(index).name, from, to, body };
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
      case "\\$":
        // In front of a number it is its unit and says nothing about the value.
        if (this.peek.kind !== "number") throw new Unreadable();
        return this.primary();
      case "\\frac":
        return this.#fraction();
      case "\\sqrt":
        return this.#root();
      case "\\binom": {
        const upper = this.argument();
        return call("binom", upper, this.argument());
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
      case "\\sum":
        return this.#loop("sum");
      case "\\prod":
        return this.#loop("prod");
      case "\\mathbb": {
        const set = this.script();
        return { type: "sym", name: `\\mathbb{${set}}` };
      }
      default:
        if (MATRIX.test(text)) return this.matrix(MATRIX.exec(text)![1]);
        if (MANY_VALUED.has(text)) {
          const close = this.take("\\{") ? "\\}" : ")";
          if (close === ")") this.expect("(");
          const items = this.nested(() => this.items());
          this.expect(close);
          return call(text.slice(1), ...items);
        }
        if (ACCENTS.has(text)) return this.#accent(text);
        throw new Unreadable();
    }
  }

  /** `\dot{x}_0`; a bold letter is the letter, but for those that are numbers or unit vectors. */
  #accent(command: string): Node {
    const script = this.script();
    const isBold = /^\\(?:mathbf|boldsymbol|bm)$/.test(command);
    const isNumber = isBold && /^\d+$/.test(script);
    if (isNumber) return number(script);
    if (/^\d/.test(script)) throw new Unreadable();
    if (isBold && script.length === 1 && !/[eijk]/.test(script)) return this.#symbol(script);
    const below = this.take("_") ? `_${this.script()}` : "";
    return { type: "sym", name: `${isBold ? "\\mathbf" : command}{${script}}${below}` };
  }

  /** `\sin 2x`, `\sin^2 x`, `\log_3(27)`, `\sin(x) / x`. */
  #function(command: string): Node {
    let name = command;
    let base: Node | undefined;
    let power: Node | undefined;
    for (;;) {
      if (base === undefined && (name === "\\log") && this.take("_")) base = this.argument();
      else if (power === undefined && this.take("^")) power = this.argument();
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
    if (this.is("{")) return this.argument();
    if (this.is("|")) return this.primary();
    if (this.take("-")) return call("neg", this.nested(() => this.#functionArgument()));
    let value = this.factor();
    for (;;) {
      const { text, kind } = this.peek;
      const opens = text === "(" || text === "[" || text === "{" || text === "|";
      if (opens || FUNCTIONS.has(text) || !this.startsFactor() || kind === "text") return value;
      value = this.beside(value);
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
    const num = this.nested(() => this.argument());
    const second = isDifferential();
    const den = this.nested(() => this.argument());
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
    const inner = this.argument();
    return degree ? call("root", inner, degree) : call("sqrt", inner);
  }
}

/** The index of a sum: another one than a letter outside, or the imaginary unit. */
function boundSymbol(letter: string): Extract<Node, { type: "sym" }> {
  return { type: "sym", name: `${letter}#` };
}

function isOne(node: Node): boolean {
  return node.type === "num" && node.value.num === node.value.den;
}
