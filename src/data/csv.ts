/**
 * Rows of CSV files as spreadsheets, pandas and `datasets` write them (RFC 4180).
 *
 * @module
 */

/** A row of a CSV file. */
export interface CsvRow {
  /** The line that it begins in, from 1. */
  readonly line: number;
  /** The cells by the names of the header; empty cells are left out. */
  readonly value: Readonly<Record<string, string>>;
  /** Why it cannot be used. */
  readonly fault?: string;
}

/**
 * The rows below the header. Quoted cells may hold separators, line breaks and doubled quotes; lines end
 * in LF or CRLF; whatever of comma, semicolon and tab stands in the header most often separates cells.
 *
 * @param check Looks at the header's names, and throws where they are of no use.
 */
export function* csvRows(
  text: string,
  check: (names: readonly string[]) => void = () => {},
): Generator<CsvRow> {
  const separator = separatorOf(text);
  let names: string[] | undefined;
  for (const { line, cells, open } of records(text, separator)) {
    if (names === undefined) {
      names = cells.map((name) => name.trim());
      check(names);
      continue;
    }
    const entries = cells.map((cell, i) => [names![i], cell] as const);
    const value = Object.fromEntries(entries.filter(([name, cell]) => name && cell.trim() !== ""));
    const fault = open
      ? "a quote is not closed"
      : cells.length > names.length
      ? "more cells than the header has"
      : undefined;
    yield fault === undefined ? { line, value } : { line, value, fault };
  }
}

/** Comma, semicolon or tab: the one that the header holds most of outside of quotes. */
function separatorOf(text: string): string {
  const header = text.match(/^(?:"[^"]*"|[^"\r\n])*/)?.[0].replaceAll(/"[^"]*"/g, "") ?? "";
  const count = (mark: string) => header.split(mark).length;
  return [",", ";", "\t"].reduce((best, mark) => count(mark) > count(best) ? mark : best);
}

interface CsvRecord {
  readonly line: number;
  readonly cells: readonly string[];
  /** Whether the file ended inside of quotes. */
  readonly open: boolean;
}

function* records(text: string, separator: string): Generator<CsvRecord> {
  // A cell is quoted, or has no quote in front; what stands between a closing quote and the separator
  // belongs to it as it is.
  const cell = new RegExp(
    `(?:"([^"]*(?:""[^"]*)*)("|$))?([^${separator}\\r\\n]*)(${separator}|\\r?\\n|\\r|$)`,
    "y",
  );
  let line = 1, start = 1, cells: string[] = [];
  while (cell.lastIndex < text.length || cells.length > 0) {
    const [all, quoted, closing, rest, end] = cell.exec(text)!;
    cells.push((quoted ?? "").replaceAll('""', '"') + rest);
    line += all.split("\n").length - 1;
    if (end === separator) continue;
    if (cells.length > 1 || cells[0].trim() !== "") {
      yield { line: start, cells, open: quoted !== undefined && closing === "" };
    }
    start = line;
    cells = [];
  }
}
