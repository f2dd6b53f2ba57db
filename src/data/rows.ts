/**
 * The rows of a data file, whatever its format, before anybody looks at what they mean.
 *
 * @module
 */
import { reason, UserError } from "../base/mod.ts";
import { readArrow } from "./arrow.ts";
import { openBytes } from "./bytes.ts";
import { csvRows } from "./csv.ts";
import { isDialogue, isRow, type RawRow } from "./dialogue.ts";
import { readParquet } from "./parquet.ts";
import { firstStray, notUtf8, strayIn, strayName, wholeText } from "./text.ts";
import { exactJson } from "./values.ts";

/** One row of a file, before it is checked. */
export interface Row {
  /** Where it stands in the file: `line 3`, `item 12`. */
  readonly place: string;
  /** What stands there, with numbers as `exactJson` has them. */
  readonly value?: unknown;
  /** Its place in the file from 0: the id where it brings none. */
  readonly index: number;
  /** Whether it may be a row of the user's own, whose id is kept as it is: a line of JSONL or CSV. */
  readonly line: boolean;
  /** Why it could not be read. */
  readonly fault?: string;
  /** What the parser says about it. */
  readonly detail?: string;
}

/** What `rowsOf` reads, for messages. */
export const formats = "JSONL, a JSON list, CSV, parquet or Arrow, each also as .gz";

/**
 * The rows of a file. Its first bytes tell the formats apart, not its name.
 *
 * @param isProblem Whether an object is a row by itself, not a wrapper around a list of them.
 * @throws {UserError} when the file cannot be read at all; rows that cannot have a `fault`.
 */
