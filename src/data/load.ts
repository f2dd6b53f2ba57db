/**
 * Reads problems from files: JSONL rows and the JSON layouts of Open-Reasoner-Zero.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { basename, extname } from "node:path";
import { z } from "npm:zod@^4";
import { UserError } from "../errors.ts";
import type { SchemaError } from "../schema.ts";
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
  /** Rows of an Open-Reasoner-Zero file whose question or answer is blank. */
  skipped: Skipped[];
}

const LAYOUTS = "a row is {id, question, answer}, one per line, " +
  "or a JSON list in a layout of Open-Reasoner-Zero";

const answerText = z.union([z.string(), z.number()]).transform(String);

/** `[{from: "human", value}, {from: "assistant", ground_truth: {value}}]` */
const trainRow = z.tuple([
  z.object({ from: z.string().regex(/^(human|user)$/i), value: z.string() }),
  z.object({ ground_truth: z.object({ value: answerText }) }),
]).transform(([turn, reply]) => ({ question: turn.value, answer: reply.ground_truth.value }));

/** `{prompt: [{from: "user", value}], final_answer}` */
const evalRow = z.object({
  prompt: z.tuple([z.object({ value: z.string() })]),
  final_answer: answerText,
}).transform((row) => ({ question: row.prompt[0].value, answer: row.final_answer }));

/** The first thing that does not fit, as `ground_truth.value: what`. */
function firstIssue(error: SchemaError, row: unknown): string {
  const { path, message } = error.issues[0];
  const missing = path.length > 0 && typeof row === "object" && row !== null &&
    path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown>)?.[key], row) ===
      undefined;
  const what = missing ? "is missing" : message;
  return path.length > 0 ? `${path.join(".")} ${what}` : what;
}

function readLines(path: string, text: string): Loaded {
  const problems: Problem[] = [];
  const seen = new Map<string, number>();
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const where = `${path}: line ${index + 1}`;
    let row: unknown;
    try {
      row = JSON.parse(line);
    } catch (cause) {
      throw new UserError(`${where}: not valid JSON (${(cause as Error).message})`, {
        hint: LAYOUTS,
        cause,
      });
    }
    const result = problemSchema.safeParse(row);
    if (!result.success) {
      throw new UserError(`${where}: ${firstIssue(result.error, row)}`, { hint: LAYOUTS });
    }
    const { id } = result.data;
    const first = seen.get(id);
    if (first !== undefined) {
      throw new UserError(`${where}: the id "${id}" is taken by line ${first}`, {
        hint: "give every row its own id",
      });
    }
    seen.set(id, index + 1);
    problems.push(result.data);
  }
  return { problems, skipped: [] };
}

function readList(path: string, text: string): Loaded {
  let rows: unknown[];
  try {
    rows = JSON.parse(text);
  } catch (cause) {
    throw new UserError(`${path}: not valid JSON (${(cause as Error).message})`, {
      hint: LAYOUTS,
      cause,
    });
  }
  const stem = basename(path, extname(path));
  const problems: Problem[] = [];
  const skipped: Skipped[] = [];
  for (const [index, row] of rows.entries()) {
    const where = `${path}: item ${index}`;
    const result = (Array.isArray(row) ? trainRow : evalRow).safeParse(row);
    if (!result.success) {
      throw new UserError(`${where}: ${firstIssue(result.error, row)}`, { hint: LAYOUTS });
    }
    const { question, answer } = result.data;
    const blank = question.trim() === "" ? "question" : answer.trim() === "" ? "answer" : "";
    if (blank) skipped.push({ where, reason: `the ${blank} is blank` });
    else problems.push({ id: `${stem}/${index}`, question, answer });
  }
  return { problems, skipped };
}

/**
 * Reads a data file.
 *
 * - JSONL: rows `{id, question, answer}`, one per line; blank lines and other keys are ignored. The
 *   user's own file, so the first bad row is an error.
 * - JSON list: the training layout (`[[{from: "human", value}, {ground_truth: {value}}], ...]`) and
 *   the evaluation layout (`[{prompt: [{value}], final_answer}, ...]`) of Open-Reasoner-Zero. Ids
 *   become `<file stem>/<index>`, index from 0. These are large published files: a row with a blank
 *   question or answer is skipped and reported, a row of another shape is an error.
 *
 * @param path The file. Its first character tells the layouts apart, not its name.
 * @throws {UserError} With file, line (or item) and what is wrong.
 */
export async function loadProblems(path: string): Promise<Loaded> {
  let text: string;
  try {
    text = (await readFile(path, "utf8")).replace(/^\ufeff/, "");
  } catch (cause) {
    throw new UserError(`${path}: cannot be read (${(cause as Error).message})`, {
      hint: "check the path of the data file",
      cause,
    });
  }
  const loaded = /^\s*\[/.test(text) ? readList(path, text) : readLines(path, text);
  if (loaded.problems.length === 0) {
    throw new UserError(`${path}: contains no problem`, { hint: LAYOUTS });
  }
  return loaded;
}
