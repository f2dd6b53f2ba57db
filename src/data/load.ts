/**
 * Reads problems from files in our own layout and in published ones.
 *
 * @module
 */
import { basename } from "node:path";
import { type SchemaError, UserError } from "../base/mod.ts";
import { isRow } from "./dialogue.ts";
import { instructionKinds, instructionsIn, stripInstructions } from "./instructions.ts";
import {
  answerKeys,
  type Columns,
  hasQuestion,
  questionKeys,
  type Reading,
  readRow,
} from "./layouts.ts";
import { type Problem, problemSchema } from "./problem.ts";
import { formats, type Row, rowsOf } from "./rows.ts";
import { notUtf8, utf8Hint } from "./text.ts";

/** A row that was left out. */
export interface Skipped {
  /** File and place in it, as `file: item 12`. */
  readonly where: string;
  /** Why, in the same words for every row of the kind. */
  readonly reason: string;
  /** What is known of this row alone. */
  readonly detail?: string;
}

/** Something that many rows have in common. */
export interface Kind {
  /** What it is, in a few words. */
  readonly what: string;
  /** In how many rows. */
  readonly count: number;
  /** The first of them: its place in the file, and more about it where there is more to say. */
  readonly first: string;
}

/** The contents of a data file. */
export interface Loaded {
  /** The usable problems, in the order of the file. */
  readonly problems: Problem[];
  /** Rows that no problem could be made of. */
  readonly skipped: Skipped[];
  /** Where questions and answers were taken from, and in how many rows. */
  readonly columns: {
    readonly question: Readonly<Record<string, number>>;
    readonly answer: Readonly<Record<string, number>>;
  };
  /** The keys that rows have, in the order in which they came. */
  readonly keys: readonly string[];
  /** What users should know of the questions: instructions in them, turns that are not asked. */
  readonly remarks: readonly Kind[];
}

/** How to read a data file. */
export interface ReadOptions {
  /** What ids of published rows begin with; default: the file's name without its endings. */
  readonly stem?: string;
  /** Whether all rows are somebody else's, also those that look like ours; default false. */
  readonly published?: boolean;
  /** Columns with other names than usual. */
  readonly columns?: Columns;
  /** Whether known instructions are cut out of the questions; default false. */
  readonly stripInstructions?: boolean;
}

/** The name of a data file without its endings: `gsm8k` of `data/gsm8k.jsonl.gz`. */
export function dataName(path: string): string {
  return basename(path).replace(/\.gz$/, "").replace(/(?<=.)\.\w+$/, "");
}

/**
 * Reads a data file.
 *
 * JSONL, JSON lists (also inside of an object), CSV, parquet and Arrow, each also as gzip. Rows are
 * `{id, question, answer, choices?}` or in one of the published layouts that docs/data.md lists; other
 * keys are ignored. A row that no problem can be made of is skipped and reported, whatever is wrong.
 *
 * An `id` of a row `{id, question, answer}` stays as it is. Of all others it becomes
 * `<stem>/<id, or else index from 0>`. One that came before gets `#2`, `#3`, …
 *
 * @param path The file. Its first bytes tell the formats apart, not its name.
 * @throws {UserError} when the file cannot be read, or no row of it can be used.
 */
export async function loadProblems(path: string, options: ReadOptions = {}): Promise<Loaded> {
  const loaded = await readProblems(path, options);
  checkUsable(path, loaded);
  return loaded;
}

/**
 * As {@linkcode loadProblems}, but a file without a usable row is no error.
 *
 * @throws {UserError} when the file cannot be read.
 */
export async function readProblems(path: string, options: ReadOptions = {}): Promise<Loaded> {
  const rows = await rowsOf(path, (row) => hasQuestion(row, options.columns));
  const collector = new Collector(path, options);
  for (const row of rows) collector.add(row);
  return collector.result();
}

/**
 * Checks that a file has a usable row, and is not in another encoding as a whole.
 *
 * @throws {UserError} when it has none: why the first row is not, and which keys there are; when most rows
 * are not UTF-8.
 */
export function checkUsable(path: string, { problems, skipped, keys }: Loaded): void {
  const strays = skipped.filter(({ reason }) => reason === notUtf8),
    all = problems.length +
      skipped.length;
  if (strays.length > 1 && 2 * strays.length > all) {
    const [{ where, detail }] = strays;
    throw new UserError(
      `${where}: ${notUtf8} (${detail}); so it is in ${strays.length} of ${all} rows`,
      { hint: utf8Hint(path) },
    );
  }
  if (problems.length > 0) return;
  const understood =
    `questions stand under ${questionKeys.slice(0, 8).join(", ")}, answers under ` +
    `${answerKeys.slice(0, 8).join(", ")} and others; name yours with --question and --answer`;
  if (skipped.length === 0) {
    throw new UserError(`${path}: contains no problem`, { hint: `a data file is ${formats}` });
  }
  const [{ where, reason, detail }] = skipped;
  const why = `${reason}${detail ? ` (${detail})` : ""}`;
  const found = keys.length > 0 ? `; keys found: ${keys.slice(0, 20).join(", ")}` : "";
  const others = skipped.length > 1 ? `; none of the ${skipped.length} rows can be used` : "";
  throw new UserError(`${where}: ${why}${found}${others}`, {
    hint: reason === notUtf8
      ? utf8Hint(path)
      : /missing|no column|no object/.test(reason)
      ? understood
      : "`thinker data check FILE` shows what is read of every kind of row",
  });
}

