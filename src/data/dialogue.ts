/**
 * Questions that stand in dialogues: lists of turns as chat and training tools write them.
 *
 * @module
 */

/** A row of any layout, by its keys. */
export type RawRow = Readonly<Record<string, unknown>>;

/** Whether a value is an object with keys. */
export function isRow(value: unknown): value is RawRow {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What a list of turns asks. */
export interface Dialogue {
  /** The last turn of the user. */
  readonly question?: unknown;
  /** What the assistant says to it. */
  readonly reply?: unknown;
  /** The gold answer that stands beside a turn. */
  readonly truth?: unknown;
  /** Turns that are not asked. */
  readonly unasked: readonly ("system" | "earlier")[];
}

/** Whether a list is one of turns: objects with a role and a text. */
export function isDialogue(value: unknown): value is readonly RawRow[] {
  return Array.isArray(value) && value.length > 0 &&
    value.every((turn) => isRow(turn) && ("role" in turn || "from" in turn));
}

/**
 * Reads a dialogue: turns `{role, content}` (OpenAI), `{from, value}` (ShareGPT), or
 * `{from, ground_truth: {value}}` (Open-Reasoner-Zero). A content may be a list of parts `{type, text}`.
 */
export function readDialogue(turns: readonly RawRow[]): Dialogue {
  const roles = turns.map(({ role, from }) => String(role ?? from).toLowerCase());
  const last = roles.findLastIndex((role) => /^(?:human|user|prompter)$/.test(role));
  const replies = /^(?:assistant|gpt|model|bot)$/;
  const reply = turns.find((_, i) => i > last && replies.test(roles[i]));
  const truth = turns.map((turn) => turn.ground_truth).find((each) => each !== undefined);
  const before = roles.slice(0, Math.max(last, 0));
  return {
    question: last < 0 ? undefined : textOf(turns[last]),
    reply: reply && textOf(reply),
    truth: isRow(truth) ? truth.value : truth,
    unasked: [
      ...(before.includes("system") ? ["system" as const] : []),
      ...(before.some((role) => role !== "system") ? ["earlier" as const] : []),
    ],
  };
}

function textOf({ content, value }: RawRow): unknown {
  const text = content ?? value;
  if (!Array.isArray(text)) return text;
  // As sets for models that see write it where a picture belongs.
  const picture = (part: RawRow) => String(part.type).startsWith("image") ? "<image>" : "";
  return text.map((part) => isRow(part) ? part.text ?? picture(part) : part).join("");
}
