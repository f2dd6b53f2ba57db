/**
 * The layouts in which published data sets come, brought to the fields of a `Problem`.
 *
 * @module
 */
import { type Cell, cellsAt, type Find, finder, fromJson, isBlank, normal, pick } from "./cells.ts";
import { type Dialogue, isDialogue, isRow, type RawRow, readDialogue } from "./dialogue.ts";
import { type Fault, type Gold, type GoldKind, goldOf } from "./gold.ts";
import { choicesOf, placeOf } from "./options.ts";

/** Which columns to take, by name or dotted path; what is left out is found by its usual names. */
export interface Columns {
  /** The column of the question. */
  readonly question?: string | null;
  /** The column of the gold answer. */
  readonly answer?: string | null;
  /** The column of the id. */
  readonly id?: string | null;
}

/** The fields of a problem as far as a row has them. */
export interface Fields {
  readonly id?: unknown;
  readonly question?: unknown;
  readonly answer?: unknown;
  readonly choices?: unknown;
}

/** What a row holds. */
export interface Reading {
  readonly fields: Fields;
  /** Where the question and the answer stand. */
  readonly from: { readonly question: string; readonly answer: string };
  /** What of the row is left out, for people. */
  readonly remarks: readonly string[];
}

/** Where questions stand, the first that is there counts. */
export const questionKeys: readonly string[] = [
  "problem",
  "question",
  "prompt",
  "messages",
  "conversations",
  "conversation",
  "context_messages",
  "instruction",
  "input",
  "query",
  "problem_statement",
  "question_stem",
  "source_prompt",
];

const answerKinds: Readonly<Record<string, GoldKind>> = {
  final_answer: "answer",
  expected_answer: "answer",
  answer: "answer",
  ground_truth: "truth",
  "reward_model.ground_truth": "truth",
  "verification_info.ground_truth": "truth",
  label: "truth",
  gold: "answer",
  gold_answer: "answer",
  correct_answer: "answer",
  reference_answer: "answer",
  target: "answer",
  answer_key: "answer",
  answerkey: "answer",
  correct: "answer",
  solution: "solution",
  solutions: "solution",
  gold_standard_solution: "solution",
  output: "solution",
  response: "solution",
  completion: "solution",
};

/** Where gold answers stand, the first that is not blank counts. */
export const answerKeys: readonly string[] = Object.keys(answerKinds);

const idKeys = [
  "id",
  "unique_id",
  "uuid",
  "problem_id",
  "question_id",
  "query_id",
  "extra_info.index",
  "idx",
];

/** Texts that stand before the question in a column of their own. */
const leadKeys: Readonly<Record<string, string>> = { question: "body", instruction: "input" };

/** Whether a row has a question in the column that is named, or else in a usual place. */
export function hasQuestion(row: RawRow, { question }: Columns = {}): boolean {
  return cellsAt(finder(row), question ? [question] : questionKeys)
    .some(({ value }) => isText(value) || isDialogue(value));
}

function isText(value: unknown): value is string | number {
  return typeof value === "string" || typeof value === "number";
}

/** Reads a row: an object by its keys, or a list of turns of Open-Reasoner-Zero. */
export function readRow(value: unknown, columns: Columns = {}): Reading | Fault {
  if (isDialogue(value)) return readTurns(readDialogue(value));
  if (!isRow(value)) return { fault: "it is no object with keys" };
  const find = finder(value);
  const places = cellsAt(find, columns.question ? [columns.question] : questionKeys);
  const asked = pick(places, (each) => isText(each) || Array.isArray(each));
  if (asked === undefined) return { fault: missing("question", columns.question) };
  const dialogue = dialogueOf(asked.value);
  if (typeof dialogue === "string") return { fault: dialogue };
  const text = dialogue ? dialogue.question : soleText(asked.value);
  const question = withLead(text, find(leadKeys[normal(asked.key)] ?? ""), asked.key);
  if (isBlank(question)) return { fault: "the question is blank" };
  if (typeof question !== "string" && typeof question !== "number") {
    return { fault: dialogue ? "the dialogue has no user turn" : "the question is not a text" };
  }
  if (/<image>|<\|image_pad\|>/.test(String(question))) {
    return { fault: "the question needs a picture" };
  }
  const found = answerOf(find, columns.answer, asked.key, dialogue);
  if ("fault" in found) return found;
  const choices = choicesOf(value, find);
  if (typeof choices === "string") return { fault: choices };
  const ids = cellsAt(find, columns.id ? [columns.id] : idKeys);
  const id = columns.id ? ids[0]?.value : ids.find(({ value }) => isText(value))?.value;
  if (columns.id && id === undefined) return { fault: missing("id", columns.id) };
  const placed = placeOf(found.gold.answer, find);
  return {
    fields: { id, question, answer: placed?.letter ?? found.gold.answer, choices },
    from: { question: asked.key, answer: found.key },
    remarks: [
      ...unasked(dialogue),
      ...alternatives(found.gold),
      ...(placed?.doubtful
        ? ["the answer may be a place or an option's text: a place, from 0"]
        : []),
    ],
  };
}

