/** Small pieces of Markdown that stay valid whatever text they are given. */

/** A table; the first column is aligned left, the others right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(" | ")} |`;
  const rule = header.map((_, i) => i === 0 ? "---" : "---:");
  return [line(header), `| ${rule.join(" | ")} |`, ...rows.map(line)].join("\n");
}

/** A literal block; its fence is longer than any run of backticks inside. */
export function fenced(text: string): string {
  const runs = text.match(/`+/g) ?? [];
  const fence = "`".repeat(Math.max(3, ...runs.map((run) => run.length + 1)));
  return `${fence}text\n${text}\n${fence}`;
}

/** Cuts a long text in the middle and says how much is missing. */
export function shorten(text: string, limit: number): string {
  const characters = [...text];
  if (characters.length <= limit) return text;
  const half = Math.floor(limit / 2);
  const missing = characters.length - 2 * half;
  return characters.slice(0, half).join("") + `\n[… ${missing} characters left out …]\n` +
    characters.slice(-half).join("");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replace(/\s*\n\s*/g, " ");
}
