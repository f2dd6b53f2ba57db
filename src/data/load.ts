/**
 * Reads problems from files: JSONL, JSON lists and parquet, in our own layout and in published ones.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { basename, extname } from "node:path";
import { parseJson, type SchemaError, UserError } from "../base/mod.ts";
import { type Fields, fieldsOf, fieldsOfTurns, isPublished, isRow } from "./layouts.ts";
import { readParquet } from "./parquet.ts";
import { type Problem, problemSchema } from "./problem.ts";

/** A row that was left out. */
export interface Skipped {
  /** File and item, as `file: item 12`. */
  where: string;
  /** Why, in a few words. */
  reason: string;
}

/** The contents of a data file. */
export interface Loaded {
  /** The usable problems, in the order of the file. */
  problems: Problem[];
  /** Rows of a published file whose question or answer is blank. */
  skipped: Skipped[];
}

/** How to read a data file. */
export interface LoadOptions {
  /** What ids of published rows begin with; default: the file's name without its ending. */
  readonly stem?: string;
  /** Whether all rows are somebody else's, also those that look like ours; default false. */
  readonly published?: boolean;
}

const LAYOUTS = "a row is {id, question, answer}, one per line, " +
  "or the file is a JSON list or parquet in a published layout";

/** One row of a file, before it is checked. */
interface Row {
  /** Where it stands, for messages. */
  readonly where: string;
  readonly value: unknown;
  /** The id where the row brings none: its place in the file. */
  readonly index: number;
  /** Whether somebody else chose the layout: then gaps are skipped, and ids are not needed. */
  readonly published: boolean;
}

/** The first thing that does not fit, as `answer is missing`. */
function firstIssue(error: SchemaError, fields: Fields): string {
  const { path, message } = error.issues[0];
  const key = path[0] as keyof Fields | undefined;
  if (key === undefined) return message;
  return `${path.join(".")} ${fields[key] === undefined ? "is missing" : message}`;
}

/** Files that were converted before have the stem in their ids already. */
function publishedId(stem: string, id: unknown): string {
  const text = String(id);
  return text.startsWith(`${stem}/`) ? text : `${stem}/${text}`;
}

function isBlank(value: unknown): boolean {
  return typeof value === "string" && value.trim() === "";
}

/** Turns rows into problems; ids are unique, and those of published rows begin with the stem. */
function collect(rows: Iterable<Row>, stem: string): Loaded {
  const problems: Problem[] = [];
  const skipped: Skipped[] = [];
  const seen = new Map<string, string>();
  for (const { where, value, index, published } of rows) {
    const raw = Array.isArray(value) ? fieldsOfTurns(value) : isRow(value) ? fieldsOf(value) : {};
    const fields = published ? { ...raw, id: publishedId(stem, raw.id ?? index) } : raw;
    const blank = published && (["question", "answer"] as const).find((key) => isBlank(raw[key]));
    if (blank) {
      skipped.push({ where, reason: `the ${blank} is blank` });
      continue;
    }
    const result = problemSchema.safeParse(fields);
    if (!result.success) {
      throw new UserError(`${where}: ${firstIssue(result.error, fields)}`, { hint: LAYOUTS });
    }
    const { id } = result.data, first = seen.get(id);
    if (first !== undefined) {
      throw new UserError(`${where}: the id "${id}" is taken by ${first}`, {
        hint: "give every row its own id",
      });
    }
    seen.set(id, where.slice(where.lastIndexOf(": ") + 2));
    problems.push(result.data);
  }
  return { problems, skipped };
}

function* lineRows(path: string, text: string, published: boolean): Generator<Row> {
  let index = 0;
  for (const [number, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const where = `${path}: line ${number + 1}`;
    const value = parseJson(line, where, LAYOUTS);
    const foreign = published || (isRow(value) && isPublished(value));
    yield { where, value, index: index++, published: foreign };
  }
}

function* listRows(path: string, values: readonly unknown[]): Generator<Row> {
  for (const [index, value] of values.entries()) {
    yield { where: `${path}: item ${index}`, value, index, published: true };
  }
}

/**
 * Reads a data file.
 *
 * - JSONL: rows `{id, question, answer}`, one per line, with `choices` `{A: "…", B: "…"}` where a
 *   letter is asked for; blank lines and other keys are ignored. The user's own file, so the first bad
 *   row is an error.
 * - JSON lists: the training layout (`[[{from: "human", value}, {ground_truth: {value}}], ...]`) and
 *   the evaluation layout (`[{prompt: [{value}], final_answer}, ...]`) of Open-Reasoner-Zero.
 * - Parquet, and rows of the other two in the published layouts of {@linkcode fieldsOf}.
 *
 * Ids of published rows become `<stem>/<id, or else index from 0>`. These are large files of
 * others: a row with a blank question or answer is skipped and reported, a row of another shape is an
 * error.
 *
 * @param path The file. Its first bytes tell the formats apart, not its name.
 * @throws {UserError} With file, line (or item) and what is wrong.
 */
export async function loadProblems(path: string, options: LoadOptions = {}): Promise<Loaded> {
  const { stem = basename(path, extname(path)), published = false } = options;
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = new Uint8Array(await readFile(path));
  } catch (cause) {
    throw new UserError(`${path}: cannot be read (${(cause as Error).message})`, {
      hint: "check the path of the data file",
      cause,
    });
  }
  const loaded = collect(await rowsOf(path, bytes, published), stem);
  if (loaded.problems.length === 0) {
    throw new UserError(`${path}: contains no problem`, { hint: LAYOUTS });
  }
  return loaded;
}

async function rowsOf(
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
  published: boolean,
): Promise<Iterable<Row>> {
  const magic = new TextDecoder("latin1").decode(bytes.subarray(0, 4));
  if (magic === "PAR1") return listRows(path, await readParquet(bytes, path));
  const text = new TextDecoder().decode(bytes); // drops a byte order mark
  if (!/^\s*\[/.test(text)) return lineRows(path, text, published);
  return listRows(path, parseJson(text, path, LAYOUTS) as unknown[]);
}