export async function rowsOf(
  path: string,
  isProblem: (value: RawRow) => boolean,
): Promise<Iterable<Row>> {
  const { format, bytes } = await openBytes(path);
  if (format === "parquet") return listRows(await readParquet(bytes, path));
  if (format === "arrow") return listRows(await readArrow(bytes, path));
  const begin = new TextDecoder("latin1").decode(bytes.subarray(0, 4096)).replace(/^ï»¿/, "");
  const byName = /\.(?:jsonl|ndjson)(?:\.gz)?$/i.test(path);
  if (isTable(begin, byName)) {
    const { text, strays } = wholeText(path, bytes);
    return strays ? withoutStrays(tableRows(path, text)) : tableRows(path, text);
  }
  const [first, second] = lineRows(bytes).take(2);
  // A first line that is no row begins a document of many lines, or is one bad row of many.
  const document = /^\s*[[{]/.test(begin) && (second === undefined || first?.fault !== undefined);
  if (!document) return lineRows(bytes);
  const whole = wholeJson(path, bytes);
  if (whole instanceof UserError) {
    if (second !== undefined && (byName || mostlyRows(bytes))) return lineRows(bytes);
    throw whole;
  }
  const rows = documentRows(path, whole.value, isProblem);
  return whole.strays ? withoutStrays(rows) : rows;
}

/**
 * Whether text is CSV: no JSON in its first line, more than one name in its header, and no more than a few
 * lines of JSON below; none, in a file that is named as JSONL. Notes may precede the rows of JSONL.
 */
function isTable(text: string, namedJsonl: boolean): boolean {
  const [header, ...lines] = text.trimStart().split("\n", 50);
  if (/^[[{]/.test(header) || !/[,;\t]/.test(header)) return false;
  const json = lines.filter((line) => /^\s*\{\s*"/.test(line)).length;
  return json === 0 || !namedJsonl && 2 * json < lines.length;
}

/** Whether at least half of the lines are rows by themselves: JSONL with damage, not a damaged document. */
function mostlyRows(bytes: Uint8Array): boolean {
  let rows = 0, lines = 0;
  for (const { value, fault } of lineRows(bytes)) {
    lines++;
    if (fault === notUtf8 || isRow(value) || isDialogue(value)) rows++;
  }
  return 2 * rows >= lines;
}

/** The rows with those that hold bytes of another encoding named. */
function* withoutStrays(rows: Iterable<Row>): Generator<Row> {
  for (const row of rows) {
    const byte = strayIn(row.value);
    if (byte === undefined) yield row;
    else {
      const { place, index, line } = row;
      yield { place, index, line, fault: notUtf8, detail: strayName(byte) };
    }
  }
}

/** The rows of one JSON document: a list, or an object around one. */
function documentRows(
  path: string,
  value: unknown,
  isProblem: (value: RawRow) => boolean,
): Iterable<Row> {
  if (Array.isArray(value) && !isDialogue(value)) return listRows(value);
  if (!isRow(value) || isProblem(value)) return [{ place: "line 1", value, index: 0, line: true }];
  if (Array.isArray(value.columns) && Array.isArray(value.data)) {
    const names = value.columns.map(String); // pandas: orient="split"
    checkNames(path, names);
    return listRows(
      value.data.map((cells) =>
        Object.fromEntries(names.map((name, i) => [name, (cells as unknown[])[i]]))
      ),
    );
  }
  const lists = Object.keys(value).filter((key) => isListOfRows(value[key]));
  const name = ["rows", "data"].find((key) => lists.includes(key)) ?? lists[0];
  if (name !== undefined && (lists.length === 1 || name === "rows" || name === "data")) {
    return listRows((value[name] as unknown[]).map(viewerRow));
  }
  if (lists.length > 1) {
    throw new UserError(`${path} holds several lists of rows: ${lists.join(", ")}`, {
      hint: "write each to a file of its own",
    });
  }
  const inner = Object.values(value);
  if (inner.length > 0 && inner.every(isRow)) {
    // By id, or else by column as pandas writes it.
    if (inner.every(isProblem)) {
      return Object.entries(value).map(([id, row], index) => ({
        place: `item ${id}`,
        value: { id, ...row as RawRow },
        index,
        line: false,
      }));
    }
    return listRows(byColumn(value as Readonly<Record<string, RawRow>>));
  }
  if (inner.length > 0 && inner.every(Array.isArray)) {
    return listRows(byColumn(value as Readonly<Record<string, unknown[]>>));
  }
  return [{ place: "line 1", value, index: 0, line: true }];
}

function isListOfRows(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 &&
    value.every((each) => isRow(each) || isDialogue(each)) && !isDialogue(value);
}

/** A row of the hub's data set viewer: `{row_idx, row, truncated_cells}`. */
function viewerRow(value: unknown): unknown {
  if (!isRow(value) || !isRow(value.row)) return value;
  const cut = Array.isArray(value.truncated_cells) ? value.truncated_cells.map(String) : [];
  const cells = Object.entries(value.row).filter(([name]) => !cut.includes(name));
  return Object.fromEntries(cells);
}

function byColumn(columns: Readonly<Record<string, RawRow | readonly unknown[]>>): RawRow[] {
  const names = Object.keys(columns);
  return Object.keys(columns[names[0]]).map((key) =>
    Object.fromEntries(names.map((name) => [name, (columns[name] as RawRow)[key]]))
  );
}

function* listRows(values: readonly unknown[]): Generator<Row> {
  for (const [index, value] of values.entries()) {
    yield { place: `item ${index}`, value, index, line: false };
  }
}

function* tableRows(path: string, text: string): Generator<Row> {
  let index = 0;
  const check = (names: readonly string[]) => checkNames(path, names);
  for (const { line, value, fault } of csvRows(text, check)) {
    yield { place: `line ${line}`, value, index: index++, line: true, fault };
  }
}

/** Of two columns by one name, nobody can tell which is meant. */
function checkNames(path: string, names: readonly string[]): void {
  const twice = names.find((name, i) => name !== "" && names.indexOf(name) < i);
  if (twice === undefined) return;
  throw new UserError(`${path}: two columns have the name "${twice}"`, {
    hint: "give one of them another name, or remove it",
  });
}

/** Rows line by line: a file may be larger than the longest text that there can be. */
function* lineRows(bytes: Uint8Array): Generator<Row> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let index = 0, number = 0;
  for (let start = 0; start < bytes.length;) {
    const found = bytes.indexOf(10, start), end = found < 0 ? bytes.length : found;
    const line = bytes.subarray(start, end), place = `line ${++number}`;
    start = end + 1;
    let text: string;
    try {
      text = decoder.decode(line); // drops a byte order mark
    } catch {
      yield { place, index: index++, line: true, fault: notUtf8, detail: firstStray(line) };
      continue;
    }
    if (text.trim() === "") continue;
    try {
      yield { place, value: exactJson(text), index: index++, line: true };
    } catch (error) {
      const detail = reason(error);
      yield { place, index: index++, line: true, fault: "it is not valid JSON", detail };
    }
  }
}

/** The file as one JSON document, or why it is none. */
function wholeJson(
  path: string,
  bytes: Uint8Array,
): { value: unknown; strays: boolean } | UserError {
  try {
    const { text, strays } = wholeText(path, bytes);
    return { value: exactJson(text), strays };
  } catch (cause) {
    if (cause instanceof UserError) return cause;
    const message = `${path} is not valid JSON: ${reason(cause)}`;
    return new UserError(message, { hint: `a data file is ${formats}`, cause });
  }
}