const cutOut = "instructions cut out of the question";

/** What to tell a user about a file beside its problems, each on one line. */
export function dataNotes(
  path: string,
  { skipped, remarks }: Pick<Loaded, "skipped" | "remarks">,
): string[] {
  const name = basename(path),
    of = (kinds: readonly Kind[]) =>
      kinds.map(({ what, count, first }) => `${count} × ${what} (first: ${first})`).join("; ");
  const rows = (count: number) => `${count} ${count === 1 ? "row" : "rows"}`;
  const named = remarks.map(({ what }) => what);
  const uncut = !named.includes(cutOut) && named.some((what) => instructionKinds.includes(what));
  const advice = uncut ? "; --strip-instructions cuts known instructions out" : "";
  return [
    ...(skipped.length === 0
      ? []
      : [`${name}: ${rows(skipped.length)} left out: ${of(skippedKinds(path, skipped))}`]),
    ...(remarks.length === 0 ? [] : [`${name}: ${of(remarks)}${advice}`]),
  ];
}

/** The reasons for which rows were left out, the most frequent first. */
export function skippedKinds(path: string, skipped: readonly Skipped[]): Kind[] {
  const tally = new Tally();
  for (const { where, reason, detail } of skipped) {
    tally.add(reason, `${where.slice(path.length + 2)}${detail ? `, ${detail}` : ""}`);
  }
  return tally.kinds();
}

/** Counts kinds and keeps the first of each. */
class Tally {
  readonly #kinds = new Map<string, { count: number; first: string }>();

  add(what: string, first: string): void {
    const known = this.#kinds.get(what);
    if (known) known.count++;
    else this.#kinds.set(what, { count: 1, first });
  }

  kinds(): Kind[] {
    return [...this.#kinds].map(([what, kind]) => ({ what, ...kind }))
      .sort((a, b) => b.count - a.count);
  }
}

/** Turns rows into problems whose ids are unique. */
class Collector {
  readonly #path: string;
  readonly #options: ReadOptions;
  readonly #stem: string;
  readonly #problems: Problem[] = [];
  readonly #skipped: Skipped[] = [];
  readonly #taken = { question: new Map<string, number>(), answer: new Map<string, number>() };
  readonly #keys = new Set<string>();
  readonly #remarks = new Tally();
  readonly #ids = new Map<string, number>();
  readonly #questions = new Set<string>();

  constructor(path: string, options: ReadOptions) {
    this.#path = path;
    this.#options = options;
    this.#stem = options.stem ?? dataName(path);
  }

  add(row: Row): void {
    const { value, place } = row;
    if (isRow(value)) { for (const key of Object.keys(value)) this.#keys.add(key); }
    if (row.fault !== undefined) return this.#skip(place, row.fault, row.detail);
    const { columns, stripInstructions: strip } = this.#options;
    const read = readRow(value, columns);
    if ("fault" in read) return this.#skip(place, read.fault);
    const { fields, from, remarks } = read, asked = String(fields.question);
    const question = strip ? stripInstructions(asked) : asked;
    const result = problemSchema.safeParse({ ...fields, id: this.#idOf(row, read), question });
    if (!result.success) return this.#skip(place, firstIssue(result.error));
    const problem = { ...result.data, id: this.#unique(result.data.id) };
    this.#problems.push(problem);
    count(this.#taken.question, from.question);
    count(this.#taken.answer, from.answer);
    if (question !== asked) this.#remarks.add(cutOut, place);
    for (const what of remarks) this.#remarks.add(what, place);
    for (const { what, example } of instructionsIn(question)) {
      this.#remarks.add(what, `${place}, "${example}"`);
    }
    if (this.#questions.has(problem.question)) {
      this.#remarks.add("the same question as in an earlier row", place);
    }
    this.#questions.add(problem.question);
  }

  result(): Loaded {
    const { question, answer } = this.#taken;
    return {
      problems: this.#problems,
      skipped: this.#skipped,
      columns: { question: Object.fromEntries(question), answer: Object.fromEntries(answer) },
      keys: [...this.#keys],
      remarks: this.#remarks.kinds(),
    };
  }

  #skip(place: string, reason: string, detail?: string): void {
    const where = `${this.#path}: ${place}`;
    this.#skipped.push(detail === undefined ? { where, reason } : { where, reason, detail });
  }

  #idOf({ line, index }: Row, { fields: { id }, from }: Reading): string {
    const ours = line && id !== undefined && from.question === "question" &&
      from.answer === "answer";
    if (ours && !this.#options.published) return String(id);
    // Files that were converted before have the stem in their ids already.
    const text = String(id ?? index);
    return text.startsWith(`${this.#stem}/`) ? text : `${this.#stem}/${text}`;
  }

  #unique(id: string): string {
    const before = count(this.#ids, id) - 1;
    return before === 0 ? id : this.#unique(`${id}#${before + 1}`);
  }
}

/** Counts one more; returns how many there are now. */
function count(counts: Map<string, number>, key: string): number {
  const now = (counts.get(key) ?? 0) + 1;
  counts.set(key, now);
  return now;
}

/** The first thing that does not fit, as `the answer is empty`. */
function firstIssue(error: SchemaError): string {
  const { path, message } = error.issues[0];
  return path.length === 0 ? message : `the ${String(path[0])} ${message}`;
}
