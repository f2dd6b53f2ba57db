/**
 * A terminal small enough for tests: it moves the cursor up, erases and ignores colours. Any other
 * escape sequence is an error, above all those that change a mode of the terminal.
 */
export class Screen {
  readonly #columns: number;
  readonly #lines: string[] = [""];
  #row = 0;
  #column = 0;

  constructor(columns: number) {
    this.#columns = columns;
  }

  /** What is on the screen, without trailing blanks. */
  text(): string {
    return this.#lines.map((line) => line.trimEnd()).join("\n");
  }

  write(text: string): void {
    // deno-lint-ignore no-control-regex
    for (const [token] of text.matchAll(/\x1b\[[?\d]*[A-Za-z]|\n|\r|[^\x1b\n\r]/gu)) {
      if (token === "\n") this.#newline();
      else if (token === "\r") this.#column = 0;
      else if (token.startsWith("\x1b")) this.#escape(token.slice(2));
      else this.#put(token);
    }
  }

  #newline(): void {
    this.#row++;
    this.#column = 0;
    this.#lines[this.#row] ??= "";
  }

  #escape(code: string): void {
    if (/^\d+A$/.test(code)) this.#row = Math.max(0, this.#row - parseInt(code));
    else if (code === "K" || code === "J") {
      this.#lines[this.#row] = this.#lines[this.#row].slice(0, this.#column);
      if (code === "J") this.#lines.length = this.#row + 1;
    } else if (!/^\d*m$/.test(code)) throw new Error(`unknown escape sequence ${code}`);
  }

  #put(character: string): void {
    if (this.#column >= this.#columns) this.#newline();
    const line = this.#lines[this.#row].padEnd(this.#column);
    this.#lines[this.#row] = line.slice(0, this.#column) + character +
      line.slice(this.#column + 1);
    this.#column++;
  }
}
