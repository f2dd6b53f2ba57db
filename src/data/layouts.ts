/**
 * The layouts in which published data sets come, brought to the fields of a {@linkcode Problem}.
 * Nothing is checked here: what comes out goes through `problemSchema`.
 *
 * @module
 */
import { lastBoxed } from "../grade/mod.ts";

/** A row of any layout, by its keys. */
export type RawRow = Readonly<Record<string, unknown>>;

/** The fields of a problem as far as a row has them. */
export interface Fields {
  readonly id?: unknown;
  readonly question?: unknown;
  readonly answer?: unknown;
  readonly choices?: unknown;
}

/** Keys that only published layouts have; a row with none of them is `{id, question, answer}`. */
const publishedKeys = [
  "problem",
  "prompt",
  "final_answer",
  "expected_answer",
  "reward_model",
  "data_source",
];

/** Whether a value is an object with keys. */
export function isRow(value: unknown): value is RawRow {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a row is in a layout that somebody else chose: it needs no id, and may have gaps. */
export function isPublished(row: RawRow): boolean {
  return publishedKeys.some((key) => key in row) || workedAnswer(row.answer) !== undefined;
}

/**
 * The fields of a row. Known are, beside `{id, question, answer, choices}`:
 *
 * - `{prompt: [{value}], final_answer, choices}`: evaluation sets of Open-Reasoner-Zero
 * - `{prompt: [{content}], reward_model: {ground_truth}}`: parquet files for verl
 * - `{problem, answer}` and `{problem, solution}`: MATH, AIME, Minerva (the last box of the solution)
 * - `{question, final_answer: ["…"]}`: OlympiadBench
 * - `{question, answer: "… #### 18"}`: GSM8K
 */
export function fieldsOf(row: RawRow): Fields {
  return {
    id: row.id ?? row.unique_id,
    question: row.problem ?? row.question ?? promptText(row.prompt),
    answer: answerOf(row),
    choices: lettered(row.choices),
  };
}

/** A training row of Open-Reasoner-Zero: `[{from: "human", value}, {ground_truth: {value}}]`. */
export function fieldsOfTurns(row: readonly unknown[]): Fields {
  const [turn, reply] = row;
  const asks = isRow(turn) && /^(human|user)$/i.test(String(turn.from));
  const truth = isRow(reply) && isRow(reply.ground_truth) ? reply.ground_truth : undefined;
  return { question: asks ? turn.value : undefined, answer: truth?.value };
}

/** The text of a prompt that is a text or a dialogue; of a dialogue its last user turn. */
function promptText(prompt: unknown): unknown {
  if (!Array.isArray(prompt)) return prompt;
  const asks = (turn: unknown) =>
    isRow(turn) && /^(human|user)$/i.test(String(turn.from ?? turn.role));
  const turn = prompt.findLast(asks) ?? prompt[0];
  return isRow(turn) ? turn.value ?? turn.content : turn;
}

function answerOf(row: RawRow): unknown {
  const { reward_model: reward, solution } = row;
  const given = row.final_answer ?? row.expected_answer ?? workedAnswer(row.answer) ?? row.answer ??
    (isRow(reward) ? reward.ground_truth : undefined);
  if (Array.isArray(given)) return given.join(", ");
  if (given !== undefined && given !== null) return given;
  return typeof solution === "string" ? lastBoxed(solution) : row.answer;
}

/** What follows the `####` of a worked answer of GSM8K; thousands separators are left out there. */
function workedAnswer(answer: unknown): string | undefined {
  if (typeof answer !== "string") return undefined;
  const at = answer.lastIndexOf("\n####");
  return at < 0 ? undefined : answer.slice(at + 5).trim().replaceAll(",", "");
}

/** A list of options as an object under letters. */
function lettered(choices: unknown): unknown {
  if (choices === null) return undefined;
  if (!Array.isArray(choices)) return choices;
  return Object.fromEntries(choices.map((text, i) => [String.fromCharCode(65 + i), text]));
}