function readTurns(dialogue: Dialogue): Reading | Fault {
  const { question, truth } = dialogue;
  if (question === undefined) return { fault: "the question is missing" };
  if (isBlank(question)) return { fault: "the question is blank" };
  if (truth === undefined || truth === null) return { fault: "the answer is missing" };
  const gold = isBlank(truth) ? { fault: "the answer is blank" } : goldOf(truth, "truth");
  if ("fault" in gold) return gold;
  return {
    fields: { question, answer: gold.answer },
    from: { question: "the user's turn", answer: "ground_truth.value" },
    remarks: [...unasked(dialogue), ...alternatives(gold)],
  };
}

/** What is left of a dialogue when only its last question is asked. */
function unasked(dialogue: Dialogue | undefined): string[] {
  const words = { system: "the system turn is not asked", earlier: "earlier turns are not asked" };
  return (dialogue?.unasked ?? []).map((each) => words[each]);
}

function alternatives(gold: Gold): string[] {
  return gold.alternatives ? ["several right answers, of which the first is taken"] : [];
}

function missing(what: string, column: string | null | undefined): string {
  return column ? `there is no column "${column}" for the ${what}` : `the ${what} is missing`;
}

/** The dialogue that a value is, undefined where it is none, or why it cannot be read. */
function dialogueOf(value: unknown): Dialogue | string | undefined {
  const list = fromJson(value);
  if (isDialogue(list)) return readDialogue(list);
  // What pandas writes into CSV for a list: Python's own spelling, which cannot be read back safely.
  const python = typeof value === "string" &&
    /^\s*\[\s*\{'(?:role|from|content|value)'/.test(value);
  return python ? "the question is a Python list as text: export JSONL or parquet" : undefined;
}

function soleText(value: unknown): unknown {
  return Array.isArray(value) && value.length === 1 && typeof value[0] === "string"
    ? value[0]
    : value;
}

function withLead(question: unknown, lead: unknown, key: string): unknown {
  if (typeof question !== "string" || typeof lead !== "string" || isBlank(lead)) return question;
  // SVAMP's body precedes its question, the input of an instruction follows it.
  return normal(key) === "instruction"
    ? `${question}\n\n${lead.trim()}`
    : `${lead.trim()} ${question}`;
}

function answerOf(
  find: Find,
  column: string | null | undefined,
  questionKey: string,
  dialogue: Dialogue | undefined,
): { gold: Gold; key: string } | Fault {
  const keys = column ? [column] : answerKeys.filter((key) => key !== questionKey);
  const cells = cellsAt(find, keys), full = cells.filter(({ value }) => !isBlank(value));
  const fit = full.filter(({ value }) => mayAnswer(value));
  const inside = column ? undefined : dialogue?.truth ?? dialogue?.reply;
  // `correct: True` says of an answer beside it that it is right; alone it is the answer.
  const found = fit.find((cell) => !isVerdict(cell)) ?? (inside === undefined ? fit[0] : undefined);
  if (found) {
    const gold = goldOf(found.value, answerKinds[normal(found.key)] ?? "answer");
    return "fault" in gold ? gold : { gold, key: found.key };
  }
  if (inside !== undefined) {
    const gold = goldOf(inside, dialogue?.truth === undefined ? "solution" : "truth");
    return "fault" in gold ? gold : { gold, key: `${questionKey}, the assistant's turn` };
  }
  if (cells.length === 0) return { fault: missing("answer", column) };
  if (full.length === 0) return { fault: "the answer is blank" };
  const tried = full.map(({ key, value }) =>
    `${key} is ${typeof value === "boolean" ? "true or false" : "an object"}`
  );
  return { fault: `no column has an answer, a text or a number (${tried.join(", ")})` };
}

/** Whether a value can be an answer at all: not what says whether one is right, no program's tests. */
function mayAnswer(value: unknown): boolean {
  return isText(value) || Array.isArray(value) || isRow(value) && "value" in value;
}

/** Whether a cell may say that an answer beside it is right; a table has no other type than text. */
function isVerdict({ key, value }: Cell): boolean {
  return /^(?:label|correct)$/.test(normal(key)) && /^\s*(?:true|false)\s*$/i.test(String(value));
}
