/**
 * From tokens back to text where a vocabulary is spelled in characters (SentencePiece's way): marks
 * become spaces, byte tokens characters.
 *
 * @module
 */

/** How pieces become text: the steps of a tokenizer.json's decoder, in the order they are applied. */
export interface PieceRules {
  /** What is replaced in each piece, and by what. */
  readonly replacements: readonly (readonly [string, string])[];
  /** Whether pieces such as `<0x0A>` are bytes. */
  readonly byteFallback: boolean;
  /** A character that is taken from the front of the text, up to so many times; null: none is. */
  readonly strip: { readonly content: string; readonly count: number } | null;
}

const bytePiece = /^<0x([0-9A-Fa-f]{2})>$/;

/** Joins pieces one by one. */
export class PieceJoiner {
  readonly #rules: PieceRules;
  /** Bytes that may go on with the next piece. */
  #run: number[] = [];
  /** How many characters may still be taken from the front. */
  #strip: number;

  /** Begins a text. */
  constructor(rules: PieceRules) {
    this.#rules = rules;
    this.#strip = rules.strip?.count ?? 0;
  }

  /**
   * The text that is complete with this piece. Byte pieces wait for the end of their run: only then is it
   * known whether they make characters.
   */
  push(piece: string): string {
    let text = piece;
    for (const [from, to] of this.#rules.replacements) text = text.replaceAll(from, to);
    const byte = this.#rules.byteFallback ? bytePiece.exec(text) : null;
    if (byte === null) return this.#front(this.#finishRun() + text);
    this.#run.push(parseInt(byte[1], 16));
    return "";
  }

  /** What is left at the end. */
  end(): string {
    return this.#front(this.#finishRun());
  }

  /** The characters of a run, or a replacement character for each of its bytes if they make none. */
  #finishRun(): string {
    if (this.#run.length === 0) return "";
    const bytes = Uint8Array.from(this.#run);
    this.#run = [];
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return "\ufffd".repeat(bytes.length);
    }
  }

  /** Takes away what the front of the text must not have. */
  #front(text: string): string {
    const { strip } = this.#rules;
    if (strip === null || this.#strip === 0) return text;
    let rest = text;
    while (this.#strip > 0 && rest.startsWith(strip.content)) {
      rest = rest.slice(strip.content.length);
      this.#strip--;
    }
    if (rest !== "") this.#strip = 0;
    return rest;
  }
}
