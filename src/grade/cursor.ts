/**
 * The part of the parser that knows tokens but no grammar.
 *
 * @module
 */
import { call, type Node } from "./node.ts";
import type { Token } from "./tokens.ts";

/** Nesting beyond this is no answer that a person would write; it bounds the call stack. */
const MAX_DEPTH = 40;
/** Operators of an answer at most: a chain of them makes a tree as deep as it is long. */
const MAX_OPERATORS = 500;

/** Thrown inside the parser, never out of it. */
export class Unreadable extends Error {}

/** A place in a list of tokens, with the bounds on what is read from it. */
export class Cursor {
  /** All tokens, an end token last. */
  protected readonly tokens: readonly Token[];
  /** Index of the next token. */
  protected at = 0;
  #depth = 0;
  #operators = 0;

  /** Begins at the first token. */
  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  /** The token that comes next. */
  protected get peek(): Token {
    return this.tokens[this.at];
  }

  /** Takes the next token; the end is never passed. */
  protected next(): Token {
    const token = this.tokens[this.at];
    if (token.kind !== "end") this.at++;
    return token;
  }

  /** Whether the next token is this sign or command. */
  protected is(text: string): boolean {
    const { kind, text: own } = this.peek;
    return own === text && (kind === "sign" || kind === "command");
  }

  /** Takes the next token if it is this sign or command. */
  protected take(text: string): boolean {
    if (!this.is(text)) return false;
    this.at++;
    return true;
  }

  /** Takes this sign or command, or gives up. */
  protected expect(text: string): void {
    if (!this.take(text)) throw new Unreadable();
  }

  /** Reads one level deeper. */
  protected nested<T>(read: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw new Unreadable();
    const value = read();
    this.#depth--;
    return value;
  }

  /** Counts an operator that makes the tree deeper. */
  protected call(fn: string, ...args: Node[]): Node {
    this.count();
    return call(fn, ...args);
  }

  /** The text of a subscript. */
  protected script(): string {
    if (!this.take("{")) {
      const { kind, text } = this.next();
      if (kind === "end" || kind === "sign") throw new Unreadable();
      return text;
    }
    let text = "";
    while (!this.is("}")) {
      const token = this.next();
      if (token.kind === "end" || token.text === "{") throw new Unreadable();
      text += token.text;
    }
    this.at++;
    return text;
  }

  /** Whether the next tokens have these texts. */
  protected matches(...texts: string[]): boolean {
    return texts.every((text, i) => this.tokens[this.at + i]?.text === text);
  }

  /** Counts something that makes the tree deeper. */
  protected count(): void {
    if (++this.#operators > MAX_OPERATORS) throw new Unreadable();
  }
}
