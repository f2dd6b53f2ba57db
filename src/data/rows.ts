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
  const begin = new TextDecoder("latin1").decode(bytes.subarray(0, 1024)).replace(/^ï»¿/, "");
  if (isTable(begin)) return tableRows(wholeText(path, bytes));
  const [first, second] = firstLines(bytes);
  // A first line that is no row begins a document of many lines, or is one bad row of many.
  const document = /^\s*[[{]/.test(begin) && (second === undefined || first?.fault !== undefined);
  if (!document || first?.fault === notUtf8) return lineRows(bytes);
  const whole = wholeJson(path, bytes);
  if (!(whole instanceof UserError)) return documentRows(path, whole.value, isProblem);
  if (second === undefined || second.fault !== undefined) throw whole;
  return lineRows(bytes);
}

/** Whether text is CSV: no JSON in its first two lines, and more than one name in its header. */
function isTable(text: string): boolean {
  const [first, second] = text.trimStart().split("\n");
  return !/^[[{]/.test(first) && !/^\s*\{\s*"/.test(second ?? "") && /[,;\t]/.test(first);
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

function* tableRows(text: string): Generator<Row> {
  let index = 0;
  for (const { line, value, fault } of csvRows(text)) {
    yield { place: `line ${line}`, value, index: index++, line: true, fault };
  }
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

const notUtf8 = "its text is not UTF-8";

/** The two first rows of JSONL. */
function firstLines(bytes: Uint8Array): (Row | undefined)[] {
  return [...lineRows(bytes).take(2)];
}

/** The file as one JSON document, or why it is none. */
function wholeJson(path: string, bytes: Uint8Array): { value: unknown } | UserError {
  try {
    return { value: exactJson(wholeText(path, bytes)) };
  } catch (cause) {
    if (cause instanceof UserError) return cause;
    const message = `${path} is not valid JSON: ${reason(cause)}`;
    return new UserError(message, { hint: `a data file is ${formats}`, cause });
  }
}

/** @throws {UserError} when it is not UTF-8. */
function wholeText(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    let line = 1;
    const at = strayAt(bytes);
    if (at === bytes.length) {
      throw new UserError(`${path} is too large to be read as one document`, {
        hint: "convert it to JSONL or parquet",
        cause,
      });
    }
    for (let i = 0; i < at; i++) if (bytes[i] === 10) line++;
    throw new UserError(`${path}: line ${line}: ${notUtf8} (${firstStray(bytes)})`, {
      hint: utf8Hint(path),
      cause,
    });
  }
}

/** How to get a file whose text is not UTF-8 into it. */
export function utf8Hint(path: string): string {
  return `convert it, if it is Latin-1: iconv -f latin1 -t utf-8 ${path} > NEW`;
}

/** Where the first byte stands that begins no character of UTF-8. */
function strayAt(bytes: Uint8Array): number {
  for (let at = 0; at < bytes.length;) {
    const byte = bytes[at];
    const length = byte < 0x80 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 0;
    const rest = bytes.subarray(at + 1, at + length);
    const whole = rest.length === length - 1 && rest.every((each) => (each & 0xc0) === 0x80);
    if (length === 0 || !whole) return at;
    at += length;
  }
  return bytes.length;
}

function firstStray(bytes: Uint8Array): string {
  const byte = bytes[strayAt(bytes)] ?? 0;
  const letter = new TextDecoder("windows-1252").decode(new Uint8Array([byte]));
  return `byte 0x${byte.toString(16).toUpperCase()}, which is ${letter} in Latin-1`;
}
